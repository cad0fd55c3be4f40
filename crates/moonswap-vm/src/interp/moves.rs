//! Loads, moves, captured variables, cells.
//!
//! Invariants as in `interp`.

use super::drive::Driver;
use super::operand::{b, bc, k_wide, ra, rb};
use super::{Next, advance};
use crate::object::{Closure, Upvalue};
use crate::value::{Value, copy, tag};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn move_(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1.
    unsafe {
        copy(ra(pc, base), rb(pc, base));
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn load_int(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1.
    unsafe {
        let r = ra(pc, base);
        (*r).payload = bc(pc) as i64 as u64;
        (*r).tag = tag::INTEGER;
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn load_float(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1.
    unsafe {
        let r = ra(pc, base);
        (*r).payload = (bc(pc) as f64).to_bits();
        (*r).tag = tag::FLOAT;
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn load_const(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1.
    unsafe {
        copy(ra(pc, base), k_wide(pc));
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn load_nil(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1.
    unsafe {
        let mut r = ra(pc, base);
        let end = r.add(b(pc));
        while r < end {
            (*r).tag = tag::NIL;
            r = r.add(1);
        }
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn load_tag(pc: *const u64, base: *mut Value, t: u8) -> Next {
    // SAFETY: I1.
    unsafe {
        (*ra(pc, base)).tag = t;
        advance(pc, base)
    }
}

/// # Safety
/// F1: `base` is that of a Lua frame.
#[inline(always)]
pub(super) unsafe fn running_closure(base: *mut Value) -> *mut Closure {
    // SAFETY: F1: a Lua frame's function is a closure.
    unsafe { (*base.sub(2)).payload as *mut Closure }
}

/// # Safety
/// F1: `base` is that of a Lua frame, whose closure has `i + 1` variables.
#[inline(always)]
pub(super) unsafe fn upvalue(base: *mut Value, i: usize) -> *mut Upvalue {
    // SAFETY: I1: the index was verified against the prototype's captures;
    // patched code asks like this for those of the slot's first version only,
    // which all closures have (the layout of a slot only grows).
    unsafe { *Closure::upvalue_at(running_closure(base), i) }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn get_upvalue(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1; an upvalue's pointer is valid, open or closed.
    unsafe {
        copy(ra(pc, base), (*upvalue(base, b(pc))).value);
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn set_upvalue<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: as get_upvalue; barrier before the object can be missed.
    unsafe {
        let up = upvalue(base, b(pc));
        let r = ra(pc, base);
        copy((*up).value, r);
        if (*vm).heap.needs_barrier(up.cast(), *r) {
            return d.slow(pc, base, vm, |pc, base, vm| {
                (*vm)
                    .heap
                    .barrier(upvalue(base, b(pc)).cast(), *ra(pc, base));
                advance(pc, base)
            });
        }
        d.dispatch(advance(pc, base))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn get_cell(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1: the constant is a cell.
    unsafe {
        let up = (*k_wide(pc)).payload as *mut Upvalue;
        copy(ra(pc, base), (*up).value);
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn set_cell<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: as get_cell and set_upvalue.
    unsafe {
        let up = (*k_wide(pc)).payload as *mut Upvalue;
        let r = ra(pc, base);
        copy((*up).value, r);
        if (*vm).heap.needs_barrier(up.cast(), *r) {
            return d.slow(pc, base, vm, |pc, base, vm| {
                (*vm).heap.barrier((*k_wide(pc)).header(), *ra(pc, base));
                advance(pc, base)
            });
        }
        d.dispatch(advance(pc, base))
    }
}
