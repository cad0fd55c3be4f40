//! Hooks of the host: which coroutines they are for, and yields of hooks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moonswap::debug::DebugEvent;
use moonswap::{HookTriggers, Lua, Result, Thread, VmState};

const PROGRAM: &str = "
    local t, sum = {}, 0
    for i = 1, 3 do
        t[i] = { value = i }
        local ok, n = pcall(function(...)
            local a, b = ...
            return a + b
        end, i, #t)
        sum = sum + n
    end
    return sum, select('#', table.unpack(t))";

/// Resumes until it has ended; how many times it yielded, and its results.
fn run_to_end(lua: &Lua, thread: &Thread) -> Result<(usize, (i64, i64))> {
    let mut n_yields = 0;
    loop {
        let values: moonswap::MultiValue = thread.resume(())?;
        if thread.is_finished() {
            return Ok((n_yields, lua.unpack_multi(values)?));
        }
        assert!(values.is_empty(), "{values:?}");
        n_yields += 1;
        lua.gc_collect()?;
    }
}

#[test]
fn hooks_yield_at_lines_and_counts() -> Result<()> {
    for (triggers, at_least) in [
        (HookTriggers::EVERY_LINE, 17),
        (HookTriggers::new().every_nth_instruction(1), 40),
        (HookTriggers::new().every_nth_instruction(7), 5),
        (
            HookTriggers::EVERY_LINE | HookTriggers::new().every_nth_instruction(2),
            17,
        ),
    ] {
        let lua = Lua::new();
        let thread = lua.create_thread(lua.load(PROGRAM).into_function()?)?;
        let lines = Rc::new(RefCell::new(Vec::new()));
        let seen = lines.clone();
        thread.set_hook(triggers, move |_, debug| {
            if debug.event() == DebugEvent::Line {
                seen.borrow_mut().push(debug.current_line());
            }
            Ok(VmState::Yield)
        })?;
        let (n_yields, results) = run_to_end(&lua, &thread)?;
        assert_eq!(results, (12, 3));
        assert!(n_yields >= at_least, "{triggers:?}: {n_yields}");
        // The same lines as a hook sees that does not yield.
        if triggers.every_line {
            let plain = Rc::new(RefCell::new(Vec::new()));
            let all = plain.clone();
            let again = lua.create_thread(lua.load(PROGRAM).into_function()?)?;
            again.set_hook(HookTriggers::EVERY_LINE, move |_, debug| {
                all.borrow_mut().push(debug.current_line());
                Ok(VmState::Continue)
            })?;
            again.resume::<()>(())?;
            assert_eq!(*lines.borrow(), *plain.borrow());
        }
    }
    Ok(())
}

#[test]
fn some_hooks_cannot_yield() -> Result<()> {
    let lua = Lua::new();
    let yields = |_: &Lua, _: &moonswap::debug::Debug<'_>| Ok(VmState::Yield);
    lua.set_hook(HookTriggers::EVERY_LINE, yields)?;
    let error = lua
        .load("local x = 1")
        .exec()
        .expect_err("not in a coroutine");
    assert!(
        error.to_string().contains("a hook cannot yield here"),
        "{error}"
    );
    lua.remove_hook();
    for triggers in [HookTriggers::ON_CALLS, HookTriggers::ON_RETURNS] {
        let thread = lua.create_thread(lua.load("return #('x')").into_function()?)?;
        thread.set_hook(triggers, yields)?;
        let error = thread.resume::<()>(()).expect_err("not at calls");
        assert!(
            error.to_string().contains("only at lines and counts"),
            "{error}"
        );
    }
    // Across a function of the host.
    let inside = lua.create_function(|_, f: moonswap::Function| f.call::<()>(()))?;
    let thread = lua.create_thread(inside)?;
    thread.set_hook(HookTriggers::EVERY_LINE, yields)?;
    let f = lua.load("local x = 1").into_function()?;
    let error = thread
        .resume::<()>(f)
        .expect_err("a Rust function is between");
    assert!(
        error.to_string().contains("a hook cannot yield here"),
        "{error}"
    );
    assert_eq!(lua.load("return 1 + 1").eval::<i64>()?, 2);
    Ok(())
}

#[test]
fn yields_of_hooks_and_of_the_program_mix() -> Result<()> {
    let lua = Lua::new();
    let text = "
        local a = coroutine.yield('first')
        local b = coroutine.yield('second')
        return a + b";
    let thread = lua.create_thread(lua.load(text).into_function()?)?;
    thread.set_hook(HookTriggers::EVERY_LINE, |_, _| Ok(VmState::Yield))?;
    let mut got = Vec::new();
    let mut give = None;
    loop {
        let value: moonswap::Value = thread.resume(give)?;
        if thread.is_finished() {
            assert_eq!(value.as_integer(), Some(3));
            break;
        }
        give = match value.to_string()?.as_str() {
            "first" => Some(1),
            "second" => Some(2),
            _ => None,
        };
        got.push(value.to_string()?);
    }
    assert_eq!(got, ["nil", "first", "nil", "second", "nil"]);
    Ok(())
}

#[test]
fn global_hooks_are_inherited_and_taken_away() -> Result<()> {
    let lua = Lua::new();
    let n = Rc::new(Cell::new(0));
    let seen = n.clone();
    let owned = Rc::new(());
    let held = owned.clone();
    lua.set_global_hook(HookTriggers::EVERY_LINE, move |_, _| {
        let _ = &held;
        seen.set(seen.get() + 1);
        Ok(VmState::Continue)
    })?;
    let inner = "coroutine.wrap(function() coroutine.wrap(function()\n local x\n end)() end)()";
    lua.load(inner).exec()?;
    let after_nested = n.get();
    assert!(after_nested >= 4, "{after_nested}");
    let thread = lua.create_thread(
        lua.load("local x\ncoroutine.yield()\nx = 1")
            .into_function()?,
    )?;
    thread.resume::<()>(())?;
    assert!(n.get() > after_nested);
    lua.remove_global_hook();
    assert_eq!(Rc::strong_count(&owned), 1);
    let now = n.get();
    thread.resume::<()>(())?;
    lua.load(inner).exec()?;
    assert_eq!(n.get(), now);
    // A hook of one coroutine is not inherited.
    let seen = n.clone();
    lua.set_hook(HookTriggers::EVERY_LINE, move |_, _| {
        seen.set(seen.get() + 1);
        Ok(VmState::Continue)
    })?;
    lua.load("coroutine.wrap(load('local x\\nlocal y\\nlocal z'))()")
        .exec()?;
    assert_eq!(n.get(), now + 1);
    Ok(())
}
