//! The interpreter: one set of operation bodies, two ways to drive them.
//!
//! *Tail-threaded* (`moonswap_tail`, optimised builds): every operation is a
//! function of four register arguments that ends in a jump to the next one
//! through a table in memory; safe points are requested by overwriting entries
//! of the table, so running undisturbed costs nothing. *Match loop* (the rest):
//! a loop over a match that tests a flag at the safe-point operations.
//!
//! Rules for operation bodies (they keep the tail call a jump): state is
//! (pc, base, vm) by value; no local's address escapes; every path of a body ends
//! in a method of `drive::Driver`; anything that can fail, calls or is long is a
//! function that returns [`Next`] by value, entered by `Driver::slow`, so that the
//! fast path has no stack frame; errors are stored in the VM and `unwind::throw`
//! returns where to go on.
//!
//! The contract of operations, of which each function here is a part that does not say
//! otherwise: `pc` points to an instruction whose operation it is (I1, I2); `base` is
//! that of the topmost frame of the current coroutine (F1, F2), whose registers the
//! operands name; `vm` is live, and nobody else has a reference to it (VM1–VM4).
//!
//! Invariants: I1 only verified prototypes run, so operands are in range;
//! I2 `pc` points into the code of the version the frame at `base` pins, or
//! into a stub; I3 nothing collects between two instructions except a poll.

mod arith;
mod assign;
mod backfill;
mod call;
mod closure;
mod compare;
mod concat;
mod deferred;
mod drive;
mod index;
mod loops;
mod moves;
mod ops;
mod poll;
mod pure;
mod returns;
mod tail_call;
mod watched;

#[cfg(not(moonswap_tail))]
use std::sync::atomic::Ordering;

use moonswap_bytecode::OpCode;

use crate::safepoint::DispatchTable;
use crate::value::Value;
use crate::vm::Vm;

pub(crate) use arith::raw_arith;
pub(crate) use assign::{Store, store_lookup};
pub(crate) use call::{call_continuation, call_metamethod, leave_native, precall};
pub(crate) use deferred::call_unwinding;
pub(crate) use index::{Lookup, lookup};
pub(crate) use loops::other_limits;
pub(crate) use poll::{collect_if_due, poll_at_entry, settle};
pub(crate) use pure::evaluate;

/// Where to go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    pub(crate) pc: *const u64,
    pub(crate) base: *mut Value,
}

/// Operand readers. `pc` points to the current instruction.
pub(super) mod operand {
    use super::Value;

    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn x(pc: *const u64) -> u8 {
        // SAFETY: I2.
        unsafe { *pc.cast::<u8>().add(1) }
    }
    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn a(pc: *const u64) -> usize {
        // SAFETY: I2.
        unsafe { *pc.cast::<u16>().add(1) as usize }
    }
    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn b(pc: *const u64) -> usize {
        // SAFETY: I2.
        unsafe { *pc.cast::<u16>().add(2) as usize }
    }
    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn c(pc: *const u64) -> usize {
        // SAFETY: I2.
        unsafe { *pc.cast::<u16>().add(3) as usize }
    }
    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn b_signed(pc: *const u64) -> i64 {
        // SAFETY: I2.
        unsafe { i64::from(*pc.cast::<i16>().add(2)) }
    }
    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn c_signed(pc: *const u64) -> i64 {
        // SAFETY: I2.
        unsafe { i64::from(*pc.cast::<i16>().add(3)) }
    }
    /// # Safety
    /// I2.
    #[inline(always)]
    pub(crate) unsafe fn bc(pc: *const u64) -> isize {
        // SAFETY: I2.
        unsafe { *pc.cast::<i32>().add(1) as isize }
    }
    /// # Safety
    /// I1: the frame at `base` has the register.
    #[inline(always)]
    pub(crate) unsafe fn reg(base: *mut Value, offset: usize) -> *mut Value {
        // SAFETY: I1.
        unsafe { base.byte_add(offset) }
    }
    /// # Safety
    /// I1, I2.
    #[inline(always)]
    pub(crate) unsafe fn ra(pc: *const u64, base: *mut Value) -> *mut Value {
        // SAFETY: I1.
        unsafe { reg(base, a(pc)) }
    }
    /// # Safety
    /// I1, I2.
    #[inline(always)]
    pub(crate) unsafe fn rb(pc: *const u64, base: *mut Value) -> *mut Value {
        // SAFETY: I1.
        unsafe { reg(base, b(pc)) }
    }
    /// # Safety
    /// I1, I2.
    #[inline(always)]
    pub(crate) unsafe fn rc(pc: *const u64, base: *mut Value) -> *mut Value {
        // SAFETY: I1.
        unsafe { reg(base, c(pc)) }
    }
    /// Constant of a 16-bit operand: words from this instruction on.
    ///
    /// # Safety
    /// I1, I2: the operand is a constant.
    #[inline(always)]
    pub(crate) unsafe fn kb(pc: *const u64) -> *const Value {
        // SAFETY: I1, constants stand behind the code.
        unsafe { pc.add(b(pc)).cast() }
    }
    /// # Safety
    /// I1, I2: the operand is a constant.
    #[inline(always)]
    pub(crate) unsafe fn kc(pc: *const u64) -> *const Value {
        // SAFETY: I1.
        unsafe { pc.add(c(pc)).cast() }
    }
    /// # Safety
    /// I1, I2: the operand is a constant.
    #[inline(always)]
    pub(crate) unsafe fn k_wide(pc: *const u64) -> *const Value {
        // SAFETY: I1.
        unsafe { pc.offset(bc(pc)).cast() }
    }
}

