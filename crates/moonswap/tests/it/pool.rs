//! One patch for 8 VMs on 4 threads: canaries, holds, aborts, VMs that are gone,
//! stuck, patched otherwise, or have not loaded the chunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use moonswap::prelude::*;
use moonswap::{Abort, FileChunk, MemberOutcome, PatchFile, Patcher, Pool, PoolReport, Trust};

const VMS: usize = 8;
const THREADS: usize = 4;
const OLD: &str = "local n = 0\nfunction count() n = n + 1 return n end";
const HOUR: Duration = Duration::from_secs(3600);

fn new_text(step: i64) -> Vec<u8> {
    OLD.replace("n + 1", &format!("n + {step}")).into_bytes()
}

fn patch(step: i64) -> Patch {
    Patch::compile("@count.lua", &new_text(step)).expect("compiles")
}

/// 8 VMs on 4 threads, each calling `count` all the time; VM `i` calls it
/// between others' turns, and waits in between like a server.
struct Fleet {
    pool: Pool,
    patchers: Vec<Patcher>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// What the last call of each VM added, asked at the end.
    steps: std::sync::mpsc::Receiver<(usize, i64)>,
}

impl Fleet {
    fn start(prepare: impl Fn(usize, &Lua) + Send + Sync + 'static) -> Fleet {
        let stop = Arc::new(AtomicBool::new(false));
        let prepare = Arc::new(prepare);
        let (to_pool, patchers) = channel();
        let (to_test, steps) = channel();
        let threads = (0..THREADS)
            .map(|thread| {
                let (stop, prepare) = (Arc::clone(&stop), Arc::clone(&prepare));
                let (to_pool, to_test) = (to_pool.clone(), to_test.clone());
                std::thread::spawn(move || {
                    let vms: Vec<(usize, Lua)> = (thread..VMS)
                        .step_by(THREADS)
                        .map(|i| {
                            let lua = Lua::new();
                            lua.load(OLD).set_name("@count.lua").exec().expect("runs");
                            prepare(i, &lua);
                            to_pool.send((i, lua.hot().patcher())).expect("sent");
                            (i, lua)
                        })
                        .collect();
                    drop(to_pool);
                    let count = |lua: &Lua| lua.globals().get::<Function>("count").expect("there");
                    while !stop.load(Ordering::Relaxed) {
                        for (_, lua) in &vms {
                            count(lua).call::<i64>(()).expect("never fails");
                        }
                        std::thread::sleep(Duration::from_micros(200));
                    }
                    for (i, lua) in &vms {
                        let before = count(lua).call::<i64>(()).expect("runs");
                        let after = count(lua).call::<i64>(()).expect("runs");
                        to_test.send((*i, after - before)).expect("sent");
                    }
                })
            })
            .collect();
        drop(to_pool);
        let mut patchers: Vec<_> = patchers.iter().collect();
        patchers.sort_by_key(|(i, _)| *i);
        let patchers: Vec<Patcher> = patchers.into_iter().map(|(_, patcher)| patcher).collect();
        let mut pool = Pool::new();
        for (i, patcher) in patchers.iter().enumerate() {
            pool.add(format!("vm{i}"), patcher.clone());
        }
        Fleet {
            pool,
            patchers,
            stop,
            threads,
            steps,
        }
    }

    /// By how much each VM counts now.
    fn end(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no VM fails");
        }
        let mut steps: Vec<(usize, i64)> = self.steps.iter().collect();
        steps.sort_unstable();
        steps.into_iter().map(|(_, step)| step).collect()
    }
}

fn kinds(report: &PoolReport) -> Vec<&'static str> {
    report.members.iter().map(|m| m.outcome.kind()).collect()
}

#[test]
fn all_of_them_each_at_its_own_safe_point() {
    let fleet = Fleet::start(|_, _| {});
    for step in [10, 20, 30] {
        let report = fleet.pool.apply(&patch(step)).run();
        assert!(report.is_complete(), "{report}");
        assert_eq!(report.n_applied(), VMS);
        for member in &report.members {
            let MemberOutcome::Applied(done) = &member.outcome else {
                panic!("{member}");
            };
            assert_eq!(done.functions.iter().filter(|f| f.id == "count").count(), 1);
        }
        assert_eq!(report.to_string().lines().count(), 1 + VMS, "{report}");
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(
            json.get("members").and_then(|m| m.as_array()).map(Vec::len),
            Some(VMS)
        );
    }
    assert_eq!(fleet.end(), [30; VMS]);
}

#[test]
fn a_canary_that_the_host_does_not_like_is_undone() {
    let fleet = Fleet::start(|_, _| {});
    let mut looks = 0;
    let start = Instant::now();
    let report = fleet
        .pool
        .apply(&patch(10))
        .canary(2)
        .hold(HOUR)
        .abort_if(|canaries| {
            looks += 1;
            assert_eq!(canaries.len(), 2);
            assert_eq!(canaries[1].name, "vm1");
            looks == 3
        })
        .run();
    assert!(start.elapsed() < HOUR / 2, "the hold ends at once");
    assert_eq!(report.aborted, Some(Abort::AskedFor));
    assert!(!report.is_complete());
    let mut expected = ["not-tried"; VMS];
    expected[..2].fill("undone");
    assert_eq!(kinds(&report), expected, "{report}");
    assert_eq!(fleet.end(), [1; VMS]);
}

