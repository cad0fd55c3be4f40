//! What a token carries beside its kind.

use crate::syntax::ast::Symbol;

/// What a token means beyond its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload {
    /// Nothing more.
    None,
    /// The text of a name or string; of `function`, its annotated identity.
    Symbol(Symbol),
    /// An integer numeral.
    Integer(i64),
    /// A float numeral.
    Float(f64),
}
