//! What became of top-level locals and statements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use moonswap_bytecode::FunctionId;
use moonswap_compiler::syntax::ast::{ExprId, FunctionIndex};

use crate::manifest::Progress;
use crate::model::change::{DataChange, Decision};
use crate::model::not_run::NotRun;
use crate::patch::constant::Constant;
use crate::patch::declarations::{Declared, Variable};
use crate::patch::path::{Path, Root};
use crate::refusal::{Refusal, UnmatchedSetting};

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
    /// It is found out which arm is taken.
    Decide(Decide),
}

/// The conditions of an `if`, in its old and its new form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decide {
    /// Index into [`TopLevel::decisions`].
    pub(crate) decision: usize,
    pub(crate) old: Vec<ExprId>,
    pub(crate) new: Vec<ExprId>,
}

/// The comparison of two main chunks.
#[derive(Debug, Default)]
pub(crate) struct TopLevel {
    pub(super) variables: Vec<Declared>,
    /// By position in the new main chunk.
    pub(crate) actions: HashMap<usize, Action>,
    /// Changes of data and definitions, in the order of the new text.
    pub(crate) data: Vec<DataChange>,
    /// What `if` statements are to be asked.
    pub(crate) decisions: Vec<Decision>,
    /// Entries that go, after all else.
    pub(crate) gone: Vec<MergeCode>,
    /// Data that changes, and whether it is a constant.
    pub(super) changed: HashMap<Path, bool>,
    /// How many expressions are evaluated for changes.
    pub(crate) n_evaluated: usize,
    /// Paths that are new.
    pub(super) fresh: HashSet<Path>,
    /// The scope record as it is to be labelled.
    pub(crate) labels: Vec<(Arc<str>, u32)>,
    /// How many labels stand for cells that are there.
    pub(crate) n_old_cells: usize,
    pub(crate) not_run: Vec<NotRun>,
    pub(crate) warnings: Vec<String>,
    /// Changed statements that only the calls to come see, by position.
    pub(super) next_call: BTreeSet<usize>,
    /// Something is changed that each call of the main chunk made anew.
    pub(super) is_of_last_call: bool,
    /// Fields to clear.
    pub(crate) removals: Vec<Removal>,
    /// What the delta chunks run.
    pub(crate) runs: Vec<NotRun>,
    pub(crate) refusals: Vec<Refusal>,
    /// Names in `run` and `reset` that occur nowhere here.
    pub(crate) unmatched_settings: Vec<UnmatchedSetting>,
    /// How far the main chunk counts as having got, in terms of the new text.
    pub(crate) progress: Progress,
    /// The same if the new text stays in the main chunk in this decision.
    pub(crate) passed: Option<(usize, Progress)>,
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

    pub(super) fn part(&mut self, statement: usize, index: usize) -> Option<&mut Part> {
        let parts = Action::Parts(BTreeMap::new());
        match self.actions.entry(statement).or_insert(parts) {
            Action::Parts(parts) => Some(parts.entry(index).or_default()),
            Action::Run | Action::Try | Action::Merge(_) | Action::Decide(_) => None,
        }
    }

    /// A change is made where the statement stands.
    pub(super) fn merge(&mut self, statement: usize, code: MergeCode) {
        let merges = Action::Merge(Vec::new());
        if let Action::Merge(all) = self.actions.entry(statement).or_insert(merges) {
            all.push(code);
        }
    }

    pub(super) fn list(&mut self, statement: NotRun) {
        if !self.not_run.contains(&statement) {
            self.not_run.push(statement);
        }
    }
}

/// What is put in place by one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValueCode {
    /// Nothing: the entry goes.
    Nil,
    /// The value of an expression of the new text.
    Expr(ExprId),
    /// A closure of a literal of the new text.
    Function(FunctionIndex),
    /// A list of the values of these expressions.
    List(Vec<ExprId>),
}

/// How the delta chunk makes one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergeCode {
    /// Index into [`TopLevel::data`].
    pub(crate) change: usize,
    pub(crate) root: Root,
    pub(crate) value: ValueCode,
    pub(crate) evaluation: Evaluation,
}

/// What is evaluated for a change before it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evaluation {
    /// An expression of the old text.
    pub(crate) old: Option<ExprId>,
    /// The value, an expression of the new text.
    pub(crate) new: Option<ExprId>,
    /// Keys of the path that are no constants, by position.
    pub(crate) keys: Vec<(usize, ExprId)>,
}

/// A field to clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) root: Root,
    /// From the variable or the environment on; the last one is to be cleared.
    pub(crate) keys: Vec<Constant>,
    /// As shown.
    pub(crate) path: String,
    /// The function that must stand there.
    pub(crate) id: FunctionId,
}
