//! Syntax: the tree and the parser that makes it.
pub mod ast;
