//! All scenarios as they are (`plain`) and in modes: patches submitted from another thread; under
//! the collector; the patch injected at every safe point of the run behind it; a
//! patch that is refused at every safe point of the runs around it; texts by which
//! scripts patch themselves, injected at every safe point of the script; with
//! faults in every patch (`faults`).
//!
//! A scenario that means nothing in a mode says so: `--- not threads: WHY`,
//! `--- not stress: WHY`, `--- not points: WHY`, `--- not refused-points: WHY`,
//! `--- not sources: WHY`, `--- not faults: WHY`.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moonswap_vm::planning::{Patch, Policy, Report, Timing};
use moonswap_vm::{HotError, Stress};

use moonswap_harness::Cases;

use crate::language::stem;
use crate::scenario::{
    NOTHING, Section, carry_out_around, carry_out_by, carry_out_in, chunk, policy, sections,
};
use crate::support::{files, root};
use crate::world::{World, compile};

/// A scenario file.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) sections: Vec<Section>,
    text: String,
}

impl Scenario {
    /// Whether it has a section of a kind.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.sections.iter().any(|section| section.kind == kind)
    }
}

/// All scenario files, read once.
fn all() -> &'static [Arc<Scenario>] {
    static ALL: OnceLock<Vec<Arc<Scenario>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let paths = files(&root().join("lua-tests/hotpatch"), "scn");
        assert!(paths.len() >= 250, "only {} scenarios", paths.len());
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).expect("readable");
            let (name, sections) = (stem(path), sections(&text));
            Arc::new(Scenario {
                name,
                sections,
                text,
            })
        };
        paths.iter().map(read).collect()
    })
}

/// Adds a case `hotpatch/MODE/NAME` for each scenario that has something for the mode
/// to do and does not opt out of it; at most one in `one_in` may.
pub(crate) fn add_mode(
    cases: &mut Cases,
    mode: &str,
    one_in: usize,
    applies: impl Fn(&Scenario) -> bool,
    check: impl Fn(&Scenario) -> Result<(), String> + Copy + Send + 'static,
) {
    let mut opted_out = 0;
    for scenario in all() {
        let reason = scenario.sections.iter().find_map(|s| {
            let (not, why) = s.argument.split_once(':').unwrap_or((&s.argument, ""));
            (s.kind == "not" && not == mode).then(|| why.trim())
        });
        if let Some(why) = reason {
            assert!(!why.is_empty(), "{}: no reason", scenario.name);
            assert!(applies(scenario), "{}: {mode} does nothing", scenario.name);
            opted_out += 1;
            continue;
        }
        if !applies(scenario) {
            continue;
        }
        let scenario = Arc::clone(scenario);
        let name = format!("hotpatch/{mode}/{}", scenario.name);
        cases.add(name, move || check(&scenario));
    }
    assert!(
        opted_out * one_in < all().len(),
        "{opted_out} opt out of {mode}"
    );
}

pub(crate) fn add(cases: &mut Cases) {
    let injected = |s: &Scenario| !injectable(&s.sections).is_empty();
    add_mode(cases, "points", 4, injected, at_every_safe_point);
    let is_refused = |s: &Scenario| s.has("refuse");
    add_mode(
        cases,
        "refused-points",
        20,
        is_refused,
        refused_at_every_safe_point,
    );
    let has_source = |s: &Scenario| s.has("source");
    add_mode(cases, "sources", 4, has_source, sources_at_every_safe_point);
    let always = |_: &Scenario| true;
    add_mode(cases, "threads", 4, always, |scenario| {
        let world = World::new();
        world.stretch(STRETCH);
        carry_out_by(&world, &scenario.sections, &from_another_thread)
    });
    add_mode(cases, "stress", 4, always, under_stress);
    add_mode(cases, "plain", 4, always, |scenario| {
        carry_out_in(&World::new(), &scenario.text)
    });
    cases.at_end(|| {
        let (n_refused, n_applied) = (N_REFUSED.load(Relaxed), N_APPLIED.load(Relaxed));
        println!("refused at {n_refused} safe points, not yet or no more at {n_applied}");
        println!("{} safe points of scenarios", N_POINTS.load(Relaxed));
        if n_refused <= 100 {
            return Err(format!("only {n_refused} patches refused at safe points"));
        }
        Ok(())
    });
}

