//! Limits of time: programs that never end (`lua-tests/limits/endless.lua`) are
//! ended soon after their deadline, whatever they try to catch it with, and the
//! VM works afterwards.
//!
//! Times are the best of some attempts, and processor time where the system
//! tells it, for the machine may be busy; the longest overrun is printed.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use moonswap::{ErrorKind, Function, Lua, Table, Thread, Value};

/// How long a program runs before its deadline.
const TIME: Duration = Duration::from_millis(60);
/// How much later than that it may end, in an optimised build.
const OVERRUN: Duration = if cfg!(debug_assertions) {
    Duration::from_millis(200)
} else {
    Duration::from_millis(50)
};
const ATTEMPTS: usize = 5;
/// Keeps what makes ever larger objects from filling the machine.
const MEMORY: usize = 1 << 30;

fn cases(file: &str, at_least: usize) -> Vec<(String, String)> {
    let file = crate::support::root().join("lua-tests/limits").join(file);
    let text = std::fs::read_to_string(file).expect("cases");
    let only = std::env::var("MOONSWAP_CASE").unwrap_or_default();
    let cases: Vec<_> = text
        .split("\n----- ")
        .skip(1)
        .filter_map(|case| case.split_once('\n'))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    assert!(cases.len() > at_least, "{}", cases.len());
    let mut cases = cases;
    cases.retain(|(name, _)| name.contains(&only));
    cases
}

fn is_ok_afterwards(lua: &Lua, name: &str) {
    // What still waits to be finalized may end now.
    lua.globals().set("over", true).expect("set");
    lua.set_deadline(None);
    let text = "debug.sethook() local n = 0
        for i = 1, 1000 do n = n + select('#', pcall(error, i)) end
        local co = coroutine.wrap(function(a) local b = coroutine.yield(a) return b end)
        return n + co(1) + co(2), coroutine.isyieldable()";
    let result = lua.load(text).eval::<(i64, bool)>();
    assert!(matches!(result, Ok((2003, false))), "{name}: {result:?}");
}

/// Processor time of the calling thread, if the system tells.
fn processor_time(thread: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Runs `f`, which is to end at `deadline`; how much longer it took: by the
/// clock or, if that is less, by the processor time of the thread.
fn late<R>(deadline: Instant, f: impl FnOnce() -> R) -> (R, Duration) {
    let this = Path::new("/proc/thread-self");
    let this = std::fs::read_link(this).map(|at| Path::new("/proc").join(at));
    let (sender, receiver) = mpsc::channel();
    let watched = this.as_ref().ok().cloned();
    let watcher = std::thread::spawn(move || {
        let rest = deadline.saturating_duration_since(Instant::now());
        // An early end is no overrun.
        if receiver.recv_timeout(rest).is_ok() {
            return None;
        }
        watched.and_then(|thread| processor_time(&thread))
    });
    let result = f();
    let by_clock = Instant::now().saturating_duration_since(deadline);
    let used = this.ok().and_then(|thread| processor_time(&thread));
    let _ = sender.send(());
    let before = watcher.join().expect("watcher");
    let by_processor = used
        .zip(before)
        .map(|(used, before)| used.saturating_sub(before));
    (
        result,
        by_processor.map_or(by_clock, |time| time.min(by_clock)),
    )
}

/// Runs a program for [`TIME`]; how much longer it took.
fn overrun(name: &str, text: &str) -> Duration {
    let lua = Lua::new();
    lua.set_memory_limit(MEMORY).expect("limited");
    let program = lua.load(text).into_function().expect(name);
    let deadline = Instant::now() + TIME;
    lua.set_deadline(Some(deadline));
    let (result, overrun) = late(deadline, || program.call::<()>(()));
    let error = result.expect_err(name);
    assert!(
        matches!(error.kind(), ErrorKind::Deadline),
        "{name}: {error:?}"
    );
    // Until it is lifted, every call ends by it, at once.
    let again = lua.load("while true do end").exec();
    let again = again.map_err(|e| e.kind());
    assert!(
        matches!(again, Err(ErrorKind::Deadline)),
        "{name}: {again:?}"
    );
    is_ok_afterwards(&lua, name);
    overrun
}

#[test]
fn endless_programs_end_at_their_deadline() {
    let _alone = crate::support::alone();
    let mut late = Vec::new();
    let mut longest = Vec::new();
    for (name, text) in cases("endless.lua", 100) {
        let mut best = Duration::MAX;
        for _ in 0..ATTEMPTS {
            best = best.min(overrun(&name, &text));
            if best < OVERRUN {
                break;
            }
        }
        if best >= OVERRUN {
            late.push(format!("{name}: {best:?}"));
        }
        longest.push((best, name));
    }
    print_longest(longest);
    assert!(late.is_empty(), "late:\n{}", late.join("\n"));
}

fn print_longest(mut all: Vec<(Duration, String)>) {
    all.sort();
    println!("longest overruns:");
    for (overrun, name) in all.iter().rev().take(20) {
        println!("{:9.1} ms  {name}", overrun.as_secs_f64() * 1e3);
    }
}

/// What ended a run.
fn kind<R>(result: moonswap::Result<R>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it ended"),
        Err(error) => error.kind(),
    }
}

