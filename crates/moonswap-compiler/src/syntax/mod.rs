//! Syntax: the tree and the parser that makes it.
pub mod ast;
mod expr;
mod parser;
mod stmt;

pub use parser::{ParseLimits, parse};
