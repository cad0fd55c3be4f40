//! The main chunk is not run again: what became of each of its top-level
//! locals and statements, and which of them run in the delta chunk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Attribute, Statement, StatementKind};

use crate::declarations::{Declared, Initialiser};
use crate::diff::Matching;
use crate::facts::Shaped;
use crate::manifest::ChunkManifest;
use crate::outline::statement_literals;
use crate::patch::ChunkPatch;
use crate::plan::NotRun;
use crate::policy::{Policy, RunSelector};
use crate::refusal::{Code, Refusal, Unfit};
use crate::removal::{Removal, removal};
use crate::statements::{Constant, assigned, definition, statements, target_text, unmatched};

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

/// What the delta chunk does with a top-level statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Runs before the commit: an initialiser or a statement chosen by `run`.
    Run,
    /// Of a multiple declaration, only these names (by position).
    RunNames(Vec<usize>),
    /// A function put into a field if the field is nil.
    Define,
    /// A configuration constant is stored, if its variable still holds what the
    /// old text gave it: code that is gone from both texts may have changed it.
    Configure(Constant),
}

/// The comparison of two main chunks.
#[derive(Debug, Default)]
pub(crate) struct TopLevel {
    variables: Vec<Declared>,
    /// By position in the new main chunk.
    pub(crate) actions: HashMap<usize, Action>,
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

