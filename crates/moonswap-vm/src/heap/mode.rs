//! What is asked of the collector, and of its owner.

use super::marker::Marker;
use crate::object::{Coroutine, Header};

/// Smallest allocation between cycles: below it a tiny heap would be collected
/// all the time; above it tests that wait for a finalizer become slow.
pub(super) const FLOOR: isize = 128 * 1024;

/// Collection mode as `collectgarbage` names it. Generational behaves like
/// incremental for now; sticky marks fit into the same structures (the epoch
/// stays and only blocks allocated from are swept).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `"incremental"`
    Incremental,
    /// `"generational"`
    Generational,
}

/// What a test wants done at a safe point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    /// The smallest step.
    Step,
    /// A full collection.
    Collection,
}

/// What `collectgarbage` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(super) running: bool,
    pub(super) pause: usize,
    pub(super) step_multiplier: usize,
    pub(super) mode: Mode,
}

/// What the VM keeps alive.
pub(crate) trait Roots {
    /// Marks registry, globals, metatables of types, main coroutine and so on.
    ///
    /// # Safety
    /// Called by the heap at a safe point.
    unsafe fn mark(&self, marker: &mut Marker);
    /// The running coroutine (null: none). It and those that resumed it are
    /// looked at again in rescans.
    fn running(&self) -> *mut Coroutine;
    /// Whether dead temporaries of the running function are no roots. Where they are,
    /// marking does not end if that can be helped.
    fn are_exact(&self) -> bool {
        true
    }

    /// End of marking: drop what is kept by address but not alive.
    fn forget_dead(&self, is_live: &dyn Fn(*mut Header) -> bool);
}
