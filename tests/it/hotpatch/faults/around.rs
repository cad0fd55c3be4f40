//! Faults of the host's side: listeners and recorders that fail, a disk that is
//! full, one VM of several, damaged files. Through the facade, as hosts do it.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use moonswap::audit::{self, AuditLog};
use moonswap::prelude::*;
use moonswap::{EventKind, FileChunk, HotError, MemberOutcome, PatchFile, Pool, TextDigest};

use crate::hotpatch::world::{CHUNK, World};
use crate::support::TempFolder;

const OLD: &str = "local n = 0 function f() return 1 end";
const NEW: &str = "local n, t = 0, {} function f() return 2, #t end";
const BAD: &str = "local n, z = 0, error('no') function f() return 3, z end";

fn running() -> Lua {
    let lua = Lua::new();
    lua.load(OLD).set_name(CHUNK).exec().expect("runs");
    lua
}

fn f(lua: &Lua) -> i64 {
    lua.load("return (f())").eval().expect("runs")
}

/// A patch applied, one refused, a rollback, another and a rollback of nothing:
/// whatever the host does meanwhile, the outcomes are these. The warnings of the
/// three reports.
fn a_day(lua: &Lua) -> [Vec<String>; 2] {
    let hot = lua.hot();
    let report = hot.apply_source(CHUNK, NEW).expect("applied");
    assert_eq!((f(lua), hot.generation()), (2, 2));
    assert_eq!(hot.history().len(), 1);
    assert!(hot.apply_source(CHUNK, BAD).is_err());
    assert!(hot.apply_source(CHUNK, "function (").is_err());
    assert_eq!((f(lua), hot.generation()), (2, 2));
    let undone = hot.rollback(report.id()).expect("rolled back");
    assert_eq!((f(lua), hot.generation()), (1, 3));
    assert!(hot.rollback(99).is_err());
    [report.warnings, undone.warnings]
}

/// A panic in a listener, at any event, by any source, changes nothing.
#[test]
fn listeners_that_panic() {
    for kind in EventKind::ALL {
        let lua = running();
        let n = Rc::new(Cell::new(0));
        let heard = Rc::clone(&n);
        lua.hot().on_event(move |lua, event| {
            if event.kind == kind {
                heard.set(heard.get() + 1);
                // In the middle of Lua code of its own, too.
                let nested = lua.create_function(|_, ()| -> moonswap::Result<()> {
                    panic!("nested");
                });
                let nested = nested.expect("made");
                let _ = lua
                    .load("local f = ... return pcall(f)")
                    .transient()
                    .call::<()>(nested);
                panic!("in a listener");
            }
        });
        let from_lua = "local hot = require 'moonswap'
            local ok, why = hot.swapstring('m.lua', ...)
            assert(ok, why) assert(hot.rollback())";
        a_day(&lua);
        lua.load(from_lua).call::<()>(NEW).expect("runs");
        let ticket = lua
            .hot()
            .patcher()
            .submit_source(CHUNK, NEW.as_bytes(), Policy::default());
        let start = Instant::now();
        let outcome = loop {
            lua.poll();
            if let Some(outcome) = ticket.try_take() {
                break outcome;
            }
            assert!(start.elapsed() < Duration::from_secs(30));
        };
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(f(&lua), 2);
        two_on_probation(&lua);
        assert!(n.get() >= 2, "{kind}: {}", n.get());
    }
}

/// Twice a patch passes its probation, and twice one that does not is let out of
/// quarantine.
fn two_on_probation(lua: &Lua) {
    let hot = lua.hot();
    for n in 0..2 {
        let brief = Policy::default().guard(0, Duration::from_millis(1));
        let text = format!("function f() return 2, {n} end");
        hot.patch((CHUNK, text))
            .policy(&brief)
            .apply()
            .expect("applied");
        let start = Instant::now();
        while !hot.probation().is_empty() {
            lua.poll();
            assert!(start.elapsed() < Duration::from_secs(30));
        }
        let long = Policy::default().guard(0, Duration::from_secs(3600));
        let text = format!("function f() error('{n}') end");
        let report = hot
            .patch((CHUNK, text))
            .policy(&long)
            .apply()
            .expect("applied");
        assert!(lua.load("return (f())").eval::<i64>().is_err());
        lua.poll();
        assert_eq!(f(lua), 2);
        assert!(hot.release_patch(report.id()));
    }
}

