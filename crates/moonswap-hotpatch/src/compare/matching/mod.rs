//! Matching: which literal of the new source is which of the old one.
//!
//! Stable ids and `rename` first; then from the main chunk inward, function by
//! function (`siblings.rs`); what is not found in its function is looked for by its
//! hash in the whole chunk, and at last by likeness. Nothing is matched by its
//! position in a list alone: what is ambiguous is refused.

pub(crate) mod likeness;
pub(crate) mod matcher;
mod moves;
mod siblings;

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::PathStep;
use moonswap_compiler::syntax::ast::FunctionIndex;

use crate::patch::outline::{LiteralIndex, Outline};
use crate::patch::targets::{Root, Target, Targets};
use crate::policy::Policy;
use crate::refusal::{Code, Unmatched, UnmatchedSetting};
use likeness::Sketches;
use matcher::{Matcher, Matching};

/// Matches the literals of two sources of one chunk.
pub(crate) fn match_literals(
    chunk: &Arc<str>,
    old: &Outline,
    new: &Outline,
    policy: &Policy,
    targets: Option<(&Targets, &Targets)>,
) -> Matching {
    let (n_old, n_new) = (old.literals.len(), new.literals.len());
    let result = Matching {
        old_of: vec![None; n_new],
        new_of: vec![None; n_old],
        moved: vec![false; n_new],
        refused: vec![false; n_new],
        refusals: Vec::new(),
        unmatched_settings: Vec::new(),
        warnings: Vec::new(),
    };
    let mut matcher = Matcher {
        chunk: chunk.clone(),
        old,
        new,
        with_text: targets.is_some(),
        sketches: Sketches::default(),
        seen: vec![false; n_new],
        unlike: Vec::new(),
        result,
    };
    matcher.result.old_of[0] = Some(0);
    matcher.result.new_of[0] = Some(0);
    matcher.stable_ids();
    matcher.renames(policy);
    matcher.unchanged();
    if let Some((old, new)) = targets {
        matcher.forms(old, new);
    }
    let known: Vec<_> = matcher.known().collect();
    for (was, is) in known {
        matcher.inward(was, is);
    }
    matcher.moves();
    if matcher.with_text {
        let known: Vec<_> = matcher.known().collect();
        for (was, is) in known {
            matcher.renamed(was, is);
        }
    }
    matcher.tell();
    matcher.result
}

