//! Code that is not trusted: a profile, limits of time and memory, an environment of
//! its own.
//!
//! `cargo run -p moonswap --example sandbox`

use std::time::{Duration, Instant};

use moonswap::{ErrorKind, Lua, Profile, Result, Table};

/// What a piece of code came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The text of its result.
    Result(String),
    /// Why it ended.
    Ended(ErrorKind),
}

/// A VM from which nothing leads outside. Each run gets a deadline of its own.
///
/// # Errors
/// If memory is short.
pub(crate) fn sandbox() -> Result<Lua> {
    let builder = Lua::builder().profile(Profile::Untrusted);
    builder
        .memory_limit(4 << 20)
        .deadline(Instant::now())
        .build()
}

/// Runs a piece of code: 50 ms, and globals of its own.
///
/// # Errors
/// If memory is short before it begins.
pub(crate) fn run(lua: &Lua, code: &str) -> Result<Outcome> {
    let environment: Table = lua.create_table()?;
    let behind = lua.create_table_from([("__index", lua.globals())])?;
    environment.set_metatable(Some(behind))?;
    lua.set_deadline(Some(Instant::now() + Duration::from_millis(50)));
    let chunk = lua.load(code).set_name("=code");
    let result = chunk.set_environment(environment).eval::<moonswap::Value>();
    lua.set_deadline(None);
    Ok(match result {
        Ok(value) => Outcome::Result(value.to_string()?),
        Err(error) => Outcome::Ended(error.kind()),
    })
}

/// Code of many sorts.
pub(crate) const CODE: [&str; 6] = [
    "x = 6 return x * 7",
    "return x",
    "while true do end",
    "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(i) end",
    "return io or require or debug",
    "local function f() return 1 + f() end return f()",
];

/// Runs all of it.
///
/// # Errors
/// If memory is short before it begins.
pub(crate) fn run_all() -> Result<Vec<Outcome>> {
    let lua = sandbox()?;
    CODE.iter().map(|code| run(&lua, code)).collect()
}

#[allow(dead_code)]
fn main() -> Result<()> {
    for (code, outcome) in CODE.iter().zip(run_all()?) {
        println!("{code}\n    {outcome:?}");
    }
    Ok(())
}