/// The next instruction.
///
/// # Safety
/// I1, I2: the instruction is not the last one.
#[inline(always)]
pub(super) unsafe fn advance(pc: *const u64, base: *mut Value) -> Next {
    Next {
        // SAFETY: I1: code does not run off its end.
        pc: unsafe { pc.add(1) },
        base,
    }
}

/// The instruction `distance` after the next one.
///
/// # Safety
/// I1, I2: the distance leads to an instruction.
#[inline(always)]
pub(super) unsafe fn jump(pc: *const u64, base: *mut Value, distance: isize) -> Next {
    Next {
        // SAFETY: I1: jump targets are verified.
        pc: unsafe { pc.offset(distance + 1) },
        base,
    }
}

/// Takes the back edge of a loop at `pc` without looking at requests: whoever came here
/// from a safe point has done so, and is to move on. What is no such operation is
/// left to be dispatched.
///
/// # Safety
/// I1, I2: at `pc` stands the back edge of a loop of the frame at `base`.
pub(crate) unsafe fn take_turn(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1, I2.
    unsafe {
        match OpCode::from_u8(*pc.cast::<u8>()) {
            Some(OpCode::ForLoop) => loops::for_loop(drive::returning::Returning, pc, base),
            Some(OpCode::JumpBack) => jump(pc, base, operand::bc(pc)),
            _ => Next { pc, base },
        }
    }
}

#[cfg(moonswap_tail)]
mod backend {
    use std::sync::atomic::AtomicPtr;

    use super::{Next, OpCode, Value, Vm, ops, poll};
    use crate::safepoint::{DispatchTable, Handlers, SAFE_POINTS};

    use super::drive::Driver;
    use super::drive::tail::{Handler, Tail};

    macro_rules! handlers {
        ($($name:ident),*) => {
            #[allow(non_snake_case)]
            mod handlers {
                use super::{AtomicPtr, Tail, Value, Vm, ops};
                $(
                    #[cfg(target_arch = "x86_64")]
                    pub(super) unsafe extern "sysv64" fn $name(pc: *const u64, base: *mut Value, vm: *mut Vm, table: *const AtomicPtr<()>) {
                        // SAFETY: I1–I3.
                        unsafe { ops::$name(Tail { vm, table }, pc, base, vm) }
                    }
                    #[cfg(not(target_arch = "x86_64"))]
                    pub(super) unsafe extern "C" fn $name(pc: *const u64, base: *mut Value, vm: *mut Vm, table: *const AtomicPtr<()>) {
                        // SAFETY: I1–I3.
                        unsafe { ops::$name(Tail { vm, table }, pc, base, vm) }
                    }
                )*
            }
            pub(super) static HANDLERS: [Handler; OpCode::ALL.len()] = [$(handlers::$name),*];
        };
    }
    moonswap_bytecode::for_each_opcode!(handlers);

