//! What the macros do not take.

use moonswap::{FromLua, Lua, Result, UserData, chunk, userdata_impl};

#[derive(UserData)]
struct Object {
    #[lua(getter)]
    wrong_option: i64,
    #[lua = "x"]
    no_list: i64,
}

#[derive(UserData)]
struct Generic<T>(T);

#[derive(UserData)]
union Union {
    a: u8,
}

#[derive(FromLua)]
struct NoClone;

#[derive(UserData)]
struct Plain;

#[userdata_impl(x)]
impl Plain {}

#[userdata_impl]
impl<T> Generic<T> {}

#[userdata_impl]
impl Plain {
    #[lua(getter)]
    const ONE: u8 = 1;
}

#[userdata_impl]
impl Plain {
    #[lua(getter, meta)]
    fn both(&self) {}
}

#[userdata_impl]
impl Plain {
    #[lua(getter, setter)]
    fn both_too(&self) {}
}

#[userdata_impl]
impl Plain {
    #[lua(getter)]
    fn getter_changes(&mut self) {}
}

#[userdata_impl]
impl Plain {
    #[lua(getter)]
    fn getter_takes(&self, n: i64) {}
}

#[userdata_impl]
impl Plain {
    #[lua(getter)]
    async fn getter_waits(&self) {}
}

#[userdata_impl]
impl Plain {
    #[lua(setter)]
    fn setter_takes_nothing(&mut self) {}
}

#[userdata_impl]
impl Plain {
    #[lua(setter)]
    fn setter_without_object(n: i64) {}
}

#[userdata_impl]
impl Plain {
    #[lua(field)]
    fn field_of_object(&self) -> i64 {}
}

#[userdata_impl]
impl Plain {
    #[lua(field)]
    fn field_of_argument(n: i64) -> i64 {}
}

#[userdata_impl]
impl Plain {
    #[lua(meta)]
    fn __gc(self) {}
}

#[userdata_impl]
impl Plain {
    #[lua(meta)]
    fn no_metamethod(&self) {}
}

#[userdata_impl]
impl Plain {
    fn changes_a_slice(bytes: &mut [u8]) {}
}

#[userdata_impl]
impl Plain {
    fn generic<T>(value: T) {}
}

#[userdata_impl]
impl Plain {
    fn owns_the_vm(lua: Lua) {}
}

#[userdata_impl]
impl Plain {
    #[lua(quick)]
    fn unknown_option() {}
}

fn main() -> Result<()> {
    Lua::new().load(chunk!(return $1)).exec()
}
