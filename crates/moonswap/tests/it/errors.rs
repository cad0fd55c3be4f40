//! Errors on both sides of the border: what crosses it stays what it was. And
//! calls of the facade that scripts cannot redirect.

use std::error::Error as _;
use std::rc::Rc;

use moonswap::prelude::*;
use moonswap::{Error, Result};

/// Calls `fails` as a Rust function from Lua code, itself called from Rust.
fn across(lua: &Lua, caller: &str, fails: impl Fn(&Lua) -> Result<()> + 'static) -> Result<Error> {
    let fails = lua.create_function(move |lua, ()| fails(lua))?;
    let caller: Function = lua.load(caller).set_name("@caller.lua").eval()?;
    Ok(caller.call::<()>(fails).expect_err("it fails"))
}

const PLAIN: &str = "function(f) f() end";
const RETHROWS: &str = "function(f) local ok, e = pcall(f) error(e, 0) end";
const IN_COROUTINE: &str = "function(f) coroutine.wrap(f)() end";

#[test]
fn syntax_errors_keep_their_place() -> Result<()> {
    for caller in [PLAIN, RETHROWS, IN_COROUTINE] {
        let lua = Lua::new();
        let error = across(&lua, caller, |lua| {
            lua.load("\n  x = = 1").set_name("@bad.lua").exec()
        })?;
        assert!(matches!(error.kind(), ErrorKind::Syntax), "{error:?}");
        let span = error.span().expect("a place");
        assert_eq!((span.line, span.column), (2, 7), "{error}");
        assert!(
            error.to_string().contains("bad.lua:2: unexpected symbol"),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn inner_frames_are_kept() -> Result<()> {
    for caller in [PLAIN, RETHROWS] {
        let lua = Lua::new();
        let error = across(&lua, caller, |lua| {
            lua.load("local function innermost() error 'deep' end\ninnermost()")
                .set_name("@inner.lua")
                .exec()
        })?;
        assert!(matches!(error.kind(), ErrorKind::Runtime), "{error:?}");
        assert_eq!(error.to_string(), "inner.lua:1: deep");
        let traceback = error.traceback().expect("a traceback");
        let inner = |frame: &&moonswap::TraceFrame| frame.source == "inner.lua";
        assert_eq!(
            traceback.frames.iter().filter(inner).count(),
            2,
            "{traceback}"
        );
        let outer = traceback.frames.iter().any(|f| f.source == "caller.lua");
        assert!(outer, "{traceback}");
    }
    Ok(())
}

#[test]
fn conversions_stay_conversions() -> Result<()> {
    let lua = Lua::new();
    let wants = lua.create_function(|_, (_, n): (i64, i64)| Ok(n))?;
    let call: Function = lua
        .load("function(f, ...) return f(...) end")
        .set_name("@call.lua")
        .eval()?;
    let error = call.call::<i64>((wants, 1, "x")).expect_err("no number");
    let Error::CallbackError { cause, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(&**cause, Error::BadArgument { pos: 2, cause, .. }
            if matches!(&**cause, Error::FromLuaConversionError { from: "string", to, .. } if to == "i64")),
        "{error:?}"
    );
    assert!(matches!(error.kind(), ErrorKind::Conversion), "{error:?}");
    assert!(error.to_string().contains("bad argument #2"), "{error}");
    let error = across(&lua, PLAIN, |lua| lua.load("'x'").eval::<i64>().map(drop))?;
    assert!(matches!(error.kind(), ErrorKind::Conversion), "{error:?}");
    Ok(())
}

#[test]
fn only_short_memory_is_a_memory_error() -> Result<()> {
    let lua = Lua::new();
    for raised in [
        "error('not enough memory', 0)",
        "local ok, e = pcall(string.rep, 'x', 1 << 40) error('not enough memory', 0)",
        "coroutine.wrap(function() error('not enough memory', 0) end)()",
        "setmetatable({}, { __index = function() error('not enough memory', 0) end }).x = nil
         error('not enough memory', 0)",
    ] {
        let error = lua.load(raised).exec().expect_err("raised");
        assert!(
            matches!(error.kind(), ErrorKind::Runtime),
            "{raised}: {error:?}"
        );
    }
    let thread = lua.create_thread(lua.load("error('not enough memory', 0)").into_function()?)?;
    let error = thread.resume::<()>(()).expect_err("raised");
    assert!(matches!(error.kind(), ErrorKind::Runtime), "{error:?}");
    lua.set_memory_limit(4 << 20).expect("limited");
    for short in [
        "return ('x'):rep(100 << 20)",
        "local t = {} for i = 1, 1e8 do t[i] = i end",
        "coroutine.wrap(function() return ('x'):rep(100 << 20) end)()",
        "local t <close> = setmetatable({}, { __close = function() pcall(error) end }) return ('x'):rep(100 << 20)",
    ] {
        let error = lua.load(short).exec().expect_err("does not fit");
        assert!(
            matches!(error.kind(), ErrorKind::Memory),
            "{short}: {error:?}"
        );
        assert_eq!(error.to_string(), "not enough memory");
    }
    let thread = lua.create_thread(lua.load("return ('x'):rep(100 << 20)").into_function()?)?;
    let error = thread.resume::<()>(()).expect_err("does not fit");
    assert!(matches!(error.kind(), ErrorKind::Memory), "{error:?}");
    let error = across(&lua, PLAIN, |lua| {
        lua.load("return ('x'):rep(100 << 20)").exec()
    })?;
    assert!(matches!(error.kind(), ErrorKind::Memory), "{error:?}");
    Ok(())
}

#[test]
fn limits_stay_limits() -> Result<()> {
    let lua = Lua::new();
    lua.set_fuel(Some(10_000));
    let error = across(&lua, PLAIN, |lua| lua.load("while true do end").exec());
    let error = error.expect("called");
    assert!(matches!(error.kind(), ErrorKind::OutOfFuel), "{error:?}");
    lua.set_fuel(None);
    Ok(())
}

/// The errors of one text that a program catches do not mix.
#[test]
fn a_later_error_is_its_own() -> Result<()> {
    let lua = Lua::new();
    let fails = lua.create_function(|lua, ()| lua.load("x = = 1").set_name("@a.lua").exec())?;
    lua.globals().set("fails", fails)?;
    let error = lua
        .load("pcall(fails) error('other', 0)")
        .exec()
        .expect_err("raised");
    assert!(matches!(error.kind(), ErrorKind::Runtime), "{error:?}");
    assert_eq!((error.to_string(), error.span()), ("other".into(), None));
    Ok(())
}

#[derive(Debug)]
struct Outer(std::fmt::Error);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("outer")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Who prints an error and its causes prints each once.
#[test]
fn causes_do_not_repeat_the_error() -> Result<()> {
    let lua = Lua::new();
    let error = across(&lua, PLAIN, |_| {
        Err(Error::external(Outer(std::fmt::Error)))
    })?;
    let mut told = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        told.push(cause.to_string());
        next = cause.source();
    }
    assert_eq!(told, ["outer", &std::fmt::Error.to_string()]);
    assert!(matches!(error.kind(), ErrorKind::External), "{error:?}");
    assert!(error.downcast_ref::<Outer>().is_some());
    let plain = Error::external("just a text");
    assert!(plain.source().is_none());
    Ok(())
}

#[test]
fn scripts_cannot_redirect_the_facade() -> Result<()> {
    let lua = Lua::new();
    let add: Function = lua
        .load("function(a, b, c) return a * 100 + b * 10 + c end")
        .eval()?;
    let generator: Function = lua
        .load(
            "local yield = coroutine.yield
             return function(x) while true do x = yield(x + 1) end end",
        )
        .eval()?;
    let thread = lua.create_thread(generator)?;
    lua.load(
        "local function no() error 'redirected' end
         for k in pairs(coroutine) do coroutine[k] = no end
         for k in pairs(table) do table[k] = no end
         select, pcall, xpcall, unpack, require = no, no, no, no, no
         for k in pairs(package.loaded) do package.loaded[k] = nil end
         package, debug, string, load = nil, nil, nil, nil",
    )
    .exec()?;
    assert_eq!(add.bind((1, 2))?.call::<i64>(3)?, 123);
    assert_eq!(add.bind(1)?.bind(2)?.bind(3)?.call::<i64>(())?, 123);
    assert_eq!(add.bind(())?.call::<i64>((1, 2, 3))?, 123);
    assert_eq!(thread.resume::<i64>(1)?, 2);
    assert_eq!(thread.resume::<i64>(5)?, 6);
    Ok(())
}

#[test]
fn bound_functions_yield_and_keep_their_arguments() -> Result<()> {
    let lua = Lua::new();
    let echo: Function = lua
        .load("function(...) return coroutine.yield(...) end")
        .eval()?;
    let bound = echo.bind(("a", lua.create_table()?))?;
    drop(echo);
    lua.gc_collect()?;
    lua.globals().set("bound", bound)?;
    let (n, last): (i64, i64) = lua
        .load(
            "local co = coroutine.wrap(bound) local n = select('#', co(1, nil)) return n, (co(7))",
        )
        .eval()?;
    assert_eq!((n, last), (4, 7));
    let many: Vec<i64> = (1..=200).collect();
    let count: Function = lua
        .load("function(...) return select('#', ...) end")
        .eval()?;
    let many = many.into_iter().map(Value::Integer).collect::<MultiValue>();
    assert_eq!(count.bind(many.clone())?.call::<i64>(many)?, 400);
    Ok(())
}

#[test]
fn errors_of_coroutines_have_their_frames() -> Result<()> {
    let lua = Lua::new();
    let body = lua
        .load("local function inside() error 'oops' end\ninside()")
        .set_name("@co.lua")
        .into_function()?;
    let thread = lua.create_thread(body)?;
    let error = thread.resume::<()>(()).expect_err("raised");
    assert_eq!(error.to_string(), "co.lua:1: oops");
    let traceback = error.traceback().expect("a traceback");
    assert!(
        traceback.frames.iter().any(|f| f.line == Some(2)),
        "{traceback}"
    );
    let dead = thread.resume::<()>(()).expect_err("dead");
    assert!(matches!(dead, Error::CoroutineUnresumable));
    Ok(())
}

#[test]
fn bytes_are_borrowed_without_the_vm() -> Result<()> {
    let lua = Lua::new();
    let short = lua.create_string("short")?;
    let long: moonswap::LuaString = lua.load("return ('long'):rep(1000)").eval()?;
    let (a, b) = (short.as_bytes(), long.as_bytes());
    let equal = lua
        .load("return ('long'):rep(1000)")
        .eval::<moonswap::LuaString>()?;
    lua.load("local t = {} for i = 1, 1e5 do t[i % 10] = ('x'):rep(i % 1000) end")
        .exec()?;
    lua.gc_collect()?;
    assert_eq!((&*a, b.len()), (&b"short"[..], 4000));
    assert!(long == equal && b == equal.as_bytes());
    // In a function that Lua runs, and in a destructor.
    struct Last(moonswap::LuaString, Rc<std::cell::Cell<usize>>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.1.set(self.0.as_bytes().len());
        }
    }
    let seen = Rc::new(std::cell::Cell::new(0));
    drop(Last(long, Rc::clone(&seen)));
    assert_eq!(seen.get(), 4000);
    Ok(())
}

#[test]
fn debug_of_handles_is_short() -> Result<()> {
    let lua = Lua::new();
    let table: Table = lua.load("{ ('x'):rep(1000) }").eval()?;
    let all = [
        format!("{:?}", lua),
        format!("{table:?}"),
        format!("{:?}", Value::Table(table.clone())),
        format!("{:?}", lua.globals().get::<Function>("print")?),
        format!("{:?}", lua.create_thread(lua.load("").into_function()?)?),
        format!("{:?}", lua.load("x".repeat(1000)).set_name("@name.lua")),
        format!("{:?}", lua.hot()),
        format!("{:?}", lua.hot().patcher()),
        format!("{:?}", lua.interrupter()),
        format!("{:?}", lua.machine()),
        format!("{:?}", lua.globals().get::<Value>("io")?),
    ];
    for text in all {
        assert!(text.len() < 60, "{text}");
    }
    assert_eq!(format!("{:?}", Value::Integer(3)), "Integer(3)");
    assert_eq!(format!("{:?}", lua.create_string("a")?), "\"a\"");
    Ok(())
}

struct Panics(&'static str);

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// A destructor that panics while the collector works is told as a warning, and
/// everything goes on.
#[test]
fn destructors_of_host_data_may_panic() -> Result<()> {
    let lua = Lua::new();
    for steps in [
        "collectgarbage()",
        "for i = 1, 1e6 do local t = {} end",
        "collectgarbage('step')",
    ] {
        for _ in 0..10 {
            let data = Panics("boom");
            let made = lua.create_function(move |_, ()| {
                let _ = &data;
                Ok(())
            })?;
            drop(made);
        }
        lua.load(steps).exec()?;
        lua.gc_collect()?;
    }
    assert_eq!(lua.load("return 1 + 1").eval::<i64>()?, 2);
    // At the end of the VM as well.
    let data = Panics("at the end");
    let kept = lua.create_function(move |_, ()| {
        let _ = &data;
        Ok(())
    })?;
    lua.globals().set("kept", kept)?;
    drop(lua);
    Ok(())
}

/// A script that hands the error of a Rust function through it again and again.
#[test]
fn chains_of_causes_have_an_end() -> Result<()> {
    let lua = Lua::new();
    let apply = lua.create_function(|_, f: Function| {
        f.call::<()>(()).map_err(|error| error.context("again"))
    })?;
    lua.globals().set("apply", apply)?;
    let error: Error = lua
        .load(
            "local e = 'the first'
             for i = 1, 20000 do
                 local _
                 _, e = pcall(apply, function() error(e) end)
             end
             return e",
        )
        .eval()?;
    assert!(error.to_string().contains("again"), "{error}");
    let mut n = 0;
    let mut at: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = at {
        n += 1;
        at = error.source();
    }
    assert!(n < 300, "{n} errors in the chain");
    Ok(())
}
