//! Captured variables: which variable of the new source is which of the old
//! one, and whether closures that exist already can reach what the new code
//! captures.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{FunctionId, UpvalueDescription};
use moonswap_compiler::syntax::ast::Ast;

use super::backfill::{BackfilledValue, backfilled_index};
use super::confined::is_confined;
use super::matching::matcher::Matching;
use super::namesakes;
use super::toplevel::outcome::TopLevel;
use crate::manifest::{ChunkManifest, is_reserved, reserved, same};
use crate::patch::declarations::Variable;
use crate::patch::outline::{LiteralIndex, Outline};
use crate::policy::{Captures, Policy};
use crate::refusal::{Code, NOT_KEPT, Refusal};

/// What code generation needs, and what was found on the way.
#[derive(Debug, Default)]
pub(crate) struct CaptureResult {
    /// Capture lists of the existing slots in terms of the new source.
    pub(crate) layouts: HashMap<FunctionId, Vec<UpvalueDescription>>,
    /// How many of these all closures have.
    pub(crate) fixed: HashMap<FunctionId, usize>,
    /// Values of the others, by index.
    pub(crate) initialisers: HashMap<FunctionId, Vec<BackfilledValue>>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) warnings: Vec<String>,
    /// Literals of the old text that may have no closures.
    pub(crate) unmade: Vec<FunctionId>,
    /// Something is refused for closures that may not be there.
    pub(crate) asks_for_closures: bool,
}

/// Everything that decides about captures.
pub(crate) struct CaptureCheck<'a> {
    pub(crate) chunk: Arc<str>,
    pub(crate) manifest: &'a ChunkManifest,
    pub(crate) policy: &'a Policy,
    pub(crate) old: &'a Outline,
    pub(crate) new: &'a Outline,
    pub(crate) top: &'a TopLevel,
    pub(crate) old_ast: Option<&'a Ast>,
    pub(crate) new_ast: &'a Ast,
}

/// How an old variable relates to the new source.
#[derive(Debug, PartialEq)]
enum Counterpart {
    /// This one, seen from the new literal.
    Is(UpvalueDescription),
    /// Its name is declared a different number of times now.
    Ambiguous,
    /// Not there.
    Gone,
}

