//! Collections in one piece, and steps that a program asks for in so many words.
//!
//! Invariants: H1–H4 of `mod.rs`; B3: everything is swept before marking.

use std::sync::atomic::Ordering;

use super::cycle::{MARK_PER_BYTE, SLICE, STEP, SWEEP_BOXED, SWEEP_LARGE};
use super::mode::{Mode, Roots};
use super::timer::Timer;
use super::{Heap, Phase};

impl Heap {
    /// Sweeps what the last marking left.
    pub(crate) fn finish_sweep(&mut self) {
        while self.phase == Phase::Sweep {
            self.sweep_some(usize::MAX, &Timer::NEVER);
        }
    }

    /// A complete collection, unless a limit of time is reached meanwhile. Does
    /// nothing inside another one.
    ///
    /// # Safety
    /// As [`Heap::step`].
    pub(crate) unsafe fn collect_full(&mut self, roots: &dyn Roots) {
        if !self.is_blocked() {
            // SAFETY: by the caller.
            unsafe { self.collect_now(roots) };
        }
    }

    /// A complete collection because memory is short: also while a finalizer
    /// runs. False if none may be made now.
    ///
    /// # Safety
    /// As [`Heap::step`].
    pub(crate) unsafe fn collect_emergency(&mut self, roots: &dyn Roots) -> bool {
        if !self.busy {
            // SAFETY: by the caller.
            unsafe { self.collect_now(roots) };
        }
        !self.busy
    }

    /// # Safety
    /// The roots are complete: what the program can still reach, they mark.
    unsafe fn collect_now(&mut self, roots: &dyn Roots) {
        self.requested = false;
        // SAFETY: by the caller.
        unsafe {
            if self.phase == Phase::Mark {
                // Given up: in the next epoch everything is white again.
                self.phase = Phase::Pause;
            }
            if !self.sweep_in_slices() {
                return;
            }
            self.begin_cycle(roots);
            while !self.marker.is_drained() {
                if self.is_overdue() {
                    self.trigger = self.charged + STEP;
                    return;
                }
                self.marker.drain(SLICE);
            }
            self.atomic(roots);
            self.sweep_in_slices();
        }
    }

    /// Whether the collector may work at once, and looks at fewer than `bytes`.
    pub(crate) fn is_smaller_than(&self, bytes: usize) -> bool {
        self.running && !self.is_blocked() && self.bytes_in_use() < bytes
    }

    /// Whether so much was allocated since marking that as much may be garbage.
    pub(crate) fn has_garbage_of(&self, bytes: usize) -> bool {
        self.charged >= bytes as isize
    }

    /// Gives what is known to be free back to the system.
    pub(crate) fn give_back(&mut self) {
        self.trim_pool();
        self.trim_system();
    }

    /// A limit of time has been reached: complete collections stop where they
    /// are, as an incremental one does after a step.
    fn is_overdue(&self) -> bool {
        self.poll.overdue.load(Ordering::Relaxed)
    }

    /// Sweeps everything; false if it stopped before the end.
    fn sweep_in_slices(&mut self) -> bool {
        while self.phase == Phase::Sweep {
            if self.is_overdue() {
                self.trigger = self.charged + STEP;
                return false;
            }
            self.sweep_some(usize::MAX, &Timer::NEVER);
        }
        true
    }

    /// An explicit step (`collectgarbage("step", kib)`), also while stopped;
    /// true if it ended a cycle. 0 is one basic step.
    ///
    /// # Safety
    /// As [`Heap::step`].
    pub(crate) unsafe fn step_kib(&mut self, roots: &dyn Roots, kib: usize) -> bool {
        if self.is_blocked() {
            return false;
        }
        self.requested = false;
        if self.mode == Mode::Generational && kib == 0 {
            // A basic step of this mode is a whole young collection.
            // SAFETY: by the caller.
            unsafe { self.collect_full(roots) };
            return true;
        }
        let per_byte = MARK_PER_BYTE * self.step_multiplier.max(25) / 100;
        let bytes = if kib == 0 {
            STEP as usize
        } else {
            kib.saturating_mul(1024)
        };
        let mut work = bytes.saturating_mul(per_byte.max(1)) as isize;
        if work < 0 {
            work = isize::MAX;
        }
        let mut finished = false;
        while work > 0 && !finished && !self.is_overdue() {
            // SAFETY: by the caller.
            unsafe {
                match self.phase {
                    Phase::Pause => {
                        self.begin_cycle(roots);
                        work -= 1024;
                    }
                    Phase::Mark => {
                        let before = self.marker.work;
                        self.advance(roots, (work as usize).min(SLICE), &Timer::NEVER);
                        work -= (self.marker.work - before).max(512) as isize;
                    }
                    Phase::Sweep => {
                        let boxed = self.sweep_boxed(SWEEP_BOXED);
                        let large = self.sweep_large(SWEEP_LARGE);
                        let bytes = self.sweep_one();
                        work -= (bytes / 4) as isize;
                        if bytes == 0 && boxed && large {
                            self.end_cycle();
                            finished = true;
                        }
                    }
                }
            }
        }
        self.charged_at_step = self.charged;
        if self.phase != Phase::Pause {
            self.trigger = self.charged + STEP;
        }
        finished
    }
}
