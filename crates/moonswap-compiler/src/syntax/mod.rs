//! Syntax: the tree and the parser that makes it.
pub mod ast;
mod expr;
mod parser;
mod stmt;

pub(crate) use parser::parse_watched;
pub use parser::{ParseLimits, parse};
