//! The main chunk is not run again: what became of each of its top-level
//! locals and statements, and what of them the delta chunks run, in the order of
//! the new text.
//!
//! | file | idea |
//! | --- | --- |
//! | `constant` | expressions whose value is known |
//! | `path` | which variable or field is meant, however it is written |
//! | `entries` | a text taken apart into what it sets |
//! | `state` | what other code of a text assigns |
//! | `variables` | which top-level local is which |
//! | `merge` | data and definitions, old against new |
//! | `side`, `gone` | one of the texts; what it has no more |
//! | `others` | statements that set nothing of their own; `run`, `rerun` |
//! | `reach` | how far the main chunk got |

pub(crate) mod constant;
pub(crate) mod entries;
mod evaluate;
mod gone;
mod made;
pub(crate) mod merge;
mod others;
pub(crate) mod path;
mod reach;
mod side;
pub(crate) mod state;
mod variables;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Statement, StatementKind};

use crate::change::DataChange;
pub(crate) use crate::declarations::Declared;
use crate::diff::Matching;
use crate::manifest::{ChunkManifest, Progress};
use crate::patch::ChunkPatch;
use crate::plan::NotRun;
use crate::policy::Policy;
use crate::refusal::{Code, Refusal, Unfit};
use crate::removal::Removal;
use crate::statements::{statements, unmatched};
use merge::{MergeCode, Merging};
use path::Path;
use reach::Reach;

/// What a top-level local of the new source is to the running chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// A variable of the old source, with its cell if it is there.
    Existing { cell: Option<u32> },
    /// New: a cell is appended to the scope record.
    New { cell: u32 },
    /// Not in the old source, but a version before it had it: keeps its value.
    Revived { cell: u32 },
    /// Declared a different number of times now.
    Ambiguous,
}

/// What the delta chunks do with one name of a declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its initialiser runs.
    pub(crate) declare: bool,
    /// What is put in place in it.
    pub(crate) merges: Vec<MergeCode>,
}

/// What the delta chunks do with a top-level statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It runs.
    Run,
    /// It runs in a chunk of its own, and is undone if it changes anything that
    /// existed before the patch.
    Try,
    /// Of a declaration, these names, by position.
    Parts(BTreeMap<usize, Part>),
    /// Entries are put in place one by one.
    Merge(Vec<MergeCode>),
}

/// The comparison of two main chunks.
#[derive(Debug, Default)]
pub(crate) struct TopLevel {
    variables: Vec<Declared>,
    /// By position in the new main chunk.
    pub(crate) actions: HashMap<usize, Action>,
    /// Changes of data and definitions, in the order of the new text.
    pub(crate) data: Vec<DataChange>,
    /// Entries that go, after all else.
    pub(crate) gone: Vec<MergeCode>,
    /// How many expressions are evaluated for changes.
    pub(crate) n_evaluated: usize,
    /// Paths that are new.
    fresh: HashSet<Path>,
    /// The scope record as it is to be labelled.
    pub(crate) labels: Vec<(Arc<str>, u32)>,
    /// How many labels stand for cells that are there.
    pub(crate) n_old_cells: usize,
    pub(crate) not_run: Vec<NotRun>,
    pub(crate) warnings: Vec<String>,
    /// Fields to clear.
    pub(crate) removals: Vec<Removal>,
    /// What the delta chunks run.
    pub(crate) runs: Vec<NotRun>,
    pub(crate) refusals: Vec<Refusal>,
    /// Names in `run` and `reset` that occur nowhere here.
    pub(crate) unfit: Vec<Unfit>,
    /// How far the main chunk counts as having got, in terms of the new text.
    pub(crate) progress: Progress,
}

impl TopLevel {
    /// The top-level local of that name and ordinal.
    pub(crate) fn variable(&self, name: &str, declaration: u32) -> Option<&Declared> {
        self.variables
            .iter()
            .find(|v| &*v.name == name && v.declaration == declaration)
    }

    /// What a name means at the end of the main chunk, if it is a top-level
    /// local.
    pub(crate) fn visible(&self, name: &str) -> Option<&Variable> {
        let last = self.variables.iter().rfind(|v| &*v.name == name);
        last.map(|v| &v.state)
    }

