//! Binary chunks: prototypes as bytes and back.
//!
//! The header is the reference's, byte for byte, so that tools recognise the
//! file; the body is our own encoding (the machine's instructions differ),
//! which begins with a hash of the operations.
//! Reading trusts nothing: every count is held against the bytes that are left
//! before anything is allocated, nesting is limited, and each function must pass
//! the verifier before it is given away. Whoever has a limit of memory says how much room there is (`budget`).
//!
//! Numbers are variable-length (7 bits per byte, low bits first), instructions
//! and floats 8 bytes little-endian. A child's identity is its parent's and one
//! step, so chunk name and path are written once. A short string is written where it
//! comes first, after a 0; later its number stands there, from 1.

mod budget;
mod format;
mod input;
mod read;
mod walk;
mod whole;
mod write;

pub use format::{SIGNATURE, UndumpError};
pub use walk::{Kept, Take, is_decided, undump_to, undump_with};
pub use whole::{undump, undump_watched};
pub use write::{dump, dump_watched};