impl CaptureCheck<'_> {
    /// Checks all matched literals. Literals whose old closures stay on the
    /// old version (`keep-old`) lose their match.
    pub(crate) fn run(&self, matching: &mut Matching) -> CaptureResult {
        let mut result = CaptureResult::default();
        for is in 1..self.new.literals.len() {
            let Some(was) = matching.old_of[is] else {
                continue;
            };
            let n_refused = result.refusals.len();
            self.literal(was, is, matching, &mut result);
            if result.refusals.len() > n_refused {
                self.without_closures(was, is, n_refused, matching, &mut result);
            }
        }
        result
    }

    /// The environment the main chunk is given: declared outside of it.
    fn is_environment(outline: &Outline, at: LiteralIndex, variable: &UpvalueDescription) -> bool {
        &*variable.name == "_ENV" && usize::from(variable.depth) > outline.get(at).level
    }

    fn new_name<'n>(&'n self, name: &'n Arc<str>, top_level: bool) -> Arc<str> {
        match self.policy.rename.get(&**name) {
            Some(renamed) if top_level => renamed.as_str().into(),
            _ => name.clone(),
        }
    }

    /// The new variable that is the old one, seen from a pair of literals.
    fn counterpart(
        &self,
        was: LiteralIndex,
        is: LiteralIndex,
        e: &UpvalueDescription,
        m: &Matching,
    ) -> Counterpart {
        if is_reserved(e) {
            return Counterpart::Gone;
        }
        if Self::is_environment(self.old, was, e) {
            let depth = self.new.get(is).level as u16 + 1;
            return Counterpart::Is(UpvalueDescription { depth, ..e.clone() });
        }
        let Some(from) = self.old.ancestor(was, e.depth) else {
            return Counterpart::Gone;
        };
        let Some(to) = m.new_of[from] else {
            return Counterpart::Gone;
        };
        let Some(depth) = self.new.get(is).level.checked_sub(self.new.get(to).level) else {
            return Counterpart::Gone;
        };
        if self.new.ancestor(is, depth as u16) != Some(to) {
            return Counterpart::Gone;
        }
        let name = self.new_name(&e.name, e.top_level);
        // An older text had a variable of that name; the one in this text is another.
        let variable = self.top.variable(&name, e.declaration);
        if e.top_level && variable.is_some_and(|v| matches!(v.state, Variable::New { .. })) {
            return Counterpart::Gone;
        }
        let counts = (
            self.old.count(from, &e.name, e.top_level),
            self.new.count(to, &name, e.top_level),
        );
        match counts {
            (_, Some(0)) => Counterpart::Gone,
            (Some(old), Some(new)) if old != new => match self.aligned(from, to, e) {
                Some(declaration) => Counterpart::Is(UpvalueDescription {
                    name,
                    depth: depth as u16,
                    declaration,
                    ..e.clone()
                }),
                None => Counterpart::Ambiguous,
            },
            _ => Counterpart::Is(UpvalueDescription {
                name,
                depth: depth as u16,
                ..e.clone()
            }),
        }
    }

    /// The ordinal that a variable of a function has now, where the number of
    /// declarations of its name changed.
    fn aligned(&self, from: LiteralIndex, to: LiteralIndex, e: &UpvalueDescription) -> Option<u32> {
        if e.top_level {
            return None;
        }
        let old = (self.old_ast?, self.old.get(from).function?);
        let new = (self.new_ast, self.new.get(to).function?);
        namesakes::aligned(old, new, &e.name, e.declaration)
    }

    /// The value that a variable of an enclosing function has from its declaration
    /// on, if that is a constant. A closure that lacks the variable may then have one
    /// of its own: nobody can tell them apart, since nobody writes to it.
    fn constant(&self, is: LiteralIndex, wanted: &UpvalueDescription) -> Option<String> {
        let owner = self.new.ancestor(is, wanted.depth)?;
        let function = self.new.get(owner).function?;
        let value = namesakes::constant_of((self.new_ast, function), &wanted.name)?;
        Some(namesakes::constant_text(&value))
    }

    /// Whether all closures of a literal end with the activation around it that made
    /// them: such an activation that runs now is on its old code to its end, and so may
    /// its closures be. The literals concerned have had one code only, so no other
    /// text has made closures that go farther.
    fn is_confined(&self, was: LiteralIndex) -> bool {
        let find = || {
            let parent = self.old.get(was).parent?;
            let (around, inside) = (self.old.get(parent), self.old.get(was));
            let confined = is_confined(self.old_ast?, around.function?, inside.function?);
            confined.then_some(parent)
        };
        let is_first = |at: &LiteralIndex| {
            let slot = self.manifest.slots.get(&self.old.get(*at).prototype.id);
            slot.is_some_and(|slot| slot.is_first)
        };
        find().is_some_and(|parent| self.old.inside(parent).iter().all(is_first))
    }

    fn literal(
        &self,
        was: LiteralIndex,
        is: LiteralIndex,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        let old = &self.old.get(was).prototype;
        let new = self.new.get(is).prototype.clone();
        let slot = self.manifest.slots.get(&old.id);
        let before = match slot {
            Some(slot) => slot.layout.clone(),
            None => old.upvalues.to_vec(),
        };
        let n_fixed = slot.map_or(before.len(), |slot| slot.n_fixed);
        let mut layout: Vec<UpvalueDescription> = before
            .iter()
            .map(|e| match self.counterpart(was, is, e, m) {
                Counterpart::Is(description) => description,
                Counterpart::Ambiguous | Counterpart::Gone => reserved(e),
            })
            .collect();
        let mut late = slot.map_or_else(Vec::new, |slot| BackfilledValue::known(&slot.current));
        let live: Vec<(&UpvalueDescription, Counterpart)> = old
            .upvalues
            .iter()
            .map(|e| (e, self.counterpart(was, is, e, m)))
            .collect();

        for wanted in &new.upvalues {
            if let Some(at) = layout.iter().position(|e| same(e, wanted)) {
                if before[at].in_loop != wanted.in_loop && !wanted.top_level {
                    self.scope_changed(
                        is,
                        wanted,
                        if wanted.in_loop {
                            "once per iteration of a loop"
                        } else {
                            "outside the loop"
                        },
                        m,
                        result,
                    );
                }
                continue;
            }
            let has_cell = wanted.top_level && self.manifest.main.scope.is_empty();
            if self.manifest.main.is_stripped()
                && !Self::is_environment(self.new, is, wanted)
                && !has_cell
            {
                self.ambiguous(is, wanted, m, result);
                continue;
            }
            if Self::is_environment(self.new, is, wanted) {
                // The environment has a cell of its own.
                continue;
            }
            let known = live
                .iter()
                .any(|(_, c)| matches!(c, Counterpart::Is(d) if same(d, wanted)));
            if !known {
                // A variable of this name was captured, but it is another one.
                let namesake = live
                    .iter()
                    .find(|(e, _)| self.new_name(&e.name, e.top_level) == wanted.name);
                match namesake {
                    Some((_, Counterpart::Ambiguous)) => {
                        self.ambiguous(is, wanted, m, result);
                        continue;
                    }
                    Some(_) => {
                        let place = if wanted.top_level {
                            "at the top level"
                        } else {
                            "in another function or block"
                        };
                        self.scope_changed(is, wanted, place, m, result);
                        continue;
                    }
                    None => {}
                }
            }
            if wanted.top_level {
                self.top_level(is, wanted, m, result);
            } else {
                match self.policy.captures.of(&wanted.name) {
                    Captures::Refuse => match self.constant(is, wanted) {
                        Some(text) => {
                            let index = backfilled_index(&mut layout, n_fixed, wanted);
                            late.retain(|value| value.index != index);
                            late.push(BackfilledValue {
                                index,
                                text: text.as_str().into(),
                            });
                        }
                        None if self.is_confined(was) => {
                            let around = self.old.get(was).parent.unwrap_or_default();
                            result.warnings.push(format!(
                                "{}: now captures {}; activations of {} that run already keep to the old version of it",
                                self.new.name(is),
                                wanted.name,
                                self.old.name(around)
                            ));
                            return self.unpair(was, is, m);
                        }
                        None => self.enclosing(is, wanted, m, result),
                    },
                    Captures::KeepOld => return self.keep_old(was, is, wanted, m, result),
                    Captures::Nil => {
                        backfilled_index(&mut layout, n_fixed, wanted);
                        self.backfill_warning(is, wanted, "nil at first", result);
                    }
                    Captures::Expression(text) => {
                        let index = backfilled_index(&mut layout, n_fixed, wanted);
                        late.retain(|value| value.index != index);
                        late.push(BackfilledValue {
                            index,
                            text: text.as_str().into(),
                        });
                        let value = format!("`{text}` when they are called next");
                        self.backfill_warning(is, wanted, &value, result);
                    }
                }
            }
        }
        late.sort_by_key(|value| value.index);
        for value in &late {
            let variable = &layout[usize::from(value.index)];
            let is_used = new.upvalues.iter().any(|wanted| same(variable, wanted));
            if is_used && let Err(reason) = self.usable(is, value, &layout, n_fixed) {
                let reason = format!(
                    "the value of {} in existing closures, `{}`, {reason}",
                    variable.name, value.text
                );
                self.refuse(
                    Code::CaptureExpression,
                    is,
                    reason,
                    "write one expression over variables that existing closures capture",
                    m,
                    result,
                );
            }
        }
        if layout.len() > n_fixed {
            result.fixed.insert(new.id.clone(), n_fixed);
        }
        if !late.is_empty() {
            result.initialisers.insert(new.id.clone(), late);
        }
        result.layouts.insert(new.id.clone(), layout);
    }

    fn backfill_warning(
        &self,
        is: LiteralIndex,
        wanted: &UpvalueDescription,
        value: &str,
        result: &mut CaptureResult,
    ) {
        result.warnings.push(format!(
            "{}: now captures {}; each existing closure has one of its own, {value}",
            self.new.name(is),
            wanted.name
        ));
    }

    /// Whether closures that lack a variable can evaluate its value.
    fn usable(
        &self,
        is: LiteralIndex,
        value: &BackfilledValue,
        layout: &[UpvalueDescription],
        n_fixed: usize,
    ) -> Result<(), String> {
        let expression = value.parse()?;
        for name in expression.names() {
            let index = layout
                .iter()
                .position(|e| *e.name == *name && !is_reserved(e));
            match index {
                Some(index) if index < n_fixed => continue,
                Some(_) => return Err(format!("uses {name}, which they lack as well")),
                None => {}
            }
            match self.top.visible(name) {
                Some(Variable::Ambiguous | Variable::Existing { cell: None, .. }) => {
                    return Err(format!("uses {name}, whose value was not kept"));
                }
                Some(Variable::Existing { .. }) if self.manifest.n_runs > 1 => {
                    return Err(format!("uses {name}, of which there are several"));
                }
                Some(
                    Variable::Existing { .. } | Variable::New { .. } | Variable::Revived { .. },
                ) => continue,
                None => {}
            }
            if self.new.count(is, name, false) != Some(0) {
                return Err(format!("uses {name}, a variable of the function itself"));
            }
            let mut outward = self.new.get(is).parent;
            while let Some(at) = outward {
                if self.new.count(at, name, false) != Some(0) {
                    return Err(format!("uses {name}, which they do not have"));
                }
                outward = self.new.get(at).parent;
            }
            if layout.iter().any(|e| *e.name == *name) {
                return Err(format!("uses {name}, which is no longer in the text"));
            }
        }
        Ok(())
    }

    /// A top-level local that old closures reach through the scope record.
    fn top_level(
        &self,
        is: LiteralIndex,
        wanted: &UpvalueDescription,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        let name = &wanted.name;
        match self
            .top
            .variable(name, wanted.declaration)
            .map(|v| &v.state)
        {
            Some(Variable::Existing { cell: Some(_), .. }) if self.manifest.n_runs > 1 => {
                let reason = format!(
                    "now uses the top-level local {name}, of which there are several: the main chunk ran {} times",
                    self.manifest.n_runs
                );
                self.refuse(
                    Code::SeveralRuns,
                    is,
                    reason,
                    "pass the value as an argument or keep it in a table",
                    m,
                    result,
                );
            }
            Some(
                Variable::Existing { cell: Some(_), .. }
                | Variable::New { .. }
                | Variable::Revived { .. },
            ) => {}
            Some(Variable::Existing { cell: None, .. }) => {
                let reason = format!(
                    "now uses the top-level local {name}, whose value was not kept when the main chunk returned"
                );
                self.refuse(Code::CellMissing, is, reason, NOT_KEPT, m, result);
            }
            Some(Variable::Ambiguous) | None => self.ambiguous(is, wanted, m, result),
        }
    }

    /// The literal is not the successor of the old one any more.
    fn keep_old(
        &self,
        was: LiteralIndex,
        is: LiteralIndex,
        wanted: &UpvalueDescription,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        result.warnings.push(format!(
            "{}: now captures {}; existing closures stay on the old version",
            self.new.name(is),
            wanted.name
        ));
        self.unpair(was, is, m);
    }

    /// A local of an enclosing function that old closures do not have.
    fn enclosing(
        &self,
        is: LiteralIndex,
        wanted: &UpvalueDescription,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        let owner = self
            .new
            .ancestor(is, wanted.depth)
            .map_or_else(|| "?".to_owned(), |at| self.new.name(at));
        let reason = format!(
            "now captures {}, a local of {owner}, which existing closures do not have",
            wanted.name
        );
        self.refuse(
            Code::NewEnclosingCapture,
            is,
            reason,
            "pass it as an argument, or choose captures = \"keep-old\" to leave existing closures on the old version, \"nil\" or \"expr: …\" to give them one",
            m,
            result,
        );
    }

    pub(super) fn unpair(&self, was: LiteralIndex, is: LiteralIndex, m: &mut Matching) {
        for at in self.new.inside(is) {
            if let Some(was) = m.old_of[at].take() {
                m.new_of[was] = None;
            }
            m.moved[at] = false;
        }
        for at in self.old.inside(was) {
            if let Some(is) = m.new_of[at].take() {
                m.old_of[is] = None;
            }
        }
    }

    fn scope_changed(
        &self,
        is: LiteralIndex,
        wanted: &UpvalueDescription,
        place: &str,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        let reason = format!(
            "the captured variable {} is declared {place} now: it is not the variable existing closures have",
            wanted.name
        );
        self.refuse(
            Code::ScopeChanged,
            is,
            reason,
            "keep its declaration where it was, or give the new variable another name",
            m,
            result,
        );
    }

    fn ambiguous(
        &self,
        is: LiteralIndex,
        wanted: &UpvalueDescription,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        let (why, remedy) = if self.manifest.main.is_stripped() {
            (
                "debugging information was removed",
                "load the chunk with the names of its variables",
            )
        } else {
            (
                "the number of declarations changed",
                "declare that name as often as before, or give the new variable another name",
            )
        };
        let reason = format!(
            "{why}: which variable the captured {} is, is not decidable",
            wanted.name
        );
        self.refuse(Code::AmbiguousVariable, is, reason, remedy, m, result);
    }

    fn refuse(
        &self,
        code: Code,
        is: LiteralIndex,
        reason: String,
        remedy: &str,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        m.refused[is] = true;
        let literal = self.new.get(is);
        result.refusals.push(Refusal {
            code,
            chunk: self.chunk.clone(),
            line: literal.line,
            column: literal.column,
            function: self.new.name(is),
            reason,
            remedy: remedy.to_owned(),
        });
    }

    /// Whether a pair captures the same variables in the same order.
    pub(crate) fn same_captures(&self, was: LiteralIndex, is: LiteralIndex, m: &Matching) -> bool {
        let (old, new) = (
            &self.old.get(was).prototype.upvalues,
            &self.new.get(is).prototype.upvalues,
        );
        is == 0
            || old.len() == new.len()
                && old
                    .iter()
                    .zip(new)
                    .all(|(e, wanted)| matches!(self.counterpart(was, is, e, m), Counterpart::Is(d) if same(&d, wanted)))
    }
}
