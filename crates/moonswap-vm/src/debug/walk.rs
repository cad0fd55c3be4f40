//! Levels: the activations of a coroutine, counted from the topmost one.
//!
//! The bottom frame of the main coroutine stands for the host and counts as a
//! native without function (the reference's `pmain`), unless it called a native
//! (its `xpcall`), which then stands for it; that of other coroutines
//! is no level.
//!
//! Invariants: F1, F2 (`frame.rs`), C1, C2 (`coroutine`), VM3; D1 the frames
//! of a coroutine that died by an error stay on its stack until it is closed,
//! with the topmost one in `base` and `pc`.

use moonswap_bytecode::OpCode;

use crate::frame::Frame;
use crate::object::{Closure, Coroutine, CoroutineStatus, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Base of a coroutine's bottom frame, in slots.
const BOTTOM: usize = 2;

/// The activations of one coroutine, topmost first, each with the one it
/// called (`None` for the topmost).
pub(crate) struct Levels {
    next: Option<Frame>,
    callee: Option<Frame>,
    /// Place of the bottom frame.
    bottom: *const Value,
    is_main: bool,
}

/// The frame itself or the first one below that is a level.
///
/// # Safety
/// F1: frames of a live coroutine's stack, whose bottom is `bottom`.
unsafe fn visible(frame: Option<Frame>, bottom: *const Value, is_main: bool) -> Option<Frame> {
    // SAFETY: F1.
    unsafe {
        let frame = frame?;
        if std::ptr::eq(frame.base, bottom) {
            return is_main.then_some(frame);
        }
        if matches!(frame.function().tag, tag::CLOSURE | tag::NATIVE) {
            return Some(frame);
        }
        // What could not be called (`interp::call`) has a frame but is no level.
        visible(frame.caller().map(|(below, _)| below), bottom, is_main)
    }
}

/// Whether `co` is another coroutine than the running one.
pub(crate) fn other(vm: &Vm, co: Option<*mut Coroutine>) -> Option<*mut Coroutine> {
    co.filter(|&co| !std::ptr::eq(co, vm.current))
}

/// Walks the running coroutine (`None`) or another one.
pub(crate) fn levels(vm: &Vm, co: Option<*mut Coroutine>) -> Levels {
    // SAFETY: VM3 for the running one; C1, C2 and D1 for the others.
    unsafe {
        let of = other(vm, co);
        let stack = (&(*of.unwrap_or(vm.current)).stack).as_ptr();
        let is_main = std::ptr::eq(of.unwrap_or(vm.current), vm.main);
        let bottom = stack.add(BOTTOM);
        let top = match of {
            None => Some(Frame {
                base: vm.base,
                pc: vm.pc,
            }),
            Some(co) => {
                let (stands, pc) = match (*co).status {
                    CoroutineStatus::Closing => (false, std::ptr::null()),
                    CoroutineStatus::Suspended => ((*co).started, std::ptr::null()),
                    CoroutineStatus::Normal | CoroutineStatus::Running => (true, std::ptr::null()),
                    CoroutineStatus::Dead => ((*co).failed, (*co).pc.cast()),
                };
                stands.then(|| Frame {
                    base: stack.add((*co).base + 2).cast_mut(),
                    pc,
                })
            }
        };
        Levels {
            next: visible(top, bottom, is_main),
            callee: None,
            bottom,
            is_main,
        }
    }
}

impl Iterator for Levels {
    type Item = (Frame, Option<Frame>);

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.next?;
        let callee = self.callee.replace(frame);
        // SAFETY: F1.
        self.next = unsafe {
            // A native that the host calls stands for the host itself.
            let host_shows = self.is_main && frame.is_lua();
            visible(frame.caller().map(|(f, _)| f), self.bottom, host_shows)
        };
        Some((frame, callee))
    }
}

/// End of the slots that belong to a frame: where the bookkeeping of the frame
/// it called begins.
///
/// # Safety
/// F1: `callee` has a frame below it.
pub(crate) unsafe fn end_below(callee: Frame) -> *mut Value {
    // SAFETY: F1, the layouts listed in `frame.rs`.
    unsafe {
        let base = callee.original_base();
        match callee.return_op() {
            Some(OpCode::FinishMeta | OpCode::FinishClose | OpCode::Halt) => base.sub(3),
            Some(OpCode::FinishUnwind) => base.sub(4),
            _ => base.sub(2),
        }
    }
}

/// Code of a Lua frame; `None` for natives. It lives as long as the frame.
///
/// # Safety
/// F1.
pub(crate) unsafe fn version(frame: Frame) -> Option<*mut Version> {
    // SAFETY: F2.
    let version = unsafe { frame.version() };
    (!version.is_null()).then_some(version)
}

/// Index of the instruction a Lua frame is at (its first one if it has not
/// begun).
///
/// # Safety
/// F2: a Lua frame.
pub(crate) unsafe fn pc_of(frame: Frame) -> usize {
    // SAFETY: F2.
    unsafe {
        if frame.pc.is_null() {
            0
        } else {
            frame.pc_index()
        }
    }
}

/// Line a Lua frame is at; `None` if unknown or for a native.
///
/// # Safety
/// F1, F2.
pub(crate) unsafe fn line_of(frame: Frame) -> Option<u32> {
    // SAFETY: F2.
    unsafe { Version::record(version(frame)?).line_at(pc_of(frame)) }
}

/// A Lua function's current version.
///
/// # Safety
/// V1.
pub(super) unsafe fn current_version(f: Value) -> Option<*mut Version> {
    // SAFETY: V1; an installed slot has a version.
    unsafe {
        if f.tag != tag::CLOSURE {
            return None;
        }
        Some(Closure::version(f.as_closure()))
    }
}
