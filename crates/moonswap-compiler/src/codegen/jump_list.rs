//! Jumps to a place that is not known yet.

/// No instruction.
pub(super) const NO_PC: u32 = u32::MAX;

/// A list of jumps to one place that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JumpList {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl JumpList {
    /// No jumps.
    pub(crate) const NONE: Self = Self {
        first: NO_PC,
        last: NO_PC,
    };

    /// Whether there are none.
    pub(crate) fn is_empty(self) -> bool {
        self.first == NO_PC
    }

    /// A list of one jump.
    pub(crate) fn one(pc: u32) -> Self {
        Self {
            first: pc,
            last: pc,
        }
    }
}
