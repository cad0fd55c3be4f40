//! All scenarios again, in modes: patches submitted from another thread; under
//! the collector; the patch injected at every safe point of the run behind it;
//! with faults in every patch (`faults`).
//!
//! A scenario that means nothing in a mode says so: `--- not threads: WHY`,
//! `--- not stress: WHY`, `--- not points: WHY`, `--- not faults: WHY`.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moonswap_vm::planning::{Patch, Policy, Report, Timing};
use moonswap_vm::{HotError, Stress};

use super::scenarios::{NOTHING, Section, carry_out_by, carry_out_in, chunk, policy, sections};
use super::world::{World, compile};
use crate::support::{in_parallel, root};

/// Scenarios with their names, and how many opt out of a mode.
pub(super) fn scenarios(mode: &str) -> (Vec<(String, Vec<Section>, String)>, usize) {
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let mut found = Vec::new();
    let mut opted_out = 0;
    for path in crate::support::files(&root().join("lua-tests/hotpatch"), "scn") {
        let name = name_of(&path);
        let text = std::fs::read_to_string(&path).expect("readable");
        let sections = sections(&text);
        let reason = sections.iter().find_map(|s| {
            let (not, why) = s.argument.split_once(':').unwrap_or((&s.argument, ""));
            (s.kind == "not" && not == mode).then(|| why.trim().to_owned())
        });
        match reason {
            Some(why) => {
                assert!(!why.is_empty(), "{name}: no reason");
                println!("not {mode}: {name}: {why}");
                opted_out += 1;
            }
            None if name.contains(&only) => found.push((name, sections, text)),
            None => {}
        }
    }
    println!(
        "{} scenarios in mode {mode}, {opted_out} opt out",
        found.len()
    );
    (found, opted_out)
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

pub(super) fn assert_none(results: Vec<Option<String>>) {
    let failures: Vec<String> = results.into_iter().flatten().collect();
    assert!(
        failures.is_empty(),
        "{} fail:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

/// Submits from another thread while the machine runs Lua and is polled.
fn from_another_thread(world: &World, patch: Patch, policy: Policy) -> Result<Report, HotError> {
    let patcher = world.machine.patcher();
    let done = Arc::new(AtomicBool::new(false));
    let thread = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            let patience = Some(Duration::from_secs(60));
            let outcome = patcher.submit(patch, policy).wait(patience);
            done.store(true, Ordering::Release);
            outcome
        })
    };
    while !done.load(Ordering::Acquire) {
        world
            .run("local function nothing() end for i = 1, 100 do nothing() end")
            .expect("runs");
        world.machine.poll();
    }
    thread.join().expect("thread")
}

#[test]
fn scenarios_from_other_threads() {
    let (all, opted_out) = scenarios("threads");
    let results = in_parallel(&all, |(name, sections, _)| {
        let why = carry_out_by(&World::new(), sections, &from_another_thread).err()?;
        Some(format!("{name}: {why}"))
    });
    assert!(
        opted_out * 4 < all.len() || all.len() < 50,
        "{opted_out} opt out"
    );
    assert_none(results);
}

#[test]
fn scenarios_under_stress() {
    let modes = [
        Stress::always(true, false, true, 1),
        Stress::always(false, true, true, 0),
    ];
    let (all, opted_out) = scenarios("stress");
    let results = in_parallel(&all, |(name, _, text)| {
        modes.iter().find_map(|&mode| {
            let world = World::new();
            world.machine.set_stress(mode);
            let why = carry_out_in(&world, text).err()?;
            Some(format!("{name}, {mode:?}: {why}"))
        })
    });
    assert!(
        opted_out * 4 < all.len() || all.len() < 50,
        "{opted_out} opt out"
    );
    assert_none(results);
}

/// Safe points of one run that are tried one by one; beyond, a choice.
const EACH: usize = 40;

/// One run of a script with a patch at its `k`-th safe point.
struct Injected {
    /// What was printed, and the error it ended with.
    lines: Vec<String>,
    /// How many of these lines were there when the patch came.
    before: usize,
    n_points: usize,
    /// The patch was refused.
    refused: Option<String>,
}

