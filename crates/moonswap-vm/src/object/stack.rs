//! Sizes of stacks, in slots.

/// Slots above the limit of every stack (VM2).
pub(crate) const EXTRA_SLOTS: usize = 64;
/// Stack of a fresh coroutine.
pub(crate) const FIRST_STACK: usize = 64;
