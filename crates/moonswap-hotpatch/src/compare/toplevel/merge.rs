//! Data and definitions follow the text: what old and new text set each variable
//! and field to, compared entry by entry (three-way merge; the third side, what
//! the program holds, is looked at when the patch is applied).

use foldhash::HashSet;
use moonswap_compiler::syntax::ast::{Attribute, FunctionIndex};

use super::comparison::Comparison;
use super::outcome::{Evaluation, TopLevel, ValueCode};
use super::reach::{NOWHERE, Reach};
use super::side::{Side, list_change};
use super::variables::is_folded;
use crate::model::change::{Before, ChangeKind};
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::constant::Constant;
use crate::patch::declarations::{Declared, Variable};
use crate::patch::entries::{self, Entry, Leaf, only_reads};
use crate::patch::path::{Key, Path, Root};
use crate::patch::statements::span_of;
use crate::policy::DataPolicy;
use crate::refusal::{Code, NOT_KEPT};

const NO_TABLE: &str = "its table was not kept";

/// What is found when an entry is looked at.
pub(super) enum Verdict {
    /// The same in both texts.
    Same,
    /// To be changed.
    Change(Before, ChangeKind, ValueCode),
    /// The same, to what an expression gives or gave.
    Evaluated(Before, ChangeKind, ValueCode, Evaluation, NotRun),
    /// The function of this entry of the old text is gone.
    Removed(usize),
    /// It is new, and calls something.
    Try,
    /// It changed, and is not brought to the new text; why, and the setting that
    /// does it.
    Listed(&'static str, Option<String>),
}

pub(super) struct Merging<'a> {
    pub(super) comparison: &'a Comparison<'a>,
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    pub(super) reach: &'a Reach,
    /// Lists without keys that are changed as a whole, by their paths in the old text.
    pub(super) lists: HashSet<Path>,
    /// The same in the new text.
    new_lists: HashSet<Path>,
    /// Paths at which another table stands after the patch, or one with fewer entries.
    pub(super) replaced: HashSet<Path>,
}

impl<'a> Merging<'a> {
    pub(super) fn new(
        comparison: &'a Comparison<'a>,
        old: &'a ChunkPatch,
        reach: &'a Reach,
    ) -> Self {
        Self {
            comparison,
            old: Side::new(old),
            new: Side::new(comparison.new),
            reach,
            lists: HashSet::default(),
            new_lists: HashSet::default(),
            replaced: HashSet::default(),
        }
    }

    /// The same to ask what expressions of whole statements mean.
    pub(super) fn beside(comparison: &'a Comparison<'a>, old: &'a ChunkPatch) -> Self {
        Self::new(comparison, old, &NOWHERE)
    }

    /// Pairs of statements that set the same path.
    pub(super) fn pairs(comparison: &Comparison<'_>, old: &ChunkPatch) -> Vec<(usize, usize)> {
        let (old, new) = (Side::new(old), Side::new(comparison.new));
        let mut pairs = Vec::new();
        for (path, at) in &new.at {
            if let Some(was) = old.at.get(path)
                && let ([was], [is]) = (&was[..], &at[..])
            {
                let (was, is) = (&old.entries[*was], &new.entries[*is]);
                if !was.is_item && !is.is_item {
                    pairs.push((was.statement, is.statement));
                }
            }
        }
        pairs
    }

    /// The statements of a side that are compared here.
    pub(super) fn taken(&self) -> [HashSet<usize>; 2] {
        [&self.old, &self.new].map(|side| side.entries.iter().map(|e| e.statement).collect())
    }

    pub(super) fn run(&mut self, top: &mut TopLevel) {
        let mut covered: Option<Path> = None;
        for at in 0..self.new.entries.len() {
            let entry = self.new.entries[at].clone();
            if let Some(whole) = &covered {
                if entry.is_item && entry.path.keys.starts_with(&whole.keys) {
                    continue;
                }
                covered = None;
            }
            if !self.entry(at, &entry, top) {
                covered = Some(entry.path);
            }
        }
        self.gone(top);
    }