/// The same below the facade, where nobody else looks after panics; and
/// recorders.
#[test]
fn raw_listeners_and_recorders_that_panic() {
    let world = World::new();
    world.load(CHUNK, OLD, true).expect("loads");
    let heard = Rc::new(Cell::new(0));
    let (a, b) = (Rc::clone(&heard), Rc::clone(&heard));
    world.machine.with(|cx| {
        cx.hot_listen(Rc::new(move |_, _| {
            a.set(a.get() + 1);
            panic!("in a listener");
        }));
        cx.hot_record(Rc::new(move |_| {
            b.set(b.get() + 100);
            panic!("in a recorder");
        }));
    });
    let report = world.patch(CHUNK, NEW).expect("applied");
    let told = report.warnings.join("; ");
    assert!(told.contains("attempt 1 may not be on record"), "{told}");
    assert!(world.patch(CHUNK, BAD).is_err());
    assert_eq!(heard.get(), 404);
    assert_eq!(world.run("return (f())").as_deref(), Ok("2"));
    let undone = world.machine.with(|cx| cx.hot_rollback(None));
    assert!(undone.is_ok_and(|report| report.warnings.len() == 2));
    assert_eq!(world.run("return (f())").as_deref(), Ok("1"));
    world.machine.verify_heap();
}

