//! One case: a module, the texts that are patched in one after the other, what the
//! program does between; and what the law says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use moonswap_fuzz::data::Data;
use moonswap_vm::planning::{Policy, Report};

use super::edit;
use super::module::{Exported, Module};
use super::text::Text;
use crate::hotpatch::world::{CHUNK, World};

const OBSERVE: &str = include_str!("observe.lua");

/// All that is to be known to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// The first is loaded, the others are patched in.
    pub(super) versions: Vec<Module>,
    /// Functions that are gone are taken out of their fields (`remove = true`).
    pub(super) remove: bool,
    /// Which exported functions the program calls before each patch, with what.
    pub(super) calls: Vec<Vec<(u8, u8)>>,
}

/// What became of one patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Applied; it says that nothing was left out.
    Full {
        /// Its transaction left a trace.
        ran: bool,
    },
    /// Applied; it says what was left out.
    Listed(String),
    /// Refused, or its code raised an error.
    Refused(String),
    /// One of the texts cannot be loaded.
    Unusable,
}

impl Case {
    pub(super) fn draw(seed: u64, number: u64) -> Self {
        let bytes = edit::bytes(seed, number);
        let mut data = Data::new(&bytes);
        let mut versions = vec![edit::module(&mut data)];
        let n = if number.is_multiple_of(4) { 3 } else { 1 };
        for i in 0..n {
            let next = edit::edited(&versions[i], &mut data);
            versions.push(next);
        }
        let mut calls = || {
            (0..data.below(5))
                .map(|_| (data.byte(), data.byte() % 9))
                .collect()
        };
        let calls = (0..n).map(|_| calls()).collect();
        Self {
            versions,
            remove: !number.is_multiple_of(3),
            calls,
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        let mut out = String::new();
        for (i, module) in self.versions.iter().enumerate() {
            let _ = writeln!(
                out,
                "-- {}\n{}",
                if i == 0 { "load" } else { "patch" },
                module.text().plain()
            );
            if let Some(calls) = self.calls.get(i) {
                let _ = writeln!(out, "-- run\n{}", drive(module, calls));
            }
        }
        out
    }
}

/// What the program calls, of what its version exports.
fn called(module: &Module, calls: &[(u8, u8)]) -> Vec<(Exported, u8)> {
    let exported = module.exported();
    let pick = |(which, argument): &(u8, u8)| {
        let at = usize::from(*which) % exported.len().max(1);
        Some((exported.get(at)?.clone(), *argument))
    };
    calls.iter().filter_map(pick).collect()
}

const MODULE: &str = "local M = mod or M or loaded ";

pub(super) fn drive(module: &Module, calls: &[(u8, u8)]) -> String {
    let mut out = String::from(MODULE);
    for (what, argument) in called(module, calls) {
        let _ = match what {
            Exported::Function(name) => write!(out, "pcall(function() {name}({argument}) end) "),
            Exported::Factory(name) => write!(
                out,
                "keep(select(2, pcall(function() return {name}({argument}) end))) "
            ),
            Exported::Class(name) => write!(
                out,
                "keep(select(2, pcall(function() return {name}.new({argument}) end))) "
            ),
        };
    }
    out
}

/// Scripts for the reference and the program: what was kept so far is made again by
/// the new version, and forgotten where that has no more what made it.
fn rebuilding(case: &Case, history: &[usize], new: &Module) -> (String, String) {
    let exported = new.exported();
    let (mut rebuild, mut forget) = (String::from(MODULE), String::new());
    let mut n = 0;
    for version in [0].iter().chain(history) {
        let calls = case.calls.get(*version).map_or(&[][..], |calls| calls);
        for (what, argument) in called(&case.versions[*version], calls) {
            if matches!(what, Exported::Function(_)) {
                continue;
            }
            n += 1;
            let _ = match &what {
                Exported::Class(name) if exported.contains(&what) => {
                    write!(rebuild, "rebuild({n}, {name}) ")
                }
                Exported::Factory(name) if exported.contains(&what) => {
                    write!(
                        rebuild,
                        "rebuild({n}, nil, function() return {name}({argument}) end) "
                    )
                }
                _ => {
                    let _ = write!(rebuild, "rebuild({n}) ");
                    write!(forget, "forget({n}) ")
                }
            };
        }
    }
    (rebuild, forget)
}

/// A program that has lived through some of a case.
struct Life<'a> {
    world: World,
    texts: &'a [Text],
}

