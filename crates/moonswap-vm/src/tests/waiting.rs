//! Patches that wait: the trap, and coroutines that are closed after a commit.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Policy, SuspendedPolicy, Timing};

use super::{compiled, machine, run, run_as, set_global};
use crate::{HotError, Machine, Ticket};

/// A machine whose program can queue a patch of the chunk "world" to `new`.
fn world(old: &str, new: &str, policy: Policy) -> (Machine, Rc<RefCell<Option<Ticket>>>) {
    let machine = machine();
    machine.set_stress(crate::stress::Stress::always(false, true, true, 0));
    let patch = compiled("=world", new);
    let ticket = Rc::new(RefCell::new(None));
    let queued = Rc::clone(&ticket);
    set_global(&machine, "queue", move |cx| {
        *queued.borrow_mut() = Some(cx.hot_submit(patch.clone(), policy.clone()));
        Ok(0)
    });
    assert_eq!(run_as(&machine, "=world", old), "");
    (machine, ticket)
}

fn waits_for(ticket: &Rc<RefCell<Option<Ticket>>>) -> String {
    let ticket = ticket.borrow();
    ticket
        .as_ref()
        .and_then(Ticket::waits_for)
        .unwrap_or_default()
}

/// `script` lets `work` queue a quiescent patch of itself and answers `expected`: the
/// patch waits for `work`, at its line 3, and is committed right after.
fn quiescent_after_work(work: &str, script: &str, expected: &str) {
    let old = format!("\n        function nothing() end\n        {work}");
    let new = "
        function nothing() end
        function work() return 2 end";
    let policy = Policy::default().timing(Timing::Quiescent);
    let (machine, ticket) = world(&old, new, policy);
    assert_eq!(run(&machine, script), expected);
    assert_eq!(waits_for(&ticket), "work v1 active in main at line 3");
}

#[test]
fn a_trap_is_set_and_hit() {
    let work = "function work(n, f) if n > 0 then return 0 + work(n - 1, f) end f() nothing() return 1 end";
    let script = "
        local function again() return work(3, queue) + 10 end
        local r = again()
        nothing()
        return r, work()";
    quiescent_after_work(work, script, "11 2");
}

#[test]
fn a_trap_that_an_error_passes_by() {
    let work = "function work(f) f() nothing() collect() error('failed') end";
    let script = "
        local ok, why = pcall(function() return (work(queue)) end)
        nothing()
        return ok, why, work()";
    quiescent_after_work(work, script, "false failed 2");
}

#[test]
fn suspended_coroutines_are_closed() {
    let old = "
        log = ''
        function nothing() end
        function work(n)
            local x <close> = setmetatable({}, { __close = function() collect() log = log .. n nothing() end })
            yield()
        end";
    let new = "
        function nothing() end
        function work() return 2 end";
    let policy = Policy::default().suspended(SuspendedPolicy::Close);
    let (machine, ticket) = world(old, new, policy);
    let script = "
        local all = {}
        for i = 1, 3 do all[i] = create(work) resume(all[i], i) end
        local fresh = create(work)
        queue()
        nothing()
        return status(all[1]), status(all[3]), status(fresh), work()";
    assert_eq!(run(&machine, script), "dead dead suspended 2");
    let log = run(&machine, "return log");
    let mut order: Vec<char> = log.chars().collect();
    order.sort_unstable();
    assert_eq!(order, ['1', '2', '3']);
    let ticket = ticket.borrow();
    let report = ticket.as_ref().and_then(Ticket::try_take);
    assert!(
        matches!(&report, Some(Ok(r)) if r.closed.len() == 3),
        "{report:?}"
    );
}

/// Those that have not finished by a time are closed when it has passed.
#[test]
fn suspended_coroutines_are_closed_later() {
    let old = "
        log = ''
        function nothing() end
        function work(n)
            local x <close> = setmetatable({}, { __close = function() collect() log = log .. n end })
            yield()
        end";
    let new = "
        function nothing() end
        function work() return 2 end";
    let policy = Policy::default()
        .suspended(SuspendedPolicy::Close)
        // The program is to get to its loop before.
        .deadline(Duration::from_millis(if cfg!(miri) { 10_000 } else { 100 }));
    let (machine, ticket) = world(old, new, policy);
    // Should it never come.
    machine.set_deadline(Some(Instant::now() + Duration::from_secs(100)));
    let script = "
        local one, two = create(work), create(work)
        resume(one, 1) resume(two, 2)
        queue()
        nothing()
        resume(two)
        collect()
        local before = log
        while log == before do nothing() end
        return status(one), status(two), before, log, work()";
    assert_eq!(run(&machine, script), "dead dead 2 21 2");
    let ticket = ticket.borrow();
    let report = ticket.as_ref().and_then(Ticket::try_take);
    assert!(
        matches!(&report, Some(Ok(r)) if r.closed.is_empty() && r.warnings.len() == 3),
        "{report:?}"
    );
}

/// One that waits gives way to a later one of its chunk, and one that nobody
/// wants any more is not committed.
#[test]
fn patches_that_never_come_to_be() {
    let old = "
        function nothing() end
        function work(f) f() nothing() collect() return 1 end";
    let new = "
        function nothing() end
        function work() return 2 end";
    let policy = Policy::default().timing(Timing::Quiescent);
    let (machine, ticket) = world(old, new, policy);
    let other = compiled("=world", &old.replace("return 1", "return 3"));
    set_global(&machine, "overtake", move |cx| {
        match cx.hot_apply(&other, &Policy::default()) {
            Ok(_) => Ok(0),
            Err(error) => Err(cx.error(error.to_string())),
        }
    });
    let script = "
        local r = work(function() queue() nothing() overtake() end)
        nothing()
        return r, work(nothing)";
    assert_eq!(run(&machine, script), "1 3");
    let outcome = ticket.borrow().as_ref().and_then(Ticket::try_take);
    assert!(
        matches!(outcome, Some(Err(HotError::Refused(_)))),
        "{outcome:?}"
    );

    let script = "
        local withdrawn
        local r = work(function() queue() nothing() withdrawn = forget() end)
        nothing()
        return withdrawn, r, work(nothing)";
    let queued = Rc::clone(&ticket);
    set_global(&machine, "forget", move |cx| {
        let withdrawn = queued.borrow().as_ref().is_some_and(Ticket::withdraw);
        cx.ret_bool(withdrawn)
    });
    assert_eq!(run(&machine, script), "true 3 3");
}
