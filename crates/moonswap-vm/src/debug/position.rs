//! "chunk:line: " in front of messages, made in place: raising an error need not
//! allocate for it.
//!
//! Invariants: F1, F2 (`frame.rs`), VM3.

use std::ops::Deref;

use moonswap_bytecode::Record;
use moonswap_compiler::put_chunk_display;
use moonswap_number::NumberBuffer;

use super::walk;
use crate::frame::Frame;
use crate::object::Version;
use crate::vm::Vm;

/// Room for the longest: a name of 59 bytes, ten digits, three bytes between.
const ROOM: usize = 72;

/// The text; empty where there is none to give.
pub(crate) struct Position {
    bytes: [u8; ROOM],
    n: usize,
}

impl Position {
    const NOTHING: Self = Self {
        bytes: [0; ROOM],
        n: 0,
    };

    fn put(&mut self, piece: &[u8]) {
        let rest = &mut self.bytes[self.n..];
        let n = piece.len().min(rest.len());
        debug_assert_eq!(n, piece.len(), "positions are at most 72 bytes");
        rest[..n].copy_from_slice(&piece[..n]);
        self.n += n;
    }

    fn of(source: &[u8], line: Option<u32>) -> Self {
        let mut text = Self::NOTHING;
        put_chunk_display(source, |piece| text.put(piece));
        text.put(b":");
        text.put(NumberBuffer::new().format_int(line.map_or(-1, i64::from)));
        text.put(b": ");
        text
    }
}

impl Deref for Position {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.n]
    }
}

/// Chunk name for `source`; stripped code has none.
///
/// # Safety
/// A live version, and its record.
pub(super) unsafe fn source<'a>(version: *mut Version, record: &Record<'_>) -> &'a [u8] {
    if record.is_stripped {
        return b"=?";
    }
    // SAFETY: by the caller; the name lives as long as the version's instance.
    unsafe {
        let chunk: *const str = &*(*(*(*version).slot).instance).chunk;
        (*chunk).as_bytes()
    }
}

/// Chunk and line of a Lua frame.
///
/// # Safety
/// F1, F2: a Lua frame that runs `version`, which lives as long as the answer is used.
unsafe fn place<'a>(version: *mut Version, frame: Frame) -> (&'a [u8], Option<u32>) {
    // SAFETY: by the caller.
    unsafe {
        let record = Version::record(version);
        let line = record.line_at(walk::pc_of(frame));
        (source(version, &record), line)
    }
}

/// Position of the topmost frame if it is Lua, else nothing.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn of_topmost(vm: &Vm) -> Position {
    // SAFETY: by the caller.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        match walk::version(frame) {
            Some(version) => {
                let (source, line) = place(version, frame);
                Position::of(source, line)
            }
            None => Position::NOTHING,
        }
    }
}

/// Position of a level of the running coroutine (0 = topmost frame), as
/// `luaL_where`: nothing for natives and where the line is not known.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn at_level(vm: &Vm, level: usize) -> Position {
    // SAFETY: by the caller.
    unsafe {
        let Some((frame, _)) = walk::levels(vm, None).nth(level) else {
            return Position::NOTHING;
        };
        match walk::version(frame).map(|version| place(version, frame)) {
            Some((source, Some(line))) => Position::of(source, Some(line)),
            _ => Position::NOTHING,
        }
    }
}
