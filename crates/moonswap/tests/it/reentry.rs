//! Rust functions in odd places: panics and calls of themselves from inside
//! every library function and metamethod that calls back. The VM goes on.

use moonswap::Result;
use moonswap::prelude::*;

/// Expressions that call the global `hit`, directly or not.
const WAYS: &[&str] = &[
    "hit()",
    "(function() return hit() end)()",
    "table.sort({3, 1, 2}, function(a, b) hit() return a < b end)",
    "table.sort({3, 1, 2}, hit)",
    "('abc'):gsub('.', hit)",
    "('abc'):gsub('.', function() return hit() end)",
    "setmetatable({}, {__index = hit}).x",
    "setmetatable({}, {__add = hit}) + 1",
    "setmetatable({}, {__concat = hit}) .. 'x'",
    "setmetatable({}, {__eq = hit}) == setmetatable({}, {__eq = hit})",
    "setmetatable({}, {__lt = hit}) < 1",
    "#setmetatable({}, {__len = hit})",
    "setmetatable({}, {__call = hit})()",
    "tostring(setmetatable({}, {__tostring = hit}))",
    "(function() local c <close> = setmetatable({}, {__close = hit}) end)()",
    "(function() for _ in hit do end end)()",
    "load(hit)",
    "xpcall(hit, hit)",
    "coroutine.wrap(hit)()",
    "coroutine.wrap(function() coroutine.yield(hit()) end)()",
    "nested(hit)",
    "nested(function() return nested(hit) end)",
    "nested(coroutine.wrap(function() return nested(hit) end))",
    "select('#', pcall(hit)) and hit()",
    "require 'hitting'",
    "(function() debug.sethook(function() debug.sethook() hit() end, 'c') local function f() end f() end)()",
];

fn world() -> Result<Lua> {
    let lua = Lua::new();
    let nested = lua.create_function(|_, f: Function| f.call::<Value>(()))?;
    lua.globals().set("nested", nested)?;
    lua.load("package.preload.hitting = function() return hit() end")
        .exec()?;
    Ok(lua)
}

#[test]
fn panics_become_errors_everywhere() -> Result<()> {
    let lua = world()?;
    let bad = lua.create_function(|_, _: MultiValue| -> Result<i64> { panic!("oops") })?;
    lua.globals().set("hit", bad)?;
    for way in WAYS {
        let text = format!(
            "local t = table.pack(pcall(function() local kept = {{{{'kept'}}}} local r = {way} \
             return r, kept[1][1] end)) collectgarbage() return t[1], tostring(t[2])"
        );
        let (ok, message): (bool, String) = lua.load(text).eval()?;
        // `load` and `xpcall` report instead of raising.
        let reported = way.starts_with("load") || way.starts_with("xpcall");
        assert!(
            reported || (!ok && message.contains("oops")),
            "{way}: {ok} {message}"
        );
        assert_eq!(lua.load("return 1 + 1").eval::<i64>()?, 2, "{way}");
    }
    Ok(())
}

#[test]
fn a_panic_in_a_finalizer_is_a_warning() -> Result<()> {
    let lua = world()?;
    let bad = lua.create_function(|_, _: MultiValue| -> Result<()> { panic!("oops") })?;
    lua.globals().set("hit", bad)?;
    lua.load("for i = 1, 20 do setmetatable({}, {__gc = hit}) end collectgarbage()")
        .exec()?;
    lua.gc_collect()?;
    assert_eq!(lua.load("return 1 + 1").eval::<i64>()?, 2);
    // The last ones are called when the VM ends.
    lua.load("last = setmetatable({}, {__gc = hit})").exec()?;
    Ok(())
}

#[test]
fn panics_with_odd_values() -> Result<()> {
    let lua = world()?;
    lua.catch_panics(true);
    let bad = lua.create_function(|_, n: i64| -> Result<()> {
        match n {
            0 => std::panic::panic_any(42),
            1 => std::panic::panic_any(String::from("owned")),
            2 => std::panic::panic_any(vec![0u8; 10]),
            _ => [1][n as usize..]
                .first()
                .map(|_| ())
                .ok_or(Error::runtime("none")),
        }
    })?;
    for n in 0..4 {
        assert!(bad.call::<()>(n).is_err(), "{n}");
    }
    Ok(())
}

#[test]
fn a_function_with_state_refuses_itself() -> Result<()> {
    let lua = world()?;
    let mut depth = 0;
    let hit = lua.create_function_mut(move |lua, _: MultiValue| {
        depth += 1;
        // Called while it runs, with its state borrowed: an error, each time.
        let again: Function = lua.globals().get("hit")?;
        let inner = again.call::<Value>(());
        assert!(inner.is_err());
        for way in ["hit()", "nested(hit)", "coroutine.wrap(hit)()"] {
            let error = lua.load(way).exec().expect_err(way);
            assert!(error.to_string().contains("while it runs"), "{error}");
        }
        Ok(depth)
    })?;
    lua.globals().set("hit", hit)?;
    assert_eq!(lua.load("return hit()").eval::<i64>()?, 1);
    assert_eq!(lua.load("return hit()").eval::<i64>()?, 2);
    Ok(())
}

#[test]
fn shared_state_borrowed_twice_is_an_error() -> Result<()> {
    use std::cell::RefCell;
    use std::rc::Rc;
    let lua = world()?;
    lua.catch_panics(true);
    let state = Rc::new(RefCell::new(vec![0]));
    let hit = lua.create_function(move |_, f: Option<Function>| {
        // The host's own mistake: held across a call into Lua.
        let mut list = state.borrow_mut();
        list.push(1);
        if let Some(f) = f {
            f.call::<()>(())?;
        }
        Ok(list.len())
    })?;
    lua.globals().set("hit", hit)?;
    let error = lua
        .load("return hit(function() hit() end)")
        .eval::<i64>()
        .expect_err("borrowed twice");
    assert!(error.to_string().contains("borrowed"), "{error}");
    // The borrow of the failed call is gone.
    assert_eq!(lua.load("return hit()").eval::<i64>()?, 3);
    Ok(())
}

#[test]
fn handles_survive_collections_inside_callbacks() -> Result<()> {
    let lua = world()?;
    let hit = lua.create_function(|lua, (t, f): (Table, Function)| {
        let made = lua.create_table()?;
        for i in 1..=20 {
            made.set(
                i,
                lua.create_string(format!(
                    "text {i} that is longer than forty bytes, so not interned"
                ))?,
            )?;
            lua.gc_collect()?;
        }
        let back: Table = f.call(&made)?;
        lua.gc_collect()?;
        t.set("made", &back)?;
        let text: String = back.get(20)?;
        Ok((text.len(), back))
    })?;
    lua.globals().set("hit", hit)?;
    let (n, same): (i64, bool) = lua
        .load(
            "local t = {} local n, made = hit(t, function(m) collectgarbage() return m end) \
             collectgarbage() return n, t.made == made and #made == 20",
        )
        .eval()?;
    assert!(n > 40 && same, "{n} {same}");
    Ok(())
}
