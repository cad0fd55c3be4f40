//! Steps that are the same in both texts and stand in another order: a fresh load may end
//! otherwise. What may change places is not listed.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind, Symbol};

use super::comparison::Comparison;
use super::merge::Merging;
use super::order::{Step, Steps, What, displaced};
use super::outcome::{Action, TopLevel};
use super::reach::may_leave;
use crate::compare::effects::{Accesses, Collector, Conflict, Conflicts, Flow};
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::declarations::Variable;
use crate::patch::entries::{Entry, Leaf};
use crate::patch::path::{Path, Root, Scope};
use crate::patch::statements::statements;
use crate::patch::tree::{parts, symbol_text};

const READS: &str = "what it reads stands on the other side of it now";
const CALLS: &str = "it stands on the other side of another call now";
const WRITES: &str = "it stands on the other side of what sets the same now";
const LEAVES: &str = "it stands on the other side of a return or a jump now";
const OFTEN: &str = "it is set more often or less often than before";
const GONE: &str = "what it reads is not set above it any more";

/// So many accesses are compared with each other at most; what is left then counts as
/// depending on the order.
const MAX_COMPARED: usize = 20_000_000;

impl Comparison<'_> {
    /// Lists those whose order matters. `decided` are pairs of `if` statements.
    pub(super) fn list_moved(
        &self,
        merging: &Merging<'_>,
        decided: &[(usize, usize)],
        top: &mut TopLevel,
    ) {
        if self.is_called_again() {
            return;
        }
        let steps = merging.steps(decided, top);
        let is_displaced = displaced(&steps.all);
        merging.list_repeated(&steps.repeated, top);
        if steps.gone.is_empty() && !is_displaced.contains(&true) {
            return;
        }
        let flow = Flow::of(merging.new.text);
        let mut collector = Collector::new(&flow);
        let accesses = merging.accesses(&steps.all, &mut collector);
        let mut found = Found {
            merging,
            steps: &steps.all,
            is_known: Vec::new(),
            why: HashMap::default(),
        };
        found.is_known = found.known(top);
        found.other_names(&is_displaced, top);
        let conflicts = Conflicts::new(&flow, accesses);
        found.gone(&steps, &conflicts, &mut collector);
        found.swapped(&is_displaced, &conflicts);
        found.list(top);
    }
}

impl Merging<'_> {
    /// Lists what is set more or less often than before.
    fn list_repeated(&self, entries: &[usize], top: &mut TopLevel) {
        for at in entries {
            let entry = &self.new.entries[*at];
            let not_run = self.entry_not_run(entry, OFTEN);
            let mut known = top.not_run.iter();
            let is_known = known.any(|n| n.line == not_run.line && n.text == not_run.text);
            if self.reach.has(entry.statement) && !is_known {
                top.list(not_run);
            }
        }
    }

    /// The line for an entry, with the option to run its statement if that sets it alone.
    fn entry_not_run(&self, entry: &Entry, why: &str) -> NotRun {
        let option = self.comparison.run_option(entry.statement);
        let is_part = entry.path.keys.is_empty() || entry.is_item;
        self.listed(entry, why, option.filter(|_| !is_part))
    }

    /// What each step does, in the new text.
    fn accesses(&self, steps: &[Step], collector: &mut Collector<'_, '_>) -> Vec<Accesses> {
        let body = statements(self.new.text.ast());
        let (mut scope, mut above) = (Scope::default(), 0);
        let mut all = Vec::with_capacity(steps.len());
        for step in steps {
            let at = step.is.statement();
            for statement in body.get(above..at).unwrap_or_default() {
                scope.pass(&statement.kind);
            }
            above = at.max(above);
            let mut found = Accesses::default();
            match (step.what, body.get(at)) {
                (What::Entry(_, entry), statement) => {
                    let entry = &self.new.entries[entry];
                    let values = match statement.map(|s| &s.kind) {
                        Some(StatementKind::Local { values, .. }) => values.last().copied(),
                        _ => None,
                    };
                    if let Leaf::Expression { .. } | Leaf::Wrapped(..) = entry.leaf
                        && let Some(value) = entry.value.or(values)
                    {
                        collector.read(value, &scope, &mut found);
                    }
                    for key in &entry.computed {
                        collector.read(*key, &scope, &mut found);
                    }
                    collector.write_path(&entry.path, entry.is_item, &mut found);
                }
                (What::Statement, Some(statement)) => {
                    collector.statement(&statement.kind, &scope, &mut found);
                    if may_leave(&statement.kind) {
                        found.barrier();
                    }
                }
                (What::Statement, None) => {}
            }
            all.push(found);
        }
        all
    }
}

