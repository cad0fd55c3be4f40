//! What Lua owns outlives the function that gave it.

use moonswap::{Lua, Result, UserData};

struct Borrows<'a>(&'a str);
impl UserData for Borrows<'_> {}

fn main() -> Result<()> {
    let lua = Lua::new();
    let text = String::from("text");
    let n = 1;
    lua.create_function(|_, ()| Ok(text.len()))?;
    lua.create_userdata(Borrows(&text))?;
    lua.set_app_data(&n);
    Ok(())
}
