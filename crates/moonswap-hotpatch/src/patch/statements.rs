//! Questions about top-level statements: what one defines, what is assigned. Pure
//! functions of the syntax tree.

use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, Statement, StatementKind, UnaryOp};

use super::tree::symbol_text;

pub(crate) use crate::patch::constant::Constant;

/// The statements of the main chunk.
pub(crate) fn statements(ast: &Ast) -> &[Statement] {
    ast.functions
        .last()
        .map_or(&[], |main| &main.body.statements)
}

/// A chain of names and fields as written.
pub(crate) fn target_text(ast: &Ast, target: ExprId) -> String {
    let mut parts = Vec::new();
    let mut at = target;
    while let Some(Expr::Field { object, name }) = ast.exprs.get(at.0 as usize) {
        parts.push(symbol_text(ast, *name));
        at = *object;
    }
    if let Some(Expr::Name(name)) = ast.exprs.get(at.0 as usize) {
        parts.push(symbol_text(ast, *name));
    }
    parts.reverse();
    parts.join(".")
}

/// What an expression is, if it is a literal or a negative number.
pub(crate) fn constant(ast: &Ast, expr: ExprId) -> Option<Constant> {
    let negative = |operand: ExprId| match ast.exprs.get(operand.0 as usize)? {
        Expr::Integer(i) => Some(Constant::Integer(i.wrapping_neg())),
        Expr::Float(x) => Some(Constant::Float((-x).to_bits())),
        _ => None,
    };
    match ast.exprs.get(expr.0 as usize)? {
        Expr::Nil => Some(Constant::Nil),
        Expr::True => Some(Constant::Boolean(true)),
        Expr::False => Some(Constant::Boolean(false)),
        Expr::Integer(i) => Some(Constant::Integer(*i)),
        Expr::Float(x) => Some(Constant::Float(x.to_bits())),
        Expr::String(text) => Some(Constant::String(
            ast.symbols.get(text.0 as usize)?.as_ref().into(),
        )),
        Expr::Unary {
            op: UnaryOp::Negate,
            operand,
        } => negative(*operand),
        _ => None,
    }
}

/// What a call calls, as a chain of names and fields: `a.b.c`, `a:m` as `a.m`.
pub(crate) fn callee_text(ast: &Ast, call: ExprId) -> Option<String> {
    let is_chain = |mut at: ExprId| loop {
        match ast.exprs.get(at.0 as usize) {
            Some(Expr::Name(_)) => break true,
            Some(Expr::Field { object, .. }) => at = *object,
            _ => break false,
        }
    };
    match ast.exprs.get(call.0 as usize)? {
        Expr::Call { callee, .. } if is_chain(*callee) => Some(target_text(ast, *callee)),
        Expr::MethodCall { object, name, .. } if is_chain(*object) => Some(format!(
            "{}.{}",
            target_text(ast, *object),
            symbol_text(ast, *name)
        )),
        _ => None,
    }
}

/// The module that a call requires by name: `require "m"`.
pub(crate) fn required(ast: &Ast, call: ExprId) -> Option<&[u8]> {
    let Expr::Call { callee, args } = ast.exprs.get(call.0 as usize)? else {
        return None;
    };
    let Expr::Name(name) = ast.exprs.get(callee.0 as usize)? else {
        return None;
    };
    let [module] = args[..] else { return None };
    match ast.exprs.get(module.0 as usize)? {
        Expr::String(text) if **ast.symbols.get(name.0 as usize)? == *b"require" => {
            Some(ast.symbols.get(text.0 as usize)?)
        }
        _ => None,
    }
}

/// Where a statement begins.
pub(crate) fn span_of(ast: &Ast, statement: usize) -> Span {
    let found = statements(ast).get(statement);
    found.map_or(Span::default(), |s| s.span)
}

/// Whether a statement can be run without those around it.
pub(crate) fn runs_alone(kind: &StatementKind) -> bool {
    !matches!(
        kind,
        StatementKind::Return(_)
            | StatementKind::Goto(_)
            | StatementKind::Label(_)
            | StatementKind::Break
            | StatementKind::Local { .. }
            | StatementKind::LocalFunction { .. }
    )
}
