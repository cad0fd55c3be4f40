//! The undo log: everything that the code of a patch which fails can have
//! written is as before, in tables that grew, shrank and moved meanwhile.

use std::rc::Rc;

use moonswap_hotpatch::{Patch, Policy};

use super::{machine, run, run_as, set_global, sized};
use crate::hotpatch::Listener;
use crate::stress::Stress;
use crate::{HotError, Machine};

const OLD: &str = "
    local n, kept, list, map = 1, {1}, {}, {}
    for i = 1, SIZE do list[i] = i map['k' .. i] = i end
    local function one() return n end
    local function two() return kept end
    function get() return n, kept, list, map, one, two end
    meta, plain, other = {}, {}, create(get)
    setmetatable(list, meta)";

/// Writes everything there is, and then what is asked for.
const WRITES: &str = "
    local tried = (function()
        n, kept = 2, {2}
        for i = SIZE, 1, -1 do list[i] = nil map['k' .. i] = nil end
        for i = 1, 2 * SIZE do list[i * 100] = {i} map['x' .. i] = i map[i + 0.5] = i end
        for i = 1, 2 * SIZE do list[i * 100] = nil map[plain] = i end
        for i = 1, 3 * SIZE do list[i] = i .. '' end
        setmetatable(list, nil)
        setmetatable(plain, {__newindex = map})
        plain.through = 'proxy'
        meta.__index = map
        global = {n}
        set(one, 1, 'set')
        join(one, two)
        hook(other)
        local fresh = {}
        for i = 1, SIZE do fresh[i] = {i} end
        wrap(function() map.inside = fresh yield() end)()
        pcall(function() map.caught = 1 error('caught') end)
        local _ = collect() or setlocal(3, 'changed')
        return END
    end)()
    local function show() return tried end
    function shown() return show() end";

const SHOW: &str = "
    local n, kept, list, map, one, two = get()
    local sum, count = 0, 0
    for k, v in next, list do sum = sum + v count = count + 1 end
    for k, v in next, map do sum = sum + v count = count + 1 end
    return n, kept[1], sum, count, one(), two()[1], global, plain.through, hooked(other), meta.__index";

fn natives(machine: &Machine) {
    set_global(machine, "set", |cx| {
        cx.set_height(3);
        let _ = cx.set_upvalue_of(0, 1);
        Ok(0)
    });
    set_global(machine, "join", |cx| {
        cx.upvalue_join(0, 1, 1, 1).map(|()| 0)
    });
    set_global(machine, "hook", |cx| {
        cx.push_native("hook", |_| Ok(0));
        let crate::View::Coroutine(co) = cx.at(0) else {
            return Ok(0);
        };
        cx.set_hook(Some(co), b"c", 0);
        Ok(0)
    });
    set_global(machine, "hooked", |cx| {
        let crate::View::Coroutine(co) = cx.at(0) else {
            return Ok(0);
        };
        let hooked = cx.push_hook(Some(co)).is_some();
        cx.ret_bool(hooked)
    });
    set_global(machine, "setlocal", |cx| {
        let level = cx.check_int(0)?;
        cx.set_height(2);
        let name = cx.set_local(None, level, 1)?;
        cx.ret_bool(name.is_some())
    });
    set_global(machine, "patch", |cx| {
        let text = String::from_utf8_lossy(cx.check_str(0)?.as_bytes()).into_owned();
        match apply(cx, &text) {
            Ok(()) => cx.ret_bytes(b"applied"),
            Err(error) => cx.ret_bytes(error.to_string().as_bytes()),
        }
    });
}

fn apply(cx: &mut crate::Context<'_>, text: &str) -> Result<(), HotError> {
    let patch = Patch::compile("=world", text.as_bytes())?;
    cx.hot_apply(&patch, &Policy::default()).map(drop)
}

fn text(body: &str, end: &str) -> String {
    body.replace("SIZE", &sized(40, 4).to_string())
        .replace("END", end)
}

