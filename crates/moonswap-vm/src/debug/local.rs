//! Local variables of activations, by number.
//!
//! Numbers count the named variables alive at the frame's instruction, in order
//! of declaration; behind them come unnamed slots, and below zero the varargs.
//!
//! Invariants: F1, F2 (`frame.rs`), VM4; D2 what the interpreter takes for
//! granted about unnamed or hidden registers (numbers of a loop, a table under
//! construction) stays true: such a slot only accepts a value of its own kind;
//! D3 the slots of native functions are theirs: they hold on to arguments (the
//! handler of `xpcall`, the comparator of `sort`) without reading them again.

use super::walk;
use crate::frame::{Frame, frame_top};
use crate::object::{Coroutine, Version};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// A slot of a frame and what it is called.
struct Place {
    frame: Frame,
    slot: *mut Value,
    name: Vec<u8>,
    /// A variable of the program, which may hold anything.
    is_variable: bool,
    /// In the frame of a native function.
    is_native: bool,
}

/// End of the slots of a frame that nothing called from: the topmost one.
///
/// # Safety
/// VM3, C1, C2; `frame` is the topmost one of that coroutine.
unsafe fn live_end(vm: &Vm, co: Option<*mut Coroutine>, frame: Frame) -> *mut Value {
    // SAFETY: VM3, C1, C2.
    unsafe {
        if frame.is_lua() {
            return frame_top(frame.base);
        }
        let top = match walk::other(vm, co) {
            Some(co) => (&(*co).stack).as_ptr().add((*co).top).cast_mut(),
            None => vm.top,
        };
        top.max(frame.base)
    }
}

fn find(vm: &Vm, co: Option<*mut Coroutine>, level: usize, n: i64) -> Option<Place> {
    // SAFETY: F1, F2; slots are tested against the frame's extent.
    unsafe {
        let (frame, callee) = walk::levels(vm, co).nth(level)?;
        if n < 0 {
            return vararg(frame, n);
        }
        let n = usize::try_from(n).ok()?.checked_sub(1)?;
        let version = walk::version(frame);
        if let Some(version) = version {
            let pc = walk::pc_of(frame);
            let mut alive = Version::record(version).locals().filter(|v| v.is_alive(pc));
            if let Some(v) = alive.nth(n) {
                return Some(Place {
                    frame,
                    slot: frame.base.add(usize::from(v.register)),
                    name: v.name.as_bytes().to_vec(),
                    is_variable: !v.name.starts_with('('),
                    is_native: false,
                });
            }
        }
        let end = match callee {
            Some(callee) => walk::end_below(callee),
            None => live_end(vm, co, frame),
        };
        let extent = usize::try_from(end.offset_from(frame.base)).unwrap_or(0);
        if n >= extent {
            return None;
        }
        let name: &[u8] = if version.is_some() {
            b"(temporary)"
        } else {
            b"(C temporary)"
        };
        Some(Place {
            frame,
            slot: frame.base.add(n),
            name: name.to_vec(),
            is_variable: false,
            is_native: version.is_none(),
        })
    }
}

/// The varargs stand below a vararg frame, behind the fixed arguments.
///
/// # Safety
/// F1: a frame of a live coroutine.
unsafe fn vararg(frame: Frame, n: i64) -> Option<Place> {
    // SAFETY: F1: layout of a shifted frame.
    unsafe {
        let n_params = usize::from((*walk::version(frame)?).n_params);
        let start = frame.original_base();
        let distance = usize::try_from(frame.base.offset_from(start)).ok()?;
        // function and link stand between the arguments and the base
        let count = distance.checked_sub(2 + n_params)?;
        let index = usize::try_from(n.unsigned_abs()).ok()? - 1;
        if index >= count {
            return None;
        }
        let slot = start.add(n_params + index);
        Some(Place {
            frame,
            slot,
            name: b"(vararg)".to_vec(),
            is_variable: true,
            is_native: false,
        })
    }
}

/// Name and value of local `n` of a level of a coroutine (`None`: running).
pub(crate) fn local(
    vm: &Vm,
    co: Option<*mut Coroutine>,
    level: usize,
    n: i64,
) -> Option<(Vec<u8>, Value)> {
    let place = find(vm, co, level, n)?;
    // SAFETY: a slot of the frame (VM4).
    let value = unsafe { *place.slot };
    // Links of calls that are over may stand in unnamed slots.
    let value = if value.tag > tag::COROUTINE {
        Value::NIL
    } else {
        Value::raw(value.payload, value.tag)
    };
    Some((place.name, value))
}

/// Stores into local `n` of a level; answers its name. What a native function
/// works with is its own: there is no such local to set.
pub(crate) fn set_local(
    vm: &mut Vm,
    co: Option<*mut Coroutine>,
    level: usize,
    n: i64,
    value: Value,
) -> Option<Vec<u8>> {
    let place = find(vm, co, level, n).filter(|place| !place.is_native)?;
    // SAFETY: a slot of the frame; D2, D3.
    unsafe {
        let of = co.unwrap_or(vm.current);
        vm.undo()
            .local(of, place.frame, place.slot, place.is_variable);
        if put(place.slot, place.is_variable, value)
            && let Some(co) = walk::other(vm, co)
        {
            // A stack marked already must be looked at again.
            vm.heap.note_resumed(co);
        }
    }
    Some(place.name)
}

/// Stores into a slot of a Lua function's frame, if it accepts the value (D2).
///
/// # Safety
/// It is one.
pub(crate) unsafe fn put(slot: *mut Value, is_variable: bool, value: Value) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let held = (*slot).tag;
        let fixed = matches!(held, tag::INTEGER | tag::FLOAT | tag::TABLE) || held > tag::COROUTINE;
        let accepted = is_variable || !fixed || held == value.tag;
        if accepted {
            store(slot, value);
        }
        accepted
    }
}

/// Name of parameter `n` of a function that is not running.
pub(crate) fn parameter_name(vm: &Vm, f: Value, n: i64) -> Option<Vec<u8>> {
    let _ = vm;
    // SAFETY: V1.
    let (record, n_params) = unsafe {
        let version = walk::current_version(f)?;
        (Version::record(version), (*version).n_params)
    };
    let n = usize::try_from(n).ok()?.checked_sub(1)?;
    if n >= usize::from(n_params) {
        return None;
    }
    record
        .locals()
        .filter(|v| v.start_pc == 0)
        .nth(n)
        .map(|v| v.name.as_bytes().to_vec())
}
