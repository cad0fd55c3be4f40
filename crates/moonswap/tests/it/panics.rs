//! Panics of Rust functions that Lua called: caught by Lua, handed to the host.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moonswap::{
    AnyUserData, Error, ErrorKind, Function, HookTriggers, Lua, LuaOptions, Result, StdLib, Table,
    UserData, UserDataMethods, Value,
};

/// A payload that is no text.
#[derive(Debug, PartialEq)]
struct Code(u32);

fn world(options: LuaOptions) -> Result<Lua> {
    let lua = Lua::new_with(StdLib::ALL, options)?;
    let fails = lua.create_function(|_, code: u32| -> Result<()> {
        std::panic::panic_any(Code(code));
    })?;
    lua.globals().set("fails", fails)?;
    Ok(lua)
}

/// The payload of the panic that `f` ends with.
fn payload<R: std::fmt::Debug>(f: impl FnOnce() -> R) -> Code {
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    *panic.downcast::<Code>().expect("the payload")
}

#[test]
fn payloads_reach_the_host() -> Result<()> {
    let lua = world(LuaOptions::new())?;
    assert_eq!(payload(|| lua.load("fails(1)").exec()), Code(1));
    // Through coroutines, metamethods, message handlers and other Rust functions.
    let through = lua.create_function(|_, f: Function| f.call::<()>(2))?;
    assert_eq!(
        payload(|| through.call::<()>(lua.globals().get::<Function>("fails"))),
        Code(2)
    );
    let thread = lua.create_thread(lua.load("return fails(3)").into_function()?)?;
    assert_eq!(payload(|| thread.resume::<()>(())), Code(3));
    let text = "return setmetatable({}, { __index = function(_, k) return fails(k) end })";
    let table: Table = lua.load(text).eval()?;
    assert_eq!(payload(|| table.get::<Value>(4)), Code(4));
    assert_eq!(
        payload(|| lua
            .load("xpcall(fails, error, 5) coroutine.wrap(fails)(6)")
            .exec()),
        Code(6)
    );
    assert_eq!(
        payload(|| lua
            .load("return select(2, pcall(fails, 7))")
            .eval::<Value>()),
        Code(7)
    );
    assert_eq!(lua.load("return 1 + 1").eval::<i64>()?, 2);
    Ok(())
}

#[test]
fn lua_catches_them_and_closes_its_variables() -> Result<()> {
    let lua = world(LuaOptions::new())?;
    let text = "
        local closed
        local ok, e = pcall(function()
            local x <close> = setmetatable({}, { __close = function() closed = true end })
            fails(1)
        end)
        return ok, closed, tostring(e)";
    let (ok, closed, text): (bool, bool, String) = lua.load(text).eval()?;
    assert!(
        !ok && closed && text.starts_with("panic in a Rust function"),
        "{text}"
    );
    Ok(())
}

#[test]
fn a_payload_is_handed_over_once() -> Result<()> {
    let lua = world(LuaOptions::new())?;
    let text = "ok, e = pcall(fails, 1) error(e)";
    assert_eq!(payload(|| lua.load(text).exec()), Code(1));
    let again = lua.load("error(e)").exec();
    assert!(
        matches!(again, Err(Error::PreviouslyResumedPanic)),
        "{again:?}"
    );
    assert!(lua.globals().get::<Value>("e")?.is_nil());
    let error = lua.load("tostring(e)").exec().expect_err("it is spent");
    assert!(
        matches!(error, Error::CallbackError { cause, .. } if matches!(*cause, Error::PreviouslyResumedPanic))
    );
    Ok(())
}

#[test]
fn the_host_can_have_errors() -> Result<()> {
    let lua = world(LuaOptions::new())?;
    lua.catch_panics(true);
    let error = lua.load("fails(1)").exec().expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Panic);
    let Error::CallbackError { cause, .. } = &error else {
        panic!("{error:?}")
    };
    let Error::Panic(panic) = &**cause else {
        panic!("{error:?}")
    };
    let code = panic.take_payload().expect("the first time");
    assert_eq!(*code.downcast::<Code>().expect("the payload"), Code(1));
    assert!(panic.take_payload().is_none());
    Ok(())
}

#[test]
fn they_can_pass_pcall() -> Result<()> {
    let lua = world(LuaOptions::new().catch_rust_panics(false))?;
    for text in [
        "pcall(fails, 1)",
        "xpcall(fails, print, 1)",
        "coroutine.wrap(function() pcall(fails, 1) end)()",
        "local ok = coroutine.resume(coroutine.create(fails), 1) while true do end",
    ] {
        assert_eq!(payload(|| lua.load(text).exec()), Code(1), "{text}");
        assert!(!lua.load("return (pcall(error))").eval::<bool>()?);
    }
    Ok(())
}

struct Panicking;
impl Drop for Panicking {
    fn drop(&mut self) {
        std::panic::panic_any(Code(9));
    }
}

#[test]
fn hooks_and_methods_and_destructors() -> Result<()> {
    struct Object;
    impl UserData for Object {
        fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
            methods.add_method_mut("fails", |_, _, code: u32| -> Result<()> {
                std::panic::panic_any(Code(code));
            });
        }
    }
    let lua = world(LuaOptions::new())?;
    let object: AnyUserData = lua.create_userdata(Object)?;
    lua.globals().set("object", &object)?;
    assert_eq!(payload(|| lua.load("object:fails(1)").exec()), Code(1));
    assert!(object.borrow_mut::<Object>().is_ok());
    lua.set_hook(HookTriggers::EVERY_LINE, |lua, _| {
        lua.remove_hook();
        std::panic::panic_any(Code(2))
    })?;
    assert_eq!(payload(|| lua.load("local x = 1").exec()), Code(2));
    let data = lua.create_any_userdata(Panicking)?;
    assert_eq!(payload(|| data.destroy()), Code(9));
    // A payload that panics itself when nobody takes it.
    let bomb = lua.create_function(|_, ()| -> Result<()> { std::panic::panic_any(Panicking) })?;
    lua.globals().set("bomb", bomb)?;
    lua.load("pcall(bomb) collectgarbage() collectgarbage()")
        .exec()?;
    Ok(())
}
