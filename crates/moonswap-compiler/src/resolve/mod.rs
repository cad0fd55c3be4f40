//! Resolve: what names mean. Scopes and variables, captures through nested
//! functions, labels, and the identity of each literal.
//!
//! Code generation drives this while it walks the tree; no instruction is
//! known here.
pub(crate) mod identity;
pub(crate) mod scope;
pub(crate) mod upvalue;
