//! Paths that a text sets more than once. What counts in the end is the last entry, but
//! that may be made of those above it, and what stands between may use them.

use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, Statement, StatementKind};

use super::merge::Merging;
use super::outcome::TopLevel;
use crate::patch::constant::Constant;
use crate::patch::entries::{Entry, Leaf, only_reads};
use crate::patch::path::{Key, Path, Root};
use crate::patch::shape;
use crate::patch::tree::{keys_of, parts, symbol_text};

impl Merging<'_> {
    /// Lists an entry whose path is set again below, if it changed and that shows.
    pub(super) fn set_again(&self, at: usize, entry: &Entry, top: &mut TopLevel) {
        let old_path = self.old_path(&entry.path, top);
        let known = old_path.and_then(|path| self.old.at.get(&path));
        let is_known = known.is_some_and(|all| all.iter().any(|was| self.is_alike(*was, at)));
        if is_known || !self.reach.has(entry.statement) || self.is_unused(entry) {
            return;
        }
        if self.comparison.is_called_again() {
            top.next_call.insert(entry.statement);
            return;
        }
        let why = match known {
            Some(_) => "changed, and it is set again below",
            None => "added, and it is set again below",
        };
        self.list(entry, why, None, top);
    }

    /// Lists the last entry of a path, if it reads what the old text set above it and the
    /// new one does not. `path` is the one in the new text.
    pub(super) fn set_before(&self, was: usize, path: &Path, top: &mut TopLevel) {
        let old = self.old.at.get(&self.old.entries[was].path);
        let (Some(new), Some(old)) = (self.new.at.get(path), old) else {
            return;
        };
        let Some(last) = new.last().map(|at| &self.new.entries[*at]) else {
            return;
        };
        let is_gone = new.len() < old.len() && !new.iter().any(|is| self.is_alike(was, *is));
        let ast = self.new.text.ast();
        if is_gone
            && !self.comparison.is_called_again()
            && last.value.is_some_and(|value| names_root(ast, value, path))
        {
            self.list(last, "what it was set to above is gone", None, top);
        }
    }

    /// Whether an entry of the old text sets what one of the new text does.
    fn is_alike(&self, was: usize, is: usize) -> bool {
        let (before, entry) = (&self.old.entries[was], &self.new.entries[is]);
        match (&before.leaf, &entry.leaf) {
            (Leaf::Function(f), Leaf::Function(g)) => self.is_same_function(*f, *g),
            (Leaf::Table(_), Leaf::Table(_)) | (Leaf::Wrapped(..), Leaf::Wrapped(..)) => {
                let shape = |ast, value: Option<ExprId>| Some(shape::expression(ast, value?));
                self.old.before(was) == self.new.before(is)
                    && shape(self.old.text.ast(), before.value)
                        == shape(self.new.text.ast(), entry.value)
            }
            (was, is) => was == is,
        }
    }

    /// Whether nothing uses what an entry sets before its path is set again.
    fn is_unused(&self, entry: &Entry) -> bool {
        let Some(last) = self.new.last(&entry.path) else {
            return false;
        };
        let ast = self.new.text.ast();
        let last = &self.new.entries[last];
        // `local f` above `function f() … end`.
        if entry.value.is_none() && matches!(last.leaf, Leaf::Function(_)) {
            return true;
        }
        let is_quiet = |value: &ExprId| {
            only_reads(ast, *value)
                && !names_root(ast, *value, &entry.path)
                && !reads_key(ast, *value, &entry.path)
        };
        // The object of a target is written, what stands in brackets is read.
        let is_quiet_target = |target: &ExprId| match ast.exprs.get(target.0 as usize) {
            Some(Expr::Field { object, .. }) => !reads_key(ast, *object, &entry.path),
            Some(Expr::Index { object, .. }) => {
                !reads_key(ast, *object, &entry.path) && keys_of(ast, *target).iter().all(is_quiet)
            }
            _ => true,
        };
        let passes = |statement: &Statement| match &statement.kind {
            StatementKind::Local { values, .. } => values.iter().all(is_quiet),
            StatementKind::Assign { targets, values } => {
                values.iter().all(is_quiet) && targets.iter().all(is_quiet_target)
            }
            StatementKind::LocalFunction { .. } | StatementKind::Function { .. } => true,
            _ => false,
        };
        let body = self.comparison.body();
        let between = body
            .get(entry.statement + 1..last.statement)
            .unwrap_or_default();
        last.value.as_ref().is_none_or(is_quiet) && between.iter().all(passes)
    }
}

/// Whether an expression may read a field by another name of its table: it reads a field
/// of that name, or one by a key that is computed.
fn reads_key(ast: &Ast, value: ExprId, path: &Path) -> bool {
    let Some(last) = path.keys.last() else {
        return false;
    };
    let mut todo = vec![value];
    while let Some(expr) = todo.pop() {
        match ast.exprs.get(expr.0 as usize) {
            Some(Expr::Index { .. }) => return true,
            Some(Expr::Field { name, .. }) => {
                let name = Constant::String(symbol_text(ast, *name).as_bytes().into());
                if *last == Key::Constant(name) || matches!(last, Key::Shape(_)) {
                    return true;
                }
            }
            _ => {}
        }
        todo.extend(parts(ast, expr));
    }
    false
}

/// Whether an expression names the variable in which a path begins, outside of functions.
fn names_root(ast: &Ast, value: ExprId, path: &Path) -> bool {
    let is_root = |name: &[u8]| match (&path.root, path.keys.first()) {
        (Root::Local(root, _), _) => name == root.as_bytes(),
        (Root::Global, Some(Key::Constant(Constant::String(root)))) => {
            name == &root[..] || name == b"_G" || name == b"_ENV"
        }
        (Root::Global | Root::Returned, _) => true,
    };
    let mut todo = vec![value];
    while let Some(expr) = todo.pop() {
        if let Some(Expr::Name(name)) = ast.exprs.get(expr.0 as usize)
            && is_root(symbol_text(ast, *name).as_bytes())
        {
            return true;
        }
        todo.extend(parts(ast, expr));
    }
    false
}
