//! `Cause`: why a probation ended.

use std::fmt;

/// What ended the probation of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its code raised more errors than it was allowed.
    Errors,
    /// So it did, and the last one was that of a limit: deadline, fuel, interrupt,
    /// memory.
    Limit,
    /// An activation of its code took too long.
    Slow,
}

impl Cause {
    /// The word in events and audit records.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Limit => "limit",
            Self::Slow => "slow",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