#[test]
fn canaries_that_hold_bring_the_others_along() {
    let fleet = Fleet::start(|_, _| {});
    let hold = Duration::from_millis(60);
    let mut longest = Duration::ZERO;
    let start = Instant::now();
    let report = fleet
        .pool
        .apply(&patch(10))
        .canary(1)
        .hold(hold)
        .abort_if(|canaries| {
            longest = canaries[0].running;
            false
        })
        .run();
    assert!(start.elapsed() >= hold && longest >= hold, "{longest:?}");
    assert!(report.is_complete(), "{report}");
    assert_eq!(fleet.end(), [10; VMS]);
}

/// A VM whose text is another cannot take what the others can.
fn other_text(odd: usize) -> impl Fn(usize, &Lua) + Send + Sync + 'static {
    move |i, lua| {
        if i == odd {
            lua.load("local k = 0\nlocal function make(more) local n = 0 return function() n = n + 1 return k + n end end\ncount = make(5)")
                .set_name("@count.lua")
                .exec()
                .expect("runs");
        }
    }
}

/// Refused where [`other_text`] runs: `made` is new there and captures a local
/// that the closure does not have.
const FACTORY: &str = "local k = 0\nlocal function make(more) local n = 0 return function() n = n + more return k + n end end\ncount = make(5)";

#[test]
fn a_refusal_by_a_canary_stops_the_rollout() {
    let fleet = Fleet::start(other_text(0));
    let patch = Patch::compile("@count.lua", FACTORY.as_bytes()).expect("compiles");
    let report = fleet.pool.apply(&patch).canary(1).run();
    assert_eq!(
        report.aborted,
        Some(Abort::Failed("vm0".into())),
        "{report}"
    );
    let mut expected = ["not-tried"; VMS];
    expected[0] = "refused";
    assert_eq!(kinds(&report), expected, "{report}");
    assert_eq!(fleet.end(), [1; VMS]);
}

#[test]
fn together_means_everywhere_or_nowhere() {
    let based = |fleet: &Fleet| {
        // Made for the text that all but one of them run.
        let file = PatchFile::new(
            vec![FileChunk {
                name: "@count.lua".into(),
                base: Some(moonswap::TextDigest::of(OLD.as_bytes())),
                changes: vec![],
                source: new_text(10),
            }],
            Policy::default(),
        );
        let (patch, policy) = Trust::new().open(&file).expect("believed");
        (patch, policy, fleet.pool.clone())
    };
    let fleet = Fleet::start(other_text(5));
    let (patch, policy, pool) = based(&fleet);
    let report = pool.apply(&patch).policy(policy.clone()).together().run();
    assert_eq!(
        report.aborted,
        Some(Abort::Failed("vm5".into())),
        "{report}"
    );
    let mut expected = ["undone"; VMS];
    expected[5] = "refused";
    assert_eq!(kinds(&report), expected, "{report}");
    // Without it the others keep it.
    let report = pool.apply(&patch).policy(policy).run();
    assert_eq!(report.aborted, None);
    expected.fill("applied");
    expected[5] = "refused";
    assert_eq!(kinds(&report), expected, "{report}");
    let steps = fleet.end();
    assert_eq!(steps.iter().filter(|&&step| step == 10).count(), VMS - 1);
}

#[test]
fn who_is_gone_or_has_not_loaded_it_is_no_canary() {
    let fleet = Fleet::start(|_, _| {});
    let mut pool = Pool::new();
    pool.add("gone", Lua::new().hot().patcher());
    // A VM that has nothing to be patched.
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        let lua = Lua::new();
        sender.send(lua.hot().patcher()).expect("sent");
        while !stopped.load(Ordering::Relaxed) {
            lua.load("for i = 1, 1000 do end").exec().expect("runs");
        }
    });
    pool.add("empty", receiver.recv().expect("started"));
    for (i, patcher) in fleet.patchers.iter().enumerate() {
        pool.add(format!("vm{i}"), patcher.clone());
    }
    let mut seen = Vec::new();
    let report = pool
        .apply(&patch(10))
        .canary(2)
        .abort_if(|canaries| {
            seen = canaries.iter().map(|c| c.name.clone()).collect();
            false
        })
        .run();
    assert_eq!(seen, ["vm0", "vm1"], "{report}");
    assert_eq!(
        kinds(&report)[..3],
        ["gone", "not-loaded", "applied"],
        "{report}"
    );
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.n_applied(), VMS);
    assert_eq!(pool.sweep(), VMS + 1);
    stop.store(true, Ordering::Relaxed);
    thread.join().expect("runs");
    assert_eq!(fleet.end(), [10; VMS]);
    assert_eq!(pool.sweep(), 0);
}