impl<'a> Life<'a> {
    fn new(case: &Case, texts: &'a [Text]) -> Self {
        let world = World::new();
        world.set_policy(Policy::default().remove(case.remove));
        world.run(OBSERVE).expect("the observer runs");
        Self { world, texts }
    }

    fn load(case: &Case, texts: &'a [Text], text: &str) -> Result<Self, String> {
        let life = Self::new(case, texts);
        life.world.load(CHUNK, text, true)?;
        Ok(life)
    }

    /// The program as it is before the next patch, with the versions in `history`
    /// patched in.
    fn lived(case: &Case, texts: &'a [Text], history: &[usize]) -> Result<Self, String> {
        let life = Self::load(case, texts, &texts[0].plain())?;
        life.drive(case, 0);
        for version in history {
            let text = life.texts[*version].plain();
            life.world
                .patch(CHUNK, &text)
                .map_err(|e| format!("the same patch again: {e}"))?;
            life.drive(case, *version);
        }
        life.ask("take_log()");
        Ok(life)
    }

    fn drive(&self, case: &Case, version: usize) {
        if let Some(calls) = case.calls.get(version) {
            let script = drive(&case.versions[version], calls);
            self.world.run(&script).expect("calls are protected");
        }
    }

    fn ask(&self, expression: &str) -> String {
        let script = format!("return {expression}");
        self.world
            .run(&script)
            .unwrap_or_else(|e| panic!("{expression}: {e}"))
    }

    fn dump(&self) -> BTreeMap<String, String> {
        lines(&self.ask("dump()"))
    }
}

pub(super) fn lines(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (path, value) = line.split_once('\t').unwrap_or((line, ""));
        (path.to_owned(), value.to_owned())
    };
    text.lines().map(pair).collect()
}

/// Where two dumps differ. Captured variables that one of them lacks are not compared:
/// patched closures reach top-level locals without capturing them.
pub(super) fn differences(
    live: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut found = Vec::new();
    let paths: BTreeSet<&String> = live.keys().chain(wanted.keys()).collect();
    for path in paths {
        let (is, should) = (live.get(path), wanted.get(path));
        let is_captured = path.contains('^') && (is.is_none() || should.is_none());
        if is != should && !is_captured {
            let shown = |value: Option<&String>| value.map_or("nothing".to_owned(), Clone::clone);
            found.push(format!("{path}: {}, wanted {}", shown(is), shown(should)));
        }
    }
    found
}

/// Warnings that say of no difference.
const HARMLESS: [&str; 4] = [
    "the field is cleared if it still holds it",
    "closures that captured it keep it",
    "looks like a rename",
    "parameter",
];

pub(super) fn step(report: &Report, ran: bool) -> Step {
    let mut left = Vec::new();
    left.extend(
        report
            .not_run
            .iter()
            .map(|n| format!("{} ({})", n.text, n.why)),
    );
    left.extend(
        report
            .data
            .iter()
            .filter(|d| d.overridden.is_some())
            .map(|d| d.to_string()),
    );
    left.extend(report.diverged.iter().map(|d| d.to_string()));
    let told = report
        .warnings
        .iter()
        .filter(|w| !HARMLESS.iter().any(|h| w.contains(h)));
    left.extend(told.cloned());
    match left.is_empty() {
        true => Step::Full { ran },
        false => Step::Listed(left.join("\n")),
    }
}

