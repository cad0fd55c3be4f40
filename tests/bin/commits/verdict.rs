//! What is to be said of one patch: whether it is applied in full, what it lists, and
//! whether every difference from a fresh load is one that it lists.

use std::collections::{BTreeMap, BTreeSet};

use moonswap::{ChangeClass, Error, Report};

use crate::text::{Changes, Statement, words};
use crate::world::{Compared, Difference};

/// How a patch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Applied; no changed statement was left out.
    Full,
    /// Applied; it lists statements that did not run.
    Listed,
    /// Refused; the codes of its reasons.
    Refused(BTreeSet<String>),
}

/// What is known of one patch.
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Statements that did not run: kind, text, why.
    pub(crate) not_run: Vec<(&'static str, String, String)>,
    /// Reasons of a refusal.
    pub(crate) reasons: Vec<String>,
    /// Differences from a fresh load that it does not account for.
    pub(crate) wrong: Vec<String>,
    /// Differences that are state: an unchanged statement made it.
    pub(crate) state: Vec<String>,
    /// Pairs of functions that have little in common.
    pub(crate) unlike: Vec<(f64, String)>,
    /// Swapped functions.
    pub(crate) pairs: usize,
    /// Pairs of functions and tables that were compared with a fresh load.
    pub(crate) compared: (u64, u64),
}

impl Verdict {
    /// Of a patch that was refused or failed.
    pub(crate) fn refused(error: &Error) -> Self {
        let mut codes = BTreeSet::new();
        let mut reasons = Vec::new();
        match error.refused() {
            Some(refused) => {
                for refusal in &refused.refusals {
                    codes.insert(refusal.code.text().to_owned());
                    reasons.push(refusal.to_string());
                }
            }
            None => {
                let text = error.to_string();
                let kind = match &text {
                    t if t.contains("initialisers") => "initialiser raises",
                    t if t.contains("migrate") => "migrate raises",
                    _ => "other",
                };
                codes.insert(kind.to_owned());
                reasons.push(text);
            }
        }
        Self {
            outcome: Outcome::Refused(codes),
            not_run: Vec::new(),
            reasons,
            wrong: Vec::new(),
            state: Vec::new(),
            unlike: Vec::new(),
            pairs: 0,
            compared: (0, 0),
        }
    }

    /// Of a patch that was applied.
    pub(crate) fn applied(report: &Report, new: &[Statement]) -> Self {
        let mut not_run: Vec<_> = report
            .not_run
            .iter()
            .map(|each| {
                let there = new.iter().find(|s| s.line == each.line);
                let kind = there.map_or("entry", |statement| statement.kind);
                (kind, each.text.clone(), each.why.clone())
            })
            .collect();
        // Nobody has changed the data: what is left alone is left out.
        let overridden = report.data.iter().filter(|each| each.overridden.is_some());
        not_run.extend(overridden.map(|each| ("data", each.path.clone(), each.to_string())));
        let functions = report.functions.iter();
        let diverged = functions.filter(|f| f.class == ChangeClass::Diverged);
        not_run.extend(diverged.map(|f| ("diverged", f.id.to_string(), String::new())));
        let outcome = match not_run.is_empty() {
            true => Outcome::Full,
            false => Outcome::Listed,
        };
        Self {
            outcome,
            not_run,
            reasons: Vec::new(),
            wrong: Vec::new(),
            state: Vec::new(),
            unlike: Vec::new(),
            pairs: 0,
            compared: (0, 0),
        }
    }
}

/// What reports have said about a chunk that accounts for differences.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Words of the statements that did not run.
    listed: BTreeSet<String>,
    /// Calls run again by rule: the first ones have left what they made.
    pub(crate) has_rules: bool,
    /// Words of warnings, and names of removed functions.
    told: BTreeSet<String>,
    /// Words of the statements of removed functions.
    removed: BTreeSet<String>,
}

fn add(to: &mut BTreeSet<String>, text: &str) {
    to.extend(words(text).into_iter().map(str::to_owned));
}

