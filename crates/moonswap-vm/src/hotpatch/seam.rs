//! Where the VM meets hot patching: all that the parts below call of it, and nothing
//! else of this folder. What is called often asks one flag here and goes on.
//!
//! Invariants: VM3, HP2.

use moonswap_bytecode::{Instruction, OpCode};

use crate::callee::FROZEN;
use crate::error::Raised;
use crate::frame::Place;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::after::{guard, quarantine, watchdog};
use crate::hotpatch::apply::transaction;
use crate::hotpatch::osr::migrate;
use crate::hotpatch::registry::{literals, scope};
use crate::hotpatch::request::mailbox;
use crate::hotpatch::schedule::{obstacle, trap};
use crate::interp::Next;
use crate::object::{Coroutine, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// What a VM knows about its chunks and patches.
pub(crate) type HotState = crate::hotpatch::HotState;

/// A safe point.
///
/// # Safety
/// HP2: the topmost frame is at a safe point, or a native's that holds nothing.
#[inline(always)]
pub(crate) unsafe fn on_poll(vm: &mut Vm) {
    // SAFETY: by the caller.
    mailbox::drain(unsafe { AtSafePoint::new(vm) }, false);
}

/// Whether the host has to clear what stands around its arguments and to call
/// [`on_host_entry`]: its outermost call begins while patches wait.
#[inline(always)]
pub(crate) fn wants_host_entry(vm: &Vm) -> bool {
    !FROZEN && vm.host_depth == 0 && !vm.hot.waiting.is_empty()
}

/// The outermost call of the host begins.
///
/// # Safety
/// HP2: nothing of the program runs, and the places around the host's arguments hold
/// values.
pub(crate) unsafe fn on_host_entry(vm: &mut Vm) {
    // SAFETY: by the caller.
    mailbox::at_host_call(unsafe { AtSafePoint::new(vm) });
}

/// A native that calls back must not see a commit until [`on_native_callback_end`].
#[inline(always)]
pub(crate) fn on_native_callback(vm: &mut Vm, blocks: bool) {
    vm.hot.gate.enter_native(blocks);
}

/// The end of what [`on_native_callback`] began.
#[inline(always)]
pub(crate) fn on_native_callback_end(vm: &mut Vm, blocks: bool) {
    if vm.hot.gate.leave_native(blocks) && !FROZEN {
        obstacle::ask(vm);
    }
}

/// A call of the host begins while limits are set or something was requested, and
/// nothing of the program runs: as good as a safe point.
///
/// # Safety
/// As [`on_host_entry`]: the places around the host's arguments hold values.
pub(crate) unsafe fn on_limited_entry(vm: &mut Vm) {
    if vm.host_depth == 0 && vm.hot.guards.is_due() && !vm.hot.gate.is_occupied() {
        // SAFETY: HP2: outside of calls all that is in use lies below `top_in_use`.
        quarantine::restore(unsafe { AtSafePoint::new(vm) });
    }
}

/// Whether [`on_limit`] has something to do.
#[inline(always)]
pub(crate) fn wants_limit(vm: &Vm) -> bool {
    watchdog::is_asked(vm)
}

/// Limits are checked, and none was reached. The error is that an activation was
/// expelled.
pub(crate) fn on_limit(vm: &mut Vm) -> Result<(), Raised> {
    watchdog::scan(vm)
}

/// Whether a function is code of a patch that the watchdog watches.
///
/// # Safety
/// A live value.
#[cold]
pub(crate) unsafe fn is_watched(vm: &Vm, function: Value) -> bool {
    // SAFETY: by the caller.
    function.tag == tag::CLOSURE && unsafe { watchdog::watches(vm, function.as_closure()) }
}

/// An error is about to unwind the topmost frame.
///
/// # Safety
/// HP2, but for `vm.error`, which only the VM has.
#[inline(always)]
pub(crate) unsafe fn on_throw(vm: &mut Vm) {
    if vm.hot.guards.is_overdue() {
        // SAFETY: by the caller; the error is rooted before anything can collect it.
        quarantine::restore_before_unwinding(unsafe { AtSafePoint::new(vm) });
    }
}

/// Whether [`on_caught`] has something to do.
#[inline(always)]
pub(crate) fn wants_caught(vm: &Vm) -> bool {
    vm.hot.guards.is_active()
}

/// An error passes from the topmost frame to `end` (base of a native's frame), out
/// of the host call with function slot `host`, or out of the coroutine.
///
/// # Safety
/// VM3, F1.
pub(crate) unsafe fn on_caught(vm: &mut Vm, end: *mut Value, host: *mut Value) {
    // SAFETY: by the caller.
    unsafe { guard::count(vm, end, host) };
}

/// An error is about to end activations.
pub(crate) fn on_unwind(vm: &mut Vm) {
    trap::skipped(vm);
}

/// Whether the activation that was expelled still stands.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn still_stands(vm: &Vm, place: Place) -> bool {
    // SAFETY: by the caller.
    unsafe { watchdog::stands(vm, place) }
}

/// The running coroutine `co` yields.
///
/// # Safety
/// It is live.
#[inline(always)]
pub(crate) unsafe fn on_yield(vm: &mut Vm, co: *mut Coroutine) {
    // SAFETY: by the caller.
    unsafe {
        if (*co).is_watched {
            watchdog::yielded(vm, co);
        }
    }
}

/// A coroutine has ended or failed.
#[inline(always)]
pub(crate) fn on_coroutine_dead(vm: &mut Vm, co: *mut Coroutine) {
    if std::ptr::eq(co, vm.hot.waiting.watched) {
        obstacle::ask(vm);
    }
}

/// A debug hook comes or goes: no trap may stand in the code.
pub(crate) fn on_hook_change(vm: &mut Vm) {
    trap::clear(vm);
}

/// The native whose frame is on top is about to run.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn on_native_call(vm: &mut Vm) -> Result<(), Raised> {
    if vm.hot.trial.is_some() {
        // SAFETY: by the caller.
        unsafe { transaction::check_native(vm)? };
    }
    Ok(())
}

/// The main chunk of the frame at `base` ends at `pc`.
///
/// # Safety
/// A Lua frame on the current coroutine's stack (F1, F2).
#[inline(always)]
pub(crate) unsafe fn on_main_end(vm: &mut Vm, base: *mut Value, pc: *const u64) {
    if !FROZEN {
        // SAFETY: by the caller.
        unsafe { scope::record(vm, base, pc) };
    }
}

/// The operation that stands at `pc` but for a trap.
pub(crate) fn operation_at(vm: &Vm, pc: *const u64) -> Option<OpCode> {
    trap::operation_at(vm, pc)
}

/// A trap was run into: the one that a commit waits at, or an iteration boundary of a loop of a
/// version that was replaced.
///
/// # Safety
/// By the driver: valid operands of TRAP.
#[cold]
#[inline(never)]
pub(crate) unsafe fn on_trap(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: by the caller; TR1, MG1: there is no third kind.
    unsafe {
        if trap::operation_at(&*vm, pc).is_none() {
            return migrate::on_osr_trap(pc, base, &mut *vm);
        }
        trap::clear(&mut *vm);
        obstacle::ask(&mut *vm);
    }
    Next { pc, base }
}

/// The instruction at index `pc` of a version as its prototype has it.
///
/// # Safety
/// A live version, and an index into its code.
pub(crate) unsafe fn instruction(vm: &Vm, version: *mut Version, pc: usize) -> Instruction {
    // SAFETY: by the caller.
    unsafe { literals::instruction(vm, version, pc) }
}
