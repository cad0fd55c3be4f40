//! Compile errors: the reference's text, with a span.

/// The message of a compilation that its watch has stopped.
pub(crate) const STOPPED: &str = "compilation stopped";

/// A place in the source text, in bytes; lines and columns count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Byte offset of the first byte.
    pub start: u32,
    /// Byte offset after the last byte.
    pub end: u32,
    /// Line of the first byte.
    pub line: u32,
    /// Column of the first byte, in bytes.
    pub column: u32,
}

/// Why a source text was refused. `Display` is standard Lua's wording:
/// `chunk:line: message near 'token'`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{chunk}:{}: {message}", span.line)]
pub struct CompileError {
    /// Chunk name as shown in messages (`luaO_chunkid` form).
    pub chunk: String,
    /// What is wrong, including `near …` where the reference has it. Bytes
    /// that are no UTF-8 are replaced here; [`CompileError::raw`] has them.
    pub message: String,
    /// The full text as bytes, as `load` returns it.
    pub raw: Vec<u8>,
    /// Where.
    pub span: Span,
    /// The text ended too early: a REPL may ask for another line.
    pub incomplete: bool,
}
