//! A tour: running Lua, exchanging values, functions, errors, coroutines, patches.
//!
//! `cargo run -p moonswap --example guided_tour`

use moonswap::Result;
use moonswap::prelude::*;

/// Runs the tour; answers what the script printed last.
pub(crate) fn tour() -> Result<String> {
    let lua = Lua::new();

    // Run code, evaluate expressions.
    lua.load("greeting = 'hello'")
        .set_name("@start.lua")
        .exec()?;
    let sum: i64 = lua.load("1 + 2").eval()?;
    println!("1 + 2 = {sum}");

    // Values go both ways by conversion.
    let globals = lua.globals();
    globals.set("primes", vec![2, 3, 5, 7])?;
    globals.set(
        "limits",
        lua.create_table_from([("low", 1.5), ("high", 9.0)])?,
    )?;
    let (last, high): (i64, f64) = lua.load("return primes[#primes], limits.high").eval()?;
    println!("{last} {high}");

    // A Rust function in Lua. Closures may own values of the VM.
    let log = lua.create_table()?;
    let lines = log.clone();
    globals.set(
        "log",
        lua.create_function(move |_, line: String| lines.push(line))?,
    )?;
    lua.load("for _, p in ipairs(primes) do log(greeting .. ' ' .. p) end")
        .exec()?;
    println!("{} lines", log.len()?);

    // A Lua function in Rust.
    let join: Function = lua
        .load("function(list, with) return table.concat(list, with) end")
        .eval()?;
    let text: String = join.call((log, ", "))?;
    println!("{text}");

    // Errors have a kind, a traceback, and the error that Rust made.
    globals.set(
        "open",
        lua.create_function(|_, name: String| std::fs::read_to_string(name).into_lua_err())?,
    )?;
    let error = lua.load("open('no such file')").exec().unwrap_err();
    let cause = error.downcast_ref::<std::io::Error>();
    println!("{error}\n{:?}", cause.map(std::io::Error::kind));

    // A coroutine.
    let numbers: Thread = lua
        .load("coroutine.create(function() for i = 1, 3 do coroutine.yield(i * i) end end)")
        .eval()?;
    while let Some(n) = numbers.resume::<Option<i64>>(())? {
        println!("{n}");
    }

    // A patch: the handle calls the new code.
    let source = "function price(x) return x * 1.2 end";
    lua.load(source).set_name("@shop.lua").exec()?;
    let price: Function = globals.get("price")?;
    let before: f64 = price.call(100)?;
    let report = lua
        .hot()
        .apply_source("@shop.lua", source.replace("1.2", "1.25"))?;
    let after: f64 = price.call(100)?;
    println!("{report}\n{before} {after}");
    Ok(format!("{text}; {before} {after}"))
}

#[allow(dead_code)]
fn main() -> Result<()> {
    tour().map(drop)
}
