//! Patches that wait for their moment, submitted from other threads while the VM
//! is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moonswap_vm::planning::{Code, Patch, Policy, SuspendedPolicy, Timing};
use moonswap_vm::{HotError, Ticket};

use super::threads::world_with;
use super::world::{CHUNK, World};

const PATIENCE: Duration = Duration::from_secs(60);

fn compile(text: &str) -> Patch {
    Patch::compile(CHUNK, text.as_bytes()).expect("compiles")
}

fn quiescent() -> Policy {
    Policy::default().timing(Timing::Quiescent)
}

/// Loads the chunk with a function `f`, in which the coroutine `co` is suspended.
fn suspend_one(world: &World) {
    world
        .load(CHUNK, "function f() coroutine.yield() return 1 end", true)
        .expect("loads");
    world
        .run("co = coroutine.wrap(f) co()")
        .expect("suspended one");
}

/// Submits `patches` one after the other, each when the one before is committed;
/// then raises the flag.
fn submitter(
    world: &World,
    patches: Vec<(Patch, Policy)>,
    done: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<Vec<Result<u64, HotError>>> {
    let patcher = world.machine.patcher();
    let done = Arc::clone(done);
    std::thread::spawn(move || {
        let outcomes = patches
            .into_iter()
            .map(|(patch, policy)| {
                let ticket = patcher.submit(patch, policy);
                ticket.wait(Some(PATIENCE)).map(|report| report.generation)
            })
            .collect();
        done.store(true, Ordering::Release);
        outcomes
    })
}

/// Nothing but the place between two steps is quiet, and the steps are long: no
/// step sees two versions of what it calls, and every patch is committed.
#[test]
fn quiescent_between_long_steps() {
    const N: u64 = 20;
    let text = |v: u32| {
        format!(
            "function inner() return {v} end
function step()
  local first = inner()
  local n = 0
  for i = 1, 30000 do n = n + inner() end
  assert(n == 30000 * first and inner() == {v}, 'a hybrid')
end\n"
        )
    };
    let done = Arc::new(AtomicBool::new(false));
    let world = world_with(&done);
    world.load(CHUNK, &text(0), true).expect("loads");
    let patches = (1..=N as u32).map(|v| (compile(&text(v)), quiescent()));
    let thread = submitter(&world, patches.collect(), &done);
    let outcome = world.run("repeat step() until done() return inner()");
    assert_eq!(outcome, Ok(N.to_string()));
    let outcomes = thread.join().expect("thread");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// The same where the host makes the calls and never polls.
#[test]
fn quiescent_between_calls_of_the_host() {
    let text = |v: u32| {
        format!(
            "function step() local n = 0 for i = 1, 20000 do n = n + i end return {v}, tick() end
function tick() return {v} end\n"
        )
    };
    let done = Arc::new(AtomicBool::new(false));
    let world = world_with(&done);
    world.load(CHUNK, &text(0), true).expect("loads");
    let patches = (1..=10).map(|v| (compile(&text(v)), quiescent()));
    let thread = submitter(&world, patches.collect(), &done);
    let start = Instant::now();
    while !thread.is_finished() && start.elapsed() < PATIENCE {
        world
            .run("local a, b = step() assert(a == b, 'a hybrid')")
            .expect("runs");
    }
    let outcomes = thread.join().expect("thread");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// Coroutines of a scheduler: each is suspended in changed code for most of its
/// life, and a moment without any comes only when all have ended.
#[test]
fn quiescent_when_the_last_coroutine_has_ended() {
    let text = |v: u32| format!("function job(n) for i = 1, n do coroutine.yield({v}) end end\n");
    let done = Arc::new(AtomicBool::new(false));
    let world = world_with(&done);
    world.load(CHUNK, &text(0), true).expect("loads");
    let patches = (1..=8).map(|v| (compile(&text(v)), quiescent()));
    let thread = submitter(&world, patches.collect(), &done);
    let script = "
repeat
  local jobs, n, seen = {}, 0, nil
  for i = 1, 20 do
    jobs[i] = coroutine.wrap(job)
    local v = jobs[i](i)
    assert(seen == nil or v == seen, 'a hybrid')
    seen = v
    n = n + 1
  end
  while n > 0 do
    for i, co in pairs(jobs) do
      local v = co()
      if v == nil then jobs[i] = nil n = n - 1 else assert(v == seen, 'a hybrid') end
    end
  end
until done()
return 'done'";
    assert_eq!(world.run(script), Ok("done".to_owned()));
    let outcomes = thread.join().expect("thread");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

/// When the deadline passes, what was active is told as values.
#[test]
fn a_deadline_tells_what_was_active() {
    let world = World::new();
    let (tell, started) = std::sync::mpsc::channel();
    world.machine.with(|cx| {
        let height = cx.height();
        cx.push_globals();
        cx.push_boxed(
            "started",
            Box::new(move |_| {
                let _ = tell.send(());
                Ok(0)
            }),
        );
        assert!(cx.raw_set_field(height, "started").is_ok());
        cx.set_height(height);
    });
    let old = "function work()\n  started() while true do\n    local x = 1\n  end\nend\n";
    world.load(CHUNK, old, true).expect("loads");
    let patcher = world.machine.patcher();
    let interrupter = world.machine.interrupter();
    let thread = std::thread::spawn(move || {
        // Before that the patch would not have to wait.
        started.recv().expect("work begins");
        let policy = quiescent().deadline(Duration::from_millis(50));
        let ticket = patcher.submit(compile("function work() end\n"), policy);
        let outcome = ticket.wait(Some(PATIENCE));
        interrupter.interrupt();
        outcome
    });
    assert!(world.run("coroutine.wrap(work)()").is_err());
    let Err(HotError::Refused(refused)) = thread.join().expect("thread") else {
        panic!("not refused");
    };
    let [activation] = &*refused.activations else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (
            &*activation.chunk,
            &*activation.function,
            activation.version
        ),
        ("m.lua", "work", 1)
    );
    assert!(matches!(activation.line, Some(2..=4)), "{activation:?}");
    assert!(
        activation.thread.starts_with("thread: 0x"),
        "{activation:?}"
    );
    assert!(!activation.suspended);
    assert_eq!(refused.refusals[0].code, Code::Active);
    assert_eq!(world.machine.with(|cx| cx.hot_generation()), 1);
}

/// Without any safe point the ticket itself ends the waiting.
#[test]
fn a_deadline_passes_while_the_machine_rests() {
    let world = World::new();
    world
        .load(CHUNK, "function f() return 1 end", true)
        .expect("loads");
    let policy = quiescent().deadline(Duration::from_millis(20));
    let ticket = world
        .machine
        .patcher()
        .submit(compile("function f() return 2 end"), policy);
    assert!(matches!(ticket.wait(None), Err(HotError::TimedOut)));
    // Nor is it committed by a safe point that comes too late.
    assert_eq!(
        world.run("for i = 1, 100 do f() end return f()"),
        Ok("1".to_owned())
    );
}

/// `suspended = "refuse"` with a deadline waits for coroutines to finish.
#[test]
fn refuses_or_waits_for_suspended_ones() {
    let done = Arc::new(AtomicBool::new(false));
    let world = world_with(&done);
    suspend_one(&world);
    let rule = Policy::default().suspended(SuspendedPolicy::Refuse);
    let patient = rule.clone().deadline(PATIENCE);
    let patch = compile("function f() coroutine.yield() return 2 end function added() end");
    let patcher = world.machine.patcher();
    let answered = Arc::clone(&done);
    let thread = std::thread::spawn(move || {
        let refused = patcher.submit(patch.clone(), rule).wait(Some(PATIENCE));
        let ticket = patcher.submit(patch, patient);
        answered.store(true, Ordering::Release);
        [refused, ticket.wait(Some(PATIENCE))].map(|o| o.map(|report| report.generation))
    });
    // It goes on for a while after the second was submitted.
    let script = "
local function nothing() end
repeat nothing() until done()
for turn = 1, 30000 do nothing() end
assert(co() == 1)
repeat nothing() until added
return true";
    assert_eq!(world.run(script), Ok("true".to_owned()));
    let outcomes = thread.join().expect("thread");
    let kinds: Vec<_> = outcomes
        .iter()
        .map(|o| o.as_ref().map_err(HotError::kind).copied())
        .collect();
    assert_eq!(kinds, [Err("refused"), Ok(2)]);
}

/// A withdrawn patch is never committed, whatever it waited for.
#[test]
fn waiting_patches_can_be_withdrawn() {
    let world = World::new();
    suspend_one(&world);
    let patch = compile("function f() return 2 end");
    let ticket: Ticket = world.machine.with(|cx| cx.hot_submit(patch, quiescent()));
    world.machine.poll();
    let waits = ticket.waits_for().unwrap_or_default();
    assert!(waits.contains("suspended in f v1 at line 1"), "{waits}");
    assert!(ticket.withdraw());
    assert!(!ticket.withdraw());
    world.run("co()").expect("ends");
    world.machine.poll();
    assert_eq!(world.machine.with(|cx| cx.hot_generation()), 1);
    assert_eq!(world.machine.with(|cx| cx.hot_queued()), 0);
    // One that was refused cannot be withdrawn, even after its answer was taken.
    let patch = compile("function f() return 2 end");
    let policy = Policy::default().suspended(SuspendedPolicy::Refuse);
    world
        .run("co = coroutine.wrap(f) co()")
        .expect("suspended one");
    let ticket = world.machine.with(|cx| cx.hot_submit(patch, policy));
    world.machine.poll();
    assert!(matches!(ticket.try_take(), Some(Err(HotError::Refused(_)))));
    assert!(!ticket.withdraw());
}

/// What waits is answered when the machine goes away.
#[test]
fn a_machine_that_ends_answers_what_waits() {
    let world = World::new();
    world
        .load(CHUNK, "function f() return 1 end", true)
        .expect("loads");
    let policy = Policy::default().timing(Timing::Checkpoint);
    let patch = compile("function f() return 2 end");
    let ticket = world.machine.with(|cx| cx.hot_submit(patch, policy));
    world.run("for i = 1, 100 do f() end").expect("runs");
    assert!(ticket.waits_for().is_some());
    drop(world);
    assert!(matches!(ticket.wait(Some(PATIENCE)), Err(HotError::Gone)));
}

/// CPU time of this thread, seconds.
#[cfg(unix)]
fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU time of a script, the best of some runs.
#[cfg(unix)]
fn best(world: &World, script: &str) -> f64 {
    (0..9)
        .map(|_| {
            let start = cpu_time();
            world.run(script).expect("runs");
            cpu_time() - start
        })
        .fold(f64::INFINITY, f64::min)
}

/// A patch that waits for one of many suspended coroutines costs the program
/// little: looks are rationed by what they cost.
#[cfg(unix)]
#[test]
fn what_waits_does_not_slow_the_program() {
    let world = World::new();
    world
        .load(CHUNK, "function f() coroutine.yield() end", true)
        .expect("loads");
    let suspended = "
others = {}
for i = 1, 3000 do
  others[i] = coroutine.wrap(function() coroutine.yield() end)
  others[i]()
end
co = coroutine.wrap(f)
co()";
    world.run(suspended).expect("suspended ones");
    let script = "
local function work(i) return i + 1 end
local n = 0
for i = 1, 3000000 do n = work(n) end";
    let alone = best(&world, script);
    let patch = compile("function f() end");
    let ticket = world.machine.with(|cx| cx.hot_submit(patch, quiescent()));
    let waiting = best(&world, script);
    assert!(ticket.waits_for().is_some());
    assert!(ticket.try_take().is_none());
    println!("{alone} s alone, {waiting} s with a patch that waits");
    assert!(
        waiting < alone * 1.4 + 0.005,
        "{alone} s alone, {waiting} s with a patch that waits"
    );
}
