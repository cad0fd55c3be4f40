//! The facade: values, conversions, calls, errors.

use std::collections::HashMap;

use moonswap::Result;
use moonswap::prelude::*;
use moonswap::thread::ThreadStatus;

#[test]
fn values_go_both_ways() -> Result<()> {
    let lua = Lua::new();
    assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    assert_eq!(
        lua.load("return 'a', nil, 2.5")
            .eval::<(String, Option<bool>, f64)>()?,
        ("a".into(), None, 2.5)
    );
    assert_eq!(lua.load("{1, 2, 3}").eval::<Vec<u8>>()?, [1, 2, 3]);
    let map: HashMap<String, i64> = lua.load("{a = 1, b = 2}").eval()?;
    assert_eq!(map.len(), 2);
    assert_eq!(map["b"], 2);
    let rest: Variadic<i64> = lua.load("return 1, 2, 3").eval()?;
    assert_eq!(*rest, [1, 2, 3]);
    assert_eq!(lua.load("'10'").eval::<i32>()?, 10);
    assert_eq!(lua.load("3.0").eval::<i32>()?, 3);
    assert_eq!(lua.load("12").eval::<String>()?, "12");
    assert!(lua.load("nil").eval::<Value>()?.is_nil());
    assert_eq!(
        lua.load("return ...")
            .call::<MultiValue>((1, "x", None::<i64>))?
            .len(),
        3
    );
    Ok(())
}

#[test]
fn ranges_are_checked() {
    let lua = Lua::new();
    assert!(lua.load("256").eval::<u8>().is_err());
    assert!(lua.load("-1").eval::<u64>().is_err());
    assert!(lua.load("1.5").eval::<i64>().is_err());
    // What no integer of Lua can hold becomes a float, as in mlua.
    assert_eq!(lua.convert::<f64>(u64::MAX).ok(), Some(u64::MAX as f64));
    let error = lua
        .load("{}")
        .eval::<i64>()
        .expect_err("a table is no number");
    assert!(
        error
            .to_string()
            .contains("error converting Lua table to i64"),
        "{error}"
    );
    assert!(matches!(error.kind(), ErrorKind::Conversion));
}

#[test]
fn tables() -> Result<()> {
    let lua = Lua::new();
    let table = lua.create_table()?;
    table.set("x", 1)?;
    table.push("first")?;
    table.push("second")?;
    assert_eq!(table.get::<i64>("x")?, 1);
    assert_eq!((table.len()?, table.raw_len()), (2, 2));
    assert!(table.contains_key("x")? && !table.contains_key("y")?);
    assert_eq!(
        table
            .sequence_values::<String>()
            .collect::<Result<Vec<_>>>()?,
        ["first", "second"]
    );
    assert_eq!(table.pairs::<Value, Value>().count(), 3);
    lua.globals().set("t", &table)?;
    lua.load("setmetatable(t, {__index = function(_, k) return k .. '!' end})")
        .exec()?;
    assert_eq!(table.get::<String>("hey")?, "hey!");
    assert!(table.raw_get::<Value>("hey")?.is_nil());
    assert!(table.metatable().is_some());
    table.set_metatable(None)?;
    assert!(table.metatable().is_none());
    assert!(table.set(Value::Nil, 1).is_err());
    assert_eq!(lua.globals().get::<Table>("t")?, table);
    Ok(())
}

#[test]
fn rust_functions() -> Result<()> {
    let lua = Lua::new();
    let add = lua.create_function(|_, (a, b): (i64, i64)| Ok(a + b))?;
    lua.globals().set("add", &add)?;
    assert_eq!(lua.load("add(2, 3)").eval::<i64>()?, 5);
    let message: String = lua
        .load("return tostring(select(2, pcall(add, 1, {})))")
        .eval()?;
    assert!(
        message.contains("bad argument #2: error converting Lua table to i64"),
        "{message}"
    );
    let mut n = 0;
    let count = lua.create_function_mut(move |_, ()| {
        n += 1;
        Ok(n)
    })?;
    assert_eq!((count.call::<i64>(())?, count.call::<i64>(())?), (1, 2));
    let bound = add.bind(40)?;
    assert_eq!(bound.call::<i64>(2)?, 42);
    let nested = lua.create_function(|_, f: Function| f.call::<i64>(20))?;
    lua.globals().set("nested", nested)?;
    assert_eq!(
        lua.load("nested(function(x) return x + 1 end)")
            .eval::<i64>()?,
        21
    );
    Ok(())
}

#[test]
fn a_panic_becomes_an_error() -> Result<()> {
    let lua = Lua::new();
    lua.catch_panics(true);
    let bad = lua.create_function(|_, ()| -> Result<()> { panic!("oops") })?;
    let error = bad.call::<()>(()).expect_err("it panicked");
    assert!(error.to_string().contains("oops"), "{error}");
    assert_eq!(lua.load("1").eval::<i64>()?, 1);
    Ok(())
}

