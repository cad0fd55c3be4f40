//! Moving parts of a syntax tree to another tree: everything in a node that
//! refers to the tree's tables, or to the text, passes through a [`Relocate`].

use super::ast::{
    Block, Expr, ExprId, Function, FunctionIndex, Statement, StatementKind, Symbol, TableItem,
};
use crate::error::Span;

/// Where the things that nodes refer to are in the other tree.
pub(super) trait Relocate {
    fn symbol(&mut self, symbol: &mut Symbol);
    fn expr(&mut self, expr: &mut ExprId);
    fn function(&mut self, function: &mut FunctionIndex);
    fn span(&mut self, span: &mut Span);
}

impl Expr {
    pub(super) fn relocate(&mut self, to: &mut impl Relocate) {
        match self {
            Self::Nil
            | Self::True
            | Self::False
            | Self::Vararg
            | Self::Integer(_)
            | Self::Float(_) => {}
            Self::Function(function) => to.function(function),
            Self::String(text) | Self::Name(text) => to.symbol(text),
            Self::Index { object, key } => {
                to.expr(object);
                to.expr(key);
            }
            Self::Field { object, name } => {
                to.expr(object);
                to.symbol(name);
            }
            Self::Call { callee, args } => {
                to.expr(callee);
                args.iter_mut().for_each(|arg| to.expr(arg));
            }
            Self::MethodCall { object, name, args } => {
                to.expr(object);
                to.symbol(name);
                args.iter_mut().for_each(|arg| to.expr(arg));
            }
            Self::Binary { lhs, rhs, .. } => {
                to.expr(lhs);
                to.expr(rhs);
            }
            Self::Unary { operand, .. } => to.expr(operand),
            Self::Paren(inner) => to.expr(inner),
            Self::Table(items) => {
                for item in items {
                    match item {
                        TableItem::Positional(value) => to.expr(value),
                        TableItem::Named(key, value) => {
                            to.symbol(key);
                            to.expr(value);
                        }
                        TableItem::Keyed(key, value) => {
                            to.expr(key);
                            to.expr(value);
                        }
                    }
                }
            }
        }
    }
}

impl Function {
    pub(super) fn relocate(&mut self, to: &mut impl Relocate) {
        for (name, span) in &mut self.params {
            to.symbol(name);
            to.span(span);
        }
        self.body.relocate(to);
        to.span(&mut self.span);
        to.span(&mut self.end);
        self.stable_id.iter_mut().for_each(|id| to.symbol(id));
    }
}

impl Block {
    fn relocate(&mut self, to: &mut impl Relocate) {
        for statement in &mut self.statements {
            statement.relocate(to);
        }
        to.span(&mut self.start);
        to.span(&mut self.end);
    }
}

impl Statement {
    pub(super) fn relocate(&mut self, to: &mut impl Relocate) {
        to.span(&mut self.span);
        match &mut self.kind {
            StatementKind::Local { names, values } => {
                for (name, _, span) in names {
                    to.symbol(name);
                    to.span(span);
                }
                values.iter_mut().for_each(|value| to.expr(value));
            }
            StatementKind::LocalFunction {
                name,
                name_span,
                function,
            } => {
                to.symbol(name);
                to.span(name_span);
                to.function(function);
            }
            StatementKind::Function { target, function } => {
                to.expr(target);
                to.function(function);
            }
            StatementKind::Assign { targets, values } => {
                targets
                    .iter_mut()
                    .chain(values)
                    .for_each(|expr| to.expr(expr));
            }
            StatementKind::Call(call) => to.expr(call),
            StatementKind::Do(body) => body.relocate(to),
            StatementKind::While { condition, body }
            | StatementKind::Repeat { body, condition } => {
                to.expr(condition);
                body.relocate(to);
            }
            StatementKind::If { arms, otherwise } => {
                for (condition, body) in arms {
                    to.expr(condition);
                    body.relocate(to);
                }
                otherwise.iter_mut().for_each(|body| body.relocate(to));
            }
            StatementKind::NumericFor {
                variable,
                variable_span,
                start,
                limit,
                step,
                body,
            } => {
                to.symbol(variable);
                to.span(variable_span);
                to.expr(start);
                to.expr(limit);
                step.iter_mut().for_each(|step| to.expr(step));
                body.relocate(to);
            }
            StatementKind::GenericFor {
                names,
                values,
                body,
            } => {
                for (name, span) in names {
                    to.symbol(name);
                    to.span(span);
                }
                values.iter_mut().for_each(|value| to.expr(value));
                body.relocate(to);
            }
            StatementKind::Goto(label) | StatementKind::Label(label) => to.symbol(label),
            StatementKind::Break => {}
            StatementKind::Return(values) => values.iter_mut().for_each(|value| to.expr(value)),
        }
    }
}