fn head(text: &str) -> &str {
    let end = text.char_indices().nth(12).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

impl Account {
    /// Takes a report along.
    pub(crate) fn note(&mut self, report: &Report, old: &[Statement], new: &[Statement]) {
        for each in report.data.iter().filter(|d| d.overridden.is_some()) {
            add(&mut self.listed, &each.path);
        }
        for each in &report.not_run {
            add(&mut self.listed, &each.text);
            if each.text.starts_with("(returned)") {
                self.listed.insert("return".to_owned());
            }
            let Some(listed) = new.iter().find(|s| s.line == each.line) else {
                continue;
            };
            add(&mut self.listed, &listed.text);
            // What it stands for in the old text begins alike.
            let start = head(&listed.text);
            for gone in old.iter().filter(|s| head(&s.text) == start) {
                if new.iter().all(|s| s.text != gone.text) {
                    add(&mut self.listed, &gone.text);
                }
            }
        }
        for warning in &report.warnings {
            add(&mut self.told, warning);
        }
        for function in &report.functions {
            if function.class == ChangeClass::Diverged {
                add(&mut self.listed, &function.id);
            }
        }
        for function in &report.functions {
            if function.class == ChangeClass::Removed {
                add(&mut self.told, &function.id);
                let name = function
                    .id
                    .rsplit([' ', '.', ':'])
                    .next()
                    .unwrap_or_default();
                let holds = |s: &&Statement| {
                    words(&s.text).contains(name) && new.iter().all(|n| n.text != s.text)
                };
                for gone in old.iter().filter(holds) {
                    add(&mut self.removed, &gone.text);
                }
            }
        }
    }
}

/// Roots of the walk, and what is in every path: they name nothing.
const GENERAL: &[&str] = &[
    "results", "locals", "globals", "loaded", "preload", "argument",
];

fn path_words(difference: &Difference) -> BTreeSet<&str> {
    words_from(difference, 0)
}

/// Of the first two names of the path: the root says `return` or nothing.
fn first_words(difference: &Difference) -> BTreeSet<&str> {
    let first = Difference {
        path: difference.path.iter().take(2).cloned().collect(),
        ..difference.clone()
    };
    let names = words_from(&first, 0);
    let all = words_from(difference, 0);
    all.into_iter()
        .filter(|name| names.contains(name))
        .collect()
}

/// Of the last two names of the path, or from its last captured variable on.
fn last_words(difference: &Difference) -> BTreeSet<&str> {
    let path = &difference.path;
    let variable = path.iter().rposition(|name| name.starts_with('^'));
    let last = path.len().saturating_sub(2);
    words_from(difference, last.max(variable.unwrap_or(0)))
}

fn words_from(difference: &Difference, from: usize) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, name) in difference.path.iter().enumerate().skip(from) {
        // Of a call of a stub what is called: its arguments may follow from anything.
        let name = match name.strip_prefix("call ") {
            Some(call) if difference.kind.starts_with("call") => {
                call.rsplit_once('(').map_or(call, |(callee, _)| callee)
            }
            _ => name,
        };
        if at == 0 && name == "results" {
            found.insert("return");
        }
        let is_name = |word: &&str| word.parse::<f64>().is_err() && !GENERAL.contains(word);
        found.extend(words(name).into_iter().filter(is_name));
    }
    found
}

fn is_code(difference: &Difference) -> bool {
    matches!(difference.kind.as_str(), "function" | "code")
}

/// What a difference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A statement that the report lists, or something it warns of.
    Listed,
    /// A statement that stands in both texts made it.
    State,
    /// Nothing that was said.
    Unknown,
}

/// Differences by kind and path: what is there in the live world.
pub(crate) type ByPlace = BTreeMap<(String, Vec<String>), String>;

/// A patch may leave what was there (`before`), but make nothing that neither the old
/// nor the new text would. What it leaves must be listed, or be made by a statement
/// that stands in both texts.
fn cause(
    difference: &Difference,
    before: &ByPlace,
    account: &Account,
    changes: &Changes,
    carried: &[Difference],
) -> Cause {
    let names = path_words(difference);
    let any = |set: &BTreeSet<String>| names.iter().any(|name| set.contains(*name));
    let earlier = before.get(&(difference.kind.clone(), difference.path.clone()));
    let is_old = earlier == Some(&difference.live);
    let may_be_old = is_old || earlier.is_none();
    if difference.kind.starts_with("call") {
        // Made by a function that a statement called: which one is not to be known.
        let is_told = account.has_rules || !account.listed.is_empty() || any(&account.told);
        let is_changed = changes.changed_plain(&names) && !changes.stands(&names);
        return match (is_told, is_changed) {
            (true, _) => Cause::Listed,
            (false, false) => Cause::State,
            (false, true) => Cause::Unknown,
        };
    }
    let is_argument = difference
        .path
        .first()
        .is_some_and(|p| p.starts_with("call "));
    if is_argument && (account.has_rules || !account.listed.is_empty()) {
        // As of the calls themselves.
        return Cause::Listed;
    }
    let is_untouched = !any(&changes.words);
    let (first, last) = (first_words(difference), last_words(difference));
    let is_made_again = || {
        let stands = changes.stands(&last) || (changes.stands(&first) && !changes.changed(&last));
        is_untouched || stands
    };
    let is_state = may_be_old && !is_code(difference) && is_made_again();
    if any(&account.listed) || (any(&account.told) && may_be_old) {
        Cause::Listed
    } else if difference.kind == "extra" && is_old && any(&account.removed) {
        // What a function that is gone has made.
        Cause::State
    } else if is_state || (is_untouched && carried.contains(difference)) {
        Cause::State
    } else {
        Cause::Unknown
    }
}

impl Verdict {
    /// Sorts the differences between the patched world and a fresh one; `before` are
    /// those before the patch, `carried` those that earlier patches left.
    pub(crate) fn judge(
        &mut self,
        compared: &Compared,
        before: &ByPlace,
        account: &Account,
        changes: &Changes,
        carried: &[Difference],
    ) {
        self.compared = (compared.functions, compared.tables);
        for difference in &compared.differences {
            match cause(difference, before, account, changes, carried) {
                Cause::Listed => {}
                Cause::State => self.state.push(shown(difference)),
                Cause::Unknown => self.wrong.push(shown(difference)),
            }
        }
    }
}

/// Differences by their place.
pub(crate) fn by_place(differences: &[Difference]) -> ByPlace {
    differences
        .iter()
        .map(|d| ((d.kind.clone(), d.path.clone()), d.live.clone()))
        .collect()
}

/// A difference in one line.
pub(crate) fn shown(difference: &Difference) -> String {
    let path = difference.path.join(" / ");
    let Difference {
        kind, live, fresh, ..
    } = difference;
    format!("{kind}: {path}: {live}, fresh {fresh}")
}
