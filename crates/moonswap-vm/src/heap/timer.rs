//! `Timer`: how long a step of the collector may take.
//!
//! Steps are sized by bytes, which is exact and the same in every run. The clock only
//! ends those in which memory is slow: in large heaps, or when other programs fill
//! the caches.

use std::time::Duration;

use crate::gc_stats::GcClock;

/// After this time a step does no more than it must. What it was to do is done at the
/// next safe points.
const STEP_TIME: Duration = Duration::from_micros(500);

pub(crate) struct Timer {
    clock: GcClock,
    end: Duration,
}

impl Timer {
    /// For what a program asked for in so many words.
    pub(crate) const NEVER: Self = Self {
        clock: || Duration::ZERO,
        end: Duration::MAX,
    };

    /// A step begins now.
    pub(crate) fn start(clock: GcClock) -> Self {
        Self {
            clock,
            end: clock() + STEP_TIME,
        }
    }

    /// Where there is no clock the time is never up.
    pub(crate) fn is_up(&self) -> bool {
        (self.clock)() >= self.end
    }
}
