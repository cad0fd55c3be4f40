//! Patches from another thread while the VM is busy: calls, a loop without
//! calls, deep recursion, a coroutine; and tickets that run out of time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use moonswap_vm::planning::{Patch, Policy};
use moonswap_vm::{HotError, Patcher};

use super::world::{CHUNK, World};

const PATIENCE: Duration = Duration::from_secs(20);

fn compile(text: &str) -> Patch {
    Patch::compile(CHUNK, text.as_bytes()).expect("compiles")
}

/// Submits `n` alternating patches and then raises the flag.
fn submitter(
    patcher: Patcher,
    texts: [String; 2],
    n: usize,
    done: Arc<AtomicBool>,
) -> std::thread::JoinHandle<usize> {
    std::thread::spawn(move || {
        let patches = [compile(&texts[0]), compile(&texts[1])];
        let mut applied = 0;
        for i in 0..n {
            let outcome = patcher
                .submit(patches[i % 2].clone(), Policy::default())
                .wait(Some(PATIENCE));
            match outcome {
                Ok(_) => applied += 1,
                Err(e) => eprintln!("patch {i}: {e}"),
            }
        }
        done.store(true, Ordering::Release);
        applied
    })
}

/// A world with `done()`, true when the flag is raised.
pub(super) fn world_with(done: &Arc<AtomicBool>) -> World {
    let world = World::new();
    let flag = Arc::clone(done);
    world.machine.with(|cx| {
        cx.push_globals();
        cx.push_boxed(
            "done",
            Box::new(move |cx| cx.ret_bool(flag.load(Ordering::Acquire))),
        );
        assert!(cx.raw_set_field(cx.height() - 2, "done").is_ok());
    });
    world
}

fn busy(texts: [&str; 2], script: &str) -> String {
    const N: usize = 60;
    let done = Arc::new(AtomicBool::new(false));
    let world = world_with(&done);
    world.load(CHUNK, texts[0], true).expect("loads");
    let [a, b] = texts.map(str::to_owned);
    let thread = submitter(world.machine.patcher(), [b, a], N, done);
    let result = world.run(script).expect("runs");
    // Whatever is still under way gets its safe points here.
    while !thread.is_finished() {
        world.machine.poll();
        std::thread::yield_now();
    }
    assert_eq!(thread.join().expect("thread"), N, "patches applied");
    assert_eq!(world.machine.with(|cx| cx.hot_generation()), N as u64 + 1);
    result
}

#[test]
fn busy_with_calls() {
    let text = |v: &str, pad: &str| {
        format!(
            "function f(i) {pad} local first = '{v}' local g = inner(i) return first == '{v}' and g end\nfunction inner(i) return i end\n"
        )
    };
    let (a, b) = (
        text("A", ""),
        text("B", "local a, b, c, d, e = 1, 2, 3, 4, 5"),
    );
    let script = "local n = 0 repeat n = n + 1 assert(f(n) == n) until done() return n > 0";
    assert_eq!(busy([&a, &b], script), "true");
}

