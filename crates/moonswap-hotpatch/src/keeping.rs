//! `refused = "keep-old"`: one refusal does not block the rest.
//!
//! A function whose new code is refused keeps the old one, and the patch is planned
//! again with the old function in the new text ([`Mixture`]). That may show that
//! more has to stay:
//!
//! - a function whose new code uses a variable that the new text of a function
//!   around it declares, if that one is held back (the main chunk too);
//! - a function in whose new text an older one would use other variables than it
//!   does;
//! - a function around a new one that is refused and stands for no older one: it
//!   would create it;
//! - for a refused statement of the top level, the main chunk: its statements and
//!   what they add stay away, functions in it are still replaced one by one.
//!
//! Each round holds back at least one function more, and the old text with nothing
//! new in it is refused nothing, so there is an end. What functions *call* is not
//! looked at: a new caller of an older function is applied, and calls the older one.

use std::sync::Arc;

use crate::diff::match_literals;
use crate::divergence::{Diverged, Divergence};
use crate::manifest::ChunkManifest;
use crate::mixture::{Mixture, NEW, OLD, Origin, Texts};
use crate::outline::LiteralIndex;
use crate::patch::{ChunkPatch, shown};
use crate::plan::{ChangeClass, ChunkPlan, LiteralChange, NotRun, old_text, plan_text};
use crate::policy::{Policy, WhenRefused};
use crate::refusal::{Code, Refusal};

/// Plans the patch with what is refused held back. Answers `first`, the plan without
/// that, if the policy wants none held back or it cannot be.
pub(crate) fn plan_keeping(
    manifest: &ChunkManifest,
    patch: &ChunkPatch,
    policy: &Policy,
    first: ChunkPlan,
) -> ChunkPlan {
    let known = manifest.diverged.as_deref();
    let is_wanted = policy.refused.keeps_any() || known.is_some();
    if first.refusals.is_empty() || !is_wanted {
        return first;
    }
    let Some(old) = old_text(manifest) else {
        return first;
    };
    let chunk = shown(&manifest.chunk);
    let outlines = (&old.facts().outline, &patch.facts().outline);
    let matching = match_literals(&chunk, outlines.0, outlines.1, policy);
    let mut keeping = Keeping {
        chunk,
        policy,
        known: known.map_or(&[], |known| &known.functions),
        texts: Texts {
            old: &old,
            new: patch,
            matching: &matching,
        },
        held: vec![None; outlines.1.literals.len()],
        lost: Vec::new(),
    };
    // What earlier patches left behind and this one does not touch is no news.
    let is_news = |refusal: &&Refusal| !keeping.is_known(refusal);
    let not_kept: Vec<Refusal> = first
        .refusals
        .iter()
        .filter(is_news)
        .filter(|refusal| !keeping.is_allowed(refusal))
        .cloned()
        .collect();
    if !not_kept.is_empty() {
        return ChunkPlan {
            refusals: not_kept,
            ..first
        };
    }
    match keeping.settle(manifest, &first) {
        Some((mixture, plan)) => keeping.finish(manifest, patch, &first, mixture, plan),
        None => first,
    }
}

/// Which refusals are about a function or a statement, which can stay as it is.
/// Others are about the patch, or about settings that are mistaken.
fn is_about_code(code: Code) -> bool {
    matches!(
        code,
        Code::AmbiguousMatch
            | Code::AmbiguousMove
            | Code::NewEnclosingCapture
            | Code::ScopeChanged
            | Code::AmbiguousVariable
            | Code::SeveralRuns
            | Code::CellMissing
            | Code::MixedDeclaration
            | Code::NewToBeClosed
            | Code::Protected
    )
}

struct Keeping<'a> {
    chunk: Arc<str>,
    policy: &'a Policy,
    known: &'a [Diverged],
    texts: Texts<'a>,
    /// Why literals of the new text stay on their old code.
    held: Vec<Option<Refusal>>,
    /// Why literals of the new text that stand for no old one are not added.
    lost: Vec<(LiteralIndex, Refusal)>,
}

