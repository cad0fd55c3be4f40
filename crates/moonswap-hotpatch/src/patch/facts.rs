//! What planning asks of a text, whatever it is compared with: worked out once
//! for each compiled text, and kept with it.

use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_compiler::syntax::ast::Ast;

use super::assigned::Assigned;
use super::declarations::{Declared, declarations};
use super::names::Names;
use super::outline::Outline;
use super::path::Constants;
use super::shape;
use super::statements::statements;
use super::targets::Targets;

/// See the head.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) outline: Outline,
    /// Its top-level locals.
    pub(crate) declared: Vec<Declared>,
    /// The shapes of the main chunk's statements.
    pub(crate) shapes: Vec<Vec<u8>>,
    /// Its top-level locals that are constants.
    pub(crate) constants: Constants,
    /// What its functions and blocks assign.
    pub(crate) assigned: Assigned,
    /// Its global names.
    pub(crate) names: Names,
    /// Where functions are put, whatever the form.
    pub(crate) targets: Targets,
}

impl Facts {
    pub(crate) fn of(main: &Arc<Prototype>, ast: &Ast) -> Self {
        let assigned = Assigned::of(ast);
        let shapes = statements(ast).iter();
        let mut constants = Constants::of(ast, &|name| assigned.name_anywhere(name));
        constants.add_fields(ast, &assigned);
        Self {
            outline: Outline::new(main, Some(ast)),
            declared: declarations(ast),
            shapes: shapes.map(|s| shape::statement(ast, &s.kind)).collect(),
            constants,
            assigned,
            names: Names::of(ast),
            targets: Targets::of(ast),
        }
    }
}
