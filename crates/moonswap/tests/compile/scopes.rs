//! What a scope lends does not leave it, and is lent once.

use moonswap::{AnyUserData, Lua, Result, Table, UserData, UserDataMethods};

struct Counter<'a>(&'a mut i64);
impl UserData for Counter<'_> {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("add", |_, this, n: i64| {
            *this.0 += n;
            Ok(())
        });
    }
}

/// The value of a function's argument kept in what lives longer.
fn argument_escapes(lua: &Lua) -> Result<()> {
    lua.scope(|scope| {
        let mut kept: Option<&Table> = None;
        let keep = scope.create_function_mut(|_, table: Table| {
            kept = Some(&table);
            Ok(())
        })?;
        keep.call::<()>(lua.create_table()?)
    })
}

/// Data made inside, lent for as long as the scope.
fn lends_what_ends_before(lua: &Lua) -> Result<()> {
    lua.scope(|scope| {
        let n = 1;
        scope.create_function(|_, ()| Ok(n))?;
        Ok(())
    })
}

/// Lent twice, to be changed.
fn lends_twice(lua: &Lua) -> Result<()> {
    let mut n = 0;
    lua.scope(|scope| {
        scope.create_userdata(Counter(&mut n))?;
        scope.create_userdata(Counter(&mut n))?;
        Ok(())
    })
}

/// Used by the host while Lua has it.
fn used_meanwhile(lua: &Lua) -> Result<()> {
    let mut n = 0;
    lua.scope(|scope| {
        let add = scope.create_function_mut(|_, x: i64| {
            n += x;
            Ok(())
        })?;
        n = 7;
        add.call::<()>(1)
    })
}

/// The data of a userdata outlives its scope.
fn data_escapes(lua: &Lua) -> Result<()> {
    let mut escaped = None;
    {
        let text = String::from("text");
        lua.scope(|scope| {
            let data: AnyUserData = scope.create_any_userdata_ref(&text)?;
            data.borrow_scoped::<String, _>(|text| escaped = Some(text))
        })?;
    }
    println!("{escaped:?}");
    Ok(())
}

fn main() {}
