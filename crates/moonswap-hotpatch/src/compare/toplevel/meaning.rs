//! Expressions that are the same in both texts and mean something else in the new one.

use moonswap_compiler::syntax::ast::Expr;

use super::merge::Merging;
use super::outcome::TopLevel;
use crate::patch::declarations::{Declared, Variable};
use crate::patch::entries::{Entry, Leaf};
use crate::patch::tree::{parts, symbol_text};

impl Merging<'_> {
    /// The expression is the same and names a global that is a new local now: what it
    /// was set to is still the global's value.
    pub(super) fn tell_other_meaning(&self, entry: &Entry, top: &mut TopLevel) {
        let (Leaf::Expression { .. } | Leaf::Wrapped(..), Some(value)) = (&entry.leaf, entry.value)
        else {
            return;
        };
        let ast = self.new.text.ast();
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Name(name)) = ast.exprs.get(expr.0 as usize) {
                let name = symbol_text(ast, *name);
                let is_new = |v: &Declared| {
                    v.name == name
                        && matches!(v.state, Variable::New { .. })
                        && v.statement < entry.statement
                };
                if top.variables.iter().any(is_new) {
                    top.warnings.push(format!(
                        "{} keeps what it got from the global {name}, which is a local now: {}",
                        entry.path,
                        self.comparison.statement_text(entry.statement)
                    ));
                    return;
                }
            }
            todo.extend(parts(ast, expr));
        }
    }
}