/// Programs with a global `endless` that loops in the way to be tested.
const HOLDERS: &[&str] = &[
    "endless()",
    "while true do pcall(endless) end",
    "while true do xpcall(endless, endless) end",
    "while true do xpcall(error, endless) end",
    "while true do coroutine.wrap(endless)() end",
    "while true do coroutine.resume(coroutine.create(endless)) end",
    "while true do pcall(coroutine.wrap(function() pcall(coroutine.wrap(endless)) end)) end",
    "local x <close> = setmetatable({}, { __close = endless })",
    "local x <close> = setmetatable({}, { __close = endless }) error('x')",
    "local x <close> = setmetatable({}, { __close = endless }) endless()",
    "while true do pcall(function()
       local x <close> = setmetatable({}, { __close = endless }) error('x') end) end",
    "while true do
       local co = coroutine.wrap(function()
         local x <close> = setmetatable({}, { __close = endless }) endless() end)
       pcall(co) end",
    "for _ in function() return 1 end, 1, 1, setmetatable({}, { __close = endless }) do break end",
    "while true do setmetatable({}, { __gc = endless }) collectgarbage() end",
    "while true do setmetatable({}, { __gc = endless }) end",
    "while true do setmetatable({}, { __gc = endless }) collectgarbage('step', 100) end",
    "while true do pcall(table.sort, { 3, 2, 1 }, endless) end",
    "while true do pcall(string.gsub, 'x', 'x', endless) end",
    "while true do pcall(load, endless) end",
    "while true do pcall(tostring, setmetatable({}, { __tostring = endless })) end",
    "while true do pcall(function() return {} < setmetatable({}, { __lt = endless }) end) end",
    "while true do pcall(function() return {} .. setmetatable({}, { __concat = endless }) end) end",
    "while true do pcall(function() return #setmetatable({}, { __len = endless }) end) end",
    "while true do pcall(function() return setmetatable({}, { __index = endless }).x end) end",
    "while true do pcall(setmetatable({}, { __call = endless })) end",
    "debug.sethook(endless, 'l') while true do end",
    "package.preload.endless = endless while true do pcall(require, 'endless') end",
    "while true do pcall(from_rust) end",
    "while true do swallowed() end",
];

/// Runs each holder with `start` having set the limit.
fn holders(start: impl Fn(&Lua), end: impl Fn(&Lua), is_right: impl Fn(&ErrorKind) -> bool) {
    for holder in HOLDERS {
        let lua = Lua::new();
        lua.load("function endless() local n = 0 while not over do n = n + 1 end end")
            .exec()
            .expect("endless");
        let endless: Function = lua.globals().get("endless").expect("a function");
        let call = lua.create_function(move |_, ()| endless.call::<()>(()));
        lua.globals()
            .set("from_rust", call.expect("function"))
            .expect("set");
        let endless: Function = lua.globals().get("endless").expect("a function");
        // A host function that does not hand the error on.
        let swallow = lua.create_function(move |_, ()| Ok(endless.call::<()>(()).is_ok()));
        lua.globals()
            .set("swallowed", swallow.expect("function"))
            .expect("set");
        let program = lua.load(*holder).into_function().expect(holder);
        start(&lua);
        let kind = kind(program.call::<()>(()));
        assert!(is_right(&kind), "{holder}: {kind:?}");
        end(&lua);
        is_ok_afterwards(&lua, holder);
    }
}

#[test]
fn nothing_holds_a_deadline_up() {
    holders(
        |lua| lua.set_deadline(Some(Instant::now() + Duration::from_millis(20))),
        |_| (),
        |kind| matches!(kind, ErrorKind::Deadline),
    );
}

