//! At every safe point: a script runs in a fresh machine for k = 0, 1, 2 … and
//! the patch is applied at its k-th safe point, until it has no more.
//!
//! Scripts are `lua-tests/hotpatch/*.lua.txt`, one text for both versions: `@V`
//! is the version's name, lines that begin with `--A:` or `--B:` are there in
//! that version only; `-- policy: KEY = VALUE` lines are the patches' policy. Each activation takes a number with `enter()` before all
//! else and prints `NUMBER VERSION what it does`. What is legal:
//! - within one activation one version;
//! - activations that began before the patch are old, all later ones new;
//! - without the versions the output is that of an undisturbed run;
//! - with `quiescent` nothing old comes after anything new, whatever the activation.
//!
//! In scripts with `-- policy: stale = migrate`, patches move running activations to new
//! code: each iteration of a loop takes a number, and within it there is one version.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use moonswap_vm::Applied;
use moonswap_vm::planning::{Patch, Timing};

use moonswap_harness::Cases;

use crate::scenario::policy;
use crate::support::{files, root};
use crate::world::{CHUNK, World};

/// One text of a template.
fn version(template: &str, name: &str) -> String {
    let other = if name == "A" { "--B:" } else { "--A:" };
    let own = format!("--{name}:");
    let lines = template.lines().map(|line| {
        if line.starts_with(other) {
            String::new()
        } else {
            line.strip_prefix(&own).unwrap_or(line).replace("@V", name)
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs in which a quiet moment was found while the script still ran.
static N_QUIET: AtomicUsize = AtomicUsize::new(0);

/// Safe points at which something was done.
static N_POINTS: AtomicUsize = AtomicUsize::new(0);

/// What is done at safe points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The patch at one of them.
    Patch,
    /// The same, and from then on a full collection at each.
    Collect,
    /// The patch is queued at one of them, for a moment at which nothing old is active.
    Quiescent,
    /// The same, and from then on a full collection at each.
    QuiescentCollect,
    /// A → B → A → B … at each.
    Flip,
    /// The same with a full collection at each.
    FlipCollect,
}

struct Run {
    printed: String,
    /// Safe points met.
    n: usize,
    /// How many activations had begun when the patch came.
    began: i64,
    /// How many moved to new code.
    moved: u64,
}

fn is_about_turns(template: &str) -> bool {
    template.contains("-- policy: stale = migrate")
}

/// Runs A and patches it to B at its `k`-th safe point.
fn run(template: &str, mode: Mode, k: usize) -> Result<Run, String> {
    let world = World::new();
    let patches = ["B", "A"]
        .map(|v| Patch::compile(CHUNK, version(template, v).as_bytes()).map_err(|e| e.to_string()));
    let [to_b, to_a] = patches;
    let (to_b, to_a) = (to_b?, to_a?);
    let n = Rc::new(Cell::new(0));
    let began = Rc::new(Cell::new(i64::MAX));
    let failure: Rc<RefCell<Option<String>>> = Rc::default();
    let lines = template
        .lines()
        .filter_map(|l| l.strip_prefix("-- policy: "));
    let policy = policy(&lines.collect::<Vec<_>>().join("\n"));
    let in_main = template
        .lines()
        .next()
        .is_some_and(|head| head.contains("in main"));
    let hook = {
        let (n, began, failure) = (Rc::clone(&n), Rc::clone(&began), Rc::clone(&failure));
        let entered = world.entered();
        move |cx: &mut moonswap_vm::Context<'_>| {
            let now = n.get();
            n.set(now + 1);
            let patch = match mode {
                Mode::Patch | Mode::Collect | Mode::Quiescent | Mode::QuiescentCollect => {
                    (now == k).then_some(&to_b)
                }
                Mode::Flip | Mode::FlipCollect => Some(if now % 2 == 0 { &to_b } else { &to_a }),
            };
            if let Some(patch) = patch {
                began.set(entered());
                let timing = match mode {
                    Mode::Quiescent | Mode::QuiescentCollect => Timing::Quiescent,
                    Mode::Patch | Mode::Collect | Mode::Flip | Mode::FlipCollect => {
                        Timing::Immediate
                    }
                };
                let policy = policy.clone().timing(timing);
                match cx.hot_apply_or_queue(patch, &policy) {
                    Ok(Applied::Queued(_)) if timing == Timing::Quiescent => {}
                    Ok(Applied::Now(_)) => {}
                    Ok(queued) => {
                        failure.borrow_mut().get_or_insert(format!("{queued:?}"));
                    }
                    Err(e) => {
                        failure.borrow_mut().get_or_insert(e.to_string());
                    }
                }
            }
            let collects = matches!(mode, Mode::Collect | Mode::QuiescentCollect);
            if mode == Mode::FlipCollect || collects && now >= k {
                let _ = cx.gc_collect();
            }
        }
    };
    let source = version(template, "A");
    if in_main {
        world.machine.set_safe_point_hook(Some(Box::new(hook)));
        world.load(CHUNK, &source, true)?;
    } else {
        world.load(CHUNK, &source, true)?;
        world.machine.set_safe_point_hook(Some(Box::new(hook)));
        world.run("go()")?;
    }
    world.machine.set_safe_point_hook(None);
    if let Some(failure) = failure.borrow_mut().take() {
        return Err(format!("refused: {failure}"));
    }
    Ok(Run {
        printed: world.printed(),
        n: n.get(),
        began: began.get(),
        moved: world.machine.with(|cx| cx.hot_migrated()),
    })
}

/// The output without versions and, by activation, the version it shows.
fn split(printed: &str) -> Result<(String, HashMap<i64, String>), String> {
    let mut plain = String::new();
    let mut versions: HashMap<i64, String> = HashMap::new();
    for line in printed.lines() {
        let mut words = line.splitn(3, '\t');
        let (Some(number), Some(version), Some(what)) = (words.next(), words.next(), words.next())
        else {
            return Err(format!("odd line {line:?}"));
        };
        let id: i64 = number
            .parse()
            .map_err(|_| format!("odd number in {line:?}"))?;
        let known = versions.entry(id).or_insert_with(|| version.to_owned());
        if known != version {
            return Err(format!(
                "activation {id} is a hybrid: {line:?} after version {known}\n{printed}"
            ));
        }
        plain.push_str(&format!("{number} {what}\n"));
    }
    Ok((plain, versions))
}

/// Answers how many activations moved.
fn check(template: &str, mode: Mode, k: usize, expected: &str) -> Result<u64, String> {
    let done = run(template, mode, k)?;
    let (plain, versions) = split(&done.printed)?;
    if plain != expected {
        let at = plain
            .lines()
            .zip(expected.lines())
            .find(|(got, want)| got != want);
        return Err(format!(
            "another result than undisturbed: (got, wanted) {at:?}\n{}",
            done.printed
        ));
    }
    if matches!(mode, Mode::Quiescent | Mode::QuiescentCollect) {
        let is_new = |line: &str| line.split('\t').nth(1) == Some("B");
        let mut lines = done.printed.lines().skip_while(|line| !is_new(line));
        if let Some(line) = lines.find(|line| !is_new(line)) {
            return Err(format!("old after new: {line:?}\n{}", done.printed));
        }
        N_QUIET.fetch_add(usize::from(done.printed.lines().any(is_new)), Relaxed);
    }
    if matches!(mode, Mode::Patch | Mode::Collect) && !is_about_turns(template) {
        for (id, version) in &versions {
            // The one that is about to take its number began before.
            let wanted = if *id <= done.began { "A" } else { "B" };
            if version != wanted && *id != done.began.saturating_add(1) {
                return Err(format!(
                    "activation {id} is {version}; patched when {} had begun\n{}",
                    done.began, done.printed
                ));
            }
        }
    }
    Ok(done.moved)
}

fn every(path: &PathBuf) -> Result<usize, String> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let template = std::fs::read_to_string(path).expect("readable");
    let undisturbed =
        run(&template, Mode::Patch, usize::MAX).map_err(|e| format!("{name}: {e}"))?;
    let (expected, _) = split(&undisturbed.printed).map_err(|e| format!("{name}: {e}"))?;
    let n = undisturbed.n;
    if n < 20 || expected.lines().count() < 10 {
        return Err(format!("{name}: only {n} safe points"));
    }
    let mut moved = 0;
    for k in 0..n {
        let quiescent = match k % 2 {
            0 => Mode::Quiescent,
            _ => Mode::QuiescentCollect,
        };
        for mode in [Mode::Patch, Mode::Collect, quiescent] {
            moved += check(&template, mode, k, &expected)
                .map_err(|e| format!("{name}: {mode:?} at {k} of {n}: {e}"))?;
        }
    }
    for mode in [Mode::Flip, Mode::FlipCollect] {
        moved +=
            check(&template, mode, 0, &expected).map_err(|e| format!("{name}: {mode:?}: {e}"))?;
    }
    if is_about_turns(&template) != (moved > n as u64) {
        return Err(format!("{name}: {moved} activations moved"));
    }
    Ok(n)
}

pub(crate) fn add(cases: &mut Cases) {
    let paths = files(&root().join("lua-tests/hotpatch"), "txt");
    assert!(paths.len() >= 10, "only {} scripts", paths.len());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".lua.txt").unwrap_or(&name);
        cases.add(format!("hotpatch/safe-points/{name}"), move || {
            every(&path)
                .map(|n| N_POINTS.fetch_add(n, Relaxed))
                .map(drop)
        });
    }
    cases.at_end(|| {
        let (n, n_quiet) = (N_POINTS.load(Relaxed), N_QUIET.load(Relaxed));
        println!("{n} safe points of scripts, {n_quiet} quiet moments");
        if n_quiet < 50 {
            return Err(format!("only {n_quiet} quiet moments"));
        }
        Ok(())
    });
}