#[test]
fn errors_keep_their_identity() -> Result<()> {
    let lua = Lua::new();
    let fail =
        lua.create_function(|_, ()| -> Result<()> { Err(Error::external(std::fmt::Error)) })?;
    lua.globals().set("fail", fail)?;
    let error = lua.load("fail()").exec().expect_err("it fails");
    assert!(matches!(error.kind(), ErrorKind::External), "{error:?}");
    lua.load("local ok, e = pcall(fail) assert(not ok and tostring(e):find('error'))")
        .exec()?;
    let error = lua
        .load("local function f() error('boo') end\nf()")
        .set_name("@x.lua")
        .exec()
        .expect_err("raised");
    assert_eq!(error.to_string(), "x.lua:1: boo");
    let traceback = error.traceback().expect("a traceback");
    assert!(
        traceback.text.starts_with("stack traceback:\n"),
        "{traceback}"
    );
    assert!(
        traceback
            .frames
            .iter()
            .any(|frame| frame.source == "x.lua" && frame.line == Some(2)),
        "{traceback:?}"
    );
    Ok(())
}

#[test]
fn syntax_errors_show_the_place() {
    let lua = Lua::new();
    let error = lua
        .load("local x = = 1")
        .set_name("@s.lua")
        .exec()
        .expect_err("no Lua");
    assert_eq!(error.to_string(), "s.lua:1: unexpected symbol near '='");
    let span = error.span().expect("a span");
    assert_eq!((span.line, span.column), (1, 11));
    let boxed = error.render();
    assert!(
        boxed.contains("local x = = 1") && boxed.contains('^'),
        "{boxed}"
    );
    assert!(
        lua.load("if x then")
            .into_function()
            .expect_err("incomplete")
            .is_incomplete()
    );
}

#[test]
fn handles_of_another_vm_are_refused() -> Result<()> {
    let (a, b) = (Lua::new(), Lua::new());
    let table = a.create_table()?;
    let error = b.globals().set("t", table).expect_err("foreign");
    assert!(matches!(error.kind(), ErrorKind::ForeignHandle));
    Ok(())
}

#[test]
fn app_data_and_memory() -> Result<()> {
    let lua = Lua::new();
    assert!(lua.set_app_data(7_u32).is_none());
    assert_eq!(lua.app_data_ref::<u32>().as_deref(), Some(&7));
    assert_eq!(lua.remove_app_data::<u32>(), Some(7));
    lua.load("t = {} for i = 1, 1e5 do t[i] = {} end").exec()?;
    let full = lua.used_memory();
    lua.load("t = nil").exec()?;
    lua.gc_collect()?;
    assert!(lua.used_memory() < full);
    Ok(())
}

#[test]
fn threads_resume() -> Result<()> {
    let lua = Lua::new();
    let body: Function = lua
        .load("function(a) local b = coroutine.yield(a + 1) return b * 2 end")
        .eval()?;
    let thread = lua.create_thread(body)?;
    assert_eq!(thread.status(), ThreadStatus::Resumable);
    assert_eq!(thread.resume::<i64>(1)?, 2);
    assert_eq!(thread.resume::<i64>(21)?, 42);
    assert_eq!(thread.status(), ThreadStatus::Finished);
    assert!(thread.resume::<()>(()).is_err());
    Ok(())
}

/// What scripts replace does not change what handles do.
#[test]
fn handles_do_not_go_through_globals() -> Result<()> {
    let lua = Lua::new();
    let body: Function = lua
        .load("function(a) local yield = yield yield(a + 1) return 'ended' end")
        .eval()?;
    let joined: Function = lua
        .load("return function(...) local t = {...} local s = '' for i = 1, #t do s = s .. t[i] end return s end")
        .eval()?;
    lua.load(
        "yield = coroutine.yield
        local function bad() error 'a global was used' end
        for _, name in ipairs { 'coroutine', 'table', 'string', 'debug' } do
          for key in pairs(_G[name]) do _G[name][key] = bad end
          _G[name] = nil
        end
        for _, name in ipairs { 'select', 'pcall', 'xpcall', 'error', 'tostring', 'next', 'unpack' } do _G[name] = bad end",
    )
    .exec()?;
    let thread = lua.create_thread(body)?;
    assert_eq!(thread.resume::<i64>(1)?, 2);
    assert_eq!(thread.resume::<String>(())?, "ended");
    let bound = joined.bind(("a", "b"))?;
    assert_eq!(bound.call::<String>(("c", "d"))?, "abcd");
    let failing: Function = lua
        .load("function() local x = nil; return x.y end")
        .eval()?;
    let error = failing.call::<()>(()).expect_err("it indexes nil");
    assert!(error.traceback().is_some(), "{error:?}");
    let table: moonswap::Table = lua.load("return { 1, 2, 3 }").eval()?;
    assert_eq!(table.sequence_values::<i64>().count(), 3);
    assert_eq!(table.pairs::<i64, i64>().count(), 3);
    Ok(())
}

#[test]
fn errors_are_send_and_sync() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Error>();
    check::<moonswap::Interrupter>();
    check::<moonswap::Patcher>();
    check::<moonswap::Patch>();
}
