//! `Patch`: the new text of one chunk, parsed and compiled without a VM.

use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_compiler::CompileError;
use moonswap_compiler::syntax::ast::Ast;
use moonswap_compiler::{CompileOptions, ParseLimits, compile_ast, parse};

/// A compiled new version of one chunk: plain data, cheap to clone, usable
/// from any thread and for any number of VMs.
#[derive(Clone, Debug)]
pub struct Patch {
    chunk: Arc<str>,
    source: Arc<[u8]>,
    ast: Arc<Ast>,
    main: Arc<Prototype>,
}

impl Patch {
    /// Parses and compiles the text. `name` is the chunk name as given to
    /// `load`, e.g. `@shop.lua`.
    pub fn compile(name: &str, source: &[u8]) -> Result<Self, CompileError> {
        let ast = parse(name, source, ParseLimits::default())?;
        let main = compile_ast(name, source, &ast, CompileOptions::default())?;
        Ok(Self {
            chunk: name.into(),
            source: source.into(),
            ast: Arc::new(ast),
            main,
        })
    }

    /// Chunk name as given to `load`.
    pub fn chunk(&self) -> &Arc<str> {
        &self.chunk
    }

    /// The text.
    pub fn source(&self) -> &Arc<[u8]> {
        &self.source
    }

    /// The main chunk, compiled as for a fresh load.
    pub fn main(&self) -> &Arc<Prototype> {
        &self.main
    }

    pub(crate) fn ast(&self) -> &Ast {
        &self.ast
    }
}

/// A chunk name as shown to people.
pub(crate) fn shown(chunk: &str) -> Arc<str> {
    chunk.strip_prefix(['@', '=']).unwrap_or(chunk).into()
}