/// A writer that is full for a while: whole, or in the middle of a line.
#[derive(Clone, Default)]
struct Disk {
    written: Rc<RefCell<Vec<u8>>>,
    /// Bytes it still takes.
    room: Rc<Cell<usize>>,
    panics: bool,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.room.get().min(bytes.len());
        if n == 0 {
            assert!(!self.panics, "the writer panics");
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.set(self.room.get() - n);
        self.written.borrow_mut().extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Wherever the disk is full, attempts go on, and each that is not on record
/// says so; what is on record is unbroken.
#[test]
fn an_audit_record_that_cannot_be_written() {
    for panics in [false, true] {
        for room in (0..4000).step_by(90) {
            let disk = Disk {
                room: Rc::new(Cell::new(room)),
                panics,
                ..Disk::default()
            };
            let lua = running();
            let told = Rc::new(Cell::new(0));
            let count = Rc::clone(&told);
            let log = AuditLog::new(disk.clone()).on_failure(move |_| count.set(count.get() + 1));
            lua.hot().set_audit(log);
            let warnings = a_day(&lua).map(|all| all.join("; "));
            let mut written = disk.written.take();
            let whole = written
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |at| at + 1);
            written.truncate(whole);
            let found = audit::verify(&mut &written[..]).expect("read");
            let n = found.expect("unbroken").records;
            let is_told = |text: &str| text.contains("on record");
            assert_eq!(n < 1, is_told(&warnings[0]), "{n} records: {}", warnings[0]);
            assert_eq!(n < 4, is_told(&warnings[1]), "{n} records: {}", warnings[1]);
            let failed = told.get() + u64::from(panics && n < 5);
            assert_eq!(n + failed, 5, "{room}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_audit_record_on_a_full_disk() {
    let lua = running();
    let told: Rc<RefCell<Vec<String>>> = Rc::default();
    let into = Rc::clone(&told);
    let log = AuditLog::open("/dev/full").expect("opens");
    let log = log.on_failure(move |what| into.borrow_mut().push(what.to_owned()));
    lua.hot().set_audit(log);
    let warnings = a_day(&lua);
    assert!(
        warnings[0][0].contains("attempt 1 is not on record: No space left"),
        "{warnings:?}"
    );
    assert_eq!(told.borrow().len(), 5, "{told:?}");
}

/// One VM of three has no memory for the patch, no time, or raises: it is named,
/// and `together` undoes the others.
#[test]
fn one_of_several_vms() {
    type Ail = fn(&Lua);
    let ails: [(&str, Ail); 4] = [
        ("memory", |lua| {
            lua.set_memory_limit(1).expect("limited");
            let _ = lua.load("local function f() end f()").exec();
            let now = lua.machine().system_memory();
            lua.set_memory_limit(now + 300).expect("limited");
        }),
        ("delta", |lua| lua.set_fuel(Some(0))),
        ("delta", |lua| {
            lua.globals().set("trouble", true).expect("set")
        }),
        ("timed-out", |_| {}),
    ];
    let new = "local n = 0 local t = setmetatable({}, { __index = function() if trouble then error 'no' end end }) local x = t.x
        function f() return 2, x end";
    let patch = Patch::compile(CHUNK, new.as_bytes()).expect("compiles");
    for (kind, ail) in ails {
        for together in [false, true] {
            let stop = Arc::new(AtomicBool::new(false));
            let mut pool = Pool::new();
            let threads: Vec<_> = (0..3)
                .map(|i| {
                    let (sender, receiver) = channel();
                    let stop = Arc::clone(&stop);
                    let thread = std::thread::spawn(move || {
                        let lua = running();
                        if i == 1 {
                            ail(&lua);
                        }
                        sender.send(lua.hot().patcher()).expect("sent");
                        while !stop.load(Ordering::Acquire) {
                            if i != 1 || kind != "timed-out" {
                                lua.poll();
                            }
                            std::thread::yield_now();
                        }
                        lua.set_memory_limit(0).expect("lifted");
                        lua.set_fuel(None);
                        (f(&lua), lua.hot().generation())
                    });
                    pool.add(format!("vm {i}"), receiver.recv().expect("received"));
                    thread
                })
                .collect();
            let rollout = pool
                .apply(&patch)
                .timeout(Duration::from_millis(match kind {
                    "timed-out" => 150,
                    _ => 20_000,
                }));
            let report = match together {
                true => rollout.together().run(),
                false => rollout.run(),
            };
            stop.store(true, Ordering::Release);
            let ran: Vec<(i64, u64)> = threads
                .into_iter()
                .map(|thread| thread.join().expect("whole"))
                .collect();
            let outcomes: Vec<&str> = report.members.iter().map(|m| m.outcome.kind()).collect();
            let others = if together { "undone" } else { "applied" };
            assert_eq!(outcomes, [others, kind, others], "{report}");
            let there = if together { (1, 3) } else { (2, 2) };
            assert_eq!(ran, [there, (1, 1), there], "{report}");
            assert!(!report.is_complete());
            if let MemberOutcome::Failed(error @ HotError::Memory) = &report.members[1].outcome {
                assert!(error.to_string().contains("not enough memory"));
            }
        }
    }
}

/// A patch file cut off anywhere, or with any byte changed: refused and nothing
/// changed, or what is said by it is the same.
#[test]
fn damaged_patch_files() {
    let chunk = FileChunk {
        name: CHUNK.into(),
        base: Some(TextDigest::of(OLD.as_bytes())),
        changes: vec![],
        source: NEW.into(),
    };
    let bytes = PatchFile::new(vec![chunk], Policy::default()).to_bytes();
    let folder = TempFolder::new("damaged");
    let path = folder.path().join("p.moonpatch");
    let lua = running();
    let mut n = (0, 0);
    let mut attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        match lua.hot().patch(&path).apply() {
            Ok(report) => {
                n.0 += 1;
                lua.hot().rollback(report.id()).expect("rolled back");
            }
            Err(error) => {
                n.1 += 1;
                assert!(!error.to_string().is_empty());
            }
        }
        assert_eq!(f(&lua), 1);
        assert!(lua.hot().history().iter().all(|entry| !entry.is_in_force));
    };
    for length in (0..bytes.len()).step_by(3) {
        attempt(&bytes[..length]);
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] = damaged[at].wrapping_add(1 + (at % 7) as u8);
        attempt(&damaged);
    }
    println!("{} applied, {} refused", n.0, n.1);
    assert!(n.1 > bytes.len() / 2);
    std::fs::write(&path, &bytes).expect("written");
    lua.hot().patch(&path).apply().expect("applied");
    assert_eq!(f(&lua), 2);
}