    /// Names of locals whose values were not kept.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &Arc<str>> {
        let is_lost = |v: &&Declared| v.state == Variable::Existing { cell: None };
        self.variables.iter().filter(is_lost).map(|v| &v.name)
    }

    /// All cells that code of the new source may use.
    pub(crate) fn cells(&self) -> HashMap<(Arc<str>, u32), u32> {
        let cell = |state: &Variable| match state {
            Variable::Existing { cell } => *cell,
            Variable::New { cell } | Variable::Revived { cell } => Some(*cell),
            Variable::Ambiguous => None,
        };
        self.variables
            .iter()
            .filter_map(|v| Some(((v.name.clone(), v.declaration), cell(&v.state)?)))
            .collect()
    }

    fn part(&mut self, statement: usize, index: usize) -> Option<&mut Part> {
        let parts = Action::Parts(BTreeMap::new());
        match self.actions.entry(statement).or_insert(parts) {
            Action::Parts(parts) => Some(parts.entry(index).or_default()),
            Action::Run | Action::Try | Action::Merge(_) => None,
        }
    }

    /// A change is made where the statement stands.
    fn merge(&mut self, statement: usize, code: MergeCode) {
        let merges = Action::Merge(Vec::new());
        if let Action::Merge(all) = self.actions.entry(statement).or_insert(merges) {
            all.push(code);
        }
    }

    fn list(&mut self, statement: NotRun) {
        if !self.not_run.contains(&statement) {
            self.not_run.push(statement);
        }
    }
}

/// Everything that is compared.
pub(crate) struct Comparison<'a> {
    pub(crate) chunk: Arc<str>,
    pub(crate) manifest: &'a ChunkManifest,
    pub(crate) policy: &'a Policy,
    pub(crate) old: Option<&'a ChunkPatch>,
    pub(crate) old_main: &'a Prototype,
    pub(crate) new: &'a ChunkPatch,
    pub(crate) matching: &'a Matching,
}

impl Comparison<'_> {
    fn source(&self) -> &[u8] {
        self.new.source()
    }

    /// The statements of the new text.
    pub(crate) fn body(&self) -> &[Statement] {
        statements(self.new.ast())
    }

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
                if self.is_changed(old) {
                    let mut merging = Merging::new(self, old, &reach);
                    let taken = merging.taken();
                    merging.run(&mut top);
                    self.others(old, &taken, &reach, &mut top);
                }
                top.progress = reach.progress(self.manifest.progress);
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
            let (gone, come) = unmatched(&number(was), &number(is));
            let stays = |n: usize, other: Vec<usize>| {
                let other: HashSet<usize> = other.into_iter().collect();
                (0..n).filter(move |at| !other.contains(at))
            };
            pairs.extend(stays(was.len(), gone).zip(stays(is.len(), come)));
            if reach::left_in(progress, self.old_main, statements(old.ast())).is_some() {
                pairs.extend(Merging::pairs(self, old));
                pairs.sort_unstable();
                pairs.dedup();
            }
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

    fn is_reset(&self, name: &str) -> bool {
        self.policy.reset.iter().any(|reset| reset == name)
    }

    /// What a top-level local of the new text was called, if `old` has it.
    fn old_name(&self, new: &str, old: &[Declared]) -> String {
        let renamed = self.policy.rename.iter().find(|(_, to)| *to == new);
        renamed
            .map(|(from, _)| from.as_str())
            .filter(|from| old.iter().any(|v| &*v.name == *from))
            .unwrap_or(new)
            .to_owned()
    }

    /// What a top-level local of the old text is called.
    fn new_name(&self, old: &Arc<str>) -> Arc<str> {
        match self.policy.rename.get(&**old) {
            Some(new) => new.as_str().into(),
            None => Arc::clone(old),
        }
    }

    /// The setting that runs a statement, if it can run alone.
    pub(crate) fn run_option(&self, statement: usize) -> Option<String> {
        let statement = self.body().get(statement)?;
        others::runs_alone(&statement.kind).then(|| format!("run = {{ {} }}", statement.span.line))
    }

    pub(crate) fn statement_line(&self, statement: usize) -> u32 {
        merge::span_of(self.new, statement).line
    }

    pub(crate) fn statement_text(&self, statement: usize) -> String {
        text(self.source(), merge::span_of(self.new, statement))
    }

    fn old_statement_text(&self, old: &ChunkPatch, statement: usize) -> String {
        text(old.source(), merge::span_of(old, statement))
    }

    fn refuse(&self, top: &mut TopLevel, code: Code, span: Span, reason: String, remedy: &str) {
        top.refusals.push(Refusal {
            code,
            chunk: self.chunk.clone(),
            line: span.line,
            column: span.column,
            function: "main chunk".into(),
            reason,
            remedy: remedy.into(),
        });
    }
}

/// The first line of a statement, shortened.
pub(crate) fn text(source: &[u8], span: Span) -> String {
    const SHOWN: usize = 60;
    let bytes = source
        .get(span.start as usize..span.end as usize)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if text.trim().len() > line.len() => format!("{line} …"),
        None => line.to_owned(),
    }
}
