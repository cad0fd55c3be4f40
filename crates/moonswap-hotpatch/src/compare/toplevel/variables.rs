//! Top-level locals: which of the new text is which of the old one.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::ScopeVariable;
use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Attribute, Expr, ExprId, StatementKind};

use super::comparison::{Comparison, text};
use super::outcome::{Action, TopLevel};
use super::reach::Reach;
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::declarations::{Declared, Initialiser, Variable};
use crate::patch::entries::Taker;
use crate::patch::path::{Root, Scope};
use crate::patch::tree::{root_of, symbol_text};
use crate::refusal::Code;

impl Comparison<'_> {
    /// Without a text, the prototype knows the variables but no initialisers.
    pub(super) fn declared_by_prototype(&self) -> Vec<Declared> {
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

    pub(super) fn variables(&self, old: &[Declared], reach: &Reach, top: &mut TopLevel) {
        let mut variables = std::mem::take(&mut top.variables);
        let n_new: HashMap<Arc<str>, usize> =
            variables.iter().fold(HashMap::default(), |mut n, v| {
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
            let name = self.old_name(&variable.name, old);
            let n_old = old.iter().filter(|v| *v.name == *name).count();
            let was = old
                .iter()
                .position(|v| *v.name == *name && v.declaration == variable.declaration);
            let cell = self
                .manifest
                .cell(&name, variable.declaration)
                .filter(|(_, c)| c.present)
                .map(|(at, _)| at);
            let was_folded = is_folded(&self.manifest.main.scope, &name, variable.declaration);
            let is_folded = is_folded(&self.new.main().scope, &variable.name, variable.declaration);
            variable.state = match was {
                Some(was) if n_old == n_new[&variable.name] => {
                    used[was] = true;
                    if let (Some(cell), true) = (cell, *name != *variable.name) {
                        top.labels[cell as usize] = (variable.name.clone(), variable.declaration);
                    }
                    if was_folded && !is_folded {
                        // It was a constant without a cell: now it needs one. What an
                        // older text had by that name has another value.
                        self.append(variable, reach, top)
                    } else {
                        self.reset(variable, cell, top);
                        Variable::Existing { cell }
                    }
                }
                _ if n_old > 0 => {
                    for (at, v) in old.iter().enumerate() {
                        used[at] |= *v.name == *name;
                    }
                    if was.is_none() && self.is_called_again() && !self.is_held(&variable.name) {
                        top.next_call.insert(variable.statement);
                    } else if was.is_none() {
                        top.not_run.push(NotRun {
                            line: variable.span.line,
                            text: text(self.source(), variable.span),
                            why: "another declaration of a name that was there".into(),
                            option: None,
                        });
                    }
                    Variable::Ambiguous
                }
                _ => match cell {
                    // A definition is what the text says, not what was there.
                    Some(cell) if !self.is_function(variable) => {
                        self.revive(variable, cell, top);
                        Variable::Revived { cell }
                    }
                    _ => self.append(variable, reach, top),
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
    }

    fn append(&self, variable: &Declared, reach: &Reach, top: &mut TopLevel) -> Variable {
        let cell = top.labels.len() as u32;
        top.labels
            .push((variable.name.clone(), variable.declaration));
        if self.is_called_again() && self.is_held(&variable.name) {
            top.is_of_last_call = true;
            if !self.is_same_in_each_call(variable) {
                let reason = format!(
                    "functions use the new top-level local {}, of which each call of the main chunk has its own: it was called {} times",
                    variable.name, self.manifest.n_runs
                );
                let remedy = "pass the value as an argument or keep it in a table";
                self.refuse(top, Code::SeveralRuns, variable.span, reason, remedy);
            }
        }
        if self.is_called_again() && !self.is_held(&variable.name) {
            top.next_call.insert(variable.statement);
        } else if !reach.has(variable.statement) {
            top.list(NotRun {
                line: self.statement_line(variable.statement),
                text: self.statement_text(variable.statement),
                why: reach.why.clone(),
                option: None,
            });
        } else if variable.attribute == Attribute::Close {
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
        } else if let Some(global) = self.own_global(variable) {
            self.refuse(
                top,
                Code::ReadsOwnGlobal,
                variable.span,
                format!(
                    "the new top-level local {} takes {global}, which the text sets below: the program has that now, a fresh load would take what was there before",
                    variable.name
                ),
                "carry the value over with `rename`, if the local had another name",
            );
        } else if !variable.initialiser.absent
            && let Some(part) = top.part(variable.statement, variable.index)
        {
            part.declare = true;
        }
        Variable::New { cell }
    }

    /// The global that a new local takes, if the text replaces it: `local old_print =
    /// print` above `function print() … end`.
    fn own_global(&self, variable: &Declared) -> Option<String> {
        let ast = self.new.ast();
        let StatementKind::Local { values, .. } = &self.body().get(variable.statement)?.kind else {
            return None;
        };
        let constants = &self.new.facts().constants;
        let scope = Scope::before(ast, variable.statement);
        let path = constants.path(ast, &scope, *values.get(variable.index)?)?;
        let sets = |text: &ChunkPatch| {
            let (ast, facts) = (text.ast(), text.facts());
            let taker = Taker {
                ast,
                constants: &facts.constants,
            };
            let entries = taker.entries(&|_| true);
            entries.iter().any(|entry| entry.path == path)
        };
        let is_own = path.root == Root::Global && sets(self.new) && self.old.is_some_and(sets);
        is_own.then(|| path.to_string())
    }

    /// Whether a variable is declared with a function.
    fn is_function(&self, variable: &Declared) -> bool {
        let body = self.body().get(variable.statement);
        match body.map(|statement| &statement.kind) {
            Some(StatementKind::LocalFunction { .. }) => true,
            Some(StatementKind::Local { values, .. }) => {
                let value = values.get(variable.index);
                let value = value.and_then(|value| self.new.ast().exprs.get(value.0 as usize));
                matches!(value, Some(Expr::Function(_)))
            }
            _ => false,
        }
    }

    /// A variable of an older text is back, with the value it had there.
    fn revive(&self, variable: &Declared, cell: u32, top: &mut TopLevel) {
        if self.is_reset(&variable.name) {
            self.reset(variable, Some(cell), top);
        } else if variable.initialiser.absent {
            top.warnings.push(format!(
                "local {} is back: it keeps the value it had",
                variable.name
            ));
        } else {
            top.list(NotRun {
                line: variable.span.line,
                text: text(self.source(), variable.span),
                why: "it is back, and keeps the value it had".into(),
                option: (!self.is_returned(&variable.name))
                    .then(|| format!("reset = \"{}\"", variable.name)),
            });
        }
    }

    fn reset(&self, is: &Declared, cell: Option<u32>, top: &mut TopLevel) {
        if !self.is_reset(&is.name) {
            return;
        }
        if cell.is_some()
            && !is.initialiser.absent
            && is.attribute != Attribute::Close
            && let Some(part) = top.part(is.statement, is.index)
        {
            part.declare = true;
            self.list_holders(is, top);
            return;
        }
        let reason = format!(
            "the top-level local {} has no initialiser or no kept value to reset",
            is.name
        );
        let remedy = "take it out of `reset`";
        self.refuse(top, Code::ResetNotFound, is.span, reason, remedy);
    }

    /// Statements that fill the variable's value, or put it elsewhere, do not run again
    /// with its initialiser.
    fn list_holders(&self, is: &Declared, top: &mut TopLevel) {
        let ast = self.new.ast();
        let named = |expr: &ExprId| matches!(ast.exprs.get(expr.0 as usize), Some(Expr::Name(name)) if *symbol_text(ast, *name) == *is.name);
        let begins = |target: &ExprId| {
            let root = root_of(ast, *target);
            root != *target && named(&root)
        };
        for (at, statement) in self.body().iter().enumerate().skip(is.statement + 1) {
            let holds = match &statement.kind {
                StatementKind::Function { target, .. } => begins(target),
                StatementKind::Assign { targets, values } => {
                    targets.iter().any(begins) || values.iter().any(named)
                }
                _ => false,
            };
            if holds && !matches!(top.actions.get(&at), Some(Action::Run)) {
                top.list(NotRun {
                    line: self.statement_line(at),
                    text: self.statement_text(at),
                    why: format!("it sets or uses {}, which is reset", is.name),
                    option: self.run_option(at),
                });
            }
        }
    }

    /// Declarations of which only some names run: possible if values and
    /// names pair up.
    pub(super) fn partial(&self, top: &mut TopLevel) {
        let body = self.body();
        let mut refused = Vec::new();
        for (at, action) in &mut top.actions {
            let Action::Parts(parts) = action else {
                continue;
            };
            let n_declared = parts.values().filter(|part| part.declare).count();
            if n_declared == 0 {
                continue;
            }
            match &body[*at].kind {
                StatementKind::Local { names, .. } if n_declared < names.len() => {
                    let mut others = top.variables.iter().filter(|v| v.statement == *at);
                    if !others.all(|v| v.initialiser.paired || v.initialiser.absent) {
                        refused.push(*at);
                    }
                }
                _ if parts.values().all(|part| part.merges.is_empty()) => *action = Action::Run,
                _ => {}
            }
        }
        refused.sort_unstable();
        for at in refused {
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
}

/// Whether the compiler has put a variable's value in the place of its uses, so that
/// there is no variable.
pub(super) fn is_folded(scope: &[ScopeVariable], name: &str, declaration: u32) -> bool {
    let mut same = scope
        .iter()
        .filter(|v| *v.name == *name && v.declaration == declaration);
    same.any(|v| v.register.is_none())
}
