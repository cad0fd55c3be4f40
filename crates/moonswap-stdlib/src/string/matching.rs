//! What surrounds the pattern engine: its errors, its captures, the state it
//! keeps between attempts and the meter that limits its work.

use std::fmt;

use super::class::ByteSet;

/// Most captures a pattern can have.
pub const MAX_CAPTURES: usize = 32;

/// Why a pattern could not be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// The pattern ends in the middle of an escape.
    EndsWithEscape,
    /// A set is not closed.
    MissingBracket,
    /// `%b` lacks its two characters.
    MissingBalanceArguments,
    /// `%f` is not followed by a set.
    MissingFrontierSet,
    /// A reference to a capture that does not exist or is still open; holds
    /// the number as written.
    InvalidCaptureIndex(usize),
    /// A `)` without its `(`.
    InvalidCapture,
    /// More than [`MAX_CAPTURES`] captures.
    TooManyCaptures,
    /// A `(` without its `)`.
    UnfinishedCapture,
    /// The recursion went too deep.
    TooComplex,
    /// The meter refused to go on.
    OutOfSteps,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::EndsWithEscape => "malformed pattern (ends with '%')",
            PatternError::MissingBracket => "malformed pattern (missing ']')",
            PatternError::MissingBalanceArguments => {
                "malformed pattern (missing arguments to '%b')"
            }
            PatternError::MissingFrontierSet => "missing '[' after '%f' in pattern",
            PatternError::InvalidCaptureIndex(index) => {
                return write!(f, "invalid capture index %{index}");
            }
            PatternError::InvalidCapture => "invalid pattern capture",
            PatternError::TooManyCaptures => "too many captures",
            PatternError::UnfinishedCapture => "unfinished capture",
            PatternError::TooComplex => "pattern too complex",
            PatternError::OutOfSteps => "pattern matching interrupted",
        })
    }
}

impl std::error::Error for PatternError {}

/// What a capture holds after a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// The bytes `start..end` of the subject.
    Bytes(usize, usize),
    /// A position capture: an offset into the subject, counted from 0.
    Position(usize),
}

/// Length of a capture that is still open.
pub(super) const OPEN: usize = usize::MAX;
/// "Length" of a position capture.
pub(super) const POSITION: usize = usize::MAX - 1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) start: usize,
    pub(super) len: usize,
}

/// Decoded sets kept between attempts.
pub(super) const CACHED_SETS: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct CachedSet {
    /// Where the set starts in the pattern; `usize::MAX` for none.
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) set: ByteSet,
}

/// Steps between two questions to the meter.
pub(super) const STEPS_PER_CHARGE: u64 = 8192;

/// Asked now and then whether matching may go on.
pub trait Meter {
    /// Accounts for work done; false to stop.
    fn charge(&self, steps: usize) -> bool;
}

/// No limit.
impl Meter for () {
    fn charge(&self, _steps: usize) -> bool {
        true
    }
}

/// What a matcher keeps from one attempt to the next; owned apart from the
/// subject, so that a loop over matches can let go of the subject while it
/// runs other code. Belongs to one pattern.
#[derive(Debug)]
pub struct State {
    pub(super) level: usize,
    pub(super) slots: [Slot; MAX_CAPTURES],
    pub(super) sets: [CachedSet; CACHED_SETS],
    pub(super) next_set: usize,
    pub(super) depth: u32,
    pub(super) steps: u64,
    pub(super) error: PatternError,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The state before the first attempt.
    pub fn new() -> Self {
        State {
            level: 0,
            slots: [Slot { start: 0, len: 0 }; MAX_CAPTURES],
            sets: [CachedSet {
                at: usize::MAX,
                end: 0,
                set: ByteSet::EMPTY,
            }; CACHED_SETS],
            next_set: 0,
            depth: 0,
            steps: STEPS_PER_CHARGE,
            error: PatternError::TooComplex,
        }
    }

    /// How many values a match yields: its captures, or the whole match.
    #[inline]
    pub fn value_count(&self) -> usize {
        self.level.max(1)
    }

    /// How many captures the last match made.
    #[inline]
    pub fn capture_count(&self) -> usize {
        self.level
    }

    /// Capture number `index`, counted from 0, of a match of `start..end`.
    /// A pattern without captures has the whole match as its first.
    #[inline]
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Capture, PatternError> {
        match self.slots.get(index) {
            Some(slot) if index < self.level => match slot.len {
                POSITION => Ok(Capture::Position(slot.start)),
                OPEN => Err(PatternError::UnfinishedCapture),
                len => Ok(Capture::Bytes(slot.start, slot.start + len)),
            },
            _ if index == 0 => Ok(Capture::Bytes(start, end)),
            _ => Err(PatternError::InvalidCaptureIndex(index + 1)),
        }
    }
}
