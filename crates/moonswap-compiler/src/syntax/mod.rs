//! Syntax: the tree and the parser that makes it.
mod absorb;
pub mod ast;
mod expr;
pub mod graft;
mod parser;
mod relocate;
mod stmt;
pub mod visit;

pub use parser::{ParseLimits, parse};
pub(crate) use parser::{Part, parse_or_part};
