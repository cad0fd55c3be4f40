//! `refused = "keep-old"`: one refusal does not block the rest.
//!
//! A function whose new code is refused keeps the old one, and the patch is planned
//! again with the old function in the new text ([`Hybrid`]). That may show that
//! more has to stay:
//!
//! - a function whose new code uses a variable that the new text of a function
//!   around it declares, if that one is held back (the main chunk too);
//! - a function in whose new text an older one would use other variables than it
//!   does;
//! - a function around a new one that is refused and stands for no older one: it
//!   would create it;
//! - for a refused statement of the top level, or a new function in one, the
//!   statement and those that use what it declares: older declarations of the same
//!   names stand in their place;
//! - where that is not enough, the main chunk: its statements and what they add stay
//!   away, functions in it are still replaced one by one.
//!
//! Each round holds back at least one function more, and the old text with nothing
//! new in it is refused nothing, so there is an end. What functions *call* is not
//! looked at: a new caller of an older function is applied, and calls the older one.

use std::sync::Arc;

use foldhash::HashSet;
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Ast, Expr, Statement, StatementKind};
use moonswap_compiler::syntax::graft::Exchanged;

use super::hybrid::{Hybrid, NEW, OLD, Origin, Texts};
use super::single::{old_text, plan_text};
use crate::compare::matching::match_literals;
use crate::manifest::ChunkManifest;
use crate::manifest::divergence::{Diverged, Divergence};
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::model::not_run::NotRun;
use crate::model::plan::ChunkPlan;
use crate::patch::outline::{LiteralIndex, statement_literals};
use crate::patch::statements::statements;
use crate::patch::tree::{parts, symbol_text};
use crate::patch::{ChunkPatch, shape, shown};
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
    let targets = Some((&old.facts().targets, &patch.facts().targets));
    let matching = match_literals(&chunk, outlines.0, outlines.1, policy, targets);
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
        exchanged: Exchanged::new(),
        statements: Vec::new(),
        fresh: HashSet::default(),
        fresh_statements: HashSet::default(),
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
        Some((hybrid, plan)) => ChunkPlan {
            asks_for_closures: first.asks_for_closures,
            ..keeping.finish(manifest, patch, &first, hybrid, plan)
        },
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
    /// Statements of the new main chunk that give way to older ones.
    exchanged: Exchanged,
    /// Why they do.
    statements: Vec<(usize, Refusal)>,
    /// Literals held back since the last hybrid was planned: what else is refused
    /// about them, or in them, was about their new code.
    fresh: HashSet<LiteralIndex>,
    /// The same of statements.
    fresh_statements: HashSet<usize>,
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
        if let Some(statement) = self.statement_of(refusal) {
            let words = Some(self.words(statement));
            return is_about_code(refusal.code)
                && self.known.iter().any(|before| before.statement == words);
        }
        let wanted = self.texts.outline(NEW).get(at).prototype.own_hash;
        is_about_code(refusal.code)
            && self.known.iter().any(|before| {
                before.refusal.function == refusal.function && before.wanted == Some(wanted)
            })
    }

    fn flags(&self) -> Vec<bool> {
        self.held.iter().map(Option::is_some).collect()
    }

    /// Holds back until nothing is refused any more. `None`: there is no such hybrid.
    fn settle(
        &mut self,
        manifest: &ChunkManifest,
        first: &ChunkPlan,
    ) -> Option<(Hybrid, ChunkPlan)> {
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
            self.fresh.clear();
            self.fresh_statements.clear();
            let hybrid = self.texts.mix(&self.flags(), &self.exchanged)?;
            let outline = &hybrid.text.facts().outline;
            let chain = |at| -> Vec<Origin> {
                let outward = outwards(at, |at| outline.get(at).parent);
                outward.map(|at| hybrid.origins[at]).collect()
            };
            let strangers = hybrid.strangers(&self.texts);
            for (at, variable) in &strangers {
                let refusal = self.stranger(hybrid.origins[*at], variable.as_deref());
                self.hold(&chain(*at), &refusal)?;
            }
            if strangers.is_empty() {
                let plan = plan_text(manifest, &hybrid.text, &policy);
                if plan.refusals.is_empty() {
                    return Some((hybrid, plan));
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
        self.held.iter().flatten().count() + self.exchanged.len()
    }

    /// Holds back the first of a literal and those around it that can be and is not
    /// yet. `None`: there is none.
    fn hold(&mut self, chain: &[Origin], refusal: &Refusal) -> Option<()> {
        let mut refusal = refusal.clone();
        let statement = self.statement_of(&refusal);
        if statement.is_some_and(|at| self.exchange(at, &refusal)) {
            return Some(());
        }
        for &(which, at) in chain {
            let is_pair = which == NEW && self.texts.matching.old_of[at].is_some();
            if is_pair && self.fresh.contains(&at) {
                return Some(());
            } else if is_pair && self.held[at].is_some() {
                // Its older text is what does not fit.
            } else if is_pair {
                let literal = self.texts.outline(NEW).get(at);
                if refusal.code == Code::HeldBack {
                    (refusal.line, refusal.column) = (literal.line, literal.column);
                    refusal.function = self.texts.outline(NEW).name(at);
                }
                self.held[at] = Some(refusal);
                self.fresh.insert(at);
                return Some(());
            } else if which == NEW && !self.lost.iter().any(|(lost, _)| *lost == at) {
                self.lost.push((at, refusal.clone()));
            }
            // What is new at the top level stays away with its statement.
            let statement = (which == NEW).then(|| self.statement_around(at)).flatten();
            if !is_pair && statement.is_some_and(|at| self.exchange(at, &refusal)) {
                return Some(());
            }
            let name = self.texts.outline(which).name(at);
            refusal = self.held_back(format!("creates {name}, which is held back"));
        }
        None
    }

    /// The declaration of the new main chunk that a refusal is about.
    fn statement_of(&self, refusal: &Refusal) -> Option<usize> {
        let is_there = |span: &Span| (span.line, span.column) == (refusal.line, refusal.column);
        let is_it = |statement: &Statement| match &statement.kind {
            StatementKind::Local { names, .. } => {
                is_there(&statement.span) || names.iter().any(|(_, _, span)| is_there(span))
            }
            _ => false,
        };
        let is_main = refusal.function == self.texts.outline(NEW).name(0);
        is_main
            .then(|| statements(self.texts.new.ast()).iter().position(is_it))
            .flatten()
    }

    /// The statement of the new main chunk in which a literal directly in it stands.
    fn statement_around(&self, at: LiteralIndex) -> Option<usize> {
        let literal = self.texts.outline(NEW).get(at);
        let function = literal.function.filter(|_| literal.parent == Some(0))?;
        let ast = self.texts.new.ast();
        let holds = |s: &Statement| statement_literals(ast, &s.kind).contains(&function);
        statements(ast).iter().position(holds)
    }

    fn words(&self, at: usize) -> Vec<u8> {
        let ast = self.texts.new.ast();
        shape::statement(ast, &statements(ast)[at].kind)
    }

    /// Puts the older declarations in the place of a refused one, and takes out what
    /// uses variables that are not declared then. False if that is not possible, or
    /// done already.
    fn exchange(&mut self, at: usize, refusal: &Refusal) -> bool {
        if self.held[0].is_some() {
            return false;
        }
        if self.fresh_statements.contains(&at) {
            return true;
        }
        let mut exchanged = self.exchanged.clone();
        let mut reasons = vec![(at, refusal.clone())];
        let mut done = 0;
        let (old, new) = (self.texts.old.ast(), self.texts.new.ast());
        while let Some((at, _)) = reasons.get(done).cloned() {
            done += 1;
            if exchanged.contains_key(&at) {
                return false;
            }
            let statement = &statements(new)[at];
            if matches!(statement.kind, StatementKind::Return(_)) {
                return false;
            }
            let names = declared_names(new, &statement.kind);
            let older: Vec<usize> = (0..statements(old).len())
                .filter(|at| {
                    let older = declared_names(old, &statements(old)[*at].kind);
                    older.iter().any(|name| names.contains(name))
                })
                .collect();
            let kept: Vec<Arc<str>> = older
                .iter()
                .flat_map(|at| declared_names(old, &statements(old)[*at].kind))
                .collect();
            exchanged.insert(at, older);
            for name in names.iter().filter(|name| !kept.contains(name)) {
                for (user, statement) in statements(new).iter().enumerate() {
                    let is_known = reasons.iter().any(|(known, _)| *known == user);
                    if !is_known && mentions(new, &statement.kind, name) {
                        let mut why =
                            self.held_back(format!("uses {name}, whose declaration is held back"));
                        (why.line, why.column) = (statement.span.line, statement.span.column);
                        why.function = self.texts.outline(NEW).name(0);
                        reasons.push((user, why));
                    }
                }
            }
        }
        self.exchanged = exchanged;
        self.fresh_statements
            .extend(reasons.iter().map(|(at, _)| *at));
        self.statements.extend(reasons);
        true
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

    /// The plan of the hybrid as that of the patch.
    fn finish(
        mut self,
        manifest: &ChunkManifest,
        patch: &ChunkPatch,
        first: &ChunkPlan,
        hybrid: Hybrid,
        mut plan: ChunkPlan,
    ) -> ChunkPlan {
        let outline = &hybrid.text.facts().outline;
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
            let origin = hybrid.origins[at];
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
            change.is_relinked = change.class == ChangeClass::Swapped;
            change.class = ChangeClass::Diverged;
            functions.push(Diverged {
                id: id.clone(),
                refusal,
                wanted: twin.map(|twin| new.get(twin).prototype.own_hash),
                statement: None,
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
                statement: None,
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
                is_relinked: false,
            });
        }
        if hybrid.origins[0].0 == OLD {
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
        if hybrid.origins[0].0 == NEW {
            for (at, refusal) in std::mem::take(&mut self.statements) {
                let statement = &statements(patch.ast())[at];
                let text = patch
                    .source()
                    .get(statement.span.start as usize..statement.span.end as usize);
                let text = String::from_utf8_lossy(text.unwrap_or_default());
                plan.not_run.push(NotRun {
                    line: statement.span.line,
                    text: text.lines().next().unwrap_or_default().to_owned(),
                    why: "held back".to_owned(),
                    option: None,
                });
                if functions.iter().any(|known| known.refusal == refusal) {
                    // Told of as the function that it would add.
                    continue;
                }
                functions.push(Diverged {
                    id: new.get(0).prototype.id.clone(),
                    refusal,
                    wanted: None,
                    statement: Some(self.words(at)),
                });
            }
            plan.not_run.sort_by_key(|statement| statement.line);
        }
        functions.sort_by(|a, b| {
            (a.refusal.line, &a.refusal.function).cmp(&(b.refusal.line, &b.refusal.function))
        });
        let divergence = Divergence {
            running: hybrid.text.clone(),
            functions,
        };
        plan.source = patch.source().clone();
        plan.diverged = Some(Arc::new(divergence));
        plan.conclude(manifest);
        plan
    }
}

/// The names that a statement of the main chunk declares.
fn declared_names(ast: &Ast, kind: &StatementKind) -> Vec<Arc<str>> {
    match kind {
        StatementKind::Local { names, .. } => {
            let names = names.iter().map(|(name, ..)| symbol_text(ast, *name));
            names.collect()
        }
        StatementKind::LocalFunction { name, .. } => vec![symbol_text(ast, *name)],
        _ => Vec::new(),
    }
}

/// Whether a statement uses a variable of this name, literals in it left aside.
fn mentions(ast: &Ast, kind: &StatementKind, name: &str) -> bool {
    let mut todo = kind.all_expressions();
    while let Some(expr) = todo.pop() {
        let node = ast.exprs.get(expr.0 as usize);
        if matches!(node, Some(Expr::Name(n)) if *symbol_text(ast, *n) == *name) {
            return true;
        }
        todo.extend(parts(ast, expr));
    }
    false
}

/// A literal and those around it.
fn outwards(
    at: LiteralIndex,
    parent: impl Fn(LiteralIndex) -> Option<LiteralIndex>,
) -> impl Iterator<Item = LiteralIndex> {
    std::iter::successors(Some(at), move |at| parent(*at))
}