    /// Whether a name is a top-level local at the end of the main chunk, and
    /// if so, whether it is the variable it was and can be reached.
    pub(crate) fn is_reachable(&self, name: &str) -> Option<bool> {
        let state = self.visible(name)?;
        Some(matches!(state, Variable::Existing { cell: Some(_) }))
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
}

fn targets(definitions: &[Shaped]) -> HashSet<&[u8]> {
    let targets = definitions.iter().map(|(_, target)| target.as_slice());
    targets.collect()
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
    fn body(&self) -> &[Statement] {
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
                self.variables(&old.facts().declared, &mut top);
                self.defines(old, &mut top);
                self.others(old, &mut top);
            }
            None => {
                self.variables(&self.declared_by_prototype(), &mut top);
                self.added(&mut top);
            }
        }
        self.selected(&mut top);
        top.not_run.sort_by_key(|n| n.line);
        for (at, action) in &top.actions {
            let why = match action {
                Action::Run => "once",
                Action::RunNames(_) => "the new names only",
                Action::Define => "if nothing stands there",
                Action::Configure(_) => "configuration",
            };
            let span = self.body()[*at].span;
            top.runs.push(NotRun {
                line: span.line,
                text: self.text(self.source(), span),
                why: why.into(),
            });
        }
        top.runs
            .sort_by(|a, b| (a.line, &a.text).cmp(&(b.line, &b.text)));
        top
    }

    /// Without a text, the prototype knows the variables but no initialisers.
    fn declared_by_prototype(&self) -> Vec<Declared> {
        let declared = |v: &moonswap_bytecode::ScopeVariable| Declared {
            name: v.name.clone(),
            declaration: v.declaration,
            statement: usize::MAX,
            attribute: Attribute::None,
            span: Span::default(),
            index: 0,
            initialiser: Initialiser::default(),
            state: Variable::Ambiguous,
        };
        self.manifest.main.scope.iter().map(declared).collect()
    }

    fn variables(&self, old: &[Declared], top: &mut TopLevel) {
        let old_name = |new: &str| {
            let renamed = self
                .policy
                .rename
                .iter()
                .find(|(_, to)| to.as_str() == new)
                .map(|(from, _)| from.as_str());
            renamed
                .filter(|from| old.iter().any(|v| &*v.name == *from))
                .unwrap_or(new)
                .to_owned()
        };
        let mut variables = std::mem::take(&mut top.variables);
        let n_new: HashMap<Arc<str>, usize> = variables.iter().fold(HashMap::new(), |mut n, v| {
            *n.entry(v.name.clone()).or_insert(0) += 1;
            n
        });
        let mut used = vec![false; old.len()];
        if self.manifest.main.is_stripped() && !self.manifest.main.scope.is_empty() {
            // Which is which is not known: none is initialised again.
            top.variables = variables;
            return;
        }
        for variable in &mut variables {
            let name = old_name(&variable.name);
            let n_old = old.iter().filter(|v| *v.name == *name).count();
            let was = old
                .iter()
                .position(|v| *v.name == *name && v.declaration == variable.declaration);
            let cell = self
                .manifest
                .cell(&name, variable.declaration)
                .filter(|(_, c)| c.present)
                .map(|(at, _)| at);
            let folded = |was: usize| {
                old[was].attribute == Attribute::Const
                    && old[was].initialiser.constant.is_some()
                    && old[was].initialiser.paired
            };
            variable.state = match was {
                Some(was) if n_old == n_new[&variable.name] => {
                    used[was] = true;
                    if let (Some(cell), true) = (cell, *name != *variable.name) {
                        top.labels[cell as usize] = (variable.name.clone(), variable.declaration);
                    }
                    if cell.is_none() && folded(was) && variable.attribute != Attribute::Const {
                        // It was a constant without a cell: now it needs one.
                        self.append(variable, top)
                    } else {
                        self.initialiser(&old[was], variable, cell, top);
                        Variable::Existing { cell }
                    }
                }
                _ if n_old > 0 => {
                    for (at, v) in old.iter().enumerate() {
                        used[at] |= *v.name == *name;
                    }
                    if was.is_none() {
                        let text = self.text(self.source(), variable.span);
                        top.not_run.push(NotRun {
                            line: variable.span.line,
                            text,
                            why: "another declaration of a name that was there".into(),
                        });
                    }
                    Variable::Ambiguous
                }
                _ => match cell {
                    Some(cell) => {
                        top.warnings.push(format!(
                            "local {} is back: it keeps the value it had",
                            variable.name
                        ));
                        Variable::Revived { cell }
                    }
                    None => self.append(variable, top),
                },
            };
        }
        for (at, was) in old.iter().enumerate() {
            if used[at] {
                continue;
            }
            let twin = variables.iter().find(|v| {
                matches!(v.state, Variable::New { .. })
                    && !v.initialiser.absent
                    && v.initialiser == was.initialiser
                    && v.statement == was.statement
            });
            match twin {
                Some(v) => top.warnings.push(format!(
                    "local {} removed and {} added: looks like a rename; rename = {{ {} = \"{}\" }} carries the value over",
                    was.name, v.name, was.name, v.name
                )),
                None => top.warnings.push(format!("local {} removed: closures that captured it keep it", was.name)),
            }
        }
        top.variables = variables;
        self.partial(top);
    }

    fn append(&self, variable: &Declared, top: &mut TopLevel) -> Variable {
        let cell = top.labels.len() as u32;
        top.labels
            .push((variable.name.clone(), variable.declaration));
        if variable.attribute == Attribute::Close {
            self.refuse(
                top,
                Code::NewToBeClosed,
                variable.span,
                format!(
                    "the top-level local {} is to be closed, but the main chunk is not run again",
                    variable.name
                ),
                "declare it without <close>",
            );
        } else if !variable.initialiser.absent {
            self.run_name(variable, top);
        }
        Variable::New { cell }
    }

    fn run_name(&self, variable: &Declared, top: &mut TopLevel) {
        let action = top
            .actions
            .entry(variable.statement)
            .or_insert(Action::RunNames(Vec::new()));
        if let Action::RunNames(names) = action {
            names.push(variable.index);
        }
    }

    /// Declarations of which only some names run: possible if values and
    /// names pair up.
    fn partial(&self, top: &mut TopLevel) {
        let body = self.body();
        let mut refusals = Vec::new();
        for (at, action) in &mut top.actions {
            let Action::RunNames(names) = action else {
                continue;
            };
            match &body[*at].kind {
                StatementKind::Local { names: all, .. } if names.len() < all.len() => {
                    let paired = top
                        .variables
                        .iter()
                        .filter(|v| v.statement == *at)
                        .all(|v| v.initialiser.paired || v.initialiser.absent);
                    if !paired {
                        refusals.push(*at);
                    }
                }
                _ => *action = Action::Run,
            }
        }
        refusals.sort_unstable();
        for at in refusals {
            top.actions.remove(&at);
            let reason = "declares new and existing top-level locals from one value".to_owned();
            self.refuse(
                top,
                Code::MixedDeclaration,
                body[at].span,
                reason,
                "declare the new ones in a statement of their own",
            );
        }
    }

    fn initialiser(&self, was: &Declared, is: &Declared, cell: Option<u32>, top: &mut TopLevel) {
        let reset = self.policy.reset.iter().any(|name| **name == *is.name);
        if reset {
            if cell.is_some() && !is.initialiser.absent && is.attribute != Attribute::Close {
                self.run_name(is, top);
            } else {
                let reason = format!(
                    "the top-level local {} has no initialiser or no kept value to reset",
                    is.name
                );
                self.refuse(
                    top,
                    Code::ResetNotFound,
                    is.span,
                    reason,
                    "take it out of `reset`",
                );
            }
            return;
        }
        if was.statement == usize::MAX || was.initialiser == is.initialiser {
            return;
        }
        let folded = is.attribute == Attribute::Const && is.initialiser.constant.is_some();
        if folded {
            // Functions have the value in their code.
            return;
        }
        let constants = is.initialiser.constant.is_some()
            && was.initialiser.paired
            && is.initialiser.paired
            && is.attribute != Attribute::Close;
        let never_assigned = || {
            self.old.is_some_and(|a| !assigned(a.ast(), &was.name))
                && !assigned(self.new.ast(), &is.name)
        };
        let single = matches!(&self.body()[is.statement].kind, StatementKind::Local { names, .. } if names.len() == 1);
        let mut why = "initialiser changed";
        if let (Some(before), true) = (&was.initialiser.constant, constants)
            && never_assigned()
        {
            if self.policy.config && cell.is_some() && single {
                let action = Action::Configure(before.clone());
                top.actions.insert(is.statement, action);
                return;
            }
            why = if self.policy.config {
                "configuration whose variable was not kept"
            } else {
                "configuration left alone"
            };
        }
        let text = self.text(self.source(), self.statement_span(is));
        top.not_run.push(NotRun {
            line: is.span.line,
            text,
            why: why.to_owned(),
        });
    }

    fn statement_span(&self, variable: &Declared) -> Span {
        self.body()
            .get(variable.statement)
            .map_or(variable.span, |s| s.span)
    }

    /// `function M.f` and the like: added ones run, removed ones are reported.
    fn defines(&self, old: &ChunkPatch, top: &mut TopLevel) {
        let (was, is) = (&old.facts().definitions, &self.new.facts().definitions);
        if was.iter().map(|d| &d.1).eq(is.iter().map(|d| &d.1)) {
            // Most patches change functions only.
            return;
        }
        let (old_targets, new_targets) = (targets(was), targets(is));
        let (old, old_source) = (old.ast(), old.source());
        let renamed: Vec<&str> = self.policy.rename.values().map(String::as_str).collect();
        for (at, target) in is {
            if !old_targets.contains(target.as_slice()) {
                let text = self.text(self.source(), self.body()[*at].span);
                // A renamed function is not put anywhere: only its code goes on.
                let target = definition(self.new.ast(), &self.body()[*at].kind)
                    .map(|t| target_text(self.new.ast(), t));
                if renamed
                    .iter()
                    .any(|name| Some(name.replace(':', ".")) == target)
                {
                    top.not_run.push(NotRun {
                        line: self.body()[*at].span.line,
                        text,
                        why: "renamed: the field keeps its old name".into(),
                    });
                } else {
                    top.actions.insert(*at, Action::Define);
                }
            }
        }
        for (at, target) in was {
            if !new_targets.contains(target.as_slice()) {
                let text = self.text(old_source, statements(old)[*at].span);
                let target = definition(old, &statements(old)[*at].kind);
                let removal =
                    target.map(|target| removal(old, self.old_main, *at, target, self.policy, top));
                let what = match removal {
                    Some(Ok(removal)) => {
                        top.removals.push(removal);
                        "the field is cleared if it still holds it"
                    }
                    Some(Err(why)) => why,
                    None => "the field stays",
                };
                top.warnings.push(format!("removed: {text}: {what}"));
            }
        }
    }

    /// Without the old text, a definition is new if its literal is.
    fn added(&self, top: &mut TopLevel) {
        let mut literals = self.new.facts().outline.get(0).children.iter();
        for (at, s) in self.body().iter().enumerate() {
            let mut is_new = true;
            for _ in 0..statement_literals(self.new.ast(), &s.kind).len() {
                let literal = literals.next();
                is_new &= literal.is_some_and(|l| self.matching.old_of[*l].is_none());
            }
            if is_new && definition(self.new.ast(), &s.kind).is_some() {
                top.actions.insert(at, Action::Define);
            }
        }
    }

    /// Statements other than declarations and definitions.
    fn others(&self, old: &ChunkPatch, top: &mut TopLevel) {
        let (was, is) = (&old.facts().others, &self.new.facts().others);
        let (gone, come) = unmatched(was, is);
        let n_gone = gone.len();
        for (i, at) in come.into_iter().enumerate() {
            let span = self.body()[at].span;
            let why = if i < n_gone { "changed" } else { "added" };
            top.not_run.push(NotRun {
                line: span.line,
                text: self.text(self.source(), span),
                why: why.into(),
            });
        }
        for at in gone {
            let span = statements(old.ast())[at].span;
            top.warnings.push(format!(
                "no longer in the text, its effect stays: {}",
                self.text(old.source(), span)
            ));
        }
    }

    /// `run`, and the names in `reset` that fit nothing.
    fn selected(&self, top: &mut TopLevel) {
        let (body, source) = (self.body(), self.source());
        for selector in &self.policy.run {
            let fits = |s: &Statement| match selector {
                RunSelector::Line(line) => s.span.line == *line,
                RunSelector::Text(text) => {
                    let own = source
                        .get(s.span.start as usize..s.span.end as usize)
                        .unwrap_or_default();
                    String::from_utf8_lossy(own).trim() == text.trim()
                }
            };
            let found: Vec<usize> = (0..body.len()).filter(|at| fits(&body[*at])).collect();
            let alone = |kind: &StatementKind| {
                !matches!(
                    kind,
                    StatementKind::Return(_)
                        | StatementKind::Goto(_)
                        | StatementKind::Label(_)
                        | StatementKind::Local { .. }
                        | StatementKind::LocalFunction { .. }
                )
            };
            match found[..] {
                [at] if alone(&body[at].kind) => {
                    top.actions.insert(at, Action::Run);
                    let line = body[at].span.line;
                    let text = self.text(self.source(), body[at].span);
                    top.not_run.retain(|n| n.line != line || n.text != text);
                }
                _ => {
                    let what = match selector {
                        RunSelector::Line(line) => format!("line {line}"),
                        RunSelector::Text(text) => format!("`{text}`"),
                    };
                    let n = found.len();
                    let reason = format!(
                        "run = {what}: {n} top-level statements fit, and exactly one that can run alone has to"
                    );
                    self.refuse(
                        top,
                        Code::RunNotFound,
                        Span {
                            line: 1,
                            column: 1,
                            ..Span::default()
                        },
                        reason,
                        "name one statement that is no declaration, label or return",
                    );
                    if found.is_empty() {
                        Self::unfit(top, format!("run {what}"));
                    }
                }
            }
        }
        for name in &self.policy.reset {
            if !top.variables.iter().any(|v| *v.name == **name) {
                let reason = format!("reset of \"{name}\": there is no such top-level local");
                self.refuse(
                    top,
                    Code::ResetNotFound,
                    Span {
                        line: 1,
                        column: 1,
                        ..Span::default()
                    },
                    reason,
                    "name a top-level local of the new source",
                );
                Self::unfit(top, format!("reset {name}"));
            }
        }
    }

    /// The last refusal holds only if the name fits in no other chunk either.
    fn unfit(top: &mut TopLevel, name: String) {
        if let Some(refusal) = top.refusals.pop() {
            top.unfit.push(Unfit { name, refusal });
        }
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

    /// The first line of a statement, shortened.
    fn text(&self, source: &[u8], span: Span) -> String {
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
}
