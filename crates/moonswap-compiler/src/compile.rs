//! The front door: source text to main prototype.

use std::sync::Arc;

use moonswap_bytecode::Prototype;

use crate::codegen::{self, CompileOptions};
use crate::error::CompileError;
use crate::syntax::ast::Ast;
use crate::syntax::{ParseLimits, parse_watched};

/// Compiles a chunk. `chunk_name` is the name as given to `load`, with its
/// `@` or `=`; messages show its display form.
pub fn compile(chunk_name: &str, source: &[u8]) -> Result<Arc<Prototype>, CompileError> {
    compile_with(chunk_name, source, CompileOptions::default())
}

/// Compiles a chunk to replace an older version of it, or parts of it to run
/// beside a living instance.
pub fn compile_with(
    chunk_name: &str,
    source: &[u8],
    options: CompileOptions<'_>,
) -> Result<Arc<Prototype>, CompileError> {
    let limits = ParseLimits::default();
    let ast = parse_watched(chunk_name, source, limits, options.watch)?;
    codegen::generate(chunk_name, source, &ast, options).map_err(|error| *error)
}

/// Compiles a syntax tree, which may have been changed since it was parsed
/// from `source` (the text is needed for messages only).
pub fn compile_ast(
    chunk_name: &str,
    source: &[u8],
    ast: &Ast,
    options: CompileOptions<'_>,
) -> Result<Arc<Prototype>, CompileError> {
    codegen::generate(chunk_name, source, ast, options).map_err(|error| *error)
}