    #[cfg(target_arch = "x86_64")]
    macro_rules! abi_fn {
        ($name:ident, $pc:ident, $base:ident, $vm:ident, $table:ident, $body:block) => {
            unsafe extern "sysv64" fn $name($pc: *const u64, $base: *mut Value, $vm: *mut Vm, $table: *const AtomicPtr<()>) $body
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    macro_rules! abi_fn {
        ($name:ident, $pc:ident, $base:ident, $vm:ident, $table:ident, $body:block) => {
            unsafe extern "C" fn $name($pc: *const u64, $base: *mut Value, $vm: *mut Vm, $table: *const AtomicPtr<()>) $body
        };
    }

    // The instruction itself by its real handler, or by what stands for it while
    // writes are watched: what a poll or a hook goes on at may be any operation.
    abi_fn!(dispatch_handler, pc, base, vm, table, {
        // SAFETY: as in `dispatch`.
        unsafe {
            let op = *pc.cast::<u8>() as usize;
            if op == OpCode::Halt as usize {
                return halt_handler(pc, base, vm, table);
            }
            if super::watched::is_due(vm, op as u8) {
                let next = super::watched::step(pc, base, vm);
                return Tail { vm, table }.dispatch(next);
            }
            HANDLERS[op](pc, base, vm, table)
        }
    });

    // Runs the poll, then the instruction itself by its real handler: a request
    // made during the poll waits for the next safe point, so code always moves on.
    abi_fn!(poll_handler, pc, base, vm, table, {
        // SAFETY: as in `dispatch`.
        unsafe {
            let mut next = poll::poll(pc, base, vm);
            if (*vm).hook.active {
                next = crate::hook::before(next.pc, next.base, vm);
            }
            dispatch_handler(next.pc, next.base, vm, table)
        }
    });

    // A safe point of a VM that counts them.
    abi_fn!(metered_handler, pc, base, vm, table, {
        // SAFETY: as in `dispatch`.
        unsafe {
            if (*vm).limits.meter == 0 {
                return poll_handler(pc, base, vm, table);
            }
            (*vm).limits.meter -= 1;
            if (*vm).hook.active {
                return hook_handler(pc, base, vm, table);
            }
            HANDLERS[*pc.cast::<u8>() as usize](pc, base, vm, table)
        }
    });

    abi_fn!(halt_handler, pc, base, vm, _table, {
        // SAFETY: VM3.
        unsafe {
            (*vm).pc = pc;
            (*vm).base = base;
        }
    });

    // Every instruction of a coroutine with a debug hook comes here first.
    abi_fn!(hook_handler, pc, base, vm, table, {
        // SAFETY: as in `dispatch`.
        unsafe {
            let next = crate::hook::before(pc, base, vm);
            dispatch_handler(next.pc, next.base, vm, table)
        }
    });

    fn usual(op: OpCode, table: &DispatchTable) -> *mut () {
        if table.is_metered() && SAFE_POINTS.contains(&op) {
            let handler: Handler = metered_handler;
            return handler as *mut ();
        }
        if table.is_hooked() && !op.is_internal() {
            let handler: Handler = hook_handler;
            return handler as *mut ();
        }
        if table.is_logged() && super::watched::watches(op) {
            let handler: Handler = dispatch_handler;
            return handler as *mut ();
        }
        real(op)
    }

    fn real(op: OpCode) -> *mut () {
        let handler: Handler = if op == OpCode::Halt {
            halt_handler
        } else {
            HANDLERS[op as usize]
        };
        handler as *mut ()
    }

    /// The handlers of this backend.
    #[derive(Debug)]
    pub(super) struct Tailed;

    impl Handlers for Tailed {
        fn usual(&self, op: OpCode, table: &DispatchTable) -> *mut () {
            usual(op, table)
        }

        fn poll(&self) -> *mut () {
            let handler: Handler = poll_handler;
            handler as *mut ()
        }
    }

    /// # Safety
    /// VM3; I1, I2: `next` is where the topmost frame goes on.
    pub(super) unsafe fn run(vm: *mut Vm, next: Next) {
        // SAFETY: the table lives as long as the VM (PollHandle is shared).
        unsafe {
            let table = (&(*vm).poll).table.entries.as_ptr();
            Tail { vm, table }.dispatch(next);
        }
    }
}

#[cfg(not(moonswap_tail))]
mod backend {
    use super::drive::returning::Returning;
    use super::{Next, OpCode, Vm, ops, poll};
    use crate::safepoint::{is_memory_point, is_safe_point};

    /// # Safety
    /// VM3; I1, I2: `next` is where the topmost frame goes on.
    pub(super) unsafe fn run(vm: *mut Vm, mut next: Next) {
        // Polled, or the hook called, for the operation at hand.
        let (mut polled, mut hooked) = (false, false);
        macro_rules! step {
            ($($name:ident),*) => {
                // SAFETY: I1–I3.
                match unsafe { OpCode::from_u8(*next.pc.cast::<u8>()).unwrap_unchecked() } {
                    $(OpCode::$name => {
                        if OpCode::$name as u8 == OpCode::Halt as u8 {
                            // SAFETY: VM3.
                            unsafe {
                                (*vm).pc = next.pc;
                                (*vm).base = next.base;
                            }
                            return;
                        }
                        if is_safe_point(OpCode::$name) {
                            // SAFETY: as above.
                            unsafe {
                                if !polled && super::is_poll_due(&mut *vm) {
                                    // An error may go on at another operation.
                                    next = poll::poll(next.pc, next.base, vm);
                                    polled = true;
                                    continue;
                                }
                            }
                        }
                        if const { is_memory_point(OpCode::$name) } {
                            // SAFETY: as above.
                            unsafe {
                                if !polled && (*vm).heap.wants_memory_point() {
                                    next = poll::poll(next.pc, next.base, vm);
                                    polled = true;
                                    continue;
                                }
                            }
                        }
                        // SAFETY: as above; what comes next may be another operation.
                        unsafe {
                            if (*vm).hook.active && !hooked {
                                next = crate::hook::before(next.pc, next.base, vm);
                                hooked = true;
                                continue;
                            }
                        }
                        hooked = false;
                        polled = false;
                        if const { super::watched::watches(OpCode::$name) } {
                            // SAFETY: as above.
                            unsafe {
                                if (*vm).heap.logged {
                                    next = super::watched::step(next.pc, next.base, vm);
                                    continue;
                                }
                            }
                        }
                        // SAFETY: as above.
                        next = unsafe { ops::$name(Returning, next.pc, next.base, vm) };
                    })*
                }
            };
        }
        loop {
            moonswap_bytecode::for_each_opcode!(step);
        }
    }
}

/// Whether something was requested, or the meter has run out; counts.
#[cfg(not(moonswap_tail))]
#[inline(always)]
fn is_poll_due(vm: &mut Vm) -> bool {
    if vm.poll.requested.load(Ordering::Relaxed) {
        return true;
    }
    if !vm.limits.metered {
        return false;
    }
    let is_out = vm.limits.meter == 0;
    vm.limits.meter = vm.limits.meter.saturating_sub(1);
    is_out
}

/// The dispatch table of a VM.
pub(crate) fn dispatch_table() -> DispatchTable {
    #[cfg(moonswap_tail)]
    return DispatchTable::new(&backend::Tailed);
    #[cfg(not(moonswap_tail))]
    return DispatchTable::default();
}

/// Runs from `next` until a HALT stub; the result is where `vm.base` and
/// `vm.top` say (see `host.rs`).
///
/// # Safety
/// `next` is a valid state of the current coroutine (I1, I2).
pub(crate) unsafe fn run(vm: *mut Vm, next: Next) {
    // SAFETY: by the caller.
    unsafe { backend::run(vm, next) }
}
