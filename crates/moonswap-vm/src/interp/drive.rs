//! How operation bodies go on: by a tail call or by returning to the loop.
//!
//! A body ends every path with one of the three methods, so that the tail
//! backend gets a jump per path: no shared exits, and no stack frame for the
//! sake of a slow path, which is a handler of its own there.
//!
//! Invariants as in `interp`.

use super::Next;
use crate::value::Value;
use crate::vm::Vm;

/// The way from one instruction to the next.
pub(crate) trait Driver: Copy {
    /// What a body returns.
    type Out;

    /// Goes on at `next`.
    ///
    /// # Safety
    /// I1, I2 hold for `next`.
    unsafe fn dispatch(self, next: Next) -> Self::Out;

    /// [`Driver::go`] that the optimiser does not merge with the body's other
    /// exits (each with its own number).
    ///
    /// # Safety
    /// As `go`.
    unsafe fn dispatch_cold<const EXIT: u32>(self, next: Next) -> Self::Out;

    /// Leaves the fast path: `f` does the instruction. It must be a function
    /// item or a closure that captures nothing.
    ///
    /// # Safety
    /// I1–I3 hold for the state.
    unsafe fn slow<F>(self, pc: *const u64, base: *mut Value, vm: *mut Vm, f: F) -> Self::Out
    where
        F: Fn(*const u64, *mut Value, *mut Vm) -> Next + Copy;
}

#[cfg(moonswap_tail)]
pub(super) mod tail {
    use std::sync::atomic::{AtomicPtr, Ordering};

    use super::{Driver, Next, Value, Vm};

    #[cfg(target_arch = "x86_64")]
    macro_rules! handler_type {
        () => { unsafe extern "sysv64" fn(*const u64, *mut Value, *mut Vm, *const AtomicPtr<()>) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    macro_rules! handler_type {
        () => { unsafe extern "C" fn(*const u64, *mut Value, *mut Vm, *const AtomicPtr<()>) };
    }
    pub(in crate::interp) type Handler = handler_type!();

    /// The registers bodies do not see.
    #[derive(Clone, Copy)]
    pub(in crate::interp) struct Tail {
        pub(in crate::interp) vm: *mut Vm,
        pub(in crate::interp) table: *const AtomicPtr<()>,
    }

    impl Driver for Tail {
        type Out = ();

        /// # Safety
        /// I1, I2: `next` is where the topmost frame goes on.
        #[inline(always)]
        unsafe fn dispatch(self, next: Next) {
            // SAFETY: I1, I2: the byte names a valid operation, whose entry is
            // a handler at all times (requests overwrite entries with handlers).
            unsafe {
                let op = *next.pc.cast::<u8>() as usize;
                let handler = (*self.table.add(op)).load(Ordering::Relaxed);
                let handler: Handler = std::mem::transmute::<*mut (), Handler>(handler);
                handler(next.pc, next.base, self.vm, self.table)
            }
        }

        /// # Safety
        /// I1, I2: `next` is where the topmost frame goes on.
        #[inline(always)]
        unsafe fn dispatch_cold<const EXIT: u32>(self, next: Next) {
            // SAFETY: as `go`; the assembly is a comment that tells this exit
            // from the others and changes nothing.
            unsafe {
                let op = *next.pc.cast::<u8>() as usize;
                let mut handler = (*self.table.add(op)).load(Ordering::Relaxed);
                std::arch::asm!("/* exit {e} {h} */", e = const EXIT, h = inout(reg) handler, options(pure, nomem, nostack, preserves_flags));
                let handler: Handler = std::mem::transmute::<*mut (), Handler>(handler);
                handler(next.pc, next.base, self.vm, self.table)
            }
        }

        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        unsafe fn slow<F>(self, pc: *const u64, base: *mut Value, vm: *mut Vm, _: F)
        where
            F: Fn(*const u64, *mut Value, *mut Vm) -> Next + Copy,
        {
            // SAFETY: by the caller.
            unsafe { slow_handler::<F>(pc, base, vm, self.table) }
        }
    }

    macro_rules! slow_handler {
        ($abi:literal) => {
            #[cold]
            #[inline(never)]
            unsafe extern $abi fn slow_handler<F>(pc: *const u64, base: *mut Value, vm: *mut Vm, table: *const AtomicPtr<()>)
            where
                F: Fn(*const u64, *mut Value, *mut Vm) -> Next + Copy,
            {
                const { assert!(size_of::<F>() == 0, "slow paths capture nothing") };
                // SAFETY: a value of the zero-sized `Copy` type F exists (the one
                // given to `slow`); I1–I3 by the caller.
                unsafe {
                    let f = std::ptr::NonNull::<F>::dangling().as_ptr().read();
                    let next = f(pc, base, vm);
                    Tail { vm, table }.dispatch(next)
                }
            }
        };
    }
    #[cfg(target_arch = "x86_64")]
    slow_handler!("sysv64");
    #[cfg(not(target_arch = "x86_64"))]
    slow_handler!("C");
}

pub(super) mod returning {
    use super::{Driver, Next, Value, Vm};

    /// Bodies return where to go on.
    #[derive(Clone, Copy)]
    pub(in crate::interp) struct Returning;

    impl Driver for Returning {
        type Out = Next;

        /// # Safety
        /// I1, I2: `next` is where the topmost frame goes on.
        #[inline(always)]
        unsafe fn dispatch(self, next: Next) -> Next {
            next
        }

        /// # Safety
        /// I1, I2: `next` is where the topmost frame goes on.
        #[inline(always)]
        unsafe fn dispatch_cold<const EXIT: u32>(self, next: Next) -> Next {
            next
        }

        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        unsafe fn slow<F>(self, pc: *const u64, base: *mut Value, vm: *mut Vm, f: F) -> Next
        where
            F: Fn(*const u64, *mut Value, *mut Vm) -> Next + Copy,
        {
            f(pc, base, vm)
        }
    }
}
