//! A future that Lua waits for owns what it uses.

use moonswap::{Lua, UserData, UserDataMethods};

struct Borrows<'a>(&'a str);
impl UserData for Borrows<'_> {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_method("len", |_, this, ()| async move { Ok(this.0.len()) });
    }
}

fn main() {
    let lua = Lua::new();
    let text = String::from("text");
    let _ = lua.create_async_function(|_, ()| async { Ok(text.len()) });
}
