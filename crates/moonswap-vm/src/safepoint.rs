//! Requests for a safe point: how other threads, the collector and limits get
//! the interpreter's attention at no cost to code that runs undisturbed.
//!
//! The interpreter dispatches through a table of handlers in memory. A request
//! overwrites the entries of the safe-point opcodes with a handler that polls;
//! the poll restores the entries *before* it looks at what is pending, so no
//! request is lost. Without the tail-threaded backend a flag is tested instead.

use std::sync::atomic::{AtomicBool, Ordering};

/// The part of the dispatch machinery that other threads may touch.
#[derive(Debug, Default)]
pub(crate) struct PollHandle {
    /// Something wants a safe point.
    pub(crate) requested: AtomicBool,
    /// A limit of time has been reached, as far as another thread knows: what
    /// takes long may stop, and have the VM look (`limits.rs`).
    pub(crate) overdue: AtomicBool,
    /// The watchdog wants to look (`hotpatch/watchdog.rs`).
    pub(crate) guard_rings: AtomicBool,
    /// A patch made a step of the collector due, which is to come after the first
    /// calls of the new code (`heap/cycle.rs`).
    is_step_put_off: AtomicBool,
    /// Entries into Lua by natives and metamethods have to look closer: a limit
    /// is set, or something was requested (perhaps not any more).
    pub(crate) look: AtomicBool,
    /// For tests: no thread can be started for this VM (`threads.rs`).
    pub(crate) without_threads: AtomicBool,
    /// Dispatch table to overwrite; set up by the interpreter.
    pub(crate) table: crate::interp::DispatchTable,
}

impl PollHandle {
    /// Asks for a poll at the next safe point. Callable from any thread.
    pub(crate) fn request(&self) {
        // Read and written in one: with the poll, which does the same, the later
        // of the two sees what the earlier one did before.
        self.requested.swap(true, Ordering::AcqRel);
        self.look.store(true, Ordering::Release);
        self.table.arm();
    }

    /// The collector wants to step at the next safe point.
    pub(crate) fn request_step(&self) {
        self.is_step_put_off.store(false, Ordering::Release);
        self.request();
        // Code without calls and loops is to pay for what it allocates as well.
        self.table.arm_memory();
    }

    /// The collector's step is not due before it is asked for again.
    pub(crate) fn put_off_step(&self) {
        self.is_step_put_off.store(true, Ordering::Release);
    }

    pub(crate) fn is_step_put_off(&self) -> bool {
        self.is_step_put_off.load(Ordering::Acquire)
    }

    /// A step that was put off may come now. Callable from any thread.
    pub(crate) fn resume_step(&self) {
        if self.is_step_put_off() {
            self.request_step();
        }
    }

    /// The VM's thread has written entries anew: one that came before or meanwhile
    /// is armed again.
    pub(crate) fn rearm(&self) {
        // Read and written in one, as in `request`: a plain read could be done
        // before the entries are written, and miss a request that they hide.
        if self.requested.fetch_or(false, Ordering::AcqRel) {
            self.table.arm();
            self.table.arm_memory();
        }
    }

    /// A poll takes what was requested; entries go on looking if there are
    /// `limits`.
    pub(crate) fn take_request(&self, limits: bool) {
        // In this order: a request that comes between, or is not seen by the
        // swap, sets the flag afterwards.
        self.look.store(limits, Ordering::Release);
        self.requested.swap(false, Ordering::AcqRel);
    }
}
