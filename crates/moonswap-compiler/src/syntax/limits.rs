//! How deeply a tree may be nested.

/// What the parser takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// Nested levels of statements and expressions: the reference's
    /// `LUAI_MAXCCALLS`. The native stack bounds it; more than
    /// [`ParseLimits::MAX_LEVELS`] is taken as that.
    pub levels: u32,
}

impl ParseLimits {
    /// As many levels as fit a 2 MiB stack in an unoptimised build.
    pub const MAX_LEVELS: u32 = 200;
}

impl Default for ParseLimits {
    fn default() -> Self {
        ParseLimits {
            levels: Self::MAX_LEVELS,
        }
    }
}
