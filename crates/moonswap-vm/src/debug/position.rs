//! "chunk:line: " in front of messages.
//!
//! Invariants: F1, F2 (`frame.rs`), VM3.

use moonswap_bytecode::Prototype;
use moonswap_compiler::chunk_display;

use super::walk;
use crate::frame::Frame;
use crate::vm::Vm;

/// Chunk name for `source`; stripped code has none.
pub(super) fn source(prototype: &Prototype) -> &[u8] {
    if prototype.is_stripped() {
        b"=?"
    } else {
        prototype.id.chunk().as_bytes()
    }
}

fn text(prototype: &Prototype, line: Option<u32>) -> Vec<u8> {
    let mut text = chunk_display(source(prototype));
    let line = line.map_or(-1, i64::from);
    text.extend_from_slice(format!(":{line}: ").as_bytes());
    text
}

/// Position of the topmost frame if it is Lua, else nothing.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn of_topmost(vm: &Vm) -> Vec<u8> {
    // SAFETY: by the caller.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        match walk::prototype(frame) {
            Some(prototype) => text(prototype, walk::line_of(frame)),
            None => Vec::new(),
        }
    }
}

/// Position of a level of the running coroutine (0 = topmost frame), as
/// `luaL_where`: nothing for natives and where the line is not known.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn at_level(vm: &Vm, level: usize) -> Vec<u8> {
    // SAFETY: by the caller.
    unsafe {
        let Some((frame, _)) = walk::levels(vm, None).nth(level) else {
            return Vec::new();
        };
        match (walk::prototype(frame), walk::line_of(frame)) {
            (Some(prototype), Some(line)) => text(prototype, Some(line)),
            _ => Vec::new(),
        }
    }
}
