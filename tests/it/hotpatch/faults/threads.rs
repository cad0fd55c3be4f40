//! Other threads' part of an attempt: none can be started, a ticket is
//! withdrawn, the VM goes, a panic of the host ends it, at each moment.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use moonswap_vm::planning::{Patch, Policy, SuspendedPolicy, Timing};
use moonswap_vm::{HotError, Stress, Ticket};

use crate::hotpatch::world::{CHUNK, World};

const PATIENCE: Duration = Duration::from_secs(30);

const OLD: &str = "function f() return 1 end
function work() coroutine.yield() return 1 end";

/// Safe points while it is prepared.
const NEW: &str = "local n = 0
local list = (function() for i = 1, 5 do n = n + fault_free(i) end return { n } end)()
function f() return 2, list[1] end
function work() coroutine.yield() return 2 end";

fn patch(text: &str) -> Patch {
    Patch::compile(CHUNK, text.as_bytes()).expect("compiles")
}

fn world() -> World {
    let world = World::new();
    world
        .run("function fault_free(i) return i end")
        .expect("runs");
    world.load(CHUNK, OLD, true).expect("loads");
    world
}

fn poll_for(world: &World, ticket: &Ticket) -> Result<u64, HotError> {
    let start = Instant::now();
    loop {
        if let Some(outcome) = ticket.try_take() {
            return outcome.map(|report| report.generation);
        }
        assert!(start.elapsed() < PATIENCE, "no outcome");
        world.machine.poll();
        std::thread::yield_now();
    }
}

/// By which way a patch is submitted.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// On the VM's own thread.
    Here,
    /// From another one, planned on a third.
    Thread,
    /// The same, and no thread can be started.
    NoThread,
    /// The same, of a chunk that was patched before.
    Known,
}

const WAYS: [Way; 4] = [Way::Here, Way::Thread, Way::NoThread, Way::Known];

impl Way {
    fn world(self) -> World {
        let world = world();
        match self {
            Way::NoThread => _ = world.machine.set_stress(Stress::without_threads()),
            Way::Known => {
                let text = format!("{OLD}\nfunction step() end");
                let ticket = world
                    .machine
                    .patcher()
                    .submit(patch(&text), Policy::default());
                poll_for(&world, &ticket).expect("published");
            }
            Way::Here | Way::Thread => {}
        }
        world
    }

    fn submit(self, world: &World, policy: Policy) -> Ticket {
        match self {
            Way::Here => world.machine.with(|cx| cx.hot_submit(patch(NEW), policy)),
            Way::Thread | Way::NoThread | Way::Known => {
                world.machine.patcher().submit(patch(NEW), policy)
            }
        }
    }
}

/// Nothing rings where there is no timer: what waits for its moment or its
/// deadline is looked after at safe points, and limits of time are seen all the
/// same.
#[test]
fn without_any_thread() {
    let world = Way::NoThread.world();
    let patcher = world.machine.patcher();
    let still = |text: &str| world.run(text).expect("runs");
    // A moment without activations.
    still("co = coroutine.wrap(work) co()");
    let quiescent = Policy::default().timing(Timing::Quiescent);
    let ticket = patcher.submit(patch(NEW), quiescent.clone());
    still("for i = 1, 200 do fault_free(i) end");
    assert!(ticket.try_take().is_none());
    assert!(ticket.waits_for().is_some(), "it was looked at");
    still("co()");
    let start = Instant::now();
    let outcome = loop {
        still("for i = 1, 200 do fault_free(i) end");
        if let Some(outcome) = ticket.try_take() {
            break outcome;
        }
        assert!(start.elapsed() < PATIENCE, "not committed");
    };
    assert_eq!(outcome.expect("committed").generation, 2);
    assert_eq!(still("return f()"), "2");
    // One whose deadline passes while the program runs and nobody polls.
    still("co = coroutine.wrap(work) co()");
    let ticket = patcher.submit(patch(OLD), quiescent.deadline(Duration::from_millis(60)));
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        still("for i = 1, 2000 do fault_free(i) end");
    }
    let outcome = ticket.try_take();
    assert!(
        matches!(outcome, Some(Err(HotError::Refused(_)))),
        "{outcome:?}"
    );
    // Coroutines that have a while to finish.
    let policy = Policy::default()
        .suspended(SuspendedPolicy::Close)
        .deadline(Duration::from_millis(60));
    still("late = coroutine.create(work) coroutine.resume(late)");
    let ticket = patcher.submit(patch(OLD), policy);
    let start = Instant::now();
    poll_for(&world, &ticket).expect("committed");
    assert_eq!(still("return coroutine.status(late)"), "suspended");
    while start.elapsed() < Duration::from_millis(100) {
        still("for i = 1, 2000 do fault_free(i) end");
    }
    assert_eq!(still("return coroutine.status(late)"), "dead");
    // A deadline of the program itself.
    let start = Instant::now();
    let soon = start + Duration::from_millis(60);
    world.machine.set_deadline(Some(soon));
    let outcome = world.run("while true do fault_free(1) end");
    assert!(outcome.is_err_and(|e| e.contains("deadline exceeded") || e == "(limit)"));
    assert!(start.elapsed() < PATIENCE);
    world.machine.set_deadline(None);
    assert_eq!(still("return f()"), "1");
}

