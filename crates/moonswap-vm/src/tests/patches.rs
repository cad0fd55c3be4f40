//! Commit and rollback, and other threads that ask for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Patch, Policy};

use super::{compiled, machine, run, run_as, set_global, sized};
use crate::{HotError, Machine};

const OLD: &str = "
    local count, limit = 0, 10
    local function helper(x) return x + 1 end
    function work(x) count = count + 1 return helper(x) + count end
    function loop() local co = wrap(function() while true do yield(work(1)) end end) co() return co end
    return 'loaded'";

const NEW: &str = "
    local count, limit, extra = 0, 10, {100}
    local function helper(x) return x + extra[1] end
    function work(x) count = count + 1 return helper(x) + count end
    function loop() local co = wrap(function() while true do yield(work(1)) end end) co() return co end
    function added() extra[1] = extra[1] + 1 return extra[1] end
    return 'loaded'";

fn patch(source: &str) -> Patch {
    compiled("=world", source)
}

fn apply(machine: &Machine, source: &str) -> Result<(), HotError> {
    machine.with(|cx| cx.hot_apply(&patch(source), &Policy::default()).map(drop))
}

#[test]
fn commit_and_rollback_under_running_code() {
    for &(step, stack) in &[(true, true), (false, false)][..sized(2, 1)] {
        let machine = machine();
        machine.set_stress(crate::stress::Stress::always(false, step, stack, 0));
        assert_eq!(run_as(&machine, "=world", OLD), "loaded");
        assert_eq!(run(&machine, "co = loop() return work(1), co()"), "4 5");
        assert!(apply(&machine, NEW).is_ok());
        assert_eq!(
            run(&machine, "collect() return work(1), co(), added()"),
            "105 106 101"
        );
        assert!(machine.with(|cx| cx.hot_rollback(None)).is_ok());
        assert_eq!(run(&machine, "collect() return work(1), co()"), "8 9");
        for _ in 0..sized(3, 1) {
            assert!(apply(&machine, NEW).is_ok());
            assert!(apply(&machine, OLD).is_ok());
        }
        assert_eq!(run(&machine, "collect() return work(1), co()"), "10 11");
        let versions = machine.with(|cx| cx.hot_versions(None).len());
        assert!(versions > 3);
        machine.with(|cx| {
            assert!(!cx.hot_history().is_empty());
            assert_eq!(cx.hot_chunks().len(), cx.hot_chunks().len());
            let _ = cx.hot_frames(None);
        });
    }
}

/// A rollback makes a version current again in which a coroutine sleeps: guesses
/// and calls of both go on in the same code.
#[test]
fn a_version_comes_back_to_its_activations() {
    let old = "
    t = {1}
    function work() while true do yield(t[1], old, tostring(t.x)) end end";
    let new = old.replace("old", "new");
    let machine = machine();
    machine.set_stress(crate::stress::Stress::always(false, true, true, 0));
    assert_eq!(run_as(&machine, "=world", old), "");
    let script = "old, new = 'old', 'new' co, t.x = wrap(work), 0 return co()";
    assert_eq!(run(&machine, script), "1 old 0");
    assert!(apply(&machine, &new).is_ok());
    assert_eq!(run(&machine, "return wrap(work)()"), "1 new 0");
    assert!(machine.with(|cx| cx.hot_rollback(None)).is_ok());
    let script = "t.y = 1 old = 'older' local a, b = co() return a, b, wrap(work)()";
    assert_eq!(run(&machine, script), "1 older 1 older 0");
}

#[test]
fn what_fails_changes_nothing() {
    let machine = machine();
    assert_eq!(run_as(&machine, "=world", OLD), "loaded");
    // An initialiser that raises.
    let failing = NEW.replace("{100}", "nil .. 'x'");
    assert!(apply(&machine, &failing).is_err());
    assert!(
        machine
            .with(|cx| cx.hot_apply(&compiled("none", "return 1"), &Policy::default()))
            .is_err()
    );
    assert_eq!(run(&machine, "collect() return work(1), added"), "3 nil");
}