impl Keeping<'_> {
    fn new_named(&self, name: &str) -> Option<LiteralIndex> {
        let outline = self.texts.outline(NEW);
        (0..outline.literals.len()).find(|at| outline.name(*at) == name)
    }

    /// The policy lets it be held back.
    fn is_allowed(&self, refusal: &Refusal) -> bool {
        is_about_code(refusal.code)
            && *self.policy.refused.of(&refusal.function) == WhenRefused::KeepOld
    }

    /// An earlier patch has held it back, and this one asks for the same code.
    fn is_known(&self, refusal: &Refusal) -> bool {
        let Some(at) = self.new_named(&refusal.function) else {
            return false;
        };
        let wanted = self.texts.outline(NEW).get(at).prototype.own_hash;
        is_about_code(refusal.code)
            && self.known.iter().any(|before| {
                before.refusal.function == refusal.function && before.wanted == Some(wanted)
            })
    }

    fn flags(&self) -> Vec<bool> {
        self.held.iter().map(Option::is_some).collect()
    }

    /// Holds back until nothing is refused any more. `None`: there is no such mixture.
    fn settle(
        &mut self,
        manifest: &ChunkManifest,
        first: &ChunkPlan,
    ) -> Option<(Mixture, ChunkPlan)> {
        for refusal in &first.refusals {
            let at = self.new_named(&refusal.function)?;
            let outline = self.texts.outline(NEW);
            let outward = outwards(at, |at| outline.get(at).parent);
            let chain: Vec<Origin> = outward.map(|at| (NEW, at)).collect();
            self.hold(&chain, refusal)?;
        }
        // The base is that of the patch, and was looked at.
        let policy = Policy {
            base: None,
            ..self.policy.clone()
        };
        loop {
            let n_held = self.n_held();
            let mixture = self.texts.mix(&self.flags())?;
            let outline = &mixture.text.facts().outline;
            let chain = |at| -> Vec<Origin> {
                let outward = outwards(at, |at| outline.get(at).parent);
                outward.map(|at| mixture.origins[at]).collect()
            };
            let strangers = mixture.strangers(&self.texts);
            for (at, variable) in &strangers {
                let refusal = self.stranger(mixture.origins[*at], variable.as_deref());
                self.hold(&chain(*at), &refusal)?;
            }
            if strangers.is_empty() {
                let plan = plan_text(manifest, &mixture.text, &policy);
                if plan.refusals.is_empty() {
                    return Some((mixture, plan));
                }
                for refusal in &plan.refusals {
                    let mut all = 0..outline.literals.len();
                    let at = all.find(|at| outline.name(*at) == refusal.function)?;
                    if !is_about_code(refusal.code) {
                        return None;
                    }
                    self.hold(&chain(at), refusal)?;
                }
            }
            if self.n_held() == n_held {
                return None;
            }
        }
    }

    fn n_held(&self) -> usize {
        self.held.iter().flatten().count()
    }

    /// Holds back the first of a literal and those around it that can be and is not
    /// yet. `None`: there is none.
    fn hold(&mut self, chain: &[Origin], refusal: &Refusal) -> Option<()> {
        let mut refusal = refusal.clone();
        for &(which, at) in chain {
            let is_pair = which == NEW && self.texts.matching.old_of[at].is_some();
            if is_pair && self.held[at].is_some() {
                // Its older text is what does not fit.
            } else if is_pair {
                let literal = self.texts.outline(NEW).get(at);
                if refusal.code == Code::HeldBack {
                    (refusal.line, refusal.column) = (literal.line, literal.column);
                    refusal.function = self.texts.outline(NEW).name(at);
                }
                self.held[at] = Some(refusal);
                return Some(());
            } else if which == NEW && !self.lost.iter().any(|(lost, _)| *lost == at) {
                self.lost.push((at, refusal.clone()));
            }
            let name = self.texts.outline(which).name(at);
            refusal = self.held_back(format!("creates {name}, which is held back"));
        }
        None
    }

    fn held_back(&self, reason: String) -> Refusal {
        Refusal {
            code: Code::HeldBack,
            chunk: self.chunk.clone(),
            line: 1,
            column: 1,
            function: String::new(),
            reason,
            remedy: "resolve the refusal that holds it back".to_owned(),
        }
    }

    /// A literal that would mean something else beside what is held back.
    fn stranger(&self, (which, at): Origin, variable: Option<&str>) -> Refusal {
        let what = match variable {
            Some(name) => format!("the variable {name}"),
            None => "a constant".to_owned(),
        };
        let mut refusal = self.held_back(match which {
            NEW => format!("its new code uses {what}, which is not what the new text says while other functions are held back"),
            _ => format!("its code uses {what}, which the new text does not have as it was"),
        });
        let outline = self.texts.outline(which);
        let literal = outline.get(at);
        (refusal.line, refusal.column) = (literal.line, literal.column);
        refusal.function = outline.name(at);
        refusal
    }

    /// The plan of the mixture as that of the patch.
    fn finish(
        mut self,
        manifest: &ChunkManifest,
        patch: &ChunkPatch,
        first: &ChunkPlan,
        mixture: Mixture,
        mut plan: ChunkPlan,
    ) -> ChunkPlan {
        let outline = &mixture.text.facts().outline;
        let new = self.texts.outline(NEW);
        let class = |at: LiteralIndex| {
            let id = &new.get(at).prototype.id;
            let found = first.changes.iter().find(|c| c.new.as_ref() == Some(id));
            found.map(|c| c.class)
        };
        let mut is_there = vec![false; new.literals.len()];
        let mut functions: Vec<Diverged> = Vec::new();
        for change in &mut plan.changes {
            let Some(id) = &change.new else { continue };
            let mut all = 0..outline.literals.len();
            let Some(at) = all.find(|at| outline.get(*at).prototype.id == *id) else {
                continue;
            };
            let origin = mixture.origins[at];
            let twin = self.texts.new_of(origin);
            if let Some(twin) = twin {
                is_there[twin] = true;
                change.line = new.get(twin).line;
            }
            if origin.0 == NEW {
                continue;
            }
            // What the new text leaves as it is may stand in older code around it.
            let stays = twin.and_then(class);
            if matches!(
                stays,
                Some(ChangeClass::Unchanged | ChangeClass::DebugOnly | ChangeClass::Moved)
            ) {
                continue;
            }
            let refusal = twin.and_then(|twin| self.held[twin].take());
            let refusal = refusal.unwrap_or_else(|| {
                let mut inside =
                    self.held_back("stands in a function that is held back".to_owned());
                (inside.line, inside.function) = (change.line, outline.name(at));
                inside
            });
            change.class = ChangeClass::Diverged;
            functions.push(Diverged {
                id: id.clone(),
                refusal,
                wanted: twin.map(|twin| new.get(twin).prototype.own_hash),
            });
        }
        for at in (0..new.literals.len()).filter(|at| !is_there[*at]) {
            let literal = new.get(at);
            let known = self.lost.iter().find(|(lost, _)| *lost == at);
            let refusal = known.map_or_else(
                || {
                    let mut inside =
                        self.held_back("stands in a function that is held back".to_owned());
                    (inside.line, inside.function) = (literal.line, new.name(at));
                    inside
                },
                |(_, refusal)| refusal.clone(),
            );
            functions.push(Diverged {
                id: literal.prototype.id.clone(),
                refusal,
                wanted: Some(literal.prototype.own_hash),
            });
            plan.changes.push(LiteralChange {
                class: ChangeClass::Diverged,
                old: None,
                new: None,
                new_prototype: None,
                old_hash: None,
                new_hash: Some(literal.prototype.own_hash),
                old_version: None,
                migration: None,
                line: literal.line,
                missing: Some(literal.prototype.id.clone()),
            });
        }
        if mixture.origins[0].0 == OLD {
            // Nothing of the new main chunk runs.
            let all = first.runs.iter().chain(&first.not_run);
            let held = |statement: &NotRun| NotRun {
                why: "the main chunk is held back".to_owned(),
                ..statement.clone()
            };
            plan.not_run = all.map(held).collect();
            plan.not_run.sort_by_key(|statement| statement.line);
            plan.not_run.dedup();
            // The older text's hook has run with the older text.
            plan.hooks.migrate = None;
        }
        if functions
            .iter()
            .any(|d| Some(&d.id) == plan.hooks.migrate.as_ref())
        {
            plan.hooks.migrate = None;
        }
        functions.sort_by(|a, b| {
            (a.refusal.line, &a.refusal.function).cmp(&(b.refusal.line, &b.refusal.function))
        });
        let divergence = Divergence {
            running: mixture.text.clone(),
            functions,
        };
        plan.source = patch.source().clone();
        plan.diverged = Some(Arc::new(divergence));
        plan.conclude(manifest);
        plan
    }
}

/// A literal and those around it.
fn outwards(
    at: LiteralIndex,
    parent: impl Fn(LiteralIndex) -> Option<LiteralIndex>,
) -> impl Iterator<Item = LiteralIndex> {
    std::iter::successors(Some(at), move |at| parent(*at))
}
