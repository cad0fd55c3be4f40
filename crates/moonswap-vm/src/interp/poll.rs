//! The poll: everything that happens at a safe point and nowhere else, in this
//! order: limits, patches, collector, finalizers.
//!
//! Invariants as in `interp`; P1 on entry all registers of the frame at `base`
//! are its own (no open variable-length window), so roots are complete.

use moonswap_bytecode::{MULTI, OpCode};

use super::{Next, operand};
use crate::heap::Forced;
use crate::object::Closure;
use crate::safepoint::is_memory_point;
use crate::unwind::throw;
use crate::value::{Value, tag};
use crate::vm::{STRESS_BYTES, STRESS_SLOTS, Vm};

/// Runs what was requested at a safe point, which costs fuel.
///
/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
pub(super) unsafe fn poll(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: by the caller.
    unsafe {
        if (*vm).limits.metered {
            (*vm).limits.spend(1);
        }
        service_requests(pc, base, vm)
    }
}

/// Runs what was requested. On an error of a limit, goes on where it is caught.
///
/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
pub(super) unsafe fn service_requests(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1–I3, P1, VM3.
    unsafe {
        let vm = &mut *vm;
        // A tail call with a variable number of arguments has them above the
        // frame (against P1): limits and patches now (what they call begins
        // above `top`), the rest at the callee's entry.
        if *pc.cast::<u8>() == OpCode::TailCall as u8 && operand::b(pc) == usize::from(MULTI) {
            vm.pc = pc;
            vm.base = base;
            if crate::host::check_limits(vm).is_err() {
                return throw(vm);
            }
            crate::hotpatch::seam::on_poll(vm);
            return super::tail_call::tail_call_slow(pc, vm.base, vm);
        }
        if matches!(OpCode::from_u8(*pc.cast::<u8>()), Some(op) if is_memory_point(op)) {
            // Memory only; everything else at the next safe point proper.
            vm.poll.table.disarm();
            vm.poll.request();
            vm.pc = pc;
            vm.base = base;
            if vm.heap.limit_exceeded && crate::host::relieve(vm, false).is_err() {
                return throw(vm);
            }
            collect_if_due(vm);
            return Next { pc, base: vm.base };
        }
        service_all(pc, base, vm)
    }
}

/// The same where nothing of the instruction at `pc` stands in the way: at safe
/// points proper, and at the first instruction of a function.
///
/// # Safety
/// The contract of operations (`interp`).
unsafe fn service_all(pc: *const u64, base: *mut Value, vm: &mut Vm) -> Next {
    // SAFETY: as `service_requests`.
    unsafe {
        // Entries first, then the work: a request in between arms them again.
        vm.poll.table.disarm();
        vm.poll.take_request(vm.limits.is_armed());
        vm.pc = pc;
        vm.base = base;
        if crate::host::check_limits(vm).is_err() {
            return throw(vm);
        }
        if vm.heap.limit_exceeded && crate::host::relieve(vm, true).is_err() {
            return throw(vm);
        }
        crate::hotpatch::seam::on_poll(vm);
        if vm.stress.wants_polls() {
            stress(vm);
        }
        collect_if_due(vm);
        if vm.safe_point_hook.is_some() {
            run_hook(vm);
        }
        // What was called meanwhile may have used up the time.
        if vm.limits.has_tripped() && crate::host::check_limits(vm).is_err() {
            return throw(vm);
        }
        Next { pc, base: vm.base }
    }
}

/// `precall` of a metamethod when a limit or the host wants to know.
///
/// # Safety
/// As [`precall`](super::precall).
#[cold]
#[inline(never)]
pub(super) unsafe fn precall_watched(
    vm: &mut Vm,
    ret: *const u64,
    f: *mut Value,
    n: usize,
) -> Next {
    // SAFETY: as precall.
    unsafe {
        let function = *f;
        if function.tag != tag::CLOSURE && vm.heap.is_due() {
            // What natives allocate as metamethods is paid for by the next one:
            // all that is in use is in registers, or an argument.
            let end = f.add(2 + n);
            step(vm, end);
        }
        let next = super::precall(vm, ret, f, n);
        if function.tag == tag::CLOSURE {
            return after_entry(vm, next, Closure::entry(function.as_closure()).code.cast());
        }
        next
    }
}

/// A metamethod was entered, or refused: functions that call each other by
/// metamethods only pass no other safe point.
///
/// # Safety
/// VM3; `next` comes from `precall`, `start` is the beginning of its function.
unsafe fn after_entry(vm: &mut Vm, next: Next, start: *const u64) -> Next {
    // SAFETY: P1: at its first instruction a frame is complete.
    unsafe {
        if vm.limits.metered {
            vm.limits.spend(1);
            if vm.limits.is_overdrawn() {
                vm.poll.request();
            }
        }
        if vm.poll.requested.load(std::sync::atomic::Ordering::Relaxed) {
            return service_at_start(vm, next, start);
        }
        next
    }
}