/// Withdrawn at each safe point of its way: it is either not applied, ever, or
/// it could not be withdrawn and there is an outcome.
#[test]
fn withdrawn_at_any_time() {
    for way in WAYS {
        let (mut n_withdrawn, mut n_backfilled) = (0, 0);
        for k in 0.. {
            if n_backfilled == 6 {
                break;
            }
            assert!(k < 500, "{way:?}: withdrawn each time");
            let world = way.world();
            let generation = world.machine.with(|cx| cx.hot_generation());
            world.state();
            let before = world.state();
            let ticket = Rc::new(way.submit(&world, Policy::default()));
            let withdrawn = Rc::new(Cell::new(None));
            if k == 0 {
                withdrawn.set(Some(ticket.withdraw()));
            } else {
                let (ticket, withdrawn) = (Rc::clone(&ticket), Rc::clone(&withdrawn));
                let left = Cell::new(k);
                world.machine.set_safe_point_hook(Some(Box::new(move |_| {
                    left.set(left.get() - 1);
                    if left.get() == 0 {
                        withdrawn.set(Some(ticket.withdraw()));
                    }
                })));
            }
            let start = Instant::now();
            // A safe point of the program, one of the host, and so on.
            while withdrawn.get().is_none() && start.elapsed() < PATIENCE {
                world.run("fault_free(1)").expect("runs");
                world.machine.poll();
                // Time for whoever plans.
                std::thread::sleep(Duration::from_millis(1));
            }
            world.machine.set_safe_point_hook(None);
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(2));
                world.machine.poll();
            }
            let what = format!("{way:?}, at {k}");
            let now = world.machine.with(|cx| cx.hot_generation());
            if withdrawn.get() == Some(true) {
                n_withdrawn += 1;
                assert_eq!(now, generation, "{what}: applied later");
                // Who plans may take long, and only then hand it in, to no effect.
                let start = Instant::now();
                while world.state() != before && start.elapsed() < PATIENCE {
                    world.machine.poll();
                }
                assert_eq!(world.state(), before, "{what}");
                let outcome = ticket.try_take();
                assert!(
                    matches!(outcome, None | Some(Err(HotError::TimedOut))),
                    "{what}: {outcome:?}"
                );
            } else {
                n_backfilled += 1;
                let outcome = poll_for(&world, &ticket);
                assert!(matches!(outcome, Ok(g) if g == now), "{what}: {outcome:?}");
                assert_eq!(world.run("return f()").as_deref(), Ok("2"), "{what}");
            }
            // In any case the next one is applied.
            let ticket = way.submit(&world, Policy::default());
            poll_for(&world, &ticket).expect("applied");
            assert_eq!(world.run("return f()").as_deref(), Ok("2"), "{what}");
        }
        println!("{way:?}: {n_withdrawn} withdrawn, {n_backfilled} too late");
        assert!(n_withdrawn > 0);
    }
}

/// The VM goes when a patch has come so and so far: whoever waits is told.
#[test]
fn a_vm_that_goes_at_any_time() {
    let quiescent = Policy::default().timing(Timing::Quiescent);
    for way in WAYS {
        for (policy, suspended) in [(Policy::default(), false), (quiescent.clone(), true)] {
            for polls in 0..5 {
                let world = way.world();
                if suspended {
                    world.run("co = coroutine.wrap(work) co()").expect("runs");
                }
                let patcher = world.machine.patcher();
                let ticket = way.submit(&world, policy.clone());
                let rollback = patcher.rollback(77, None);
                for _ in 0..polls {
                    world.machine.poll();
                    std::thread::yield_now();
                }
                drop(world);
                let start = Instant::now();
                let outcome = ticket.wait(None);
                let what = format!("{way:?}, {polls} polls: {outcome:?}");
                match &outcome {
                    Ok(_) => assert!(!suspended, "{what}"),
                    Err(HotError::Gone) => {}
                    Err(_) => panic!("{what}"),
                }
                let outcome = rollback.wait(None);
                let gone = matches!(outcome, Err(HotError::Gone | HotError::UnknownPatch(77)));
                assert!(gone, "{outcome:?}");
                assert!(patcher.is_gone());
                assert_eq!(patcher.chunks(PATIENCE).as_deref(), Some(&[][..]));
                assert!(start.elapsed() < PATIENCE);
            }
        }
    }
}

/// A panic of the host leaves the VM in the middle of a patch: it cannot be
/// used any more, and nobody waits for it for ever.
#[test]
fn a_panic_of_the_host_ends_all_waiting() {
    if !cfg!(debug_assertions) {
        // In the optimised program handlers are no functions to unwind through:
        // a panic of the host ends the process.
        return;
    }
    for way in WAYS {
        let world = way.world();
        let patcher = world.machine.patcher();
        let ticket = way.submit(&world, Policy::default());
        world.set_global("fault_free", |_| panic!("of the host"));
        let start = Instant::now();
        let broken = loop {
            let polled = catch_unwind(AssertUnwindSafe(|| world.machine.poll()));
            if polled.is_err() || start.elapsed() > PATIENCE {
                break polled.is_err();
            }
            std::thread::yield_now();
        };
        assert!(broken, "{way:?}: the panic did not come through");
        let rollback = patcher.rollback(1, None);
        drop(world);
        for ticket in [ticket, rollback] {
            let outcome = ticket.wait(None);
            assert!(
                matches!(outcome, Err(HotError::Gone)),
                "{way:?}: {outcome:?}"
            );
        }
    }
}