#[test]
fn a_stuck_vm_does_not_hold_up_the_others() {
    let (stuck_sender, stuck) = channel();
    let (release, released) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let lua = Lua::new();
        lua.load(OLD).set_name("@count.lua").exec().expect("runs");
        stuck_sender.send(lua.hot().patcher()).expect("sent");
        // It reaches no safe point until it is released.
        released.recv().expect("released");
        lua.load("for i = 1, 1000 do count() end return count()")
            .eval::<i64>()
            .expect("runs")
    });
    let fleet = Fleet::start(|_, _| {});
    let mut pool = fleet.pool.clone();
    pool.add("stuck", stuck.recv().expect("started"));
    let report = pool
        .apply(&patch(10))
        .timeout(Duration::from_millis(500))
        .run();
    let mut expected = ["applied"; VMS + 1];
    expected[VMS] = "timed-out";
    assert_eq!(kinds(&report), expected, "{report}");
    release.send(()).expect("it waits");
    // Withdrawn means withdrawn.
    assert_eq!(thread.join().expect("runs"), 1001);
    assert_eq!(fleet.end(), [10; VMS]);
}

/// What somebody else commits meanwhile is not undone with the canary.
#[test]
fn a_canary_that_was_patched_otherwise_is_left_alone() {
    let fleet = Fleet::start(|_, _| {});
    let pool = fleet.pool.clone();
    let mut other = Pool::new();
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        let lua = Lua::new();
        lua.load(OLD).set_name("@count.lua").exec().expect("runs");
        sender.send(lua.hot().patcher()).expect("sent");
        let count: Function = lua.globals().get("count").expect("there");
        while lua.hot().generation() < 3 {
            count.call::<i64>(()).expect("runs");
        }
        let before = count.call::<i64>(()).expect("runs");
        count.call::<i64>(()).expect("runs") - before
    });
    let patcher = receiver.recv().expect("started");
    other.add("canary", patcher.clone());
    let mut late = Some(patcher);
    let report = other
        .apply(&patch(10))
        .canary(1)
        .hold(HOUR)
        .abort_if(|_| {
            if let Some(patcher) = late.take() {
                patcher
                    .submit(patch(20), Policy::default())
                    .wait(None)
                    .expect("applied");
            }
            false
        })
        .run();
    assert_eq!(
        report.aborted,
        Some(Abort::Left("canary".into())),
        "{report}"
    );
    assert!(
        matches!(kinds(&report)[..], ["not-undone" | "gone"]),
        "{report}"
    );
    assert_eq!(thread.join().expect("runs"), 20);
    assert!(pool.apply(&patch(5)).run().is_complete());
    assert_eq!(fleet.end(), [5; VMS]);
}

/// A patch that changes nothing is no reason to undo an earlier one.
#[test]
fn nothing_changed_is_nothing_to_undo() {
    let fleet = Fleet::start(|_, _| {});
    assert!(fleet.pool.apply(&patch(10)).run().is_complete());
    let report = fleet
        .pool
        .apply(&patch(10))
        .canary(2)
        .abort_if(|_| true)
        .run();
    assert_eq!(report.aborted, Some(Abort::AskedFor));
    assert_eq!(fleet.end(), [10; VMS]);
}

/// A canary whose new code raises too many errors undoes the patch itself; the
/// pool sees that and undoes it in the other canaries.
#[test]
fn errors_of_a_canary_stop_the_rollout() {
    let (sender, receiver) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let lua = Lua::new();
        lua.load(OLD).set_name("@count.lua").exec().expect("runs");
        sender.send(lua.hot().patcher()).expect("sent");
        let count: Function = lua.globals().get("count").expect("there");
        let mut errors = 0;
        while !stopped.load(Ordering::Relaxed) {
            errors += u32::from(count.call::<i64>(()).is_err());
            std::thread::sleep(Duration::from_micros(200));
        }
        let last = count.call::<i64>(()).is_ok();
        (errors, last)
    });
    let fleet = Fleet::start(|_, _| {});
    let mut pool = Pool::new();
    pool.add("faulty", receiver.recv().expect("started"));
    for (i, patcher) in fleet.patchers.iter().enumerate() {
        pool.add(format!("vm{i}"), patcher.clone());
    }
    let faulty = "local n = 0\nfunction count() error 'no' end";
    let patch = Patch::compile("@count.lua", faulty.as_bytes()).expect("compiles");
    let report = pool
        .apply(&patch)
        .canary(1)
        .hold(HOUR)
        .abort_on_errors(3)
        .run();
    assert_eq!(
        report.aborted,
        Some(Abort::Left("faulty".into())),
        "{report}"
    );
    let mut expected = ["not-tried"; VMS + 1];
    expected[0] = "not-undone";
    assert_eq!(kinds(&report), expected, "{report}");
    stop.store(true, Ordering::Relaxed);
    let (errors, last) = thread.join().expect("runs");
    assert!(
        errors > 3 && last,
        "{errors} errors, the old code runs: {last}"
    );
    assert_eq!(fleet.end(), [1; VMS]);
}