/// Lives through a case; what became of each patch, or how the law is broken.
pub(super) fn check(case: &Case) -> Result<Vec<Step>, String> {
    let texts: Vec<Text> = case.versions.iter().map(Module::text).collect();
    let mut history = Vec::new();
    let mut steps = Vec::new();
    if Life::load(case, &texts, &texts[0].plain()).is_err() {
        return Ok(vec![Step::Unusable]);
    }
    for version in 1..texts.len() {
        let step = one(case, &texts, &history, version)?;
        let goes_on = match step {
            Step::Full { .. } => {
                history.push(version);
                true
            }
            Step::Refused(_) => true,
            Step::Listed(_) | Step::Unusable => false,
        };
        steps.push(step);
        if !goes_on {
            break;
        }
    }
    Ok(steps)
}

fn one(case: &Case, texts: &[Text], history: &[usize], version: usize) -> Result<Step, String> {
    let old = &texts[history.last().copied().unwrap_or(0)];
    let new = &texts[version];
    if Life::load(case, texts, &new.plain()).is_err() {
        return Ok(Step::Unusable);
    }
    let live = Life::lived(case, texts, history)?;
    // The first one makes what it looks at.
    live.world.fingerprint();
    let before = live.world.fingerprint();
    let report = match live.world.patch(CHUNK, &new.plain()) {
        Ok(report) => report,
        Err(error) => {
            let after = live.world.fingerprint();
            return match before == after {
                true => Ok(Step::Refused(error.to_string())),
                false => Err(format!(
                    "a refusal changed something: {error}\n{}",
                    changed(&before, &after)
                )),
            };
        }
    };
    let log = live.ask("take_log()");
    let step = step(&report, !log.is_empty());
    let is_full = matches!(step, Step::Full { .. });
    if let Step::Listed(told) = &step
        && (told.contains(" return ") || told.contains("not reached"))
    {
        // Which of the rest would have run is not said.
        return Ok(step);
    }
    if !old.parts().0.is_disjoint(&new.parts().1) {
        // What has run stands behind the return now: it stays, which no text says.
        return Ok(step);
    }
    let left = Left::of(&report, old, new);
    if !new.computes_more_than(old) {
        undone(case, texts, history, &new.plain())?;
    }
    // What the program held, and what the old text puts where.
    let witness = Life::lived(case, texts, history)?;
    witness
        .world
        .patch(CHUNK, &old.probed())
        .map_err(|e| format!("the probe of the old text: {e}"))?;
    let held = witness.ask("save()");
    let fresh = Life::load(case, texts, &old.noted())?.ask("save_set()");
    let reference = Life::new(case, texts);
    let script = format!(
        "reference({held}, {fresh}, {}, {}, {})",
        old.paths(),
        new.paths(),
        old.computed()
    );
    reference
        .world
        .run(&script)
        .map_err(|e| format!("reference: {e}"))?;
    let text = new.reference(old);
    if let Err(why) = reference.world.load(CHUNK, &text, true) {
        return match is_full {
            true => Err(format!(
                "the patch works, and the reference does not: {why}\n{text}"
            )),
            false => Ok(step),
        };
    }
    let fail = |what: &str, why: &str| {
        let head = if is_full {
            ""
        } else {
            "beside what is listed: "
        };
        let list = report.warnings.join("\n");
        Err(format!(
            "{head}{what}:\n{why}\n-- report\n{report}\n{list}\n-- reference\n{text}"
        ))
    };
    let wanted = reference.ask("take_log()");
    let (rebuild, forget) = rebuilding(case, history, &case.versions[version]);
    if let Err(why) = reference.world.run(&rebuild) {
        return match is_full {
            true => fail("what the program kept", &why),
            false => Ok(step),
        };
    }
    live.world.run(&forget).expect("forgets");
    if log != wanted && is_full {
        return fail("what ran", &format!("{log}\nwanted {wanted}"));
    }
    if let Err(why) = live.world.patch(CHUNK, &new.probed()) {
        return fail("the probe of the new text", &why.to_string());
    }
    for what in ["values", "values after calls"] {
        let found = left.unexplained(differences(&live.dump(), &reference.dump()));
        if !found.is_empty() {
            return fail(what, &found.join("\n"));
        }
        if what == "values" {
            let (is, should) = (
                lines(&live.ask("calls()")),
                lines(&reference.ask("calls()")),
            );
            let found = left.unexplained(differences(&is, &should));
            if !found.is_empty() {
                return fail("calls", &found.join("\n"));
            }
        }
    }
    Ok(step)
}

