//! Probation as hosts see it: a server whose patch hangs, errors of limits, what is
//! told, recorded and released.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use moonswap::audit::AuditLog;
use moonswap::{Cause, Error, ErrorKind, EventKind, Function, Lua, Policy, Result, Which};
use serde_json::Value as Json;

const MINUTE: Duration = Duration::from_secs(60);
const OLD: &str = "served = 0
function handle(n) served = served + 1 return 'old ' .. n end";
/// Hangs for one request in ten, in a way that a plain `pcall` would survive.
const HANGS: &str = "served = 0
function handle(n)
  served = served + 1
  while n % 10 == 0 do pcall(error) end
  return 'new ' .. n
end";

fn loaded(lua: &Lua) -> Result<Function> {
    lua.load(OLD).set_name("@server.lua").exec()?;
    lua.globals().get("handle")
}

/// What is written into a vector that the test can read meanwhile.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Answer {
    request: i64,
    outcome: std::result::Result<String, String>,
    time: Duration,
}

/// A host that handles requests one after the other and polls in between; ends with
/// its requests. Answers its audit record.
fn serve(
    ready: &Sender<moonswap::Patcher>,
    requests: &Receiver<i64>,
    answers: &Sender<Answer>,
) -> Result<Vec<u8>> {
    let lua = Lua::new();
    let log = Shared::default();
    lua.hot().set_audit(AuditLog::new(log.clone()));
    let handle = loaded(&lua)?;
    ready.send(lua.hot().patcher()).expect("the test waits");
    loop {
        lua.poll();
        let request = match requests.recv_timeout(Duration::from_millis(1)) {
            Ok(request) => request,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        };
        let start = Instant::now();
        let outcome = handle.call::<String>(request);
        let answer = Answer {
            request,
            outcome: outcome.map_err(|error| error.to_string()),
            time: start.elapsed(),
        };
        answers.send(answer).expect("the test waits");
    }
    let record = log.0.borrow().clone();
    Ok(record)
}

