//! Captured variables that closures made before a patch lack (`heap/backfill.rs`).
//!
//! Invariants as in `interp`. Only code made for a patch has these operations.

use super::moves::running_closure;
use super::operand::{b, c, ra};
use super::{Next, advance, jump};
use crate::object::Upvalue;
use crate::value::{Value, copy, store};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
unsafe fn existing(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Option<*mut Upvalue> {
    // SAFETY: I1, F1.
    unsafe { (*vm).heap.find_upvalue(running_closure(base), b(pc)) }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn get(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1; an upvalue's pointer is valid, open or closed.
    unsafe {
        match existing(pc, base, vm) {
            Some(up) => copy(ra(pc, base), (*up).value),
            None => store(ra(pc, base), Value::NIL),
        }
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn set(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: as get; barrier right after the store.
    unsafe {
        let up = (&mut *vm)
            .undo()
            .backfilled_upvalue(running_closure(base), b(pc));
        let r = ra(pc, base);
        copy((*up).value, r);
        (*vm).heap.barrier(up.cast(), *r);
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn jump_if(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe {
        if existing(pc, base, vm).is_some() {
            jump(pc, base, c(pc) as isize)
        } else {
            advance(pc, base)
        }
    }
}