/// A native's call has come to `next`, perhaps by way of `pcall` and the like,
/// and something was requested.
///
/// # Safety
/// VM3; `next` comes from `precall`.
#[cold]
#[inline(never)]
pub(crate) unsafe fn poll_at_entry(vm: &mut Vm, next: Next) -> Next {
    // SAFETY: F1: below a base stands the frame's function; V1; P1 as in
    // `after_entry`.
    unsafe {
        let function = *next.base.sub(2);
        if function.tag != tag::CLOSURE {
            return next;
        }
        let closure = function.as_closure();
        // A main chunk that begins has none of its locals yet, and patches that
        // capture them would be refused: its next safe point.
        if (*Closure::version(closure)).is_main {
            return next;
        }
        service_at_start(vm, next, Closure::entry(closure).code.cast())
    }
}

/// Runs what was requested if `next` is the beginning of a function; it was
/// refused otherwise.
///
/// # Safety
/// As [`after_entry`].
unsafe fn service_at_start(vm: &mut Vm, next: Next, start: *const u64) -> Next {
    // SAFETY: P1: at its first instruction a frame is complete.
    unsafe {
        if std::ptr::eq(next.pc, start) {
            service_all(next.pc, next.base, vm)
        } else {
            next
        }
    }
}

/// For tests: moves the stack, checks the heap, forces the collector.
///
/// # Safety
/// At a safe point (P1, VM3).
#[cold]
unsafe fn stress(vm: &mut Vm) {
    // SAFETY: at a safe point.
    unsafe {
        let deep = (&(*vm.current).stack).len() / STRESS_SLOTS;
        let big = deep.max(vm.heap.bytes_live() / STRESS_BYTES);
        if vm.stress.stack.due(deep) {
            vm.move_stack();
        }
        if vm.stress.verify.due(big) {
            vm.heap.verify();
        }
        if vm.stress.step.due(deep) {
            vm.heap.force(Forced::Step);
        }
        if vm.stress.collect.due(big) {
            vm.heap.force(Forced::Collection);
        }
        vm.poll.request();
    }
}

/// A step of the collector if one is due, and the finalizers that are.
///
/// # Safety
/// P1 and VM3, or the host polls with its own frame on top.
pub(crate) unsafe fn collect_if_due(vm: &mut Vm) {
    // SAFETY: P1 or a host poll with an empty native frame on top.
    unsafe {
        if vm.heap.is_due() {
            let bottom = vm.stack_base;
            step(vm, bottom);
        } else {
            vm.heap.forget_request();
        }
        crate::host::run_due_finalizers(vm);
    }
}

/// [`collect_if_due`] where a native or the host has come back from what may
/// have allocated, with all that is in use below `vm.top`: they need not ask.
///
/// # Safety
/// VM3; all that is in use is below `vm.top`.
#[inline(always)]
pub(crate) unsafe fn settle(vm: &mut Vm) {
    // SAFETY: by the caller.
    unsafe {
        if vm.heap.has_asked() {
            settle_slowly(vm);
        }
    }
}

/// # Safety
/// As [`settle`].
#[cold]
#[inline(never)]
unsafe fn settle_slowly(vm: &mut Vm) {
    // SAFETY: by the caller of `settle`.
    unsafe {
        if vm.heap.is_due() {
            let top = vm.top;
            step(vm, top);
        } else {
            vm.heap.forget_request();
        }
        crate::host::run_due_finalizers(vm);
    }
}

/// A step of the collector; all that is in use is in the registers of the topmost
/// frame or below `end`.
///
/// # Safety
/// VM3; all that is in use is in the registers of the topmost frame or below `end`.
unsafe fn step(vm: &mut Vm, end: *mut Value) {
    // SAFETY: by the caller.
    unsafe {
        crate::host::sync_current(vm);
        let co = vm.current;
        (*co).top = (*co).top.max(vm.index_of(end));
        let was_sweeping = vm.heap.is_sweeping();
        let start = vm.gc_stats.now();
        let clock = vm.gc_stats.clock();
        let are_exact = crate::host::are_registers_exact(vm);
        let (heap, mut roots) = vm.heap_and_roots();
        roots.are_exact = are_exact;
        heap.step(&roots, clock);
        let marked = !was_sweeping && vm.heap.is_sweeping();
        if marked {
            vm.shrink_stack();
        }
        vm.gc_stats.note(start, marked);
    }
}

/// Lets the host's hook see this safe point, and asks for the next one.
///
/// # Safety
/// At a safe point (P1, VM3).
#[cold]
unsafe fn run_hook(vm: &mut Vm) {
    // SAFETY: P1: above the frame's registers nothing is alive.
    unsafe {
        let Some(mut hook) = vm.safe_point_hook.take() else {
            return;
        };
        let saved = vm.index_of(vm.top);
        vm.top = crate::frame::frame_top(vm.base);
        let at = vm.index_of(vm.top);
        hook(&mut crate::context::Context::of_frame(vm, at));
        vm.top = vm.stack_base.add(saved);
        let ends = std::mem::take(&mut vm.safe_point_hook_ends);
        if vm.safe_point_hook.is_none() && !ends {
            vm.safe_point_hook = Some(hook);
        }
        if vm.safe_point_hook.is_some() {
            vm.poll.request();
        }
    }
}
