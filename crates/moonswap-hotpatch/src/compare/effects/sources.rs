//! Which tables an expression may give: the names that hold them.

use moonswap_compiler::syntax::ast::{BinaryOp, Expr, ExprId, TableItem};

use super::flow::Flow;
use super::library::Library;
use super::place::Node;
use crate::patch::tree::root_of;

/// A name whose table, or a table in it, an expression may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: Node,
    /// The table itself, not only one in it.
    pub(super) is_whole: bool,
    /// The expression makes a table that has it.
    pub(super) is_item: bool,
}

impl Flow<'_> {
    /// The names whose tables an expression may give.
    pub(super) fn sources(&self, expr: ExprId, found: &mut Vec<Source>) {
        let mut todo = vec![(expr, true, false)];
        while let Some((expr, is_whole, is_item)) = todo.pop() {
            let part = |expr: &ExprId| (root_of(self.ast, *expr), false, is_item);
            let same = |expr: &ExprId| (*expr, is_whole, is_item);
            match self.expr(expr) {
                Some(Expr::Name(name)) => {
                    // Another name of a field stands for a part.
                    let other = self
                        .other_names
                        .get(name)
                        .and_then(|other| self.expr(*other));
                    let is_part = matches!(other, Some(Expr::Field { .. }));
                    let is_whole = is_whole && !is_part;
                    let mut names = Vec::new();
                    self.name(self.original(*name), &mut names);
                    found.extend(names.into_iter().map(|name| Source {
                        name,
                        is_whole,
                        is_item,
                    }));
                }
                Some(Expr::Field { .. } | Expr::Index { .. }) => todo.push(part(&expr)),
                Some(Expr::Paren(inner)) => todo.push(same(inner)),
                Some(Expr::Binary {
                    op: BinaryOp::And | BinaryOp::Or,
                    lhs,
                    rhs,
                }) => todo.extend([same(lhs), same(rhs)]),
                Some(Expr::Table(items)) => todo.extend(items.iter().flat_map(|item| match item {
                    TableItem::Positional(value) | TableItem::Named(_, value) => {
                        vec![(*value, is_whole, true)]
                    }
                    TableItem::Keyed(key, value) => {
                        vec![(*key, is_whole, true), (*value, is_whole, true)]
                    }
                })),
                Some(Expr::Call { callee, args }) => match self.library(*callee) {
                    Some(Library::Answers | Library::Loads) => {}
                    Some(_) => todo.extend(args.iter().map(same)),
                    None => {
                        todo.push(part(callee));
                        todo.extend(args.iter().map(same));
                    }
                },
                Some(Expr::MethodCall { object, args, .. }) => {
                    todo.push(same(object));
                    todo.extend(args.iter().map(same));
                }
                _ => {}
            }
        }
    }
}