/// However often rollbacks are rolled back, the record of one has each slot,
/// variable and field once.
#[test]
fn rollbacks_of_rollbacks_do_not_grow() {
    let machine = machine();
    assert_eq!(run_as(&machine, "=world", OLD), "loaded");
    assert!(apply(&machine, NEW).is_ok());
    let lengths = || {
        machine.with(|cx| {
            let vm = cx.vm();
            let change = vm
                .hot
                .history
                .entries
                .back()
                .and_then(|e| e.changes.first());
            change.map(|c| (c.slots.len(), c.cells.len(), c.fields.len()))
        })
    };
    let mut newest = 1;
    for i in 0..sized(20, 4) {
        // Of the patch, of the rollback before: before the patch, after it, …
        let id = if i % 2 == 0 { 1 } else { newest };
        let report = machine.with(|cx| cx.hot_rollback(Some(id)));
        newest = report.map_or(0, |report| report.id);
        let added = run(&machine, "return added");
        assert_eq!(added == "nil", i % 2 == 0, "{i}");
        assert_eq!(lengths().map(|(_, _, fields)| fields), Some(1), "{i}");
        assert!(lengths().is_some_and(|(slots, cells, _)| slots <= 3 && cells <= 3));
    }
    // Nothing that was and is the same.
    for _ in 0..2 {
        assert!(machine.with(|cx| cx.hot_rollback(Some(1))).is_ok());
    }
    assert_eq!(run(&machine, "return work(1), added"), "3 nil");
    assert_eq!(
        lengths().map(|(slots, _, fields)| (slots, fields)),
        Some((0, 0))
    );
}

/// Each allocation of a patch fails once, and then there is no room but what
/// garbage takes up: in the call that asks, and at a safe point of a loop.
#[test]
fn memory_that_does_not_suffice() {
    let machine = machine();
    assert_eq!(run_as(&machine, "=world", OLD), "loaded");
    let mut n = 1;
    loop {
        machine.set_failing_allocation(n);
        let outcome = apply(&machine, NEW);
        let came = !machine.is_failure_pending();
        machine.set_failing_allocation(0);
        assert_eq!(came, outcome.is_err(), "{n}: {outcome:?}");
        if outcome.is_ok() {
            break;
        }
        assert_eq!(run(&machine, "return added"), "nil");
        n += sized(1, 7) as u64;
    }
    assert!(n > 3);
    assert_eq!(run(&machine, "return work(1)"), "102");
    let handle = machine.clone();
    set_global(&machine, "queue", move |cx| {
        let full = || handle.set_memory_limit(Some(handle.system_memory()));
        cx.suspended(full);
        drop(cx.hot_submit(patch(OLD), Policy::default()));
        Ok(0)
    });
    machine.with(|cx| cx.gc_stop());
    let script = "local t for i = 1, 400 do t = {i, {t}} end t = nil queue() for i = 1, 2 do end
        return work(1)";
    assert_eq!(run(&machine, script), "4");
    machine.set_memory_limit(None);
    set_global(&machine, "queue", |_| Ok(0));
    assert_eq!(run(&machine, "collect() return work(1)"), "5");
}

#[test]
fn another_thread_patches_a_loop_that_runs() {
    let machine = machine();
    assert_eq!(
        run_as(&machine, "=world", "function answer() return 1 end"),
        ""
    );
    // Should it never come.
    machine.set_deadline(Some(Instant::now() + Duration::from_secs(100)));
    let patcher = machine.patcher();
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    let thread = std::thread::spawn(move || {
        let patch = patch("function answer() return 2 end");
        let outcome = patcher.submit(patch, Policy::default()).wait(None);
        flag.store(true, Ordering::Release);
        outcome.is_ok()
    });
    assert_eq!(
        run(&machine, "while answer() == 1 do end return answer()"),
        "2"
    );
    assert!(thread.join().unwrap_or(false));
    assert!(ended.load(Ordering::Acquire));
}