/// One server that gets a patch that hangs: how long the request took that met it.
fn hang(slow: Duration) -> Duration {
    let (ready, is_ready) = channel();
    let (requests, requested) = channel();
    let (answers, answered) = channel();
    let server = std::thread::spawn(move || serve(&ready, &requested, &answers));
    let patcher = is_ready.recv().expect("it starts");
    let ask = |n: i64| {
        requests.send(n).expect("it runs");
        answered.recv_timeout(MINUTE).expect("an answer")
    };
    assert_eq!(ask(1).outcome, Ok("old 1".to_owned()));
    let policy = Policy::new().guard(9, MINUTE).slow(slow);
    let ticket = patcher.submit_source("@server.lua", HANGS.as_bytes(), policy);
    ticket.wait(Some(MINUTE)).expect("applied");

    let mut answers = Vec::new();
    for n in 2..40 {
        answers.push(ask(n));
    }
    let mut hung = Duration::ZERO;
    for answer in answers {
        let n = answer.request;
        match answer.outcome {
            Ok(text) => {
                let version = if n < 10 { "new" } else { "old" };
                assert_eq!(
                    text,
                    format!("{version} {n}"),
                    "other requests are unharmed"
                );
            }
            Err(text) => {
                assert_eq!(n, 10, "{text}");
                assert!(text.contains("of patch 1 did not return within"), "{text}");
                hung = answer.time;
            }
        }
    }
    // The same patch is refused until it is released, from this thread too.
    let again = || {
        let ticket = patcher.submit_source(
            "@server.lua",
            HANGS.as_bytes(),
            Policy::new().guard(9, MINUTE),
        );
        ticket.wait(Some(MINUTE))
    };
    assert!(
        again()
            .expect_err("quarantined")
            .to_string()
            .contains("P040")
    );
    assert_eq!(patcher.release(Which::Patch(7), MINUTE), Some(false));
    assert_eq!(patcher.release(Which::Patch(1), MINUTE), Some(true));
    again().expect("released");
    drop(requests);

    let record = server.join().expect("no panic").expect("no error");
    let record = String::from_utf8(record).expect("text");
    let lines: Vec<Json> = record
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    let word = |line: &Json, key: &str| {
        let word = line.get(key).and_then(Json::as_str);
        word.unwrap_or("").to_owned()
    };
    let short: Vec<String> = lines
        .iter()
        .map(|l| {
            format!(
                "{} {} {}",
                word(l, "event"),
                word(l, "source"),
                word(l, "cause")
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            "after thread ",
            "rollback guard slow",
            "refused thread ",
            "released thread ",
            "after thread "
        ]
    );
    assert!(word(&lines[1], "reason").contains("patch 1 did not return within"));
    hung
}

/// The best of some, since the machine may be busy with other things: undone within
/// the time and a tenth of a second.
#[test]
fn a_busy_server_gets_rid_of_a_patch_that_hangs() {
    let slow = Duration::from_millis(200);
    let mut best = Duration::MAX;
    for _ in 0..10 {
        best = best.min(hang(slow));
        assert!(best >= slow, "{best:?}");
        if best <= slow + Duration::from_millis(100) {
            println!("undone after {best:?}");
            return;
        }
    }
    panic!("undone after {best:?}");
}

/// Lets each kind of limit end a call of patched code, and looks what is told.
fn limited(text: &str, limit: impl Fn(&Lua), unlimited: impl Fn(&Lua)) -> Result<Error> {
    let lua = Lua::new();
    let handle = loaded(&lua)?;
    let hot = lua.hot();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&heard);
    hot.on_event(move |_, event| {
        if event.kind == EventKind::Rollback {
            told.borrow_mut().push((event.undoes, event.cause));
        }
    });
    hot.patch(("@server.lua", text))
        .policy(Policy::new().guard(0, MINUTE * 60))
        .apply()?;
    limit(&lua);
    let error = handle.call::<String>(1).expect_err("a limit");
    unlimited(&lua);
    assert_eq!(
        handle.call::<String>(2)?,
        "old 2",
        "undone before the next call"
    );
    assert_eq!(*heard.borrow(), [(Some(1), Some(Cause::Limit))]);
    let known = hot.quarantine();
    assert_eq!((known[0].errors, known[0].cause), (1, Cause::Limit));
    assert_eq!(&*known[0].chunks[0], "@server.lua");
    Ok(error)
}

#[test]
fn errors_of_limits_count() -> Result<()> {
    let endless = "served = 0 function handle(n) while true do pcall(error) end end";
    let fuel = limited(
        endless,
        |lua| lua.set_fuel(Some(10_000)),
        |lua| lua.set_fuel(None),
    )?;
    assert!(matches!(fuel.kind(), ErrorKind::OutOfFuel));
    let deadline = limited(
        endless,
        |lua| lua.set_deadline(Some(Instant::now() + Duration::from_millis(20))),
        |lua| lua.set_deadline(None),
    )?;
    assert!(matches!(deadline.kind(), ErrorKind::Deadline));
    let interrupt = limited(
        endless,
        |lua| {
            let interrupter = lua.interrupter();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(20));
                interrupter.interrupt();
            });
        },
        |_| {},
    )?;
    assert!(matches!(interrupt.kind(), ErrorKind::Interrupted));
    let greedy = "served = 0 function handle(n)
        local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end";
    let memory = limited(
        greedy,
        |lua| drop(lua.set_memory_limit(8 << 20)),
        |lua| drop(lua.set_memory_limit(0)),
    )?;
    assert!(matches!(memory.kind(), ErrorKind::Memory), "{memory}");
    Ok(())
}

