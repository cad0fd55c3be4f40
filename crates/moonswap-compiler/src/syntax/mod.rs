//! Syntax: the tree, and what moves and visits its parts.
mod absorb;
pub mod ast;
pub mod graft;
pub(crate) mod limits;
mod relocate;
pub mod visit;
