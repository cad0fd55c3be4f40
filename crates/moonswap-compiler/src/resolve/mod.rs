//! Resolve: what names mean. Scopes and variables, captures through nested
//! functions, labels, and the identity of each literal.
//!
//! Code generation drives this while it walks the tree; no instruction is
//! known here.
pub mod identity;
pub mod label;
pub mod scope;
pub mod upvalue;
