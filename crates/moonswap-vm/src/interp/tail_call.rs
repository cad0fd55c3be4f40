//! Tail calls: the callee takes over the frame's place and link.
//!
//! Invariants as in `interp`, F1–F2 (`frame.rs`). A safe point: functions that
//! go on in each other by tail calls only pass no other.

use moonswap_bytecode::MULTI;

use super::Next;
use super::call::{CALL_CHAIN_TOO_LONG, MAX_CALL_HOPS, enter_lua, enter_native};
use super::drive::Driver;
use super::operand::{b, ra, x};
use super::returns::return_to_caller;
use crate::coroutine;
use crate::frame::{self, continuation_word, return_into, set_word};
use crate::hook;
use crate::meta;
use crate::meta_event::Event;
use crate::object::Closure;
use crate::unwind::throw;
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

const ANY: usize = MULTI as usize;

/// The usual tail call: a Lua function with enough arguments, from a frame with
/// nothing to close and no varargs under it.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn tail_call<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1, F1: the callee takes over the frame's place and link.
    unsafe {
        let f = ra(pc, base);
        if (*f).tag == tag::CLOSURE && x(pc) & 1 == 0 && (*base.sub(1)).tag == tag::LINK {
            let entry = Closure::entry((*f).as_closure());
            let n = if b(pc) == ANY {
                (*vm).top.offset_from(f) as usize - 2
            } else {
                b(pc)
            };
            if n >= usize::from(entry.fast_args)
                && n < 256
                && base.byte_add(entry.frame_bytes as usize) <= (*vm).stack_limit
            {
                let ret = (*base.sub(1)).payload;
                copy(base.sub(2), f);
                let mut i = 0;
                while i < n {
                    copy(base.add(i), f.add(2 + i));
                    i += 1;
                }
                set_word(base.sub(1), ret, entry.link() | frame::TAIL_CALL);
                return d.dispatch(Next {
                    pc: entry.code.cast(),
                    base,
                });
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| tail_call_slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn tail_call_slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, F1: the callee takes over the frame's place and link.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let f = ra(pc, base);
        let n = if b(pc) == ANY {
            vm.top.offset_from(f) as usize - 2
        } else {
            b(pc)
        };
        if x(pc) & 1 != 0 {
            coroutine::close_upvalues(vm, vm.current, base);
        }
        if (*f).tag != tag::CLOSURE {
            // Natives and objects are called from this frame; the results are
            // returned as they come (see `finish_tail`).
            return tail_other(vm, pc, f, n);
        }
        let original = frame::original_base(base);
        let ret = (*original.sub(1)).payload;
        let dst = original.sub(2);
        let seen = frame::is_seen(base);
        copy(dst, f);
        for i in 0..n {
            copy(original.add(i), f.add(2 + i));
        }
        // Fast entry: enough room and arguments.
        enter_tail(vm, ret, dst, n, original, seen)
    }
}

/// # Safety
/// F1: as [`precall`](super::precall) for the Lua function at `dst`, which takes the
/// place of the frame with this `original` base.
unsafe fn enter_tail(
    vm: &mut Vm,
    ret: u64,
    dst: *mut Value,
    n: usize,
    original: *mut Value,
    seen: bool,
) -> Next {
    // SAFETY: as enter_lua. Should the stack overflow here, the frame that is
    // reported is the callee's: its link stands already.
    unsafe {
        let entry = Closure::entry((*dst).as_closure());
        set_word(dst.add(1), ret, entry.link() | frame::TAIL_CALL);
        vm.base = original;
        vm.pc = entry.code.cast();
        let next = enter_lua(vm, ret, frame::TAIL_CALL, dst, n);
        // Not if it was refused.
        if std::ptr::eq(next.pc, entry.code.cast()) {
            if seen {
                frame::mark_seen(next.base);
            }
            // A loop of tail calls meets no other safe point.
            if vm.poll.requested.load(std::sync::atomic::Ordering::Relaxed) {
                return super::poll::service_requests(next.pc, next.base, vm);
            }
        }
        next
    }
}

/// Tail call of something that is no Lua function: resolve `__call`, then call
/// natives above the frame.
///
/// # Safety
/// The contract of operations (`interp`). At `f` stand what is called and `n` arguments.
#[inline(never)]
unsafe fn tail_other(vm: &mut Vm, pc: *const u64, f: *mut Value, n: usize) -> Next {
    // SAFETY: as tail_call.
    unsafe {
        let mut f = f;
        let mut n = n;
        let mut hops = 0;
        while !matches!((*f).tag, tag::CLOSURE | tag::NATIVE) {
            hops += 1;
            if hops > MAX_CALL_HOPS {
                let _ = vm.raise_located(CALL_CHAIN_TOO_LONG);
                return throw(vm);
            }
            let handler = meta::of(vm, *f, Event::Call);
            if handler.is_nil() {
                let _ = meta::raise_call(vm, f);
                return throw(vm);
            }
            let at = vm.index_of(f);
            if vm.ensure_stack(f.add(2), n + 8).is_err() {
                return throw(vm);
            }
            f = vm.stack_base.add(at);
            for i in (0..n).rev() {
                copy(f.add(3 + i), f.add(2 + i));
            }
            copy(f.add(2), f);
            store(f, handler);
            n += 1;
        }
        let base = vm.base;
        let original = frame::original_base(base);
        let ret = (*original.sub(1)).payload;
        if (*f).tag == tag::NATIVE {
            // It is called above this frame, which messages name and point
            // to; FINMETA then returns its results.
            let at = vm.index_of(f);
            if vm.ensure_stack(f.add(3), n + 8).is_err() {
                return throw(vm);
            }
            let f = vm.stack_base.add(at);
            for i in (0..n).rev() {
                copy(f.add(3 + i), f.add(2 + i));
            }
            copy(f.add(1), f);
            set_word(
                f,
                pc as u64,
                continuation_word(f.add(1).offset_from(vm.base) as usize, 0),
            );
            vm.top = f.add(3 + n);
            return enter_native(vm, return_into(&frame::STUB_TAIL) as u64, f.add(1), n);
        }
        let dst = original.sub(2);
        let seen = frame::is_seen(base);
        copy(dst, f);
        for i in 0..n {
            copy(original.add(i), f.add(2 + i));
        }
        enter_tail(vm, ret, dst, n, original, seen)
    }
}

/// A native in tail position returned (results from `f` to top): return them
/// from the frame at `base`.
///
/// # Safety
/// The driver's: FINMETA of the TAILCALL at `pc`, with results from `f` to `vm.top`.
pub(super) unsafe fn finish_tail(
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    f: *mut Value,
) -> Next {
    // SAFETY: layout of FINMETA; F1.
    unsafe {
        let vm = &mut *vm;
        let n = vm.top.offset_from(f) as usize;
        let (mut base, mut f) = (base, f);
        if vm.hook.active {
            let first = f.offset_from(base);
            vm.pc = pc;
            vm.base = base;
            if hook::native_return(vm, n).is_err() {
                return throw(vm);
            }
            base = vm.base;
            f = base.offset(first);
        }
        return_to_caller(vm, base, f, n)
    }
}