/// Safe points at which a patch was injected.
static N_POINTS: AtomicUsize = AtomicUsize::new(0);
/// Safe points at which a patch was refused as it should, and where it was not.
static N_REFUSED: AtomicUsize = AtomicUsize::new(0);
static N_APPLIED: AtomicUsize = AtomicUsize::new(0);

/// How many times as long times are where another thread is waited for, or the
/// machine is slow.
const STRETCH: u32 = 5;

/// Submits from another thread while the machine runs Lua and, if the patch waits
/// for that, is polled.
fn from_another_thread(world: &World, patch: Patch, policy: Policy) -> Result<Report, HotError> {
    let patcher = world.machine.patcher();
    let needs_polls = policy.timing == Timing::Checkpoint;
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
        if needs_polls {
            world.machine.poll();
        }
    }
    thread.join().expect("thread")
}

fn under_stress(scenario: &Scenario) -> Result<(), String> {
    let modes = [
        Stress::always(true, false, true, 1),
        Stress::always(false, true, true, 0),
    ];
    for mode in modes {
        let world = World::new();
        world.machine.set_stress(mode);
        world.stretch(STRETCH);
        carry_out_in(&world, &scenario.text).map_err(|why| format!("{mode:?}: {why}"))?;
    }
    Ok(())
}

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

/// Where section `at`, a patch, begins with its other chunks.
fn beginning(sections: &[Section], at: usize) -> usize {
    let with = sections[..at].iter().rev();
    at - with.take_while(|s| s.kind == "with").count()
}

/// The patch of section `at`, to be applied at once.
fn patch_of(sections: &[Section], at: usize) -> Result<(Patch, Policy), String> {
    let texts: Vec<(String, &str)> = sections[beginning(sections, at)..=at]
        .iter()
        .map(|s| (chunk(&s.argument), s.body.as_str()))
        .collect();
    let patch = compile(&texts).map_err(|e| e.to_string())?;
    Ok((patch, policy_at(sections, at)))
}

/// The policy in force at section `at`, for a patch that is applied at once.
fn policy_at(sections: &[Section], at: usize) -> Policy {
    let mut before = sections[..at].iter().rev();
    let set = before.find(|s| s.kind == "policy");
    set.map_or_else(Policy::default, |s| policy(&s.body))
        .timing(Timing::Immediate)
}

/// What is put into a run: the sections before it that are carried out, the patch,
/// the section that runs.
struct Injection {
    before: usize,
    patch: Patch,
    policy: Policy,
    run: usize,
}

impl Injection {
    /// Of section `at`, a patch with a run behind it.
    fn of_patch(sections: &[Section], at: usize) -> Result<Injection, String> {
        let (patch, policy) = patch_of(sections, at)?;
        let run = (at..sections.len()).find(|&i| sections[i].kind == "run");
        Ok(Injection {
            before: beginning(sections, at),
            patch,
            policy,
            run: run.ok_or("no run")?,
        })
    }

    /// Of a text that a script has for patching itself.
    fn of_source(sections: &[Section], at: usize, run: usize) -> Result<Injection, String> {
        let texts = [(chunk(""), sections[at].body.as_str())];
        Ok(Injection {
            before: run,
            patch: compile(&texts).map_err(|e| e.to_string())?,
            policy: policy_at(sections, run),
            run,
        })
    }
}

