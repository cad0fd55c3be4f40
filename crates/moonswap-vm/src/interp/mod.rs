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
//! Invariants: I1 only verified prototypes run, so operands are in range;
//! I2 `pc` points into the code of the version the frame at `base` pins, or
//! into a stub; I3 nothing collects between two instructions except a poll.

mod arith;
mod assign;
mod call;
mod closure;
mod compare;
mod concat;
mod deferred;
mod drive;
mod index;
mod journal;
mod late;
mod loops;
mod moves;
mod ops;
mod poll;
mod pure;
mod tail_call;

use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use moonswap_bytecode::OpCode;

use crate::value::Value;
use crate::vm::Vm;

pub(crate) use arith::raw_arith;
pub(crate) use assign::{Store, store_lookup};
pub(crate) use call::{call_metamethod, leave_native, precall};
pub(crate) use deferred::call_unwinding;
pub(crate) use index::{Lookup, lookup};
pub(crate) use loops::other_limits;
pub(crate) use poll::{attend_at_entry, collect_if_due, settle};
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

    #[inline(always)]
    pub(crate) unsafe fn x(pc: *const u64) -> u8 {
        // SAFETY: I2.
        unsafe { *pc.cast::<u8>().add(1) }
    }
    #[inline(always)]
    pub(crate) unsafe fn a(pc: *const u64) -> usize {
        // SAFETY: I2.
        unsafe { *pc.cast::<u16>().add(1) as usize }
    }
    #[inline(always)]
    pub(crate) unsafe fn b(pc: *const u64) -> usize {
        // SAFETY: I2.
        unsafe { *pc.cast::<u16>().add(2) as usize }
    }
    #[inline(always)]
    pub(crate) unsafe fn c(pc: *const u64) -> usize {
        // SAFETY: I2.
        unsafe { *pc.cast::<u16>().add(3) as usize }
    }
    #[inline(always)]
    pub(crate) unsafe fn b_signed(pc: *const u64) -> i64 {
        // SAFETY: I2.
        unsafe { i64::from(*pc.cast::<i16>().add(2)) }
    }
    #[inline(always)]
    pub(crate) unsafe fn c_signed(pc: *const u64) -> i64 {
        // SAFETY: I2.
        unsafe { i64::from(*pc.cast::<i16>().add(3)) }
    }
    #[inline(always)]
    pub(crate) unsafe fn bc(pc: *const u64) -> isize {
        // SAFETY: I2.
        unsafe { *pc.cast::<i32>().add(1) as isize }
    }
    #[inline(always)]
    pub(crate) unsafe fn reg(base: *mut Value, offset: usize) -> *mut Value {
        // SAFETY: I1.
        unsafe { base.byte_add(offset) }
    }
    #[inline(always)]
    pub(crate) unsafe fn ra(pc: *const u64, base: *mut Value) -> *mut Value {
        // SAFETY: I1.
        unsafe { reg(base, a(pc)) }
    }
    #[inline(always)]
    pub(crate) unsafe fn rb(pc: *const u64, base: *mut Value) -> *mut Value {
        // SAFETY: I1.
        unsafe { reg(base, b(pc)) }
    }
    #[inline(always)]
    pub(crate) unsafe fn rc(pc: *const u64, base: *mut Value) -> *mut Value {
        // SAFETY: I1.
        unsafe { reg(base, c(pc)) }
    }
    /// Constant of a 16-bit operand: words from this instruction on.
    #[inline(always)]
    pub(crate) unsafe fn kb(pc: *const u64) -> *const Value {
        // SAFETY: I1, constants stand behind the code.
        unsafe { pc.add(b(pc)).cast() }
    }
    #[inline(always)]
    pub(crate) unsafe fn kc(pc: *const u64) -> *const Value {
        // SAFETY: I1.
        unsafe { pc.add(c(pc)).cast() }
    }
    #[inline(always)]
    pub(crate) unsafe fn k_wide(pc: *const u64) -> *const Value {
        // SAFETY: I1.
        unsafe { pc.offset(bc(pc)).cast() }
    }
}

