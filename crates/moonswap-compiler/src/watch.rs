//! `Watch`: how a host with limits of time stops a compilation.

use std::cell::Cell;
use std::fmt;

/// The message of what was stopped.
pub(crate) const STOPPED: &str = "compilation stopped";

/// Tokens or nodes between two questions.
const EVERY: u32 = 1024;

/// Asks, now and then while a text is compiled, whether to stop. The compilation
/// then ends with an error, whose text is of no use.
pub struct Watch<'a> {
    is_over: &'a dyn Fn() -> bool,
    left: Cell<u32>,
    stopped: Cell<bool>,
}

impl<'a> Watch<'a> {
    /// Stops when `is_over` answers true.
    pub fn new(is_over: &'a dyn Fn() -> bool) -> Self {
        Self {
            is_over,
            left: Cell::new(EVERY),
            stopped: Cell::new(false),
        }
    }

    /// Counts one token or node.
    pub(crate) fn says_stop(&self) -> bool {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            return false;
        }
        // Whoever goes on after a stop is stopped again at once.
        if !self.stopped.get() {
            self.stopped.set((self.is_over)());
        }
        if !self.stopped.get() {
            self.left.set(EVERY);
        }
        self.stopped.get()
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CompileOptions, compile_with};

    /// Compiles, stopping at the `n`th question; how many were asked.
    fn stop_at(n: u32, text: &str) -> (u32, bool) {
        let asked = Cell::new(0);
        let is_over = || {
            asked.set(asked.get() + 1);
            asked.get() >= n
        };
        let watch = Watch::new(&is_over);
        let options = CompileOptions {
            watch: Some(&watch),
            ..CompileOptions::default()
        };
        let done = compile_with("=x", text.as_bytes(), options).is_ok();
        (asked.get(), done)
    }

    #[test]
    fn every_stage_is_stopped() {
        for text in [
            "x = x + 1 ".repeat(5000),
            format!("return 1{}", " + x".repeat(9000)),
            format!("return x{}", ":y()".repeat(9000)),
            format!("return {{{}}}", "{1},".repeat(9000)),
        ] {
            let (all, done) = stop_at(u32::MAX, &text);
            assert!(done && all > 20, "{all}");
            for n in 1..=all {
                assert_eq!(stop_at(n, &text), (n, false));
            }
        }
    }
}