/// Carries out what comes before a run, and runs it with the patch at safe point `k`
/// (`usize::MAX`: never).
fn inject(sections: &[Section], injection: &Injection, k: usize) -> Result<Injected, String> {
    let world = World::new();
    match carry_out_in_part(&world, &sections[..injection.before]) {
        Err(why) if why != NOTHING => return Err(why),
        _ => {}
    }
    let (patch, policy) = (injection.patch.clone(), injection.policy.clone());
    world.printed();
    let script = &sections[injection.run].body;
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
fn at_every_point(sections: &[Section], injection: &Injection) -> Result<usize, String> {
    let old = inject(sections, injection, usize::MAX)?;
    let new = inject(sections, injection, 0)?;
    let legal: Vec<String> = sections[..injection.run]
        .iter()
        .rev()
        .take_while(|s| s.kind != "run")
        .filter(|s| s.kind == "legal")
        .flat_map(|s| s.body.lines().map(str::to_owned))
        .collect();
    let known: HashSet<&str> = words(&old.lines)
        .chain(words(&new.lines))
        .chain(words(&legal))
        .collect();
    let n = old.n_points;
    // The first was `new`.
    for k in 1..n {
        let got = inject(sections, injection, k)?;
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
        let is_known = |word: &&str| {
            let mut beginnings = legal.iter().filter_map(|l| l.strip_suffix('*'));
            known.contains(word) || beginnings.any(|beginning| word.starts_with(beginning))
        };
        if let Some(word) = words(&got.lines[got.before..]).find(|word| !is_known(word)) {
            return fail(&format!("neither the old nor the new code prints {word:?}"));
        }
    }
    Ok(n)
}

fn at_every_safe_point(scenario: &Scenario) -> Result<(), String> {
    let sections = &scenario.sections;
    for at in injectable(sections) {
        let line = sections[at].line;
        let n = Injection::of_patch(sections, at)
            .and_then(|injection| at_every_point(sections, &injection))
            .map_err(|e| format!("line {line}: {e}"))?;
        N_POINTS.fetch_add(n, Relaxed);
    }
    Ok(())
}

/// Carries out everything with the patch of section `at` tried as well at the `k`-th
/// safe point of section `during`. Answers whether it was refused there, and how many
/// safe points there were.
fn refuse_at(
    sections: &[Section],
    at: usize,
    during: usize,
    k: usize,
) -> Result<(Option<bool>, usize), String> {
    let world = World::new();
    let (patch, policy) = patch_of(sections, at)?;
    let points = Rc::new(Cell::new(0));
    let refused = Rc::new(Cell::new(None));
    let around = |i: usize, is_before: bool| {
        if i != during {
            return;
        }
        let (points, refused) = (points.clone(), refused.clone());
        let (patch, policy) = (patch.clone(), policy.clone());
        let hook = move |cx: &mut moonswap_vm::Context<'_>| {
            if points.get() == k {
                refused.set(Some(cx.hot_apply(&patch, &policy).is_err()));
                let _ = cx.gc_collect();
            }
            points.set(points.get() + 1);
        };
        if is_before {
            world.machine.set_safe_point_hook(Some(Box::new(hook)));
        } else {
            world.machine.set_safe_point_hook(None);
        }
    };
    let here = |world: &World, patch: Patch, policy: Policy| {
        world.machine.with(|cx| cx.hot_apply(&patch, &policy))
    };
    let outcome = carry_out_around(&world, sections, &here, &around);
    match (refused.get(), outcome) {
        // Refused or never tried: all is as if nothing had been.
        (Some(true) | None, Err(why)) => Err(why),
        (refused, _) => Ok((refused, points.get())),
    }
}

/// A patch that is refused at a safe point changes nothing: the scenario goes on as
/// it does without.
fn refused_at_every_safe_point(scenario: &Scenario) -> Result<(), String> {
    let sections = &scenario.sections;
    for at in 0..sections.len() {
        let is_refused = sections.get(at + 1).is_some_and(|s| s.kind == "refuse");
        if sections[at].kind != "patch" || !is_refused || patch_of(sections, at).is_err() {
            continue;
        }
        let runs = |i: &usize| ["load", "string", "run"].contains(&sections[*i].kind.as_str());
        let before = (0..at).rev().find(runs);
        let after = (at..sections.len()).find(runs);
        for during in before.into_iter().chain(after) {
            let mut k = 0;
            loop {
                let line = sections[at].line;
                let (refused, n) = refuse_at(sections, at, during, k).map_err(|why| {
                    let during = sections[during].line;
                    format!("line {line} at safe point {k} of line {during}: {why}")
                })?;
                match refused {
                    Some(true) => N_REFUSED.fetch_add(1, Relaxed),
                    Some(false) => N_APPLIED.fetch_add(1, Relaxed),
                    None => 0,
                };
                k += 1;
                if k > n {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Scripts that patch themselves get their texts from outside as well, at every safe
/// point.
fn sources_at_every_safe_point(scenario: &Scenario) -> Result<(), String> {
    let sections = &scenario.sections;
    let kind = |i: usize| sections[i].kind.as_str();
    for at in (0..sections.len()).filter(|&at| kind(at) == "source") {
        for run in (at..sections.len()).filter(|&i| kind(i) == "run") {
            if kind((run + 1).min(sections.len() - 1)) == "error" {
                continue;
            }
            let Ok(injection) = Injection::of_source(sections, at, run) else {
                continue;
            };
            let line = sections[run].line;
            let n =
                at_every_point(sections, &injection).map_err(|e| format!("line {line}: {e}"))?;
            N_POINTS.fetch_add(n, Relaxed);
        }
    }
    Ok(())
}