/// What commits leave over waits for the next one who comes from outside, and
/// for nobody when the VM's own thread patches.
#[test]
fn what_commits_leave_is_taken_apart() {
    let machine = machine();
    assert_eq!(run_as(&machine, "=world", OLD), "loaded");
    let left = || machine.with(|cx| cx.vm().hot.mailbox.deferred_drops.len());
    let patches = [patch(NEW), patch(OLD)];
    let patcher = machine.patcher();
    // The first one is planned by a thread that asks; more than the history keeps.
    for i in 0..sized(40, 3) {
        let patch = patches[i % 2].clone();
        let ticket = patcher.submit(patch, Policy::default());
        let until = Instant::now() + Duration::from_secs(100);
        while left() == 0 && Instant::now() < until {
            machine.poll();
            std::thread::yield_now();
        }
        let report = ticket.wait(None);
        assert!(report.is_ok_and(|r| r.times.load <= r.times.prepare));
        assert_eq!(left(), 0);
    }
    for i in 0..sized(40, 3) {
        let source = if i % 2 == 0 { OLD } else { NEW };
        assert!(apply(&machine, source).is_ok());
        assert_eq!(left(), 0);
    }
    // Rollbacks of rollbacks, by both.
    for _ in 0..sized(40, 3) {
        let newest = machine.with(|cx| cx.hot_history().last().map_or(0, |entry| entry.id));
        assert!(machine.with(|cx| cx.hot_rollback(Some(newest))).is_ok());
        assert_eq!(left(), 0);
    }
    for _ in 0..sized(40, 3) {
        let newest = machine.with(|cx| cx.hot_history().last().map_or(0, |entry| entry.id));
        let ticket = patcher.rollback(newest, None);
        // Whoever else comes takes apart what the one before has left.
        assert_eq!(left(), 0);
        machine.poll();
        assert!(ticket.try_take().is_some_and(|outcome| outcome.is_ok()));
    }
    assert_eq!(run(&machine, "collect() return work(1)"), "102");
}

/// Nobody waits for an outcome that will not come (again).
#[test]
fn a_ticket_without_an_outcome_to_wait_for() {
    let machine = machine();
    assert_eq!(run_as(&machine, "=world", OLD), "loaded");
    let patcher = machine.patcher();
    let ticket = patcher.rollback(1, None);
    machine.poll();
    assert!(matches!(
        ticket.try_take(),
        Some(Err(HotError::UnknownPatch(1)))
    ));
    assert!(matches!(ticket.wait(None), Err(HotError::Other(_))));
    let ticket = patcher.rollback(1, None);
    assert!(ticket.withdraw());
    assert!(matches!(ticket.wait(None), Err(HotError::TimedOut)));
    machine.poll();
}

#[test]
fn tickets_of_two_threads_and_of_a_vm_that_goes() {
    let machine = machine();
    assert_eq!(
        run_as(&machine, "=world", "function answer() return 1 end"),
        ""
    );
    let threads: Vec<_> = (0..2)
        .map(|n| {
            let patcher = machine.patcher();
            std::thread::spawn(move || {
                let patch = patch(&format!("function answer() return 1{n} end"));
                patcher.submit(patch, Policy::default()).wait(None).is_ok()
            })
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        machine.poll();
        std::thread::yield_now();
    }
    for thread in threads {
        assert!(thread.join().unwrap_or(false));
    }
    let late = machine.patcher();
    drop(machine);
    let refused = late.submit(patch("return 1"), Policy::default()).wait(None);
    assert!(refused.is_err());
}

#[test]
fn another_thread_interrupts() {
    let machine = machine();
    machine.set_deadline(Some(Instant::now() + Duration::from_secs(100)));
    let interrupter = machine.interrupter();
    let started = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&started);
    let thread = std::thread::spawn(move || {
        while !flag.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        interrupter.interrupt();
    });
    // Not before the loop is there to be interrupted.
    set_global(&machine, "start", move |_| {
        started.store(true, Ordering::Release);
        Ok(0)
    });
    assert_eq!(
        run(&machine, "pcall(function() start() while true do end end)"),
        "error: test:1: interrupted!"
    );

    machine.set_deadline(None);
    assert_eq!(run(&machine, "return 1"), "1");
    assert!(thread.join().is_ok());
}
