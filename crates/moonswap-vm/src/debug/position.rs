//! "chunk:line: " in front of messages.
//!
//! Invariants: F1, F2 (`frame.rs`), VM3.

use moonswap_compiler::chunk_display;

use super::walk;
use crate::frame::Frame;
use crate::object::Version;
use crate::vm::Vm;

/// Chunk name for `source`; stripped code has none.
///
/// # Safety
/// A live version.
pub(super) unsafe fn source<'a>(version: *mut Version) -> &'a [u8] {
    // SAFETY: by the caller; the name lives as long as the version's instance.
    unsafe {
        if Version::record(version).is_stripped {
            b"=?"
        } else {
            let chunk: *const str = &*(*(*(*version).slot).instance).chunk;
            (*chunk).as_bytes()
        }
    }
}

unsafe fn text(version: *mut Version, line: Option<u32>) -> Vec<u8> {
    // SAFETY: by the caller.
    let mut text = chunk_display(unsafe { source(version) });
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
        match walk::version(frame) {
            Some(version) => text(version, walk::line_of(frame)),
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
        match (walk::version(frame), walk::line_of(frame)) {
            (Some(version), Some(line)) => text(version, Some(line)),
            _ => Vec::new(),
        }
    }
}
