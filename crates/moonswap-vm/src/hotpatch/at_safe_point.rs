//! `AtSafePoint`: a VM at a safe point. Code that takes one may look at the frames
//! of all coroutines, call functions and collect, without further conditions.
//!
//! Invariants: HP2 while an `AtSafePoint` is borrowed,
//! - the VM's thread runs the code that borrows it;
//! - the frames of all coroutines are complete (VM3, F1, P1; where arguments stand above
//!   a frame, against P1, they lie below `top_in_use`): what they and the places below
//!   `top_in_use` name is live;
//! - those who lent the VM hold neither references into the heap nor objects that
//!   only they know of.

use std::ops::{Deref, DerefMut};

use crate::vm::Vm;

/// The VM at a safe point: HP2 holds as long as this is borrowed. It has the address
/// of the VM and costs nothing.
#[repr(transparent)]
pub(crate) struct AtSafePoint(Vm);

impl AtSafePoint {
    /// Says that the VM is at a safe point.
    ///
    /// # Safety
    /// HP2 holds until the borrow ends.
    #[inline(always)]
    pub(crate) unsafe fn new(vm: &mut Vm) -> &mut Self {
        // SAFETY: the layout is that of `Vm` (`repr(transparent)`).
        unsafe { &mut *std::ptr::from_mut(vm).cast() }
    }
}

impl Deref for AtSafePoint {
    type Target = Vm;

    #[inline(always)]
    fn deref(&self) -> &Vm {
        &self.0
    }
}

impl DerefMut for AtSafePoint {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.0
    }
}
