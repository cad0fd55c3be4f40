//! Calls made where natives and errors end. They may follow each other without
//! end (`pairs` that is its own `__pairs`, many `__close` methods that fail), so
//! they are laid out and left to the driver, which makes them by ENTER: the
//! native stack does not grow with them.
//!
//! Invariants as in `interp`.

use super::Next;
use super::call::{ANY, call_continuation, lay_out, leave_native, precall};
use super::operand::c;
use crate::frame::{self, return_into, set_word};
use crate::value::{Value, copy, store, tag};
use crate::vm::{NativeTail, Vm};

/// [`precall`], left to the driver unless the callee is a Lua function.
///
/// # Safety
/// As [`precall`](super::precall).
#[cold]
#[inline(never)]
pub(crate) unsafe fn precall_deferred(
    vm: &mut Vm,
    ret: *const u64,
    f: *mut Value,
    n: usize,
) -> Next {
    // SAFETY: as precall; the caller's frame stays in `vm.pc`/`vm.base`, which
    // internal operations leave alone, the rest is in the callee's link and `top`.
    unsafe {
        if (*f).tag == tag::CLOSURE {
            return precall(vm, ret, f, n);
        }
        set_word(f.add(1), ret as u64, u64::from(tag::LINK));
        vm.top = f.add(2 + n);
        Next {
            pc: return_into(&frame::STUB_ENTER),
            base: f.add(2),
        }
    }
}

/// The call that [`precall_deferred`] has laid out.
///
/// # Safety
/// The driver's: ENTER of a call that [`precall_deferred`] has laid out at `base`.
#[inline(never)]
pub(super) unsafe fn enter_deferred(base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: as precall_deferred.
    unsafe {
        let vm = &mut *vm;
        let n = vm.top.offset_from(base) as usize;
        precall(vm, (*base.sub(1)).payload as *const u64, base.sub(2), n)
    }
}

/// The topmost native left a function and arguments on top: calls it with
/// the native's frame below, which hands the results on.
///
/// # Safety
/// VM3: the native's frame is the topmost one, and has what `tail` says on top.
#[cold]
#[inline(never)]
pub(super) unsafe fn call_tail(vm: &mut Vm, tail: NativeTail) -> Next {
    // SAFETY: VM3: the native's frame is the topmost one; EXTRA_SLOTS (VM2)
    // cover the link.
    unsafe {
        let base = vm.base;
        // It may have dropped what it announced (CX5).
        if vm.top == base {
            store(base, Value::NIL);
            vm.top = base.add(1);
        }
        let n_args = tail.n_args.min(vm.top.offset_from(base) as usize - 1);
        let from = vm.top.sub(n_args + 1);
        copy(base, from);
        let direction = from.offset_from(base);
        if direction == 0 {
            for i in (0..n_args).rev() {
                copy(base.add(2 + i), from.add(1 + i));
            }
        } else {
            for i in 0..n_args {
                copy(base.add(2 + i), from.add(1 + i));
            }
        }
        vm.top = base.add(2 + n_args);
        let stub = if tail.three {
            &frame::STUB_NATIVE_3
        } else {
            &frame::STUB_NATIVE
        };
        precall_deferred(vm, return_into(stub), base, n_args)
    }
}

/// What a native ended by calling has returned: its results are in `base[0..]`.
///
/// # Safety
/// The driver's: FINTAIL of the native frame at `base`, with results from there to
/// `vm.top`.
#[inline(never)]
pub(super) unsafe fn finish_native_tail(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINTAIL; `base` is the native's frame.
    unsafe {
        let vm = &mut *vm;
        let wanted = c(pc.sub(1));
        if wanted != ANY {
            vm.top = base.add(wanted);
        }
        let n = vm.top.offset_from(base) as usize;
        leave_native(vm, base, n)
    }
}

/// [`call_continuation`] of the method of a to-be-closed variable while an error
/// unwinds to the native frame at `base`.
///
/// # Safety
/// As [`call_continuation`](super::call::call_continuation), for the native frame at
/// `base`.
pub(crate) unsafe fn call_unwinding(
    vm: &mut Vm,
    base: *mut Value,
    at: *mut Value,
    function: Value,
    args: &[Value],
) -> Next {
    // SAFETY: as call_metamethod.
    unsafe {
        let ret = return_into(&frame::STUB_UNWIND);
        if function.tag == tag::CLOSURE {
            return call_continuation(vm, std::ptr::null(), base, at, 0, ret, function, args);
        }
        let f = lay_out(vm, std::ptr::null(), base, at, 0, function, args);
        precall_deferred(vm, ret, f, args.len())
    }
}
