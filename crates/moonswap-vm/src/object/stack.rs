//! Sizes of stacks, in slots.

/// Slots above the limit of every stack: those that a native may use without asking,
/// and a continuation with a metamethod call above them (VM2).
pub(crate) const EXTRA_SLOTS: usize = 48;
/// Slots of a fresh coroutine's stack: enough for a body that calls a native.
pub(crate) const FIRST_STACK: usize = 24;