#[test]
fn nothing_holds_the_end_of_fuel_up() {
    holders(
        |lua| lua.set_fuel(Some(20_000)),
        |lua| {
            assert_eq!(lua.fuel(), Some(0));
            lua.set_fuel(None);
        },
        |kind| matches!(kind, ErrorKind::OutOfFuel),
    );
}

#[test]
fn nothing_holds_an_interrupt_up() {
    holders(
        |lua| {
            let interrupter = lua.interrupter();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                interrupter.interrupt();
            });
        },
        |_| (),
        |kind| matches!(kind, ErrorKind::Interrupted),
    );
}

#[test]
fn an_interrupt_ends_one_run() {
    let lua = Lua::new();
    lua.interrupter().interrupt();
    let program = "for i = 1, 10 do end return 1";
    assert!(matches!(
        kind(lua.load(program).eval::<i64>()),
        ErrorKind::Interrupted
    ));
    assert_eq!(lua.load(program).eval::<i64>().expect("runs"), 1);
}

#[test]
fn a_script_cannot_pretend_to_have_been_ended() {
    let lua = Lua::new();
    for text in ["interrupted!", "deadline exceeded", "out of fuel"] {
        let program = format!("error({text:?}, 0)");
        assert!(matches!(kind(lua.load(program).exec()), ErrorKind::Runtime));
    }
}

#[test]
fn fuel_is_the_same_every_time() {
    let program = "local t = {}
        for i = 1, 1000 do t[i] = tostring(i) .. 'x' end
        table.sort(t, function(a, b) return a > b end)
        local s = table.concat(t, ','):gsub('%d', function(d) return d .. d end)
        local co = coroutine.wrap(function() for i = 1, 50 do coroutine.yield(i) end end)
        for i = 1, 50 do co() end
        local m = setmetatable({}, { __index = function(t, k) return k end })
        for i = 1, 100 do local _ = m[i] + m[i] end
        collectgarbage()
        pcall(error, 'x')
        return #s";
    let used = |units: u64| {
        let lua = Lua::new();
        let program = lua.load(program).into_function().expect("compiles");
        lua.set_fuel(Some(units));
        let result = program.call::<i64>(());
        (units - lua.fuel().expect("limited"), result.is_ok())
    };
    let (all, done) = used(1_000_000);
    assert!(done && (3000..100_000).contains(&all), "{all}");
    assert_eq!(used(1_000_000), (all, true));
    assert_eq!(used(all), (all, true), "exactly enough");
    assert_eq!(used(all - 1), (all - 1, false), "one too few");
}

#[test]
fn fuel_can_be_added() {
    let lua = Lua::new();
    lua.load("n = 0 function work() for i = 1, 100 do n = n + 1 end end")
        .exec()
        .expect("runs");
    let work: Function = lua.globals().get("work").expect("function");
    lua.set_fuel(Some(50));
    assert!(matches!(kind(work.call::<()>(())), ErrorKind::OutOfFuel));
    assert!(matches!(kind(work.call::<()>(())), ErrorKind::OutOfFuel));
    lua.set_fuel(Some(1000));
    work.call::<()>(()).expect("enough");
    lua.set_fuel(None);
    work.call::<()>(()).expect("unlimited");
    assert_eq!(lua.fuel(), None);
}

