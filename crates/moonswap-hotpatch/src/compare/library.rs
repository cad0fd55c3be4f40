//! Lua's own libraries, as the paths of a text reach them.

use moonswap_compiler::syntax::ast::{BinaryOp, Expr, ExprId, StatementKind};

use super::undefined::{Globals, StandardGlobals};
use crate::patch::ChunkPatch;
use crate::patch::constant::Constant;
use crate::patch::path::{Key, Path, Root, Scope};
use crate::patch::statements::statements;

/// Whether a path leads into Lua's own libraries.
pub(crate) fn is_library(path: &Path) -> bool {
    let mut names = path.keys.iter().map(name_of);
    let mut next = || names.next().flatten();
    let mut first = next();
    // `_G.string` and `_ENV.string` are `string`.
    while matches!(first, Some("_G" | "_ENV")) {
        first = next();
    }
    // Modules of the program stand in `package.loaded` and `package.preload`.
    if first == Some("package") && matches!(next(), Some("loaded" | "preload")) {
        first = next();
    }
    path.root == Root::Global
        && first.is_some_and(|name| name != "arg" && StandardGlobals.has(name))
}

/// Whether a path leads into Lua's own libraries, maybe by a top-level local of the text
/// that holds one: `local s = string`.
pub(crate) fn is_library_of(path: &Path, text: &ChunkPatch) -> bool {
    let Root::Local(name, declaration) = &path.root else {
        return is_library(path);
    };
    let (ast, facts) = (text.ast(), text.facts());
    let mut all = facts.declared.iter();
    let Some(local) = all.find(|v| *v.name == **name && v.declaration == *declaration) else {
        return false;
    };
    let Some(StatementKind::Local { values, .. }) =
        statements(ast).get(local.statement).map(|s| &s.kind)
    else {
        return false;
    };
    let scope = Scope::before(ast, local.statement);
    // `string or {}`: any of them.
    let mut any: Vec<ExprId> = values.get(local.index).copied().into_iter().collect();
    while let Some(at) = any.pop() {
        match ast.exprs.get(at.0 as usize) {
            Some(Expr::Paren(inner)) => any.push(*inner),
            Some(Expr::Binary {
                op: BinaryOp::And | BinaryOp::Or,
                lhs,
                rhs,
            }) => any.extend([*lhs, *rhs]),
            _ => {
                let path = facts.constants.path(ast, &scope, at);
                if path.is_some_and(|path| is_library_of(&path, text)) {
                    return true;
                }
            }
        }
    }
    false
}

/// The name that a key is.
pub(crate) fn name_of(key: &Key) -> Option<&str> {
    match key {
        Key::Constant(Constant::String(name)) => std::str::from_utf8(name).ok(),
        _ => None,
    }
}
