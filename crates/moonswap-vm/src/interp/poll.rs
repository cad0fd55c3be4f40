//! The poll: everything that happens at a safe point and nowhere else, in this
//! order: limits, patches, collector, finalizers.
//!
//! Invariants as in `interp`; P1 on entry all registers of the frame at `base`
//! are its own (no open variable-length window), so roots are complete.

use std::sync::atomic::Ordering;

use moonswap_bytecode::{MULTI, OpCode};

use super::{Next, operand};
use crate::unwind::throw;
use crate::value::Value;
use crate::vm::Vm;

/// Runs what was requested. On an error of a limit, goes on where it is caught.
#[cold]
#[inline(never)]
pub(super) unsafe fn poll(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
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
            crate::hotpatch::mailbox::drain(vm, false);
            return super::tail_call::tail_call_slow(pc, vm.base, vm);
        }
        if matches!(OpCode::from_u8(*pc.cast::<u8>()), Some(op) if super::is_memory_point(op)) {
            // Memory only; everything else at the next safe point proper.
            vm.poll.table.disarm();
            vm.poll.request();
            vm.pc = pc;
            vm.base = base;
            if vm.heap.limit_exceeded && crate::host::relieve(vm, false).is_err() {
                return throw(vm);
            }
            return Next { pc, base: vm.base };
        }
        // Entries first, then the work: a request in between arms them again.
        vm.poll.table.disarm();
        vm.poll.requested.swap(false, Ordering::AcqRel);
        vm.pc = pc;
        vm.base = base;
        if crate::host::check_limits(vm).is_err() {
            return throw(vm);
        }
        if vm.heap.limit_exceeded && crate::host::relieve(vm, true).is_err() {
            return throw(vm);
        }
        crate::hotpatch::mailbox::drain(vm, false);
        if vm.stress.move_stack || vm.stress.verify_every > 0 {
            stress(vm);
        }
        collect_if_due(vm);
        if vm.safe_point_hook.is_some() {
            run_hook(vm);
        }
        Next { pc, base: vm.base }
    }
}

/// For tests: moves the stack, checks the heap.
#[cold]
unsafe fn stress(vm: &mut Vm) {
    // SAFETY: at a safe point.
    unsafe {
        if vm.stress.move_stack {
            vm.move_stack();
            vm.poll.request();
        }
        if vm.stress.verify_every > 0 {
            vm.stress.until_verify = vm.stress.until_verify.saturating_sub(1);
            if vm.stress.until_verify == 0 {
                vm.stress.until_verify = vm.stress.verify_every;
                vm.heap.verify();
            }
            vm.poll.request();
        }
    }
}

/// A step of the collector if one is due, and the finalizers it found.
pub(crate) unsafe fn collect_if_due(vm: &mut Vm) {
    // SAFETY: P1 or a host poll with an empty native frame on top.
    unsafe {
        if vm.heap.is_due() {
            crate::host::sync_current(vm);
            let was_sweeping = vm.heap.is_sweeping();
            let start = vm.gc_stats.now();
            let (heap, roots) = vm.heap_and_roots();
            heap.step(&roots);
            let marked = !was_sweeping && vm.heap.is_sweeping();
            if marked {
                vm.shrink_stack();
            }
            vm.gc_stats.note(start, marked);
        } else {
            vm.heap.forget_request();
        }
        crate::host::run_finalizers(vm, 8);
    }
}

/// Lets the host's hook see this safe point, and asks for the next one.
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
        if vm.safe_point_hook.is_none() {
            vm.safe_point_hook = Some(hook);
        }
        vm.poll.request();
    }
}
