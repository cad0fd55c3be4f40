//! The top-level locals of a text, as written.

use std::sync::Arc;

use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::{Ast, Attribute, Expr, StatementKind};

use super::constant::Constant;
use super::shape;
use super::statements::{constant, statements};
use super::tree::symbol_text;

/// A top-level local as written.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: Arc<str>,
    pub(crate) declaration: u32,
    /// Position of its statement in the main chunk.
    pub(crate) statement: usize,
    pub(crate) attribute: Attribute,
    pub(crate) span: Span,
    /// Position among the names of its statement.
    pub(crate) index: usize,
    pub(crate) initialiser: Initialiser,
    pub(crate) state: Variable,
}

/// What a top-level local is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Initialiser {
    pub(crate) shape: Vec<u8>,
    /// A literal number, string, boolean or nil.
    pub(crate) constant: Option<Constant>,
    /// Its own value, not a part of a multiple result.
    pub(crate) paired: bool,
    /// There is nothing to run.
    pub(crate) absent: bool,
}

/// In source order.
pub(crate) fn declarations(ast: &Ast) -> Vec<Declared> {
    let mut found: Vec<Declared> = Vec::new();
    let mut add = |symbol, attribute, span, statement, index, initialiser| {
        let name = symbol_text(ast, symbol);
        let declaration = found.iter().filter(|v| v.name == name).count() as u32;
        found.push(Declared {
            name,
            declaration,
            statement,
            attribute,
            span,
            index,
            initialiser,
            state: Variable::Ambiguous,
        });
    };
    for (at, statement) in statements(ast).iter().enumerate() {
        match &statement.kind {
            StatementKind::Local { names, values } => {
                let open = values.last().is_some_and(|v| {
                    matches!(
                        ast.exprs.get(v.0 as usize),
                        Some(Expr::Call { .. } | Expr::MethodCall { .. } | Expr::Vararg)
                    )
                });
                for (i, (name, attribute, span)) in names.iter().enumerate() {
                    let last_shared = open && names.len() > values.len() && i + 1 >= values.len();
                    let initialiser = match values.get(i) {
                        _ if last_shared => Initialiser {
                            shape: shape::expressions(ast, values),
                            ..Initialiser::default()
                        },
                        Some(value) => Initialiser {
                            shape: shape::expression(ast, *value),
                            constant: constant(ast, *value),
                            paired: true,
                            absent: false,
                        },
                        None => Initialiser {
                            absent: true,
                            constant: Some(Constant::Nil),
                            paired: true,
                            shape: vec![0],
                        },
                    };
                    add(*name, *attribute, *span, at, i, initialiser);
                }
            }
            StatementKind::LocalFunction {
                name, name_span, ..
            } => {
                let initialiser = Initialiser {
                    shape: vec![7],
                    paired: true,
                    ..Initialiser::default()
                };
                add(*name, Attribute::None, *name_span, at, 0, initialiser);
            }
            _ => {}
        }
    }
    found
}

/// What a top-level local of the new source is to the running chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// A variable of the old source, with its cell if it is there.
    Existing { cell: Option<u32> },
    /// New: a cell is appended to the scope record.
    New { cell: u32 },
    /// Not in the old source, but a version before it had it: keeps its value.
    Revived { cell: u32 },
    /// Declared a different number of times now.
    Ambiguous,
}
