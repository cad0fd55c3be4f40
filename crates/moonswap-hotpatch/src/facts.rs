//! What planning asks of a text, whatever it is compared with: worked out once
//! for each compiled text, and kept with it.

use moonswap_bytecode::Prototype;
use moonswap_compiler::syntax::ast::{Ast, StatementKind};
use std::sync::Arc;

use crate::declarations::{Declared, declarations};
use crate::names::Names;
use crate::outline::Outline;
use crate::shape;
use crate::statements::{definition, statements};
use crate::targets::Targets;

/// A statement of the main chunk, by position, and a shape.
pub(crate) type Shaped = (usize, Vec<u8>);

/// See the head.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) outline: Outline,
    /// Its top-level locals.
    pub(crate) declared: Vec<Declared>,
    /// Definitions, by the shapes of their targets.
    pub(crate) definitions: Vec<Shaped>,
    /// Statements other than declarations and definitions.
    pub(crate) others: Vec<Shaped>,
    /// Its global names.
    pub(crate) names: Names,
    /// Where functions are put, whatever the form.
    pub(crate) targets: Targets,
}

impl Facts {
    pub(crate) fn of(main: &Arc<Prototype>, ast: &Ast) -> Self {
        let mut definitions = Vec::new();
        let mut others = Vec::new();
        for (at, statement) in statements(ast).iter().enumerate() {
            let kind = &statement.kind;
            let declares = matches!(
                kind,
                StatementKind::Local { .. } | StatementKind::LocalFunction { .. }
            );
            if let Some(target) = definition(ast, kind) {
                definitions.push((at, shape::expression(ast, target)));
            } else if !declares {
                others.push((at, shape::statement(ast, kind)));
            }
        }
        Self {
            outline: Outline::new(main, Some(ast)),
            declared: declarations(ast),
            definitions,
            others,
            names: Names::of(ast),
            targets: Targets::of(ast),
        }
    }
}
