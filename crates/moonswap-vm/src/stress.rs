//! Stress: modes for tests that make rare events common, so that a missing root,
//! barrier or rebased pointer shows at once. The modes cost nothing while they
//! are off; programs for users cannot turn them on from outside (see
//! [`Stress::of_environment`]).
//!
//! Not here: what the modes do (`interp/poll.rs`, `heap`, `vm.rs`).

use std::str::FromStr;

/// Something done at every `period`-th opportunity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Every {
    /// 0: never.
    period: u32,
    /// Opportunities still to be let pass.
    left: u32,
}

impl Every {
    pub(crate) fn is_on(self) -> bool {
        self.period != 0
    }

    /// An opportunity: shall it be taken? The next one after it is `weight`
    /// times as far away as the period says: what takes long on a deep stack or
    /// a big heap is done less often there, or a script that is quick without
    /// stress would take hours.
    pub(crate) fn due(&mut self, weight: usize) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        if self.period == 0 {
            return false;
        }
        let weight = u32::try_from(weight.max(1)).unwrap_or(u32::MAX);
        self.left = self.period.saturating_mul(weight) - 1;
        true
    }
}

/// Which modes are on. As text: names with commas between, each with a period
/// and an offset if wanted, as in `gc/7+3,stack,verify/100`.
///
/// | name | at a safe point |
/// | --- | --- |
/// | `gc` | a full collection |
/// | `step` | the smallest step of the incremental collector |
/// | `stack` | the stack moves (also wherever room on it is asked for) |
/// | `verify` | the whole heap is checked, with a panic if it is not sound |
///
/// | name | always |
/// | --- | --- |
/// | `cells` | free lists are one cell long, so that every allocation may sweep |
/// | `keep` | freed cells are used again only in one of 16 cycles |
/// | `threads` | the VM can start no thread |
///
/// A period is as long as it says while the stack has room for 2047 slots at most and the
/// heap 512 KiB, and longer in proportion above. With any mode on, freed memory
/// is clobbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stress {
    pub(crate) collect: Every,
    pub(crate) step: Every,
    pub(crate) stack: Every,
    pub(crate) verify: Every,
    pub(crate) cells: bool,
    pub(crate) keep: bool,
    pub(crate) threads: bool,
}

impl Stress {
    /// The wanted modes at every safe point; the heap is checked at one of
    /// `verify_every` (0: never).
    pub fn always(collect: bool, step: bool, stack: bool, verify_every: u32) -> Stress {
        let at_each = |wanted: bool| Every {
            period: u32::from(wanted),
            left: 0,
        };
        Stress {
            collect: at_each(collect),
            step: at_each(step),
            stack: at_each(stack),
            verify: Every {
                period: verify_every,
                left: 0,
            },
            ..Stress::default()
        }
    }

    /// The same with nothing to do at safe points.
    #[must_use]
    pub fn at_rest(self) -> Stress {
        Stress {
            collect: Every::default(),
            step: Every::default(),
            stack: Every::default(),
            verify: Every::default(),
            ..self
        }
    }

    /// A VM for which the system has no thread to give.
    pub fn without_threads() -> Stress {
        Stress {
            threads: true,
            ..Stress::default()
        }
    }

    /// Whether anything is to be done at safe points.
    pub(crate) fn wants_polls(&self) -> bool {
        self.collect.is_on() || self.step.is_on() || self.stack.is_on() || self.verify.is_on()
    }

    /// What the environment variable `MOONSWAP_STRESS` asks for, in builds with
    /// debug assertions or the feature `stress`; in others nothing.
    ///
    /// # Panics
    /// If the variable cannot be read: a test run must not go on without stress.
    pub(crate) fn of_environment() -> Option<Stress> {
        if !cfg!(any(debug_assertions, feature = "stress")) {
            return None;
        }
        let text = std::env::var("MOONSWAP_STRESS").ok()?;
        match text.parse() {
            Ok(stress) => Some(stress),
            Err(error) => panic!("MOONSWAP_STRESS={text}: {error}"),
        }
    }
}

impl FromStr for Stress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut stress = Stress::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, every) = match part.split_once('/') {
                Some((name, every)) => (name, Some(every)),
                None => (part, None),
            };
            let number = |text: &str| {
                text.parse::<u32>()
                    .map_err(|error| format!("{part}: {error}"))
            };
            let (period, offset) =
                match every.map(|every| every.split_once('+').unwrap_or((every, "0"))) {
                    Some((period, offset)) => (number(period)?, number(offset)?),
                    None => (1, 0),
                };
            let every = Every {
                period,
                left: offset,
            };
            match name {
                "gc" => stress.collect = every,
                "step" => stress.step = every,
                "stack" => stress.stack = every,
                "verify" => stress.verify = every,
                "cells" => stress.cells = true,
                "keep" => stress.keep = true,
                "threads" => stress.threads = true,
                _ => return Err(format!("{name} is no stress mode")),
            }
        }
        Ok(stress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_from_text() {
        let mut stress: Stress = "gc/3+1,stack,cells".parse().unwrap();
        let taken: Vec<bool> = (0..8).map(|_| stress.collect.due(1)).collect();
        assert_eq!(taken, [false, true, false, false, true, false, false, true]);
        assert!(stress.stack.due(1) && stress.stack.due(3));
        assert!(!stress.stack.due(1) && !stress.stack.due(1) && stress.stack.due(1));
        assert!(stress.cells && !stress.keep && !stress.step.due(1));
        assert!(stress.wants_polls());
        assert!(!"cells".parse::<Stress>().unwrap().wants_polls());
        assert_eq!("".parse(), Ok(Stress::default()));
        assert!("gc/x".parse::<Stress>().is_err());
        assert!("often".parse::<Stress>().is_err());
    }
}
