//! Walks over the frames of all coroutines, and what is said of one frame.
//!
//! Invariants: HP2, F1.

use moonswap_hotpatch::{Activation, path_name};

use crate::frame::Frame;
use crate::hotpatch::AtSafePoint;
use crate::object::{Coroutine, CoroutineStatus, Version};
use crate::vm::Vm;

/// Topmost frame of a coroutine, if it has any.
///
/// # Safety
/// VM3; `co` is live.
pub(crate) unsafe fn top_frame(vm: &Vm, co: *mut Coroutine) -> Option<Frame> {
    // SAFETY: C1, C2, VM3.
    unsafe {
        if std::ptr::eq(co, vm.current) {
            return Some(Frame {
                base: vm.base,
                pc: vm.pc,
            });
        }
        let live = match (*co).status {
            CoroutineStatus::Suspended => (*co).started,
            CoroutineStatus::Normal | CoroutineStatus::Running => true,
            CoroutineStatus::Closing | CoroutineStatus::Dead => false,
        };
        if !live {
            return None;
        }
        let base = (&mut (*co).stack).as_mut_ptr().add((*co).base + 2);
        Some(Frame {
            base,
            pc: std::ptr::null(),
        })
    }
}

/// Calls `visit` for every activation of Lua code in the VM.
pub(crate) fn each_frame(
    vm: &AtSafePoint,
    visit: &mut dyn FnMut(&AtSafePoint, *mut Coroutine, Frame, *mut Version),
) {
    // SAFETY: HP2; dead coroutines are left out, so all are intact.
    unsafe {
        for co in vm.heap.all_coroutines() {
            each_frame_of(vm, co, &mut |frame, version| visit(vm, co, frame, version));
        }
    }
}

/// The same of one coroutine, innermost first.
///
/// # Safety
/// HP2; `co` is live.
pub(crate) unsafe fn each_frame_of(
    vm: &Vm,
    co: *mut Coroutine,
    visit: &mut dyn FnMut(Frame, *mut Version),
) {
    // SAFETY: HP2, F1.
    unsafe {
        let mut next = top_frame(vm, co);
        while let Some(frame) = next {
            let version = frame.version();
            if !version.is_null() {
                visit(frame, version);
            }
            next = frame.caller().map(|(below, _)| below);
        }
    }
}

/// Describes an activation of Lua code.
///
/// # Safety
/// F1, F2: a frame of this live coroutine, which runs `pinned`.
pub(crate) unsafe fn activation_of(
    vm: &Vm,
    coroutine: *mut Coroutine,
    frame: Frame,
    pinned: *mut Version,
) -> Activation {
    // SAFETY: F1, F2.
    unsafe {
        let id = Version::id(pinned);
        let chunk = id.chunk();
        let line = if frame.pc.is_null() {
            None
        } else {
            Version::record(pinned).line_at(frame.pc_index())
        };
        Activation {
            chunk: chunk.strip_prefix(['@', '=']).unwrap_or(chunk).into(),
            function: path_name(&id),
            version: Version::number(pinned),
            line,
            thread: thread_name(vm, coroutine),
            suspended: (*coroutine).status == CoroutineStatus::Suspended,
        }
    }
}

/// "main", or the coroutine as `tostring` shows it.
pub(crate) fn thread_name(vm: &Vm, co: *mut Coroutine) -> String {
    if std::ptr::eq(co, vm.main) {
        "main".to_owned()
    } else {
        format!("thread: {co:p}")
    }
}