    /// The path in the old text; `None`: the variable is not that of the old text.
    pub(super) fn old_path(&self, path: &Path, top: &TopLevel) -> Option<Path> {
        let Root::Local(name, declaration) = &path.root else {
            return Some(path.clone());
        };
        let variable = top.variable(name, *declaration)?;
        match variable.state {
            Variable::New { .. } | Variable::Revived { .. } => None,
            Variable::Existing { .. } | Variable::Ambiguous => {
                let old = self
                    .comparison
                    .old_name(name, &self.old.text.facts().declared);
                Some(Path {
                    root: Root::Local(old.into(), *declaration),
                    keys: path.keys.clone(),
                })
            }
        }
    }

    fn state<'t>(&self, path: &Path, top: &'t TopLevel) -> Option<&'t Declared> {
        match &path.root {
            Root::Local(name, declaration) => top.variable(name, *declaration),
            Root::Global | Root::Returned => None,
        }
    }

    /// Compares one entry. Answers whether its items are compared by themselves.
    fn entry(&mut self, at: usize, entry: &Entry, top: &mut TopLevel) -> bool {
        let variable = self.state(&entry.path, top).cloned();
        let is_root = entry.path.keys.is_empty() && entry.path.root != Root::Returned;
        let is_new = matches!(&variable, Some(v) if matches!(v.state, Variable::New { .. }));
        if let (Some(variable), true) = (&variable, is_root)
            && variable.statement == entry.statement
        {
            let scope = &self.new.text.main().scope;
            let is_folded = is_folded(scope, &variable.name, variable.declaration);
            let is_reset = self.comparison.is_reset(&variable.name);
            // New ones are declared; functions have constants in their code.
            if !matches!(
                variable.state,
                Variable::Existing { .. } | Variable::Ambiguous
            ) || is_folded
                || is_reset
            {
                return false;
            }
        }
        if is_new && is_root {
            // Assigned below its declaration.
            self.run_statement(entry, top);
            return false;
        }
        if self.new.last(&entry.path) != Some(at) {
            self.set_again(at, entry, top);
            return false;
        }
        if entry.is_item && is_in_list(&entry.path, &self.new_lists) {
            return false;
        }
        let verdict = self.verdict(at, entry, variable.as_ref(), top);
        let verdict = match verdict {
            Verdict::Same if self.is_in_replaced(&entry.path) => self.again(entry),
            verdict => verdict,
        };
        // Whatever names a variable has another value in each call.
        let is_settled = matches!(verdict, Verdict::Change(..))
            && matches!(entry.leaf, Leaf::Constant(_))
            && entry.path.root == Root::Global
            && self.reach.has(entry.statement);
        if self.comparison.is_called_again()
            && !matches!(verdict, Verdict::Same)
            && !is_settled
            && (entry.path.root == Root::Global || self.comparison.is_of_each_call(&entry.path))
        {
            top.next_call.insert(entry.statement);
            return false;
        }
        if entry.path.root != Root::Global
            && matches!(
                verdict,
                Verdict::Change(..) | Verdict::Evaluated(..) | Verdict::Try
            )
        {
            top.is_of_last_call |= self.comparison.is_called_again();
        }
        let is_whole = matches!(
            verdict,
            Verdict::Change(_, ChangeKind::Data | ChangeKind::Definition, _)
                | Verdict::Evaluated(..)
                | Verdict::Listed(..)
                | Verdict::Try
                | Verdict::Removed(_)
        );
        let is_list = matches!(verdict, Verdict::Change(_, ChangeKind::List(_), _));
        let is_made = !matches!(verdict, Verdict::Listed(..)) && self.reach.has(entry.statement);
        if (is_whole || is_list) && is_made {
            self.note_replaced(entry);
        }
        match verdict {
            Verdict::Same => self.tell_other_meaning(entry, top),
            Verdict::Listed(NO_TABLE, _) if matches!(entry.leaf, Leaf::Function(_)) => {
                self.refuse_lost(entry, top);
            }
            Verdict::Listed(why, option) => self.list(entry, why, option, top),
            Verdict::Try => self.run_statement(entry, top),
            Verdict::Removed(was) => {
                let statement = self.old.entries[was].statement;
                let text = self.comparison.old_statement_text(self.old.text, statement);
                top.warnings
                    .push(format!("removed: {text}: the local variable keeps it"));
            }
            Verdict::Change(..) | Verdict::Evaluated(..) if !self.reach.has(entry.statement) => {
                self.list(entry, &self.reach.why, None, top);
            }
            Verdict::Change(before, kind, value) => {
                self.change(entry, before, kind, value, None, top);
            }
            Verdict::Evaluated(before, kind, value, evaluation, not_run) => {
                self.change(entry, before, kind, value, Some((evaluation, not_run)), top);
            }
        }
        !is_whole
    }

    /// A function for a table that nobody has kept.
    fn refuse_lost(&self, entry: &Entry, top: &mut TopLevel) {
        let Root::Local(name, _) = &entry.path.root else {
            return;
        };
        let reason = format!(
            "the statement needs the top-level local {name}, whose value was not kept when the main chunk returned"
        );
        let span = span_of(self.new.text.ast(), entry.statement);
        self.comparison
            .refuse(top, Code::CellMissing, span, reason, NOT_KEPT);
    }

    /// A statement that sets something new by an expression that calls.
    fn run_statement(&self, entry: &Entry, top: &mut TopLevel) {
        let ast = self.new.text.ast();
        let calls = entry.value.is_some_and(|value| !only_reads(ast, value));
        if !self.reach.has(entry.statement) {
            self.list(entry, &self.reach.why, None, top);
        } else if !calls {
            top.run(entry.statement);
        } else if self.comparison.policy.run_new {
            top.try_run(entry.statement);
        } else {
            let option = self.comparison.run_option(entry.statement);
            self.list(entry, "added", option, top);
        }
    }

    fn verdict(
        &mut self,
        at: usize,
        entry: &Entry,
        variable: Option<&Declared>,
        top: &TopLevel,
    ) -> Verdict {
        let ast = self.new.text.ast();
        let old_path = self.old_path(&entry.path, top);
        let was = old_path.as_ref().and_then(|path| self.old.last(path));
        let value = match (&entry.leaf, entry.value) {
            (Leaf::Function(function), None) => ValueCode::Function(*function),
            (_, Some(value)) => ValueCode::Expr(value),
            (_, None) => ValueCode::Nil,
        };
        let is_safe = entry.value.is_none_or(|value| only_reads(ast, value));
        let is_function = matches!(entry.leaf, Leaf::Function(_));
        let kind = match is_function {
            true => ChangeKind::Definition,
            false => ChangeKind::Data,
        };
        let is_root = entry.path.keys.is_empty();
        let changed = if is_root {
            "initialiser changed"
        } else {
            "changed"
        };
        let run = || match entry.is_item || is_root {
            true => None,
            false => self.comparison.run_option(entry.statement),
        };

        let change = match was {
            None => {
                if entry.leaf == Leaf::Constant(Constant::Nil) || is_root {
                    return Verdict::Same;
                }
                if is_function && self.is_renamed(&entry.path) {
                    return Verdict::Listed("renamed: the field keeps its old name", None);
                }
                if is_safe {
                    Verdict::Change(Before::Absent, kind, value)
                } else if self.is_about_new(entry, variable, top) {
                    return Verdict::Try;
                } else {
                    match self.evaluation(None, entry, top) {
                        Some(evaluation) => {
                            let not_run = self.listed(entry, "added", run());
                            Verdict::Evaluated(Before::Absent, kind, value, evaluation, not_run)
                        }
                        None => return Verdict::Listed("added", run()),
                    }
                }
            }
            Some(was) => {
                let before = &self.old.entries[was];
                match (&before.leaf, &entry.leaf) {
                    (Leaf::Constant(a), Leaf::Constant(b))
                        if a == b && !self.is_asked_for(entry) =>
                    {
                        return Verdict::Same;
                    }
                    (Leaf::Expression { shape: a, .. }, Leaf::Expression { shape: b, .. })
                        if a == b =>
                    {
                        return Verdict::Same;
                    }
                    (Leaf::Function(f), Leaf::Function(g)) if self.is_same_function(*f, *g) => {
                        return Verdict::Same;
                    }
                    (Leaf::Table(n), Leaf::Table(m)) if n == m => return Verdict::Same,
                    // Of `M or {}` nothing shows whether that table was taken.
                    (Leaf::Wrapped(a, n), Leaf::Wrapped(b, m))
                        if a == b
                            && n == m
                            && (a.last() != Some(&entries::OR)
                                || self.old.below_of(&self.old.entries[was].path) > 0
                                || self.new.below_of(&entry.path) == 0) =>
                    {
                        return Verdict::Same;
                    }
                    // Keys that are written out are compared one by one.
                    (Leaf::Table(_), Leaf::Table(_))
                        if self.old.has_numbers(was) || self.new.has_numbers(at) =>
                    {
                        return Verdict::Same;
                    }
                    (Leaf::Table(_), Leaf::Table(_)) => {
                        let same = |was, is| self.is_same_function(was, is);
                        match list_change(&self.old, &self.new, was, at, &same) {
                            Some((before, aligned, items)) => {
                                self.lists.insert(self.old.entries[was].path.clone());
                                self.new_lists.insert(entry.path.clone());
                                Verdict::Change(
                                    before,
                                    ChangeKind::List(aligned),
                                    ValueCode::List(items),
                                )
                            }
                            None => match self.evaluation(Some(was), entry, top) {
                                Some(evaluation) => {
                                    let not_run = self.listed(entry, changed, run());
                                    let before = self.old.before(was);
                                    Verdict::Evaluated(before, kind, value, evaluation, not_run)
                                }
                                None => return Verdict::Listed(changed, run()),
                            },
                        }
                    }
                    // `local f` is left of `local f; f = function() end`.
                    (Leaf::Function(_), Leaf::Constant(Constant::Nil))
                        if is_root && entry.value.is_none() =>
                    {
                        return Verdict::Removed(was);
                    }
                    // A local's value may name what stands above it by the same name.
                    (old, new)
                        if !is_safe
                            || matches!(old, Leaf::Expression { .. } | Leaf::Wrapped(..))
                            || (is_root && matches!(new, Leaf::Expression { .. })) =>
                    {
                        let option = match is_root {
                            true => self.reset_option(variable),
                            false => run(),
                        };
                        match self.evaluation(Some(was), entry, top) {
                            Some(evaluation) => {
                                let not_run = self.listed(entry, changed, option);
                                let before = self.old.before(was);
                                Verdict::Evaluated(before, kind, value, evaluation, not_run)
                            }
                            None => return Verdict::Listed(changed, option),
                        }
                    }
                    _ => Verdict::Change(self.old.before(was), kind, value),
                }
            }
        };
        if let Some(variable) = variable {
            match variable.state {
                Variable::Ambiguous => {
                    return Verdict::Listed("which variable is meant is not decidable", None);
                }
                Variable::Existing { cell: None } => {
                    return Verdict::Listed(
                        if is_root {
                            "configuration whose variable was not kept"
                        } else {
                            NO_TABLE
                        },
                        None,
                    );
                }
                _ => {}
            }
            if is_root && variable.attribute == Attribute::Close {
                return Verdict::Listed(changed, None);
            }
        }
        if entry.path.root == Root::Returned {
            if entry.path.keys.is_empty()
                && !matches!(change, Verdict::Change(_, ChangeKind::List(_), _))
            {
                return Verdict::Listed(changed, None);
            }
            if !self.comparison.manifest.returned {
                return Verdict::Listed(
                    "the value that the main chunk returned was not kept",
                    None,
                );
            }
        }
        let change = match entry.path.constants() {
            Some(_) => change,
            None => {
                let keys = self.keys(was, entry, top);
                let why = if was.is_none() { "added" } else { changed };
                match (keys, change) {
                    (Some(keys), Verdict::Change(before, kind, value)) => {
                        let evaluation = Evaluation {
                            keys,
                            ..Evaluation::default()
                        };
                        let not_run = self.listed(entry, why, run());
                        Verdict::Evaluated(before, kind, value, evaluation, not_run)
                    }
                    (Some(keys), Verdict::Evaluated(before, kind, value, evaluation, not_run)) => {
                        let evaluation = Evaluation { keys, ..evaluation };
                        Verdict::Evaluated(before, kind, value, evaluation, not_run)
                    }
                    _ => return Verdict::Listed(why, run()),
                }
            }
        };
        let (before, kind) = match &change {
            Verdict::Change(before, kind, _) | Verdict::Evaluated(before, kind, ..) => {
                (before, kind)
            }
            _ => return change,
        };
        if *kind == ChangeKind::Definition {
            return change;
        }
        // Data: what other code may have set is state.
        let name = entry.path.to_string();
        let rule = self.comparison.policy.data.of(&name);
        if is_root && !self.comparison.policy.config {
            return Verdict::Listed("configuration left alone", self.reset_option(variable));
        }
        match rule {
            DataPolicy::List if !is_root || matches!(entry.leaf, Leaf::Table(_)) => {
                return Verdict::Listed("changed", Some(merge_option(&name)));
            }
            DataPolicy::List | DataPolicy::Merge if *before == Before::Absent && was.is_none() => {}
            DataPolicy::List | DataPolicy::Merge => {
                let asked = self.comparison.policy.data.by_path.contains_key(&name);
                if !asked && self.may_be_state(&entry.path, old_path.as_ref()) {
                    return if is_root {
                        Verdict::Listed(changed, self.reset_option(variable))
                    } else {
                        Verdict::Listed(
                            "other code assigns it: it may be state",
                            Some(merge_option(&name)),
                        )
                    };
                }
            }
            DataPolicy::Replace => {}
        }
        change
    }

    /// Whether the policy wants a constant whatever the program holds, even if the texts
    /// agree: an earlier patch may have left it alone.
    fn is_asked_for(&self, entry: &Entry) -> bool {
        let by_path = &self.comparison.policy.data.by_path;
        !by_path.is_empty() && by_path.get(&entry.path.to_string()) == Some(&DataPolicy::Replace)
    }

    /// Whether a statement sets a field of something that is new.
    fn is_about_new(&self, entry: &Entry, variable: Option<&Declared>, top: &TopLevel) -> bool {
        let is_new = variable.is_some_and(|v| matches!(v.state, Variable::New { .. }));
        let mut above = entry.path.parent();
        while let Some(path) = above {
            if top.fresh.contains(&path) {
                return !entry.is_item;
            }
            above = path.parent();
        }
        is_new && !entry.is_item
    }

    pub(super) fn may_be_state(&self, path: &Path, old_path: Option<&Path>) -> bool {
        let new = self.new.text.facts();
        let old = self.old.text.facts();
        new.assigned.may_set(path)
            || self.new.is_repeated(path)
            || old_path.is_some_and(|p| old.assigned.may_set(p) || self.old.is_repeated(p))
    }

    fn reset_option(&self, variable: Option<&Declared>) -> Option<String> {
        let variable = variable?;
        let is_there = matches!(variable.state, Variable::Existing { cell: Some(_) })
            && !self.comparison.is_returned(&variable.name);
        (is_there && !variable.initialiser.absent && variable.attribute != Attribute::Close)
            .then(|| format!("reset = \"{}\"", variable.name))
    }

    fn is_renamed(&self, path: &Path) -> bool {
        let name = path.to_string();
        let mut names = self.comparison.policy.rename.values();
        names.any(|renamed| renamed.replace(':', ".") == name)
    }

    /// Whether the closures that stand there run the new literal's code already.
    pub(super) fn is_same_function(&self, was: FunctionIndex, is: FunctionIndex) -> bool {
        let matching = self.comparison.matching;
        let (Some(was), Some(is)) = (self.old.literals.get(&was), self.new.literals.get(&is))
        else {
            return true;
        };
        matching.old_of[*is] == Some(*was) || matching.refused[*is]
    }
}

/// Whether a path is an item of one of these lists.
pub(super) fn is_in_list(path: &Path, lists: &HashSet<Path>) -> bool {
    matches!(path.keys.last(), Some(Key::Constant(Constant::Integer(_))))
        && path.parent().is_some_and(|parent| lists.contains(&parent))
}

fn merge_option(path: &str) -> String {
    format!("data = {{ [\"{path}\"] = \"merge\" }}")
}
