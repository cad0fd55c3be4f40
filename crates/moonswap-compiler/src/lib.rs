//! Lua 5.4 source text → prototypes, in four steps: lexer, parser (AST),
//! resolve (scopes, captures, identities), code generation.
//!
//! Reads no file, knows no VM type.
#![forbid(unsafe_code)]

pub mod chunk_name;
pub mod error;
mod lexer;
pub mod syntax;

pub use chunk_name::{chunk_display, skip_shebang};
pub use error::{CompileError, Span};
pub use syntax::{ParseLimits, parse};