/// A limit that trips inside a callback counts once, whatever it passes.
#[test]
fn a_limit_counts_once() -> Result<()> {
    let lua = Lua::new();
    lua.load("function f() end function g() end")
        .set_name("@m.lua")
        .exec()?;
    let text = "function f() table.sort({ 1, 2 }, function() g() end) end
        function g() coroutine.wrap(function() while true do end end)() end";
    let policy = Policy::new().guard(1, MINUTE);
    lua.hot().patch(("@m.lua", text)).policy(&policy).apply()?;
    let f: Function = lua.globals().get("f")?;
    lua.set_fuel(Some(1000));
    assert!(f.call::<()>(()).is_err());
    lua.set_fuel(None);
    lua.poll();
    let told = lua.hot().probation();
    assert_eq!((told[0].errors, told[0].left), (1, 0));
    let status = lua.hot().status();
    assert!(
        status
            .to_string()
            .contains("on probation: patch 1, 1 error, 0 more allowed")
    );
    assert!(
        status
            .to_json()
            .contains("\"probation\":[{\"patch\":1,\"errors\":1")
    );
    Ok(())
}

/// Without a second call: the host polls, and the patch has passed.
#[test]
fn what_is_good_passes() -> Result<()> {
    let lua = Lua::new();
    let handle = loaded(&lua)?;
    let heard = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&heard);
    lua.hot().on_event(move |_, event| {
        if event.kind == EventKind::Passed {
            told.borrow_mut().push(event.undoes);
        }
    });
    let policy = Policy::new()
        .guard(0, Duration::from_millis(50))
        .slow(MINUTE);
    lua.hot()
        .patch(("@server.lua", HANGS))
        .policy(&policy)
        .apply()?;
    assert_eq!(handle.call::<String>(1)?, "new 1");
    let end = Instant::now() + MINUTE;
    while heard.borrow().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
        lua.poll();
    }
    assert_eq!(*heard.borrow(), [Some(1)]);
    assert!(lua.hot().probation().is_empty() && lua.hot().quarantine().is_empty());
    Ok(())
}

/// The module's side of it: lists, release by number, entry and hash.
#[test]
fn lua_lists_and_releases() -> Result<()> {
    let lua = Lua::new();
    loaded(&lua)?;
    lua.globals().set("HANGS", HANGS)?;
    lua.load(
        r#"
        local hot = require "moonswap"
        local events = {}
        for _, name in ipairs { "rollback", "released" } do
          hot.on(name, function(e)
            events[#events + 1] = name .. " " .. e.source .. " " .. tostring(e.cause) .. " " .. e.patch
          end)
        end
        local function try()
          return hot.swapstring("@server.lua", HANGS, { guard = { errors = 5, within = 60, slow = 0.05 } })
        end
        local ok, message = pcall(hot.swapstring, "@server.lua", HANGS,
          { guard = { errors = 5, within = 60, slow = 0 } })
        assert(not ok and message:find("slow: more than 0 seconds expected"), message)
        assert(try())
        local list = hot.probation()
        assert(#list == 1 and list[1].patch == 1 and list[1].left == 5 and list[1].slow == 0.05)
        assert(hot.stats().probation == 1)
        local ok, message = pcall(handle, 10)
        assert(not ok and message:find("interrupted: handle of patch 1"), message)
        assert(handle(10) == "old 10" and #hot.probation() == 0)
        local list = hot.quarantine()
        assert(#list == 1 and list[1].patch == 1 and list[1].cause == "slow")
        assert(list[1].chunk == "server.lua" and #list[1].hash == 32)
        assert(list[1].deed:find("did not return within 0.05 s: handle"), list[1].deed)
        local report, message = try()
        assert(not report and message:find("P040", 1, true) and message:find("hot.release(1)", 1, true))
        assert(select(2, hot.release(99)) == "no such patch is in quarantine")
        assert(select(2, hot.release("abc")) == "'abc' is no hash of a patch")
        assert(hot.release(list[1].hash) and not hot.release(list[1]) and try())
        assert(not pcall(handle, 10) and hot.release(hot.quarantine()[1]) and try())
        assert(not pcall(handle, 10) and hot.release(hot.quarantine()[1].patch))
        assert(events[1] == "rollback guard slow 1" and events[2] == "released lua nil 1")
        "#,
    )
    .exec()
}