/// What is to be listed.
struct Found<'m> {
    merging: &'m Merging<'m>,
    steps: &'m [Step],
    /// Those that are listed, run or changed already.
    is_known: Vec<bool>,
    why: HashMap<usize, &'static str>,
}

impl Found<'_> {
    fn add(&mut self, step: usize, why: &'static str) {
        self.why.entry(step).or_insert(why);
    }

    /// Compares what changed its order with all that it passed.
    fn swapped(&mut self, is_displaced: &[bool], conflicts: &Conflicts<'_, '_>) {
        let all = self.steps;
        let differ = |a: [u64; 2], b: [u64; 2]| (a[0] < b[0]) != (a[1] < b[1]);
        let reads = |s: &Step| [s.was.read, s.is.read];
        let writes = |s: &Step| [s.was.write, s.is.write];
        let mut left = MAX_COMPARED;
        let is_asked = |m: &usize| is_displaced[*m] && !self.is_known[*m];
        let asked: Vec<usize> = (0..all.len()).filter(is_asked).collect();
        for m in asked {
            let step = &all[m];
            for (x, other) in all.iter().enumerate() {
                let is_passed = differ(reads(step), reads(other))
                    || differ(reads(step), writes(other))
                    || differ(writes(step), reads(other))
                    || differ(writes(step), writes(other));
                if m == x || !is_passed || self.is_known[x] || conflicts.are_apart(m, x) {
                    continue;
                }
                let cost = conflicts.cost(m, x);
                if cost > left {
                    self.add(m, READS);
                    break;
                }
                left -= cost;
                let is_part = self.is_part(m, x);
                let later = if step.is.read > other.is.read { m } else { x };
                let mut add = |conflict| {
                    let (matters, which, why) = match conflict {
                        Conflict::Reads | Conflict::Calls => {
                            (differ(reads(step), writes(other)), m, READS)
                        }
                        Conflict::IsRead | Conflict::IsCalled => {
                            (differ(writes(step), reads(other)), x, READS)
                        }
                        Conflict::ReadsChanged => (differ(reads(step), reads(other)), m, READS),
                        Conflict::ChangesRead => (differ(reads(step), reads(other)), x, READS),
                        Conflict::Writes => (differ(writes(step), writes(other)), later, WRITES),
                        Conflict::Both => {
                            let which = if is_displaced[x] { later } else { m };
                            (differ(reads(step), reads(other)), which, CALLS)
                        }
                        Conflict::Leaves => (differ(reads(step), reads(other)), m, LEAVES),
                    };
                    if matters {
                        self.add(which, why);
                    }
                    matters
                };
                conflicts.any((m, x), is_part, &mut add);
                if self.why.contains_key(&m) {
                    break;
                }
            }
        }
    }

    /// Whether one is an item of the table that the other one makes, in one of the texts.
    fn is_part(&self, a: usize, b: usize) -> bool {
        let (What::Entry(a, c), What::Entry(b, d)) = (self.steps[a].what, self.steps[b].what)
        else {
            return false;
        };
        let is_below = |a: &Entry, b: &Entry| {
            a.path.root == b.path.root
                && a.path.keys.len() != b.path.keys.len()
                && (a.path.keys.starts_with(&b.path.keys) || b.path.keys.starts_with(&a.path.keys))
        };
        let is_item = |a: &Entry, b: &Entry| a.is_item || b.is_item;
        let (old, new) = (&self.merging.old.entries, &self.merging.new.entries);
        is_below(&new[c], &new[d]) && (is_item(&old[a], &old[b]) || is_item(&new[c], &new[d]))
    }

    /// Steps that read what is set less often above them.
    fn gone(
        &mut self,
        steps: &Steps,
        conflicts: &Conflicts<'_, '_>,
        collector: &mut Collector<'_, '_>,
    ) {
        let old = &self.merging.old;
        for (at, path) in &steps.gone {
            let Some(place) = collector.place_of(path) else {
                continue;
            };
            let set = (old.entries[*at].statement as u64) << 32;
            let all = old.at.get(&old.entries[*at].path);
            let again = all.into_iter().flatten().find(|next| *next > at);
            let until = again.map_or(u64::MAX, |next| {
                ((old.entries[*next].statement as u64) << 32) | u64::from(u32::MAX)
            });
            for (n, step) in steps.all.iter().enumerate() {
                let sees = step.was.read > set && step.was.read < until;
                if sees && conflicts.reads(n, &place) {
                    self.add(n, GONE);
                }
            }
        }
    }

    /// Steps in which a name is another local than it was.
    fn other_names(&mut self, is_displaced: &[bool], top: &TopLevel) {
        if !is_displaced.contains(&true) {
            return;
        }
        let (old, new) = (self.merging.old.text, self.merging.new.text);
        let declared = [Declarations::of(old), Declarations::of(new)];
        for (n, step) in self.steps.iter().enumerate() {
            let values = match step.what {
                What::Entry(_, entry) => {
                    self.merging.new.entries[entry].value.into_iter().collect()
                }
                What::Statement => {
                    let statement = statements(new.ast()).get(step.is.statement());
                    statement.map_or_else(Vec::new, |s| s.kind.all_expressions())
                }
            };
            let mut names = HashSet::default();
            values
                .into_iter()
                .for_each(|value| names_of(new.ast(), value, &mut names));
            let is_other = names.into_iter().any(|name| {
                let text = symbol_text(new.ast(), name);
                let was = declared[0].path(&text, step.was.statement());
                let is = declared[1].path(&text, step.is.statement());
                self.merging.is_other_local(&was, &is, top)
            });
            if is_other {
                self.add(n, READS);
            }
        }
    }

    /// Of each step whether the plan lists or runs it already.
    fn known(&self, top: &TopLevel) -> Vec<bool> {
        let listed = top.not_run.iter().map(|n| (n.line, &*n.text));
        let listed: HashSet<(u32, &str)> = listed.collect();
        let is_known = |step: usize| {
            let known = self.not_run(step, "");
            let action = top.actions.get(&self.steps[step].is.statement());
            matches!(action, Some(Action::Run | Action::Try))
                || listed.contains(&(known.line, &*known.text))
        };
        (0..self.steps.len()).map(is_known).collect()
    }

    fn not_run(&self, step: usize, why: &str) -> NotRun {
        let comparison = self.merging.comparison;
        let at = self.steps[step].is.statement();
        match self.steps[step].what {
            What::Entry(_, entry) => {
                let entry = &self.merging.new.entries[entry];
                self.merging.entry_not_run(entry, why)
            }
            What::Statement => NotRun {
                line: comparison.statement_line(at),
                text: comparison.statement_text(at),
                why: why.to_owned(),
                option: comparison.run_option(at),
            },
        }
    }

    fn list(self, top: &mut TopLevel) {
        let mut all: Vec<(usize, &str)> = self.why.iter().map(|(n, why)| (*n, *why)).collect();
        all.sort_unstable();
        let changed: HashSet<(u32, String)> = { top.data.iter() }
            .map(|change| (change.line, change.path.clone()))
            .collect();
        for (n, why) in all {
            let is_changed = match self.steps[n].what {
                What::Entry(_, entry) => {
                    let entry = &self.merging.new.entries[entry];
                    changed.contains(&(entry.span.line, entry.path.to_string()))
                }
                What::Statement => false,
            };
            let is_reached = self.merging.reach.has(self.steps[n].is.statement());
            if is_reached && !is_changed && !self.is_known[n] {
                top.list(self.not_run(n, why));
            }
        }
    }
}