/// Carries out what comes before section `at`, a patch, and runs the script
/// behind it with the patch at safe point `k` (`usize::MAX`: never).
fn inject(sections: &[Section], at: usize, k: usize) -> Result<Injected, String> {
    let world = World::new();
    let mut first = at;
    while first > 0 && sections[first - 1].kind == "with" {
        first -= 1;
    }
    match carry_out_in_part(&world, &sections[..first]) {
        Err(why) if why != NOTHING => return Err(why),
        _ => {}
    }
    let texts: Vec<(String, &str)> = sections[first..=at]
        .iter()
        .map(|s| (chunk(&s.argument), s.body.as_str()))
        .collect();
    let patch = compile(&texts).map_err(|e| e.to_string())?;
    let policy = sections[..at]
        .iter()
        .rev()
        .find(|s| s.kind == "policy")
        .map_or_else(Policy::default, |s| policy(&s.body))
        .timing(Timing::Immediate);
    world.printed();
    let script = sections[at..].iter().find(|s| s.kind == "run");
    let script = &script.ok_or("no run")?.body;
    let printed = Rc::new(RefCell::new(String::new()));
    let points = Rc::new(Cell::new(0));
    let refused = Rc::new(RefCell::new(None));
    let hook = {
        let (points, printed, refused) = (points.clone(), printed.clone(), refused.clone());
        let take = world.taker();
        move |cx: &mut moonswap_vm::Context<'_>| {
            if points.get() == k {
                printed.borrow_mut().push_str(&take());
                let outcome = cx.hot_apply(&patch, &policy);
                *refused.borrow_mut() = outcome.err().map(|e| e.to_string());
                let _ = cx.gc_collect();
            }
            points.set(points.get() + 1);
        }
    };
    world.machine.set_safe_point_hook(Some(Box::new(hook)));
    let outcome = world.run(script);
    world.machine.set_safe_point_hook(None);
    world.machine.verify_heap();
    let mut all = printed.take();
    let before = all.lines().count();
    all.push_str(&world.printed());
    let mut lines: Vec<String> = all.lines().map(str::to_owned).collect();
    if let Err(e) = outcome {
        lines.push(format!("error: {e}"));
    }
    Ok(Injected {
        lines,
        before,
        n_points: points.get(),
        refused: refused.take(),
    })
}

fn carry_out_in_part(world: &World, sections: &[Section]) -> Result<(), String> {
    carry_out_by(world, sections, &|world, patch, policy| {
        world.machine.with(|cx| cx.hot_apply(&patch, &policy))
    })
}

/// Places of patches that are applied and have a run behind them.
fn injectable(sections: &[Section]) -> Vec<usize> {
    let next = |at: usize| {
        let mut rest = sections[at + 1..].iter();
        rest.find(|s| s.kind != "report" && s.kind != "not")
            .map(|s| s.kind.as_str())
    };
    (0..sections.len())
        .filter(|&at| sections[at].kind == "patch" && next(at) == Some("run"))
        .collect()
}

fn words(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().flat_map(|line| line.split('\t'))
}

/// The output with the patch at any safe point: what was printed before it is the
/// old code's, and every word printed after it is one that the old or the new code
/// prints (a line may have words of calls before and after the patch).
fn at_every_point(sections: &[Section], at: usize) -> Result<usize, String> {
    let old = inject(sections, at, usize::MAX)?;
    let new = inject(sections, at, 0)?;
    let n = old.n_points;
    let mut k = 1;
    while k < n {
        let got = inject(sections, at, k)?;
        let fail = |why: &str| {
            Err(format!(
                "safe point {k} of {n}: {why}\n{}\n- old\n{}\n- new\n{}",
                got.lines.join("\n"),
                old.lines.join("\n"),
                new.lines.join("\n")
            ))
        };
        let is_busy = got.refused.as_deref() == Some(&HotError::Busy.to_string());
        if got.refused.is_some() != new.refused.is_some() && got.n_points > k && !is_busy {
            return fail(&format!("refused {:?}, not {:?}", got.refused, new.refused));
        }
        if got.lines.get(..got.before) != old.lines.get(..got.before) {
            return fail("not the old code's output before the patch");
        }
        let is_known = |word: &str| {
            words(&old.lines)
                .chain(words(&new.lines))
                .any(|w| w == word)
        };
        if let Some(word) = words(&got.lines[got.before..]).find(|word| !is_known(word)) {
            return fail(&format!("neither the old nor the new code prints {word:?}"));
        }
        k += if k < EACH { 1 } else { (n / EACH).max(1) };
    }
    Ok(n)
}

#[test]
fn scenarios_at_every_safe_point() {
    let (all, opted_out) = scenarios("points");
    let results = in_parallel(&all, |(name, sections, _)| {
        let places = injectable(sections);
        let run = |&at: &usize| {
            let line = sections[at].line;
            at_every_point(sections, at).map_err(|e| format!("{name}, line {line}: {e}"))
        };
        places
            .iter()
            .map(run)
            .collect::<Result<Vec<usize>, String>>()
    });
    let ok = || results.iter().filter_map(|r| r.as_ref().ok());
    println!(
        "{} scenarios with a patch before a run, {} safe points",
        ok().filter(|n| !n.is_empty()).count(),
        ok().flatten().sum::<usize>()
    );
    assert!(
        opted_out * 4 < all.len() || all.len() < 50,
        "{opted_out} opt out"
    );
    assert_none(results.into_iter().map(Result::err).collect());
}