#[test]
fn what_a_failing_patch_wrote_is_undone() {
    for &(step, stack) in &[(true, true), (false, false)][..sized(2, 1)] {
        let machine = machine();
        natives(&machine);
        assert_eq!(run_as(&machine, "=world", &text(OLD, "")), "");
        if !cfg!(miri) {
            machine.set_stress(Stress::always(false, step, stack, 0));
        }
        let before = run(&machine, SHOW);
        let ends = [("error('no')", "no"), ("no.such.thing", "index a nil")];
        for &(end, why) in &ends[..sized(2, 1)] {
            let failing = text(OLD, "") + &text(WRITES, end);
            let outcome = machine.with(|cx| apply(cx, &failing));
            assert!(
                matches!(&outcome, Err(HotError::Delta(text)) if text.contains(why)),
                "{outcome:?}"
            );
            if !cfg!(miri) {
                assert_eq!(run(&machine, SHOW), before);
                machine.verify_heap();
            }
            assert_eq!(run(&machine, "collect()"), "");
            assert_eq!(run(&machine, SHOW), before);
        }
        // From inside: the locals of who asks are written, too.
        set_text(&machine, &(text(OLD, "") + &text(WRITES, "error('no')")));
        assert_eq!(
            run(
                &machine,
                "local mine = 'mine' local why = patch(text) return mine, why"
            ),
            "mine P022 top-level code of the patch raised an error: no; correct it and apply again"
        );
        assert_eq!(run(&machine, SHOW), before);
        set_text(&machine, &(text(OLD, "") + &text(WRITES, "'end'")));
        assert_eq!(run(&machine, "return patch(text), shown()"), "applied end");
        assert_ne!(run(&machine, "return (get())"), "1");
        assert_eq!(
            run(
                &machine,
                "collect() local _, _, _, map = get() return map.through, hooked(other)"
            ),
            "proxy true"
        );
        if !cfg!(miri) {
            machine.verify_heap();
        }
    }
}

fn set_text(machine: &Machine, text: &str) {
    machine.with(|cx| {
        cx.push_globals();
        cx.push_bytes(text.as_bytes());
        assert!(cx.raw_set_field(0, "text").is_ok());
    });
}

/// What entries keep beside the undo log is on the account of the memory limit, and
/// off it when the patch is over.
#[test]
fn all_that_the_undo_log_takes_is_counted() {
    let machine = machine();
    natives(&machine);
    set_global(&machine, "account", |cx| {
        let bytes = cx.vm().heap.reserve().buffers.get();
        cx.ret_int(bytes as i64)
    });
    assert_eq!(run_as(&machine, "=world", "other = create(account)"), "");
    let before = run(&machine, "return account()");
    let failing = "
        other = create(account)
        local n = (function()
            for i = 1, 1280 do hook(other) end
            error('' .. account())
        end)()
        function f() return n end";
    let outcome = machine.with(|cx| apply(cx, failing));
    let Err(HotError::Delta(text)) = outcome else {
        panic!("{outcome:?}");
    };
    let bytes: usize = text.parse().unwrap_or(0);
    // All but those of the last piece.
    assert!(
        bytes > 1100 * (48 + size_of::<crate::object::Hook>()),
        "{bytes}"
    );
    assert_eq!(run(&machine, "return account()"), before);
}

/// However many come and go: those before the patch are written down once.
#[test]
fn listeners_are_copied_once() {
    let machine = machine();
    let first: Listener = Rc::new(|_, _| Ok(()));
    let token = Rc::new(());
    machine.with(|cx| cx.hot_listen(Rc::clone(&first)));
    let (seen, held) = (Rc::clone(&first), Rc::clone(&token));
    set_global(&machine, "listen", move |cx| {
        let held = Rc::clone(&held);
        let number = cx.hot_listen(Rc::new(move |_, _| {
            let _ = &held;
            Ok(())
        }));
        cx.ret_int(number as i64)
    });
    set_global(&machine, "forget", |cx| {
        let number = cx.check_int(0)?;
        let found = cx.hot_forget_listener(number as u64);
        cx.ret_bool(found)
    });
    set_global(&machine, "copies", move |cx| {
        cx.ret_int(Rc::strong_count(&seen) as i64)
    });
    assert_eq!(run_as(&machine, "=world", "function f() end"), "");
    let before = Rc::strong_count(&token);
    let failing = "
        local n = (function()
            local most = copies()
            for i = 1, 20 do forget(listen()) listen() end
            forget(1)
            error('' .. (copies() - most))
        end)()
        function f() return n end";
    let outcome = machine.with(|cx| apply(cx, failing));
    assert!(
        matches!(&outcome, Err(HotError::Delta(text)) if text == "0"),
        "{outcome:?}"
    );
    assert_eq!(Rc::strong_count(&token), before);
    // It is in the list again, and nowhere else.
    assert_eq!(
        run(&machine, "return copies(), forget(1), copies()"),
        "3 true 2"
    );
}
