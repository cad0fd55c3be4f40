//! Returns, and the arguments that `...` stands for.
//!
//! Invariants as in `interp`, F1 (`frame.rs`). The fast return tests one result count.
//! All else is out of line.

use super::call::{ANY, place_results};
use super::drive::Driver;
use super::operand::{a, b, c, ra, x};
use super::{Next, advance};
use crate::coroutine;
use crate::frame;
use crate::unwind::throw;
use crate::value::{Value, copy, tag};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn return1<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: F1; the function slot receives the result.
    unsafe {
        let ret = (*base.sub(1)).payload as *const u64;
        let dst = base.sub(2);
        copy(dst, ra(pc, base));
        let call = ret.sub(1);
        if c(call) <= 1 {
            return d.dispatch(Next {
                pc: ret,
                base: dst.byte_sub(a(call)),
            });
        }
        if c(call) == ANY {
            (*vm).top = dst.add(1);
            return d.dispatch_cold::<1>(Next {
                pc: ret,
                base: dst.byte_sub(a(call)),
            });
        }
        d.slow(pc, base, vm, |_, base, vm| return_more(vm, base, 1))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn return0<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: F1.
    unsafe {
        let ret = (*base.sub(1)).payload as *const u64;
        let dst = base.sub(2);
        let call = ret.sub(1);
        if c(call) == 0 {
            return d.dispatch(Next {
                pc: ret,
                base: dst.byte_sub(a(call)),
            });
        }
        d.slow(pc, base, vm, |_, base, vm| return_more(vm, base, 0))
    }
}

/// Leaves the frame: its `n` results, from `results` on, go to where the caller wants them.
///
/// # Safety
/// F1: `base` is that of the topmost frame, its variables are closed.
#[inline(always)]
pub(super) unsafe fn return_to_caller(
    vm: &mut Vm,
    base: *mut Value,
    results: *mut Value,
    n: usize,
) -> Next {
    // SAFETY: F1.
    unsafe {
        let original = frame::original_base(base);
        let ret = (*original.sub(1)).payload as *const u64;
        let dst = original.sub(2);
        let call = ret.sub(1);
        place_results(vm, dst, results, n, c(call));
        Next {
            pc: ret,
            base: dst.byte_sub(a(call)),
        }
    }
}

/// Returns the `n` results that stand in the function slot already.
///
/// # Safety
/// F1: `base` is that of a frame whose `n` results stand from its function slot on.
#[inline(never)]
unsafe fn return_more(vm: *mut Vm, base: *mut Value, n: usize) -> Next {
    // SAFETY: F1.
    unsafe { return_to_caller(&mut *vm, base, base.sub(2), n) }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn return_general(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, F1.
    unsafe {
        let vm = &mut *vm;
        let results = ra(pc, base);
        let n = if b(pc) == ANY {
            vm.top.offset_from(results) as usize
        } else {
            b(pc)
        };
        if x(pc) & 1 != 0 {
            if let Some(next) = super::closure::close_pending(vm, pc, base, base, results.add(n)) {
                return next;
            }
            coroutine::close_upvalues(vm, vm.current, base);
        }
        return_to_caller(vm, base, results, n)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn vararg(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1: only vararg functions contain it, so the link tells where
    // the arguments are.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let np = usize::from((*frame::version_of(base)).n_params);
        let distance = (*base.sub(1)).payload as usize / size_of::<Value>();
        let n = distance - 2 - np;
        let wanted = if b(pc) == ANY { n } else { b(pc) };
        if b(pc) == ANY {
            let at = ra(pc, base);
            if vm.ensure_stack(at, n + 8).is_err() {
                return throw(vm);
            }
        }
        let base = vm.base;
        let dst = ra(pc, base);
        let from = base.sub(distance).add(np);
        for i in 0..n.min(wanted) {
            copy(dst.add(i), from.add(i));
        }
        for i in n..wanted {
            (*dst.add(i)).tag = tag::NIL;
        }
        if b(pc) == ANY {
            vm.top = dst.add(n);
        }
        advance(pc, base)
    }
}
