//! Lua 5.4 source text → prototypes, in four steps: lexer, parser (AST),
//! resolve (scopes, captures, identities), code generation.
//!
//! Reads no file, knows no VM type.
#![forbid(unsafe_code)]

pub mod chunk_name;
mod codegen;
mod compile;
pub mod error;
mod lexer;
mod parser;
mod resolve;
pub mod syntax;

pub use chunk_name::{chunk_display, put_chunk_display, skip_shebang};
pub use codegen::CompileOptions;
pub use codegen::initialiser::{Initialiser, Initialisers};
pub use compile::{Compiled, compile, compile_ast, compile_in_parts, compile_with, is_hopeless};
pub use error::{CompileError, Span};
pub use moonswap_bytecode::Watch;
pub use parser::parse;
pub use resolve::upvalue::{CaptureLayout, CellMap};
pub use syntax::limits::ParseLimits;