/// A patch that computed nothing and is rolled back leaves the program as it was.
fn undone(case: &Case, texts: &[Text], history: &[usize], new: &str) -> Result<(), String> {
    let life = Life::lived(case, texts, history)?;
    let fingerprint = || life.ask("fingerprint()");
    fingerprint();
    let before = fingerprint();
    let report = life
        .world
        .patch(CHUNK, new)
        .map_err(|e| format!("the same patch again: {e}"))?;
    if report.id == 0 {
        return Ok(());
    }
    life.world
        .machine
        .with(|cx| cx.hot_rollback(None))
        .map_err(|e| format!("rollback: {e}"))?;
    let after = fingerprint();
    match before == after {
        true => Ok(()),
        false => Err(format!(
            "a rollback leaves something:\n{}\n-- report\n{report}",
            changed(&before, &after)
        )),
    }
}

/// What a report says was left out, by the numbers in the names of items, with all
/// that it may have an effect on.
struct Left(Option<BTreeSet<u32>>);

/// The numbers of the items that a text names.
fn numbers(text: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let digits = digits
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default();
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            found.extend(digits.parse::<u32>());
        }
    }
    found
}

impl Left {
    fn of(report: &Report, old: &Text, new: &Text) -> Self {
        let Step::Listed(told) = step(report, false) else {
            return Self(None);
        };
        let mut left = numbers(&told);
        let (old, new) = (old.plain(), new.plain());
        for statement in &report.not_run {
            let line = new.lines().nth((statement.line as usize).saturating_sub(1));
            left.extend(numbers(line.unwrap_or_default()));
        }
        // What stands in one line with any of it may depend on it, or be changed by it.
        loop {
            let n = left.len();
            for line in old.lines().chain(new.lines()) {
                let named = numbers(line);
                if !named.is_disjoint(&left) {
                    left.extend(named);
                }
            }
            if left.len() == n {
                return Self(Some(left));
            }
        }
    }

    /// The differences that it does not account for.
    fn unexplained(&self, differences: Vec<String>) -> Vec<String> {
        let Some(left) = &self.0 else {
            return differences;
        };
        let is_left = |difference: &String| {
            let (path, values) = difference.split_once(": ").unwrap_or((difference, ""));
            // Of what has several names the first one is shown: it may be left out.
            let other_name = values.starts_with("table ") && values.contains(", wanted table ")
                || values.starts_with("function@") && values.contains(", wanted function@");
            path.contains("on[")
                || path.starts_with("kept[")
                || values.starts_with("nothing, wanted true")
                || values.ends_with(", wanted nothing") && values.starts_with("true ")
                || other_name
                || !numbers(path).is_disjoint(left)
        };
        differences.into_iter().filter(|d| !is_left(d)).collect()
    }
}

fn changed(before: &str, after: &str) -> String {
    let (a, b): (BTreeSet<&str>, _) = (
        before.lines().collect(),
        after.lines().collect::<BTreeSet<&str>>(),
    );
    let gone = a.difference(&b).map(|line| format!("- {line}"));
    let come = b.difference(&a).map(|line| format!("+ {line}"));
    gone.chain(come).take(12).collect::<Vec<_>>().join("\n")
}
