//! Changes between expressions: what may be evaluated to find out what the old text
//! gives, and what the new one.
//!
//! The old expression is evaluated before the patch. Where the program holds what it
//! gives, nobody has changed that since, and the new value takes its place.

use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, Symbol};

use super::merge::Merging;
use super::outcome::{Evaluation, TopLevel};
use super::side::Side;
use crate::patch::constant::Constant;
use crate::patch::entries::{self, Entry, Leaf, only_reads};
use crate::patch::path::{Key, Path, Root, Scope};
use crate::patch::tree::{keys_of, parts};

/// Expressions of a patch that are evaluated at most; the others are listed.
const MOST: usize = 1000;

impl Merging<'_> {
    /// What is evaluated to bring an entry to the new text; `None`: that could give
    /// something else than a fresh load.
    pub(super) fn evaluation(
        &self,
        was: Option<usize>,
        entry: &Entry,
        top: &TopLevel,
    ) -> Option<Evaluation> {
        if !self.comparison.policy.run_new || top.n_evaluated >= MOST {
            return None;
        }
        let new = match (&entry.leaf, entry.value) {
            (Leaf::Constant(_) | Leaf::Function(_), _) => None,
            // A part of a multiple result.
            (_, None) => return None,
            (Leaf::Wrapped(shape, _), _) if shape.last() == Some(&entries::OR) => return None,
            (Leaf::Table(_) | Leaf::Wrapped(..) | Leaf::Expression { .. }, Some(value)) => {
                Some(value)
            }
        };
        if let Some(value) = new {
            let ast = self.new.text.ast();
            let scope = Scope::before(ast, entry.statement);
            if !is_open_to_evaluation(ast, value) || self.reads_below(value, &scope, entry) {
                return None;
            }
        }
        let old = match was {
            None => None,
            Some(was) => {
                let before = &self.old.entries[was];
                match (&before.leaf, before.value) {
                    (Leaf::Constant(_) | Leaf::Function(_), _) => None,
                    (Leaf::Wrapped(shape, _), _) if shape.last() == Some(&entries::OR) => {
                        return None;
                    }
                    (Leaf::Table(_) | Leaf::Wrapped(..) | Leaf::Expression { .. }, value) => {
                        let value = value?;
                        let is_open = is_open_to_evaluation(self.old.text.ast(), value)
                            && self.means_the_same(value, before, entry, top);
                        if !is_open {
                            return None;
                        }
                        Some(value)
                    }
                }
            }
        };
        let keys = Vec::new();
        Some(Evaluation { old, new, keys })
    }

    /// What is evaluated to find the place of an entry whose keys are not all constants;
    /// `None`: that could be another place than in a fresh load.
    pub(super) fn keys(
        &self,
        was: Option<usize>,
        entry: &Entry,
        top: &TopLevel,
    ) -> Option<Vec<(usize, ExprId)>> {
        let shapes = entry.path.keys.iter().enumerate();
        let shapes = shapes.filter(|(_, key)| matches!(key, Key::Shape(_)));
        let keys: Vec<(usize, ExprId)> = shapes
            .map(|(at, _)| at)
            .zip(entry.computed.iter().copied())
            .collect();
        let ast = self.new.text.ast();
        let scope = Scope::before(ast, entry.statement);
        let is_known = |key: &ExprId| {
            is_open_to_evaluation(ast, *key)
                && only_reads(ast, *key)
                && !self.reads_below(*key, &scope, entry)
        };
        let was = was.map(|was| &self.old.entries[was]);
        let stays = |was: &Entry| {
            let mut keys = was.computed.iter();
            was.computed.len() == entry.computed.len()
                && keys.all(|key| self.means_the_same(*key, was, entry, top))
        };
        let is_safe = self.comparison.policy.run_new
            && top.n_evaluated + keys.len() < MOST
            && keys.len() == entry.computed.len()
            && entry.computed.iter().all(is_known)
            && was.is_none_or(stays);
        is_safe.then_some(keys)
    }

    /// Whether an expression of a statement of the new text gives what it gives in a
    /// fresh load.
    pub(super) fn is_settled(&self, value: ExprId, statement: usize) -> bool {
        let ast = self.new.text.ast();
        let scope = Scope::before(ast, statement);
        is_open_to_evaluation(ast, value)
            && !self.reads_below(value, &scope, &whole_statement(statement))
    }

    /// Whether an expression of a statement of the old text means the same in one of
    /// the new text.
    pub(super) fn is_the_same(&self, value: ExprId, was: usize, is: usize, top: &TopLevel) -> bool {
        let (was, is) = (whole_statement(was), whole_statement(is));
        is_open_to_evaluation(self.old.text.ast(), value)
            && self.means_the_same(value, &was, &is, top)
    }

    /// Whether an expression reads what its text sets there or further below: a fresh
    /// load would not find that yet.
    fn reads_below(&self, value: ExprId, scope: &Scope, entry: &Entry) -> bool {
        let Side { text, entries, .. } = &self.new;
        let ast = text.ast();
        let constants = &text.facts().constants;
        let mut read: Vec<Path> = Vec::new();
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            match constants.path(ast, scope, expr) {
                Some(path) => {
                    read.push(path);
                    todo.extend(keys_of(ast, expr));
                }
                None => todo.extend(parts(ast, expr)),
            }
        }
        let mut below = entries.iter().filter(|e| e.statement >= entry.statement);
        below.any(|set| read.iter().any(|path| path.may_touch(&set.path)))
    }

    /// Whether the names of an expression of the old text mean the same where the
    /// entry of the new text stands.
    fn means_the_same(&self, value: ExprId, before: &Entry, entry: &Entry, top: &TopLevel) -> bool {
        let (old, new) = (self.old.text.ast(), self.new.text.ast());
        let old_scope = Scope::before(old, before.statement);
        let new_scope = Scope::before(new, entry.statement);
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Name(name)) = old.exprs.get(expr.0 as usize) {
                let text = old.symbols.get(name.0 as usize);
                let here = new.symbols.iter().position(|known| Some(known) == text);
                let was = old_scope.root(old, *name);
                let is = here.map(|at| new_scope.root(new, Symbol(at as u32)));
                let same = match &is {
                    // The new text does not have the name: it is a global.
                    None => !matches!(was.root, Root::Local(..)),
                    Some(is) => self.old_path(is, top).as_ref() == Some(&was),
                };
                if !same {
                    return false;
                }
            }
            todo.extend(parts(old, expr));
        }
        true
    }
}

/// An entry that stands for its statement.
fn whole_statement(statement: usize) -> Entry {
    Entry {
        path: Path::of(Root::Returned),
        leaf: Leaf::Constant(Constant::Nil),
        statement,
        value: None,
        span: Span::default(),
        is_item: false,
        computed: Vec::new(),
    }
}

/// Whether an expression can be evaluated elsewhere: it holds no function and no `...`.
fn is_open_to_evaluation(ast: &Ast, expr: ExprId) -> bool {
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        match ast.exprs.get(expr.0 as usize) {
            None | Some(Expr::Vararg | Expr::Function(_)) => return false,
            Some(_) => todo.extend(parts(ast, expr)),
        }
    }
    true
}