/// The next instruction.
#[inline(always)]
pub(super) unsafe fn advance(pc: *const u64, base: *mut Value) -> Next {
    Next {
        // SAFETY: I1: code does not run off its end.
        pc: unsafe { pc.add(1) },
        base,
    }
}

/// The instruction `distance` after the next one.
#[inline(always)]
pub(super) unsafe fn jump(pc: *const u64, base: *mut Value, distance: isize) -> Next {
    Next {
        // SAFETY: I1: jump targets are verified.
        pc: unsafe { pc.offset(distance + 1) },
        base,
    }
}

/// Takes the turn of a loop at `pc` without looking at requests: whoever came here
/// from a safe point has done so, and is to move on. What is no such operation is
/// left to be dispatched.
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

/// Operations at which a request is looked at. Tail calls are among them, for
/// a loop may consist of nothing else.
const SAFE_POINTS: [OpCode; 5] = [
    OpCode::Call,
    OpCode::TailCall,
    OpCode::JumpBack,
    OpCode::ForLoop,
    OpCode::TForLoop,
];

/// Operations at which the collector takes its steps as well, and a shortage of
/// memory is looked at: code without safe points must not allocate without end.
/// All registers are the frame's own there, too (P1).
const MEMORY_POINTS: [OpCode; 3] = [OpCode::NewTable, OpCode::Closure, OpCode::Concat];

