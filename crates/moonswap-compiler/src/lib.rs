//! Lua 5.4 source text → prototypes, in four steps: lexer, parser (AST),
//! resolve (scopes, captures, identities), code generation.
//!
//! Reads no file, knows no VM type.
#![forbid(unsafe_code)]

pub mod error;
pub mod syntax;

pub use error::{CompileError, Span};
