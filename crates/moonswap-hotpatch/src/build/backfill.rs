//! The values of backfilled captures, as code of the new text.

use std::sync::Arc;

use moonswap_bytecode::FunctionId;
use moonswap_compiler::syntax::ast::{Ast, ExprId, Symbol};
use moonswap_compiler::{Initialiser, Initialisers};

use crate::compare::captures::CaptureResult;
use crate::manifest::{is_reserved, same};
use crate::patch::ChunkPatch;
use crate::patch::outline::Outline;

/// A tree of the patch's text with the values in it, for code generation.
/// `None`: there are no values.
pub(crate) fn prepare(
    patch: &ChunkPatch,
    new: &Outline,
    captures: &CaptureResult,
) -> Option<(Ast, Initialisers)> {
    if captures.initialisers.is_empty() {
        return None;
    }
    let mut ast = patch.ast().clone();
    let mut initialisers = Initialisers::default();
    for literal in &new.literals {
        let id: &FunctionId = &literal.prototype.id;
        let (Some(values), Some(layout)) =
            (captures.initialisers.get(id), captures.layouts.get(id))
        else {
            continue;
        };
        let mut list = Vec::new();
        for value in values {
            let variable = &layout[usize::from(value.index)];
            let is_used = literal.prototype.upvalues.iter().any(|u| same(u, variable));
            let Some(expression) = is_used.then(|| value.parse().ok()).flatten() else {
                continue;
            };
            let names: Vec<Arc<[u8]>> = expression
                .names()
                .filter(|name| layout.iter().any(|e| *e.name == **name && !is_reserved(e)))
                .map(|name| name.as_bytes().into())
                .collect();
            let symbol = |ast: &mut Ast, text: &[u8]| {
                let known = ast.symbols.iter().position(|s| **s == *text);
                Symbol(known.unwrap_or_else(|| {
                    ast.symbols.push(text.into());
                    ast.symbols.len() - 1
                }) as u32)
            };
            let span = moonswap_compiler::Span {
                line: literal.line,
                column: literal.column,
                ..Default::default()
            };
            let root = expression.root.0;
            let first = ast.absorb(expression.ast, span);
            list.push(Initialiser {
                variable: symbol(&mut ast, variable.name.as_bytes()),
                value: ExprId(first + root),
                captured: names.iter().map(|text| symbol(&mut ast, text)).collect(),
            });
        }
        if !list.is_empty() {
            initialisers.insert(id.clone(), list);
        }
    }
    Some((ast, initialisers))
}