#[cfg(moonswap_tail)]
mod backend {
    use super::{AtomicPtr, DispatchTable, Next, OpCode, Ordering, Value, Vm, ops, poll};

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
    abi_fn!(go_handler, pc, base, vm, table, {
        // SAFETY: as in `dispatch`.
        unsafe {
            let op = *pc.cast::<u8>() as usize;
            if op == OpCode::Halt as usize {
                return halt_handler(pc, base, vm, table);
            }
            if super::journal::is_due(vm, op as u8) {
                let next = super::journal::step(pc, base, vm);
                return Tail { vm, table }.go(next);
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
            go_handler(next.pc, next.base, vm, table)
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
            go_handler(next.pc, next.base, vm, table)
        }
    });

    fn usual(op: OpCode, table: &DispatchTable) -> *mut () {
        if table.is_metered() && super::SAFE_POINTS.contains(&op) {
            let handler: Handler = metered_handler;
            return handler as *mut ();
        }
        if table.is_hooked() && !op.is_internal() {
            let handler: Handler = hook_handler;
            return handler as *mut ();
        }
        if table.is_journaled() && super::journal::watches(op) {
            let handler: Handler = go_handler;
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

    pub(super) fn restore(table: &DispatchTable) {
        for &op in OpCode::ALL {
            table.entries[op as usize].store(usual(op, table), Ordering::Relaxed);
        }
    }

    pub(super) fn disarm(table: &DispatchTable) {
        for op in super::SAFE_POINTS.into_iter().chain(super::MEMORY_POINTS) {
            table.entries[op as usize].store(usual(op, table), Ordering::Relaxed);
        }
    }

    pub(super) fn arm(table: &DispatchTable) {
        let handler: Handler = poll_handler;
        for op in super::SAFE_POINTS {
            table.entries[op as usize].store(handler as *mut (), Ordering::Relaxed);
        }
    }

    pub(super) fn arm_memory(table: &DispatchTable) {
        let handler: Handler = poll_handler;
        for op in super::MEMORY_POINTS {
            table.entries[op as usize].store(handler as *mut (), Ordering::Relaxed);
        }
    }

    pub(super) unsafe fn run(vm: *mut Vm, next: Next) {
        // SAFETY: the table lives as long as the VM (PollHandle is shared).
        unsafe {
            let table = (&(*vm).poll).table.entries.as_ptr();
            Tail { vm, table }.go(next);
        }
    }
}

#[cfg(not(moonswap_tail))]
mod backend {
    use super::drive::returning::Returning;
    use super::{DispatchTable, Next, OpCode, Vm, ops, poll};

    pub(super) fn restore(_: &DispatchTable) {}
    pub(super) fn disarm(_: &DispatchTable) {}
    pub(super) fn arm(_: &DispatchTable) {}
    pub(super) fn arm_memory(_: &DispatchTable) {}

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
                        if super::is_safe_point(OpCode::$name) {
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
                        if const { super::is_memory_point(OpCode::$name) } {
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
                        if const { super::journal::watches(OpCode::$name) } {
                            // SAFETY: as above.
                            unsafe {
                                if (*vm).heap.journaled {
                                    next = super::journal::step(next.pc, next.base, vm);
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

#[cfg(not(moonswap_tail))]
const fn is_safe_point(op: OpCode) -> bool {
    contains(&SAFE_POINTS, op)
}

const fn is_memory_point(op: OpCode) -> bool {
    contains(&MEMORY_POINTS, op)
}

const fn contains(all: &[OpCode], op: OpCode) -> bool {
    let mut i = 0;
    while i < all.len() {
        if all[i] as u8 == op as u8 {
            return true;
        }
        i += 1;
    }
    false
}

/// The handlers in memory; other threads overwrite entries to ask for a poll.
#[derive(Debug)]
pub(crate) struct DispatchTable {
    #[cfg_attr(not(moonswap_tail), allow(dead_code))]
    entries: Box<[AtomicPtr<()>; 256]>,
    /// Instructions go to the debug hook first.
    hooked: AtomicBool,
    /// Safe points count down.
    metered: AtomicBool,
    /// Operations that write go into a journal.
    journaled: AtomicBool,
}

impl Default for DispatchTable {
    fn default() -> Self {
        Self {
            entries: Box::new([const { AtomicPtr::new(std::ptr::null_mut()) }; 256]),
            hooked: AtomicBool::new(false),
            metered: AtomicBool::new(false),
            journaled: AtomicBool::new(false),
        }
    }
}

impl DispatchTable {
    /// Whether instructions go to the debug hook first.
    pub(crate) fn is_hooked(&self) -> bool {
        self.hooked.load(Ordering::Relaxed)
    }

    /// Turns that on or off; the VM's own thread only.
    pub(crate) fn set_hooked(&self, on: bool) {
        self.hooked.store(on, Ordering::Relaxed);
        backend::restore(self);
    }

    #[cfg_attr(not(moonswap_tail), allow(dead_code))]
    fn is_metered(&self) -> bool {
        self.metered.load(Ordering::Relaxed)
    }

    /// Turns the counting of safe points on or off; the VM's own thread only,
    /// which requests a poll afterwards.
    pub(crate) fn set_metered(&self, on: bool) {
        self.metered.store(on, Ordering::Relaxed);
        backend::restore(self);
    }

    #[cfg_attr(not(moonswap_tail), allow(dead_code))]
    fn is_journaled(&self) -> bool {
        self.journaled.load(Ordering::Relaxed)
    }

    /// Turns the journal of writes on or off, with `heap.journaled`; the VM's own
    /// thread only, which looks for requests afterwards.
    pub(crate) fn set_journaled(&self, on: bool) {
        self.journaled.store(on, Ordering::Relaxed);
        backend::restore(self);
    }

    /// All entries to their own handlers.
    pub(crate) fn restore(&self) {
        backend::restore(self);
    }

    /// The safe-point entries to their own handlers.
    pub(crate) fn disarm(&self) {
        backend::disarm(self);
    }

    /// The entries of operations that allocate to the poll.
    pub(crate) fn arm_memory(&self) {
        backend::arm_memory(self);
    }

    /// The safe-point entries to the poll.
    pub(crate) fn arm(&self) {
        backend::arm(self);
    }
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
