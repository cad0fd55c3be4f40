//! Late variables: captured variables that a patch gave to a literal of which
//! closures were made before. A closure has as many as it was made with; those
//! beyond them stand in an *extra_upvalues*, an object of its own, made when the first
//! of them is written. A null entry is a variable that the closure lacks.
//!
//! Invariants:
//! - LA1: a closure is marked [`Closure::HAS_EXTRA_UPVALUES`] exactly while `extra_upvalues` has
//!   an entry for it. The entry goes when the collector finds the closure dead,
//!   before its cell can be used again.
//! - LA2: an extra_upvalues is a closure without slot; its entries are null or upvalues,
//!   and it belongs to one closure.

use super::Heap;
use crate::object::{Closure, Header, Upvalue};
use crate::value::Value;

/// Bytes of an entry in the table, about.
const ENTRY: usize = 32;

impl Heap {
    /// Captured variable `i` of a closure; `None` if it lacks it.
    ///
    /// # Safety
    /// The closure is live.
    pub(crate) unsafe fn find_upvalue(
        &self,
        closure: *mut Closure,
        i: usize,
    ) -> Option<*mut Upvalue> {
        // SAFETY: by the caller; LA1, LA2; indices are tested.
        unsafe {
            let own = (*closure).header.word as usize;
            if i < own {
                let up = *Closure::upvalue_at(closure, i);
                return (!up.is_null()).then_some(up);
            }
            let extra_upvalues = *self.marker.extra_upvalues.get(&closure)?;
            if i - own >= (*extra_upvalues).header.word as usize {
                return None;
            }
            let up = *Closure::upvalue_at(extra_upvalues, i - own);
            (!up.is_null()).then_some(up)
        }
    }

    /// The same; made (nil) if the closure lacks it. Collects nothing.
    ///
    /// # Safety
    /// The closure is live.
    pub(crate) unsafe fn backfilled_upvalue(
        &mut self,
        closure: *mut Closure,
        i: usize,
    ) -> *mut Upvalue {
        // SAFETY: by the caller.
        unsafe {
            match self.find_upvalue(closure, i) {
                Some(up) => up,
                None => {
                    let up = self.new_closed_upvalue(Value::NIL);
                    self.set_backfilled_upvalue(closure, i, up);
                    up
                }
            }
        }
    }

    /// Makes the closure lack captured variable `i`, which it did not have once.
    ///
    /// # Safety
    /// The closure is live.
    pub(crate) unsafe fn clear_backfilled_upvalue(&mut self, closure: *mut Closure, i: usize) {
        // SAFETY: by the caller; LA1, LA2; indices are tested.
        unsafe {
            let own = (*closure).header.word as usize;
            if i < own {
                *Closure::upvalue_at(closure, i) = std::ptr::null_mut();
            } else if let Some(&extra_upvalues) = self.marker.extra_upvalues.get(&closure)
                && i - own < (*extra_upvalues).header.word as usize
            {
                *Closure::upvalue_at(extra_upvalues, i - own) = std::ptr::null_mut();
            }
        }
    }

    /// Makes captured variable `i` that upvalue.
    ///
    /// # Safety
    /// Both are live.
    pub(crate) unsafe fn set_backfilled_upvalue(
        &mut self,
        closure: *mut Closure,
        i: usize,
        up: *mut Upvalue,
    ) {
        // SAFETY: by the caller; LA1, LA2; barriers right after the stores.
        unsafe {
            let own = (*closure).header.word as usize;
            if i < own {
                *Closure::upvalue_at(closure, i) = up;
                return self.barrier_object(closure.cast(), up.cast());
            }
            let at = i - own;
            let known = self.marker.extra_upvalues.get(&closure).copied();
            let extra_upvalues = match known {
                Some(extra_upvalues) if at < (*extra_upvalues).header.word as usize => {
                    extra_upvalues
                }
                _ => {
                    let larger = self.new_closure(std::ptr::null_mut(), at + 1);
                    if let Some(extra_upvalues) = known {
                        for k in 0..(*extra_upvalues).header.word as usize {
                            *Closure::upvalue_at(larger, k) =
                                *Closure::upvalue_at(extra_upvalues, k);
                        }
                    } else {
                        self.charge(ENTRY);
                    }
                    (*closure).header.flags |= Closure::HAS_EXTRA_UPVALUES;
                    self.marker.extra_upvalues.insert(closure, larger);
                    self.barrier_object(closure.cast(), larger.cast());
                    larger
                }
            };
            *Closure::upvalue_at(extra_upvalues, at) = up;
            self.barrier_object(extra_upvalues.cast(), up.cast());
        }
    }
}

impl super::Marker {
    /// Marks the extra_upvalues of a closure that has one.
    ///
    /// # Safety
    /// M1.
    pub(super) unsafe fn mark_extra_upvalues(&mut self, closure: *mut Closure) {
        if let Some(&extra_upvalues) = self.extra_upvalues.get(&closure) {
            // SAFETY: M1, LA1.
            unsafe { self.mark_object(extra_upvalues.cast::<Header>()) };
        }
    }

    /// At the end of marking: forgets closures that are dead.
    pub(super) fn forget_extra_upvalues(&mut self) {
        let epoch = self.epoch;
        // SAFETY: M1: nothing is swept yet.
        self.extra_upvalues
            .retain(|&closure, _| unsafe { (*closure).header.mark == epoch });
    }
}
