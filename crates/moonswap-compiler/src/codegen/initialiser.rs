//! Values of captured variables that a patch adds to a function.

use foldhash::HashMap;
use moonswap_bytecode::FunctionId;

use crate::syntax::ast::{ExprId, Symbol};

/// The value of one such variable.
#[derive(Clone, Debug)]
pub struct Initialiser {
    /// The variable, a captured one.
    pub variable: Symbol,
    /// An expression of the tree that is compiled; names in it mean what they
    /// mean where the function stands, its parameters apart.
    pub value: ExprId,
    /// Names in it that must be captured variables.
    pub captured: Vec<Symbol>,
}

/// By function, in the order in which they are evaluated.
pub type Initialisers = HashMap<FunctionId, Vec<Initialiser>>;
