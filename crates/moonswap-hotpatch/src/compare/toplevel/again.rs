//! Main chunks that are called again and again: `load` made a function, and the program
//! has called it more than once.
//!
//! What stands at the top level of such a text is the body of a function. A change of it
//! holds from the next call on, like that of any function, so it is neither run nor
//! listed. What functions of earlier calls share, and what is set in globals, is compared
//! as usual.

use moonswap_compiler::syntax::ast::{Expr, StatementKind};

use super::comparison::Comparison;
use super::outcome::TopLevel;
use crate::compare::library::{is_library, name_of};
use crate::manifest::is_reserved;
use crate::patch::declarations::Declared;
use crate::patch::path::{Path, Root, Scope};

impl Comparison<'_> {
    /// Whether the main chunk has been called more than once, and does not run now.
    pub(crate) fn is_called_again(&self) -> bool {
        self.manifest.n_runs > 1 && !self.manifest.main_running
    }

    /// Whether only the calls to come see what is set there.
    pub(super) fn is_of_each_call(&self, path: &Path) -> bool {
        self.is_called_again()
            && match &path.root {
                Root::Local(name, _) => !self.is_held(name),
                Root::Returned => !self.manifest.returned,
                Root::Global => false,
            }
    }

    /// Whether functions that were made may hold a variable of that name, or may be given
    /// one by the new text.
    pub(super) fn is_held(&self, name: &str) -> bool {
        let main = &self.manifest.main.id;
        let mut slots = self.manifest.slots.iter();
        let is_held = slots.any(|(id, slot)| {
            let mut held = slot.layout.iter().filter(|v| !is_reserved(v));
            !slot.is_unmade && id != main && held.any(|v| *v.name == *name)
        });
        let functions = self.new.facts().outline.literals.iter().skip(1);
        let is_wanted = |literal: &crate::patch::outline::Literal| {
            let mut wanted = literal.prototype.upvalues.iter();
            wanted.any(|v| *v.name == *name)
        };
        is_held || functions.into_iter().any(is_wanted)
    }

    /// Whether a new variable has the same value in each call, so that functions may share
    /// one: a constant, a library function, a function that uses nothing else.
    pub(super) fn is_same_in_each_call(&self, variable: &Declared) -> bool {
        let (ast, facts) = (self.new.ast(), self.new.facts());
        let literals = &facts.outline.literals;
        let mut seen: Vec<&str> = Vec::new();
        let mut todo: Vec<&str> = vec![&variable.name];
        while let Some(name) = todo.pop() {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let mut all = facts.declared.iter().filter(|v| *v.name == *name);
            let (Some(found), None) = (all.next(), all.next()) else {
                return false;
            };
            if facts.assigned.name_anywhere(name.as_bytes()) {
                return false;
            }
            let function = match &self.body()[found.statement].kind {
                StatementKind::LocalFunction { function, .. } => *function,
                StatementKind::Local { values, .. } => {
                    let Some(value) = values.get(found.index) else {
                        match found.initialiser.absent {
                            true => continue,
                            false => return false,
                        }
                    };
                    let scope = Scope::before(ast, found.statement);
                    let path = facts.constants.path(ast, &scope, *value);
                    let is_library = path.is_some_and(|path| self.is_library_value(&path));
                    match ast.exprs.get(value.0 as usize) {
                        Some(Expr::Function(function)) => *function,
                        _ if is_library => continue,
                        _ if facts.constants.value(ast, &scope, *value).is_some() => continue,
                        _ => return false,
                    }
                }
                _ => return false,
            };
            let Some(literal) = literals.iter().find(|l| l.function == Some(function)) else {
                return false;
            };
            for used in &literal.prototype.upvalues {
                match &*used.name {
                    "_ENV" => {}
                    name if used.top_level => todo.push(name),
                    _ => return false,
                }
            }
        }
        true
    }

    /// Whether a path leads to what Lua's libraries have there: not to a place below them
    /// that the text fills, as `package.loaded`.
    fn is_library_value(&self, path: &Path) -> bool {
        let root = path.keys.first().and_then(name_of);
        is_library(path)
            && path.keys.len() <= 2
            && root.is_some_and(|root| {
                !matches!(root, "package" | "_G" | "_ENV") && !self.redefines(root)
            })
    }

    /// Says what holds from the next call on.
    pub(super) fn tell_next_call(&self, top: &mut TopLevel) {
        if top.is_of_last_call {
            top.warnings.push(format!(
                "the main chunk was called {} times: what its last call made follows the text, what earlier calls made stays",
                self.manifest.n_runs
            ));
        }
        let n = top.next_call.len();
        if n == 0 {
            return;
        }
        let (s, verb) = if n == 1 { ("", "takes") } else { ("s", "take") };
        top.warnings.push(format!(
            "the main chunk was called {} times: {n} changed statement{s} of it {verb} effect when it is called next",
            self.manifest.n_runs
        ));
    }
}