/// Steps of the collector that patches make due are put off until somebody waits
/// for the patch or allocates: here nobody ever does.
#[test]
fn nobody_waits_and_nothing_allocates() {
    const N: u64 = 600;
    const ALL: Duration = Duration::from_secs(200);
    let done = Arc::new(AtomicBool::new(false));
    let world = world_with(&done);
    let text = |v: &str| format!("function f(i) return i + {v} end\n");
    world.load(CHUNK, &text("1"), true).expect("loads");
    world.machine.reset_gc_stats();
    let before = world.machine.with(|cx| cx.gc_bytes());
    let patcher = world.machine.patcher();
    let thread = std::thread::spawn(move || {
        let patches = [compile(&text("2")), compile(&text("1"))];
        let start = Instant::now();
        for i in 0..N {
            drop(patcher.submit(patches[i as usize % 2].clone(), Policy::default()));
            while patcher.generation() < i + 2 && start.elapsed() < ALL {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Release);
    });
    let script = "local f, done = f, done while not done() do f(1) end";
    world.run(script).expect("runs");
    thread.join().expect("thread");
    assert_eq!(world.machine.with(|cx| cx.hot_generation()), N + 1);
    let cycles = world.machine.gc_stats().cycles;
    let grown = world
        .machine
        .with(|cx| cx.gc_bytes())
        .saturating_sub(before);
    println!("{cycles} cycles, {} KiB more", grown >> 10);
    assert!(cycles >= 1, "{cycles} cycles");
    assert!(grown < 1 << 20, "{grown} bytes");
}

#[test]
fn busy_with_a_loop_without_calls() {
    let text = |v: &str| format!("function which() return '{v}' end\n");
    let script = "
local x, seen, last = 0, {}, nil
local turns = 0
while true do
  x = x + 1
  if x % 100000 == 0 then
    turns = turns + 1
    seen[which()] = true
    if done() then break end
  end
end
return which()";
    assert_eq!(busy([&text("A"), &text("B")], script), "A");
}

#[test]
fn a_pure_loop_lets_commits_in() {
    // Nothing but `x = x + 1` and a test: commits come at its backward jump.
    let world = World::new();
    world
        .load(CHUNK, "function f() return 1 end", true)
        .expect("loads");
    let (sender, receiver) = mpsc::channel();
    let patcher = world.machine.patcher();
    let interrupter = world.machine.interrupter();
    let thread = std::thread::spawn(move || {
        let mut outcomes = Vec::new();
        for i in 2..12 {
            let patch = compile(&format!("function f() return {i} end"));
            outcomes.push(
                patcher
                    .submit(patch, Policy::default())
                    .wait(Some(PATIENCE))
                    .map(|r| r.generation),
            );
        }
        interrupter.interrupt();
        sender.send(outcomes).expect("receiver");
    });
    assert!(
        world
            .run("local x = 0 while true do x = x + 1 end")
            .is_err()
    );
    let outcomes = receiver.recv_timeout(PATIENCE).expect("outcomes");
    for (i, outcome) in outcomes.iter().enumerate() {
        assert!(
            matches!(outcome, Ok(g) if *g == i as u64 + 2),
            "{outcomes:?}"
        );
    }
    thread.join().expect("thread");
    assert_eq!(world.run("return f()"), Ok("11".to_owned()));
}

#[test]
fn busy_with_tail_calls_only() {
    let world = World::new();
    world
        .load(CHUNK, "function f() return 1 end", true)
        .expect("loads");
    let patcher = world.machine.patcher();
    let interrupter = world.machine.interrupter();
    let thread = std::thread::spawn(move || {
        let outcome = patcher
            .submit(compile("function f() return 2 end"), Policy::default())
            .wait(Some(PATIENCE));
        interrupter.interrupt();
        outcome.map(|r| r.generation)
    });
    assert!(
        world
            .run("local function loop(...) return loop(...) end loop(1, 2)")
            .is_err()
    );
    assert!(matches!(thread.join().expect("thread"), Ok(2)));
    assert_eq!(world.run("return f()"), Ok("2".to_owned()));
}

#[test]
fn busy_with_deep_recursion() {
    let text = |k: &str, pad: &str| {
        format!(
            "function f(n) {pad} if n == 0 then return 0 end local r = f(n - 1) return r + 1 + {k} - {k} end\n"
        )
    };
    let (a, b) = (
        text("5", ""),
        text(
            "(700.0 // 1 | 0)",
            "local a, b, c, d, e, g, h = n, n, n, n, n, n, n",
        ),
    );
    let script = "repeat local r = f(3000) if r ~= 3000 then error('got ' .. tostring(r)) end until done() return f(10)";
    assert_eq!(busy([&a, &b], script), "10");
}

#[test]
fn busy_in_coroutines_and_sorts() {
    let text = |pad: &str| {
        format!(
            "function less(a, b) {pad} return a < b end\nfunction gen(n) {pad} for i = 1, n do coroutine.yield(n - i) end end\n"
        )
    };
    let script = "
repeat
  local t = {}
  for v in coroutine.wrap(function() gen(20) end) do t[#t + 1] = v end
  table.sort(t, less)
  for i = 1, 20 do assert(t[i] == i - 1) end
until done()
return 'sorted'";
    assert_eq!(
        busy([&text(""), &text("local x, y, z = 1, 2, 3")], script),
        "sorted"
    );
}

#[test]
fn a_ticket_that_runs_out_is_withdrawn() {
    let world = World::new();
    world
        .load(CHUNK, "function f() return 1 end", true)
        .expect("loads");
    world.run("listen()").expect("listens");
    // No safe point comes: the wait ends in time, and later nothing happens.
    let ticket = world
        .machine
        .patcher()
        .submit(compile("function f() return 2 end"), Policy::default());
    let start = Instant::now();
    assert!(matches!(
        ticket.wait(Some(Duration::from_millis(100))),
        Err(HotError::TimedOut)
    ));
    assert!(start.elapsed() < Duration::from_secs(5));
    // Whoever planned it reports that it is over.
    let start = Instant::now();
    loop {
        world.machine.poll();
        let heard = world.run("return heard()").expect("a text");
        if heard.contains("refused") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "nothing is heard");
        std::thread::yield_now();
    }
    assert_eq!(
        world.run("for i = 1, 100 do f() end return f()"),
        Ok("1".to_owned())
    );
    assert_eq!(world.machine.with(|cx| cx.hot_generation()), 1);
    // The next one is applied.
    let ticket = world
        .machine
        .patcher()
        .submit(compile("function f() return 3 end"), Policy::default());
    let start = Instant::now();
    let outcome = loop {
        world.machine.poll();
        if let Some(outcome) = ticket.try_take() {
            break outcome;
        }
        assert!(start.elapsed() < PATIENCE, "not applied");
    };
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(world.run("return f()"), Ok("3".to_owned()));
}

#[test]
fn errors_reach_the_submitter() {
    let world = World::new();
    world
        .load(
            CHUNK,
            "function f(x) return function() return 1 end end k = f(1)",
            true,
        )
        .expect("loads");
    let patcher = world.machine.patcher();
    let thread = std::thread::spawn(move || {
        let refused = compile("function f(x) return function() return x end end k = f(1)");
        let failing = compile(
            "local y = error('no') function f(x) return function() return y end end k = f(1)",
        );
        let elsewhere = Patch::compile("@other.lua", b"return 1").expect("compiles");
        [refused, failing, elsewhere].map(|p| {
            patcher
                .submit(p, Policy::default())
                .wait(Some(PATIENCE))
                .map_err(|e| e.kind())
        })
    });
    while !thread.is_finished() {
        world.run("for i = 1, 100 do k() end").expect("runs");
    }
    let kinds = thread.join().expect("thread").map(|outcome| outcome.err());
    assert_eq!(kinds, [Some("refused"), Some("delta"), Some("not-loaded")]);
    assert_eq!(world.run("return k()"), Ok("1".to_owned()));
}

#[test]
fn a_machine_that_ends_answers() {
    let world = World::new();
    world
        .load(CHUNK, "function f() return 1 end", true)
        .expect("loads");
    let patcher = world.machine.patcher();
    let ticket = patcher.submit(compile("function f() return 2 end"), Policy::default());
    drop(world);
    assert!(matches!(ticket.wait(Some(PATIENCE)), Err(HotError::Gone)));
    let late = patcher.submit(compile("function f() return 2 end"), Policy::default());
    assert!(matches!(late.wait(Some(PATIENCE)), Err(HotError::Gone)));
}
