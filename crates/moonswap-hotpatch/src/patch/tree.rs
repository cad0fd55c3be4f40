//! Ways around in a syntax tree.

use std::sync::Arc;

use moonswap_compiler::syntax::ast::*;
use smallvec::SmallVec;

/// The text of a symbol.
pub(crate) fn symbol_text(ast: &Ast, symbol: Symbol) -> Arc<str> {
    ast.symbols
        .get(symbol.0 as usize)
        .map_or_else(|| "?".into(), |s| String::from_utf8_lossy(s).into())
}

/// Direct parts of an expression in source order.
pub(crate) fn parts(ast: &Ast, expr: ExprId) -> SmallVec<[ExprId; 4]> {
    match ast.exprs.get(expr.0 as usize) {
        None
        | Some(
            Expr::Nil
            | Expr::True
            | Expr::False
            | Expr::Vararg
            | Expr::Integer(_)
            | Expr::Float(_)
            | Expr::String(_)
            | Expr::Function(_)
            | Expr::Name(_),
        ) => SmallVec::new(),
        Some(Expr::Index { object, key }) => SmallVec::from_slice(&[*object, *key]),
        Some(Expr::Field { object, .. }) => SmallVec::from_slice(&[*object]),
        Some(Expr::Call { callee, args }) => std::iter::once(callee).chain(args).copied().collect(),
        Some(Expr::MethodCall { object, args, .. }) => {
            std::iter::once(object).chain(args).copied().collect()
        }
        Some(Expr::Binary { lhs, rhs, .. }) => SmallVec::from_slice(&[*lhs, *rhs]),
        Some(Expr::Unary { operand, .. }) => SmallVec::from_slice(&[*operand]),
        Some(Expr::Paren(inner)) => SmallVec::from_slice(&[*inner]),
        Some(Expr::Table(items)) => {
            let mut found = SmallVec::new();
            for item in items {
                match item {
                    TableItem::Positional(value) | TableItem::Named(_, value) => found.push(*value),
                    TableItem::Keyed(key, value) => found.extend([*key, *value]),
                }
            }
            found
        }
    }
}

/// The keys in the brackets of a chain of indices.
pub(crate) fn keys_of(ast: &Ast, expr: ExprId) -> Vec<ExprId> {
    let mut keys = Vec::new();
    let mut at = expr;
    loop {
        match ast.exprs.get(at.0 as usize) {
            Some(Expr::Index { object, key }) => {
                keys.push(*key);
                at = *object;
            }
            Some(Expr::Field { object, .. }) => at = *object,
            Some(Expr::Paren(inner)) => at = *inner,
            _ => return keys,
        }
    }
}

/// What a chain of fields and indices begins with.
pub(crate) fn root_of(ast: &Ast, expr: ExprId) -> ExprId {
    let mut at = expr;
    while let Some(
        Expr::Field { object: inner, .. } | Expr::Index { object: inner, .. } | Expr::Paren(inner),
    ) = ast.exprs.get(at.0 as usize)
    {
        at = *inner;
    }
    at
}

/// Adds the literals of an expression, outermost only, in source order.
/// Iterative: left spines may be a million long.
pub(crate) fn nested_literals(ast: &Ast, expr: ExprId, found: &mut Vec<FunctionIndex>) {
    let mut todo = vec![expr];
    while let Some(expr) = todo.pop() {
        if let Some(Expr::Function(function)) = ast.exprs.get(expr.0 as usize) {
            found.push(*function);
        }
        todo.extend(parts(ast, expr).into_iter().rev());
    }
}
