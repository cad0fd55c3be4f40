//! Objects with `__gc`: registration, separation, queue.
//!
//! Invariants:
//! - F1: a registered or pending object is allocated; `HAS_FINALIZER` in its
//!   `extra` is set exactly while it is registered.

use super::part::HAS_FINALIZER;
use super::{Heap, Phase};
use crate::object::{Header, Kind};
use crate::value::Value;

/// # Safety
/// A live table or userdata.
unsafe fn value_of(h: *mut Header) -> Value {
    // SAFETY: F1; only tables and userdata are registered.
    unsafe {
        if (*h).kind == Kind::Table {
            Value::table(h.cast())
        } else {
            Value::userdata(h.cast())
        }
    }
}

impl Heap {
    /// The metatable just set has a `__gc` field: the object will be finalised
    /// (once, unless it is registered again).
    ///
    /// # Safety
    /// `h` is a live table or userdata.
    pub(crate) unsafe fn register_finalizer(&mut self, h: *mut Header) {
        // SAFETY: by the caller.
        unsafe {
            if (*h).extra & HAS_FINALIZER == 0 {
                (*h).extra |= HAS_FINALIZER;
                if self.finalizers.len() == self.finalizers.capacity() {
                    self.grow_finalizers();
                }
                self.finalizers.push(h);
            }
        }
    }

    /// Room for twice as many, also in the queue: the atomic step must not run
    /// out of memory.
    #[cold]
    fn grow_finalizers(&mut self) {
        let n = self.finalizers.capacity().max(8);
        // Refused or not, it is allocated; the error comes at a safe point.
        let _ = self.permit(4 * n * size_of::<*mut Header>());
        let mut finalizers = std::mem::take(&mut self.finalizers);
        self.reserve_small(&mut finalizers, n);
        self.finalizers = finalizers;
        if self.pending.try_reserve_exact(2 * n).is_err() {
            self.refuse();
            self.reserve().release();
            self.pending.reserve_exact(2 * n);
        }
    }

    /// Moves unreachable registered objects to the queue, latest first.
    ///
    /// # Safety
    /// Marking is complete.
    pub(super) unsafe fn separate_finalizers(&mut self) {
        let epoch = self.marker.epoch;
        let first = self.pending.len();
        let pending = &mut self.pending;
        self.finalizers.retain(|&h| {
            // SAFETY: F1.
            unsafe {
                let keep = (*h).mark == epoch;
                if !keep {
                    (*h).extra &= !HAS_FINALIZER;
                    pending.push_back(h);
                }
                keep
            }
        });
        self.pending.make_contiguous()[first..].reverse();
    }

    /// Marks the queue: what waits for its finalizer is needed by it.
    ///
    /// # Safety
    /// While marking.
    pub(super) unsafe fn mark_pending(&mut self) {
        for &h in &self.pending {
            // SAFETY: F1.
            unsafe { self.marker.mark_object(h) };
        }
    }

    /// Finalizers wait to be called.
    #[inline(always)]
    pub(crate) fn has_pending_finalizers(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A step paid for `paid` bytes: so many more finalizers are due that all that
    /// wait have been called when the next cycle begins.
    pub(super) fn owe_finalizers(&mut self, paid: isize) {
        let waiting = self.pending.len();
        let until_next = self.pause_trigger() - self.charged;
        let share = if self.phase != Phase::Mark && until_next > paid {
            waiting * paid.max(0) as usize / until_next as usize + 1
        } else {
            waiting
        };
        self.owed_finalizers = (self.owed_finalizers + share).min(waiting);
    }

    /// Finalizers that are to be called now.
    pub(crate) fn due_finalizers(&self) -> usize {
        self.owed_finalizers
    }

    /// Whether finalizers are to be called, and may be.
    #[inline(always)]
    pub(crate) fn owes_finalizers(&self) -> bool {
        self.owed_finalizers != 0 && !self.is_blocked()
    }

    /// Next object whose `__gc` is to be called.
    pub(crate) fn next_finalizer(&mut self) -> Option<Value> {
        let next = self.pending.pop_front();
        self.owed_finalizers = match next {
            Some(_) => self.owed_finalizers.saturating_sub(1),
            None => 0,
        };
        // SAFETY: F1.
        next.map(|h| unsafe { value_of(h) })
    }

    /// All objects with finalizers, in calling order, for closing the VM. The
    /// caller keeps them alive.
    pub(crate) fn take_all_finalizers(&mut self) -> Vec<Value> {
        self.owed_finalizers = 0;
        let mut all: Vec<_> = self.pending.drain(..).collect();
        for h in self.finalizers.drain(..).rev() {
            // SAFETY: F1.
            unsafe { (*h).extra &= !HAS_FINALIZER };
            all.push(h);
        }
        // SAFETY: F1.
        all.into_iter().map(|h| unsafe { value_of(h) }).collect()
    }
}
