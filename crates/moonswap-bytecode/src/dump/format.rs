//! The header of binary chunks, their limits, and what can be wrong with one.

use crate::opcode::OpCode;
use crate::verify::{Fault, VerifyError};

/// First byte of a binary chunk, which no text begins with.
pub const SIGNATURE: u8 = 0x1B;

/// Signature, version 5.4, format 0, conversion check, sizes of instruction
/// (the reference's), integer and number.
pub(super) const HEADER: &[u8; 15] = b"\x1BLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
pub(super) const CHECK_INT: i64 = 0x5678;
pub(super) const CHECK_NUM: f64 = 370.5;

/// Changes with the body's encoding.
pub(super) const ENCODING: u32 = 2;

/// Hash (FNV-1a) of the encoding's number, then of names and operands of all
/// operations in order: what the numbers in the code mean. Behind the reference's header, because a build
/// with other operations would take the code for another that is as valid.
pub(super) const OPERATIONS: u32 = {
    let mut hash = 0x811C_9DC5_u32 ^ ENCODING;
    let mut i = 0;
    while i < OpCode::ALL.len() {
        let name = OpCode::ALL[i].name().as_bytes();
        let [a, b, c] = OpCode::ALL[i].operands();
        let mut k = 0;
        while k < name.len() + 3 {
            let byte = match k.wrapping_sub(name.len()) {
                0 => a as u8,
                1 => b as u8,
                2 => c as u8,
                _ => name[k],
            };
            hash = (hash ^ byte as u32).wrapping_mul(0x0100_0193);
            k += 1;
        }
        i += 1;
    }
    hash
};

/// Strings up to this size are written once, and later ones say which they are: what
/// is done with each of them takes little time.
pub(super) const MAX_SHARED: usize = crate::verify::MAX_KEY;

/// Source of stripped code.
pub(super) const NO_SOURCE: &str = "=?";

/// Deepest nesting of functions in a chunk (the compiler's limit is lower).
pub(super) const MAX_DEPTH: usize = 220;

/// Longest path of a chunk's outermost function.
pub(super) const MAX_PATH: usize = MAX_DEPTH;

/// Steps in the paths of all functions of a chunk, for each of its bytes: a path
/// is written as one step and held in full. A function takes more than 20 bytes.
pub(super) const STEPS_PER_BYTE: usize = MAX_DEPTH / 20;

/// Least bytes of a function inside another: its step, its header, one instruction,
/// how many there are of everything else.
pub(super) const MIN_FUNCTION: usize = 4 + 6 + 8 + 5;

/// Largest index of a scope-record cell; each one costs memory when loaded.
pub(super) const MAX_CELL: u64 = 0xFFFF;

/// Why bytes are no chunk; the texts are the reference's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndumpError {
    /// Wrong header.
    #[error("bad binary format ({0})")]
    Header(&'static str),
    /// The bytes end too early.
    #[error("bad binary format (truncated chunk)")]
    Truncated,
    /// Whoever watches wanted no more of it.
    #[error("stopped")]
    Stopped,
    /// There was less room for it than it takes.
    #[error("not enough memory")]
    Memory,
    /// Contents that no dump contains.
    #[error("bad binary format (corrupted chunk)")]
    Corrupted,
    /// Contents that could harm the machine.
    #[error("bad binary format (corrupted chunk: {0})")]
    Refused(#[source] VerifyError),
}

/// What is wrong with the bytes: the same in as few bytes as it takes, since each number
/// that is read may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Part of the header, in their order.
    Header(u8),
    Truncated,
    Stopped,
    Memory,
    Corrupted,
}

/// What is wrong where the parts of the header are.
const HEADER_FLAWS: [&str; 10] = [
    "not a binary chunk",
    "version mismatch",
    "format mismatch",
    "corrupted chunk",
    "Instruction size mismatch",
    "lua_Integer size mismatch",
    "lua_Number size mismatch",
    "integer format mismatch",
    "float format mismatch",
    "made by another version of moonswap; compile the source again",
];

/// How many bytes the parts of [`HEADER`] have.
pub(super) const HEADER_PARTS: [usize; 7] = [4, 1, 1, 6, 1, 1, 1];

impl From<Flaw> for UndumpError {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Header(part) => {
                let what = HEADER_FLAWS.get(usize::from(part));
                Self::Header(what.unwrap_or(&"corrupted chunk"))
            }
            Flaw::Truncated => Self::Truncated,
            Flaw::Stopped => Self::Stopped,
            Flaw::Memory => Self::Memory,
            Flaw::Corrupted => Self::Corrupted,
        }
    }
}

impl From<VerifyError> for UndumpError {
    fn from(error: VerifyError) -> Self {
        match error.fault {
            Fault::Memory => Self::Memory,
            _ => Self::Refused(error),
        }
    }
}
