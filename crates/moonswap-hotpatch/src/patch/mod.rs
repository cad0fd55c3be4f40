//! `Patch`: the new text of one or more chunks, parsed and compiled without a
//! VM.

pub(crate) mod assigned;
pub(crate) mod callers;
pub(crate) mod constant;
pub(crate) mod declarations;
pub(crate) mod entries;
pub(crate) mod facts;
pub(crate) mod fields;
pub(crate) mod hoist;
pub(crate) mod hooks;
pub(crate) mod names;
pub(crate) mod outline;
pub(crate) mod path;
pub(crate) mod replace;
pub(crate) mod shape;
pub(crate) mod sites;
pub(crate) mod statements;
pub(crate) mod targets;
pub(crate) mod tree;

use std::sync::Arc;

use moonswap_bytecode::{Prototype, code_hash};
use moonswap_compiler::CompileError;
use moonswap_compiler::syntax::ast::Ast;
use moonswap_compiler::{CompileOptions, ParseLimits, compile_ast, parse};

use crate::encoding::digest::Digest;
use crate::policy::provenance::PatchHash;
use crate::refusal::{Code, Refusal, Refused};
use facts::Facts;

/// Compiled new versions of one or more chunks, to be committed together:
/// plain data, cheap to clone, usable from any thread and for any number of
/// VMs.
#[derive(Clone, Debug)]
pub struct Patch {
    chunks: Arc<[ChunkPatch]>,
}

impl Patch {
    /// Parses and compiles the new text of one chunk. `name` is the chunk name
    /// as given to `load`, e.g. `@shop.lua`.
    pub fn compile(name: &str, source: &[u8]) -> Result<Self, CompileError> {
        ChunkPatch::compile(name, source).map(Self::from)
    }

    /// One patch of the chunks of several: all are committed or none. Two texts
    /// of one chunk are refused.
    pub fn transaction(patches: impl IntoIterator<Item = Patch>) -> Result<Self, Refused> {
        let mut chunks: Vec<ChunkPatch> = Vec::new();
        let mut refusals = Vec::new();
        for chunk in patches.into_iter().flat_map(|p| p.chunks.to_vec()) {
            if chunks.iter().any(|c| c.chunk == chunk.chunk) {
                refusals.push(Refusal {
                    code: Code::DuplicateChunk,
                    chunk: shown(&chunk.chunk),
                    line: 1,
                    column: 1,
                    function: "patch".to_owned(),
                    reason: "the patch has two texts for this chunk".to_owned(),
                    remedy: "leave one of them out".to_owned(),
                });
            }
            chunks.push(chunk);
        }
        if refusals.is_empty() {
            let chunks = chunks.into();
            Ok(Self { chunks })
        } else {
            Err(refusals.into())
        }
    }

    /// What it means, as a number; the order of the chunks does not matter.
    pub fn hash(&self) -> PatchHash {
        let mut parts: Vec<_> = self
            .chunks
            .iter()
            .map(|c| (&*c.chunk, c.main.deep_hash))
            .collect();
        parts.sort_by_key(|(chunk, _)| *chunk);
        PatchHash(code_hash::combined(&parts))
    }

    /// The chunks, in the order in which their initialisers run.
    pub fn chunks(&self) -> &[ChunkPatch] {
        &self.chunks
    }
}

impl From<ChunkPatch> for Patch {
    fn from(chunk: ChunkPatch) -> Self {
        Self {
            chunks: [chunk].into(),
        }
    }
}

/// The compiled new text of one chunk of a [`Patch`].
#[derive(Clone, Debug)]
pub struct ChunkPatch {
    chunk: Arc<str>,
    source: Arc<[u8]>,
    ast: Arc<Ast>,
    main: Arc<Prototype>,
    facts: Arc<Facts>,
    base: Option<Digest>,
}

impl ChunkPatch {
    /// Parses and compiles the text. `name` is the chunk name as given to
    /// `load`, e.g. `@shop.lua`.
    pub fn compile(name: &str, source: &[u8]) -> Result<Self, CompileError> {
        let ast = parse(name, source, ParseLimits::default())?;
        Self::of_tree(name, source, ast)
    }

    /// Compiles a tree whose spans are places in `source`.
    pub(crate) fn of_tree(name: &str, source: &[u8], ast: Ast) -> Result<Self, CompileError> {
        let main = compile_ast(name, source, &ast, CompileOptions::default())?;
        // Now, so that it need not be done between submission and commit.
        let facts = Facts::of(&main, &ast);
        Ok(Self {
            chunk: name.into(),
            source: source.into(),
            ast: Arc::new(ast),
            main,
            facts: Arc::new(facts),
            base: None,
        })
    }

    /// Refused (`P013`) unless the running text is the one with this hash.
    #[must_use]
    pub fn with_base(mut self, base: Digest) -> Self {
        self.base = Some(base);
        self
    }

    /// The text it was made for, if that matters.
    pub fn base(&self) -> Option<Digest> {
        self.base
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

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn ast(&self) -> &Ast {
        &self.ast
    }
}

/// A chunk name as shown to people: without the `@` or `=` that it was loaded with.
pub fn shown(chunk: &str) -> Arc<str> {
    chunk.strip_prefix(['@', '=']).unwrap_or(chunk).into()
}

/// Why a text made for `base` does not fit where `running` is the current text
/// (`None`: not kept) and `new` the one to come.
pub fn base_refusals(
    chunk: &str,
    base: Option<Digest>,
    running: Option<&[u8]>,
    new: &[u8],
) -> Vec<Refusal> {
    let Some(base) = base else {
        return Vec::new();
    };
    let (reason, remedy) = match running {
        None => (
            "made for a certain text, but that of this chunk was not kept".to_owned(),
            "load it from its text, or leave the base hash out",
        ),
        Some(running) if Digest::of(running) == base => return Vec::new(),
        Some(running) if running == new => (
            "the running text is that of the patch already".to_owned(),
            "nothing is to be done",
        ),
        Some(running) => (
            format!("made for the text {base}, but {} runs", Digest::of(running)),
            "build it again for the running text",
        ),
    };
    vec![Refusal {
        code: Code::BaseMismatch,
        chunk: shown(chunk),
        line: 1,
        column: 1,
        function: "patch".to_owned(),
        reason,
        remedy: remedy.to_owned(),
    }]
}
