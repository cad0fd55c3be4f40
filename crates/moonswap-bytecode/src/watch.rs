//! `Watch`: how a host with limits of time stops what may take long: compiling,
//! verifying, dumping, reading a dump.

use std::cell::Cell;
use std::fmt;

/// Tokens, nodes or instructions between two questions.
pub(crate) const EVERY: u32 = 1024;

/// Asks, now and then during a long piece of work, whether to stop. The work then
/// ends with an error, whose text is of no use.
pub struct Watch<'a> {
    is_over: &'a dyn Fn() -> bool,
    left: Cell<u32>,
    /// It said stop, and is not asked again.
    is_stopped: Cell<bool>,
}

impl<'a> Watch<'a> {
    /// Stops when `is_over` answers true.
    pub fn new(is_over: &'a dyn Fn() -> bool) -> Self {
        Self {
            is_over,
            left: Cell::new(EVERY),
            is_stopped: Cell::new(false),
        }
    }

    /// Counts one token, node or instruction; true if the work is to stop.
    #[inline]
    pub fn says_stop(&self) -> bool {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            return false;
        }
        self.asks()
    }

    /// Counts so many of them that are done already: the next question comes earlier.
    #[inline]
    pub(crate) fn count(&self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.left.set(self.left.get().saturating_sub(n));
    }

    #[cold]
    fn asks(&self) -> bool {
        if !self.is_stopped.get() {
            let stops = (self.is_over)();
            self.is_stopped.set(stops);
            // Once it has said so it goes on saying so.
            self.left.set(if stops { 0 } else { EVERY });
        }
        self.is_stopped.get()
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