#[test]
fn a_coroutine_on_the_way_is_dead_and_nothing_is_closed() {
    let lua = Lua::new();
    lua.load(
        "log = {}
         local function closing(name)
           return setmetatable({}, { __close = function() log[#log + 1] = name end })
         end
         inner = coroutine.create(function()
           local x <close> = closing('inner')
           while true do end
         end)
         outer = coroutine.create(function()
           local x <close> = closing('outer')
           coroutine.resume(inner)
         end)
         waiting = coroutine.create(function() coroutine.yield(1) return 2 end)
         coroutine.resume(waiting)
         function run() local x <close> = closing('main') coroutine.resume(outer) end",
    )
    .exec()
    .expect("runs");
    let run: Function = lua.globals().get("run").expect("function");
    lua.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
    let error = run.call::<()>(()).expect_err("endless");
    assert!(matches!(error.kind(), ErrorKind::Deadline));
    let trace = error.traceback().expect("where it was");
    assert!(trace.text.starts_with("stack traceback:"), "{trace}");
    assert!(
        error.to_string().contains(":7: deadline exceeded"),
        "{error}"
    );
    lua.set_deadline(None);
    let text = "local r = {}
        for i, co in ipairs { inner, outer, waiting } do
          r[i] = coroutine.status(co)
        end
        return table.concat(r, ' '), #log, (select(2, coroutine.resume(waiting))),
          (select(2, coroutine.resume(inner)))";
    let result: (String, i64, i64, String) = lua.load(text).eval().expect("runs");
    let dead = "cannot resume dead coroutine".to_owned();
    assert_eq!(result, ("dead dead suspended".to_owned(), 0, 2, dead));
}

#[test]
fn closing_a_vm_past_its_deadline_ends() {
    let lua = Lua::new();
    lua.load("for i = 1, 10 do keep = setmetatable({ keep }, { __gc = function() while true do end end }) end")
        .exec()
        .expect("runs");
    let deadline = Instant::now() + TIME;
    lua.set_deadline(Some(deadline));
    let ((), overrun) = late(deadline, || lua.close());
    assert!(overrun < Duration::from_millis(500), "{overrun:?}");
}

#[test]
fn finalizers_wait_for_time() {
    let lua = Lua::new();
    lua.load("n = 0 for i = 1, 100 do setmetatable({}, { __gc = function() n = n + 1 end }) end")
        .exec()
        .expect("runs");
    lua.set_deadline(Some(Instant::now()));
    // It collects, but calls nothing.
    let _ = lua.gc_collect();
    lua.set_deadline(None);
    assert_eq!(lua.globals().get::<i64>("n").expect("n"), 0);
    lua.gc_collect().expect("collects");
    assert_eq!(lua.globals().get::<i64>("n").expect("n"), 100);
}

#[test]
fn many_vms_share_the_timer() {
    let vms: Vec<Lua> = (0..50).map(|_| Lua::new()).collect();
    for (i, lua) in vms.iter().enumerate() {
        let far = Duration::from_secs(3600);
        lua.set_deadline(Some(Instant::now() + far));
        let near = Duration::from_millis(10 * (i as u64 % 3));
        lua.set_deadline(Some(Instant::now() + near));
        assert!(matches!(
            kind(lua.load("while true do end").exec()),
            ErrorKind::Deadline
        ));
        lua.set_deadline(Some(Instant::now() + far));
    }
    for lua in &vms {
        assert_eq!(lua.load("return 1").eval::<i64>().expect("has time"), 1);
    }
}

#[test]
fn the_command_line_has_both() {
    let folder = crate::support::TempFolder::new("limits");
    folder.write(
        "x.lua",
        "for i = 1, 100 do
           keep = setmetatable({ keep }, { __gc = function() while true do end end })
         end
         while true do pcall(error) end",
    );
    for (option, value, message) in [
        ("--timeout", "50ms", "x.lua:4: deadline exceeded"),
        ("--fuel", "1000", "x.lua:4: out of fuel"),
    ] {
        let arguments = ["run", option, value, "x.lua"];
        let outcome = crate::support::run_moonswap(folder.path(), &arguments, b"");
        assert_eq!(outcome.code, Some(1), "{option}: {}", outcome.tail());
        assert!(outcome.err().contains(message), "{}", outcome.tail());
    }
}

#[test]
fn values_survive() {
    let lua = Lua::new();
    let table: Table = lua
        .load("shared = { n = 0 } return shared")
        .eval()
        .expect("table");
    let run: Function = lua
        .load("return function() while true do shared.n = shared.n + 1 end end")
        .eval()
        .expect("function");
    for _ in 0..5 {
        lua.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
        assert!(matches!(kind(run.call::<()>(())), ErrorKind::Deadline));
    }
    lua.set_deadline(None);
    assert!(table.get::<i64>("n").expect("n") > 0);
    let thread = lua.create_thread(run).expect("thread");
    lua.globals().set("thread", thread).expect("set");
    lua.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
    assert!(matches!(
        kind(lua.load("coroutine.resume(thread)").exec()),
        ErrorKind::Deadline
    ));
    lua.set_deadline(None);
    let thread: Thread = lua.globals().get("thread").expect("thread");
    assert_eq!(
        lua.to_display(&Value::Thread(thread))
            .map(|t| t.starts_with(b"thread"))
            .ok(),
        Some(true)
    );
}
