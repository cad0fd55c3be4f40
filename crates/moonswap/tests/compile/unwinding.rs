//! A VM is shared, so it is nothing to catch panics around without saying so.

use std::panic::catch_unwind;

use moonswap::{Lua, Result};

fn main() -> Result<()> {
    let lua = Lua::new();
    let table = lua.create_table()?;
    let _ = catch_unwind(|| lua.create_table());
    let _ = catch_unwind(move || table.set("a", "b"));
    Ok(())
}