/// Where each top-level local of a text is declared.
struct Declarations(HashMap<Arc<str>, Vec<usize>>);

impl Declarations {
    fn of(text: &ChunkPatch) -> Self {
        let mut all: HashMap<Arc<str>, Vec<usize>> = HashMap::default();
        for declared in &text.facts().declared {
            all.entry(declared.name.clone())
                .or_default()
                .push(declared.statement);
        }
        Self(all)
    }

    /// What a name means where a statement stands.
    fn path(&self, name: &str, statement: usize) -> Path {
        let all = self.0.get(name).map_or(&[][..], |all| all);
        match all.iter().filter(|at| **at < statement).count() {
            0 => Path::global(name),
            n => Path::of(Root::Local(name.into(), n as u32 - 1)),
        }
    }
}

/// The names in an expression, literals left out.
fn names_of(ast: &Ast, value: ExprId, found: &mut HashSet<Symbol>) {
    let mut todo = vec![value];
    while let Some(expr) = todo.pop() {
        if let Some(Expr::Name(name)) = ast.exprs.get(expr.0 as usize) {
            found.insert(*name);
        }
        todo.extend(parts(ast, expr));
    }
}

impl Merging<'_> {
    /// Whether a name meant one thing and means another now, and one of the two is a local
    /// that both texts have.
    fn is_other_local(&self, before: &Path, now: &Path, top: &TopLevel) -> bool {
        let is_kept = |path: &Path| match &path.root {
            Root::Local(name, declaration) => top
                .variable(name, *declaration)
                .is_some_and(|v| matches!(v.state, Variable::Existing { .. })),
            Root::Global | Root::Returned => false,
        };
        match self.old_path(now, top) {
            Some(was) => was != *before && (is_kept(before) || is_kept(now)),
            None => false,
        }
    }
}
