//! `remove = true`: fields of functions that the new text has no more are
//! cleared, if they still hold the function.

use std::sync::Arc;

use moonswap_bytecode::{FunctionId, Prototype};
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, StatementKind};

use crate::outline::{statement_literals, symbol_text};
use crate::policy::Policy;
use crate::statements::{statements, target_text};
use crate::toplevel::TopLevel;

/// A field to clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// A global or top-level local, then names of fields; the last one is to be
    /// cleared.
    pub(crate) path: Vec<Arc<str>>,
    /// The function that must stand there.
    pub(crate) id: FunctionId,
}

/// What becomes of a definition that is gone: the field to clear, or why it
/// stays.
pub(crate) fn removal(
    ast: &Ast,
    main: &Prototype,
    at: usize,
    target: ExprId,
    policy: &Policy,
    top: &TopLevel,
) -> Result<Removal, &'static str> {
    const STAYS: &str = "the field stays";
    if !policy.remove {
        return Err(STAYS);
    }
    let name = target_text(ast, target);
    if policy
        .rename
        .keys()
        .any(|from| from.replace(':', ".") == name)
    {
        return Err("renamed: the field keeps its old name");
    }
    let mut path = Vec::new();
    let mut part = target;
    while let Some(Expr::Field { object, name }) = ast.exprs.get(part.0 as usize) {
        path.push(symbol_text(ast, *name));
        part = *object;
    }
    if let Some(Expr::Name(root)) = ast.exprs.get(part.0 as usize) {
        path.push(symbol_text(ast, *root));
    }
    path.reverse();
    let body = statements(ast);
    let is_local = |name: &str| {
        body.iter().take(at).any(|s| match &s.kind {
            StatementKind::Local { names, .. } => {
                names.iter().any(|(n, _, _)| *symbol_text(ast, *n) == *name)
            }
            StatementKind::LocalFunction { name: n, .. } => *symbol_text(ast, *n) == *name,
            _ => false,
        })
    };
    let root = path.first().map_or("", |root| root);
    match (is_local(root), top.is_reachable(root)) {
        (true, _) if path.len() == 1 => return Err("the local variable keeps it"),
        (true, Some(true)) | (false, None) => {}
        _ => return Err("the field stays: its table is not the same variable in the new text"),
    }
    let child: usize = body[..at]
        .iter()
        .map(|s| statement_literals(ast, &s.kind).len())
        .sum();
    match main.children.get(child) {
        Some(literal) => Ok(Removal {
            path,
            id: literal.id.clone(),
        }),
        None => Err(STAYS),
    }
}
