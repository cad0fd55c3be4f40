//! The main chunk is not run again: what became of each of its top-level
//! locals and statements, and what of them the delta chunks run, in the order of
//! the new text.
//!
//! | file | idea |
//! | --- | --- |
//! | `comparison` | what is compared |
//! | `outcome` | what became of it |
//! | `variables` | which top-level local is which |
//! | `merge` | data and definitions, old against new |
//! | `evaluate`, `made` | values that are computed; what is made of an entry |
//! | `meaning` | the same words that mean something else |
//! | `repeated` | what is set more than once |
//! | `replaced` | what is set in a table that is another one now |
//! | `order` | the steps that both texts have |
//! | `moved` | steps whose order changed, and matters |
//! | `readers` | unchanged statements that read what changed |
//! | `side`, `gone` | one of the texts; what it has no more |
//! | `decide` | `if` statements whose arms are found out |
//! | `others` | statements that set nothing of their own; `rerun` |
//! | `selected` | `run`; names of the policy that fit nothing |
//! | `reach` | how far the main chunk got |
//! | `again` | main chunks that are called again and again |
//!
//! What is known of one text alone is in `patch/`: `constant` (expressions whose value
//! is known), `path` (which variable or field is meant, however it is written), `entries`
//! (a text taken apart into what it sets), `assigned` (what its other code assigns).

mod again;
pub(crate) mod comparison;
mod decide;
mod evaluate;
mod gone;
mod made;
mod meaning;
mod merge;
mod moved;
mod order;
mod others;
pub(crate) mod outcome;
mod reach;
mod readers;
mod repeated;
mod replaced;
mod selected;
mod side;
mod variables;

use moonswap_compiler::syntax::ast::StatementKind;

use crate::compare::alignment::{matched, moved, unmatched};
use crate::model::change::DataChange;
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::statements::statements;
use comparison::Comparison;
use merge::Merging;
use outcome::{Action, MergeCode, TopLevel};
use reach::Reach;

impl Comparison<'_> {
    pub(crate) fn run(&self) -> TopLevel {
        let mut top = TopLevel {
            variables: self.new.facts().declared.clone(),
            labels: self
                .manifest
                .cells
                .iter()
                .map(|c| (c.name.clone(), c.declaration))
                .collect(),
            n_old_cells: self.manifest.cells.len(),
            ..TopLevel::default()
        };
        match self.old {
            Some(old) => {
                let reach = self.reach(old);
                self.variables(&old.facts().declared, &reach, &mut top);
                if self.is_changed(old) || self.policy.data.replaces_by_path() {
                    let mut merging = Merging::new(self, old, &reach);
                    let taken = merging.taken();
                    merging.run(&mut top);
                    let decided = self.others(&merging, &taken, &mut top);
                    self.list_moved(&merging, &decided, &mut top);
                    self.tell_readers(old, &reach, &mut top);
                }
                let skipped = reach.skipped.iter().filter(|_| !self.is_called_again());
                for at in skipped {
                    top.list(NotRun {
                        line: self.statement_line(*at),
                        text: self.statement_text(*at),
                        why: reach.why.clone(),
                        option: None,
                    });
                }
                top.progress = reach.progress(self.manifest.progress);
                top.passed =
                    reach
                        .passed
                        .and_then(|(at, progress)| match top.actions.get(&at)? {
                            Action::Decide(code) => Some((code.decision, progress)),
                            _ => None,
                        });
            }
            None => {
                let reach = Reach::without_text(self.manifest.progress, self.body().len());
                top.progress = reach.progress(self.manifest.progress);
                self.variables(&self.declared_by_prototype(), &reach, &mut top);
                if reach.limit > 0 {
                    self.added(&mut top);
                }
            }
        }
        self.selected(&mut top);
        self.partial(&mut top);
        self.tell_next_call(&mut top);
        top.not_run.sort_by_key(|n| n.line);
        self.tell_runs(&mut top);
        top
    }

    /// Whether the main chunks differ in more than functions: in statements, or in
    /// what constants stand for.
    fn is_changed(&self, old: &ChunkPatch) -> bool {
        let (was, is) = (old.facts(), self.new.facts());
        was.shapes != is.shapes
            || was.constants.by_name(old.ast()) != is.constants.by_name(self.new.ast())
            || self.has_unmatched(old)
    }

    /// Whether a literal of the main chunk is not the one in its place before, where
    /// the statements are the same.
    fn has_unmatched(&self, old: &ChunkPatch) -> bool {
        let (was, is) = (&old.facts().outline, &self.new.facts().outline);
        let (was, is) = (&was.get(0).children, &is.get(0).children);
        let pairs = was.iter().zip(is);
        was.len() != is.len()
            || pairs
                .into_iter()
                .any(|(was, is)| self.matching.old_of[*is] != Some(*was))
    }

    /// How far the main chunk got.
    fn reach(&self, old: &ChunkPatch) -> Reach {
        let (was, is) = (&old.facts().shapes, &self.new.facts().shapes);
        let progress = self.manifest.progress;
        let mut pairs = Vec::new();
        if was == is {
            pairs.extend((0..is.len()).map(|at| (at, at)));
        } else {
            let number = |list: &[Vec<u8>]| list.iter().cloned().enumerate().collect::<Vec<_>>();
            let (was, is) = (number(was), number(is));
            let (gone, come) = unmatched(&was, &is);
            // What moved past others is still the same.
            pairs.extend(moved(&was, &is, &gone, &come));
            pairs.extend(matched(&was, &gone).into_iter().zip(matched(&is, &come)));
            if reach::left_in(progress, self.old_main, statements(old.ast())).is_some() {
                pairs.extend(Merging::pairs(self, old));
            }
            pairs.sort_unstable();
            pairs.dedup();
        }
        reach::reach(
            progress,
            self.old_main,
            statements(old.ast()),
            self.body(),
            &pairs,
        )
    }

    /// Says what the delta chunks run.
    fn tell_runs(&self, top: &mut TopLevel) {
        let mut runs = Vec::new();
        let defines = |data: &[DataChange], merges: &[MergeCode]| {
            merges
                .iter()
                .any(|m| data.get(m.change).is_some_and(|c| !c.is_data()))
        };
        for (at, action) in &top.actions {
            let why = match action {
                Action::Run => "once",
                Action::Try => "if it changes only what is new",
                Action::Parts(parts) => {
                    let n_names = match &self.body()[*at].kind {
                        StatementKind::Local { names, .. } => names.len(),
                        _ => 1,
                    };
                    let n = parts.values().filter(|part| part.declare).count();
                    let merges = parts.values().flat_map(|part| &part.merges);
                    let merges: Vec<MergeCode> = merges.cloned().collect();
                    match n {
                        0 if defines(&top.data, &merges) => "if nothing stands there",
                        0 => continue,
                        n if n == n_names => "once",
                        _ => "the new names only",
                    }
                }
                Action::Merge(merges) if defines(&top.data, merges) => "if nothing stands there",
                Action::Merge(_) => continue,
                Action::Decide(_) => "its conditions only, to see which arm is taken",
            };
            runs.push(NotRun {
                line: self.statement_line(*at),
                text: self.statement_text(*at),
                why: why.into(),
                option: None,
            });
        }
        runs.sort_by(|a, b| (a.line, &a.text).cmp(&(b.line, &b.text)));
        top.runs = runs;
    }
}