impl Matcher<'_> {
    /// The pairs so far, parents before their children.
    fn known(&self) -> impl Iterator<Item = (LiteralIndex, LiteralIndex)> {
        let pairs = self.result.old_of.iter().enumerate();
        pairs.filter_map(|(is, was)| Some(((*was)?, is)))
    }

    /// A literal annotated `--@id name` is the one of that name, wherever.
    fn stable_ids(&mut self) {
        let by_id = |outline: &Outline| {
            let mut found: BTreeMap<Arc<str>, Vec<LiteralIndex>> = BTreeMap::new();
            for at in 0..outline.literals.len() {
                if let Some((PathStep::Field(name), _)) = outline.step(at)
                    && name.starts_with('@')
                {
                    found.entry(name.clone()).or_default().push(at);
                }
            }
            found
        };
        let olds = by_id(self.old);
        for (id, places) in by_id(self.new) {
            let [is] = places[..] else {
                for at in places {
                    let reason = format!("the id {id} stands on several functions");
                    self.refuse(
                        Code::DuplicateStableId,
                        at,
                        reason,
                        "make the --@id annotations distinct",
                    );
                }
                continue;
            };
            if let Some([was]) = olds.get(&id).map(Vec::as_slice) {
                self.pair(*was, is);
            }
        }
    }

    fn renames(&mut self, policy: &Policy) {
        let mut taken: Vec<&str> = Vec::new();
        for (from, to) in &policy.rename {
            let olds = named(self.old, from);
            let news = named(self.new, to);
            match (&olds[..], &news[..]) {
                ([was], [is])
                    if self.result.new_of[*was].is_none() && self.result.old_of[*is].is_none() =>
                {
                    self.pair(*was, *is);
                    self.result.moved[*is] = true;
                }
                ([], [])
                    if top_local(self.old, from)
                        && top_local(self.new, to)
                        && !taken.contains(&&**to) =>
                {
                    taken.push(to);
                }
                _ if taken.contains(&&**to) => {
                    let reason = format!(
                        "rename of \"{from}\" to \"{to}\": another one has become \"{to}\""
                    );
                    self.refuse_rename(reason, "rename one of them only");
                }
                _ => {
                    let reason = format!(
                        "rename of \"{from}\" to \"{to}\": {} and {} functions have these names",
                        olds.len(),
                        news.len()
                    );
                    self.refuse_rename(
                        reason,
                        "name one literal or top-level local each, by its full path",
                    );
                    let nowhere = olds.is_empty()
                        && news.is_empty()
                        && !top_local(self.old, from)
                        && !top_local(self.new, to);
                    if nowhere && let Some(refusal) = self.result.refusals.pop() {
                        let name = format!("rename {from}");
                        self.result.unmatched_settings.push(UnmatchedSetting {
                            name,
                            effect: Unmatched::Refuses(refusal),
                        });
                    }
                }
            }
        }
    }

    /// Of the whole patch: the main chunk itself is not in doubt.
    fn refuse_rename(&mut self, reason: String, remedy: &str) {
        let refused = self.result.refused[0];
        self.refuse(Code::RenameNotFound, 0, reason, remedy);
        self.result.refused[0] = refused;
    }

    /// Functions put into one variable or field, in whatever form: `local function
    /// f` and `local f; function f()`. Then those that whoever loads the chunk finds
    /// in one place, though its variable has another name.
    fn forms(&mut self, old: &Targets, new: &Targets) {
        let literal = |outline: &Outline| -> HashMap<FunctionIndex, LiteralIndex> {
            let children = outline.get(0).children.iter();
            children
                .filter_map(|at| Some((outline.get(*at).function?, *at)))
                .collect()
        };
        let (old_literals, new_literals) = (literal(self.old), literal(self.new));
        for through_return in [false, true] {
            let key = |targets: &Targets, target: &Target| {
                let seen = through_return.then(|| targets.returned(target)).flatten();
                let mut key = seen.unwrap_or_else(|| target.clone());
                // An ordinal among namesakes is a position only.
                if let Root::Local(_, ordinal) = &mut key.root {
                    *ordinal = 0;
                }
                key
            };
            let mut places: HashMap<Target, [Vec<(LiteralIndex, bool)>; 2]> = HashMap::default();
            for d in &old.definitions {
                if let Some(at) = old_literals.get(&d.function)
                    && self.result.new_of[*at].is_none()
                {
                    let [olds, _] = places.entry(key(old, &d.target)).or_default();
                    olds.push((*at, d.in_list));
                }
            }
            for d in &new.definitions {
                if let Some(at) = new_literals.get(&d.function)
                    && self.result.old_of[*at].is_none()
                    && !self.result.refused[*at]
                {
                    let [_, news] = places.entry(key(new, &d.target)).or_default();
                    news.push((*at, d.in_list));
                }
            }
            for [olds, news] in places.into_values() {
                if let ([(was, old_list)], [(is, new_list)]) = (&olds[..], &news[..])
                    && !(*old_list && *new_list)
                {
                    self.pair(*was, *is);
                }
            }
        }
    }

    /// Says which places have another function now.
    fn tell(&mut self) {
        for (was, is) in std::mem::take(&mut self.unlike) {
            if self.result.old_of[is].is_none() && self.result.new_of[was].is_none() {
                let (before, now) = (self.old.get(was).line, self.new.get(is).line);
                self.result.warnings.push(format!(
                    "{} (line {now}) has too little in common with what stood there (line {before} of the old text): closures of that keep their code; rename = {{ [{:?}] = {:?} }} gives them the new one",
                    self.new.name(is),
                    self.old.name(was),
                    self.new.name(is),
                ));
            }
        }
    }
}

/// The literals a name in `rename` means: a whole path, or the last step.
fn named(outline: &Outline, name: &str) -> Vec<LiteralIndex> {
    let all = 1..outline.literals.len();
    let exact: Vec<LiteralIndex> = all.clone().filter(|at| outline.name(*at) == name).collect();
    if !exact.is_empty() {
        return exact;
    }
    let last = |at: &LiteralIndex| outline.name(*at).rsplit(" / ").next() == Some(name);
    all.filter(last).collect()
}

fn top_local(outline: &Outline, name: &str) -> bool {
    outline.count(0, name, true) == Some(1)
}
