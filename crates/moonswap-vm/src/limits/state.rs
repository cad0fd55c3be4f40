//! What a run may use up, and what has become of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Safe points between two looks at a clock without a timer thread, and the
/// portion in which fuel is handed to the meter.
const SLICE: u64 = 10_000;
/// What ended a run before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Interrupter::interrupt`](crate::Interrupter::interrupt) was called.
    Interrupt,
    /// The deadline has passed.
    Deadline,
    /// The fuel is used up.
    Fuel,
    /// Code of a patch on probation took too long and could not be made to return
    /// (`guard.slow`).
    Hang,
}

impl Limit {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Limit::Interrupt => "interrupted!",
            Limit::Deadline => "deadline exceeded",
            Limit::Fuel => "out of fuel",
            Limit::Hang => "code of a patch did not return in time",
        }
    }
}

/// A run that a limit ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Which limit.
    pub limit: Limit,
    /// The message of the error, with its position if that is known.
    pub message: Vec<u8>,
    /// Where the program was, as `debug.traceback` shows it.
    pub traceback: Vec<u8>,
}

/// What a run may use up, and what has become of it.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(super) deadline: Option<Instant>,
    /// What is not handed to the meter yet; `None` = unlimited.
    pub(super) fuel: Option<u64>,
    /// Units the metered safe points may still pass.
    pub(crate) meter: u64,
    /// More was wanted than there was.
    pub(super) overdrawn: bool,
    /// Safe points count down.
    pub(crate) metered: bool,
    /// Entries into Lua have to look.
    pub(super) armed: bool,
    pub(super) interrupted: Arc<AtomicBool>,
    /// As `interrupted`, with an error that can be caught.
    pub(crate) broken_in: Arc<AtomicBool>,
    /// The limit that was reached, until the outermost call has ended.
    pub(super) tripped: Option<Ended>,
    /// Its error was counted against the patches whose code it met first.
    pub(crate) is_counted: bool,
    /// What ended the last outermost call.
    pub(super) ended: Option<Ended>,
}

impl Limits {
    /// Whether a limit was reached and its error is on its way.
    #[inline(always)]
    pub(crate) fn has_tripped(&self) -> bool {
        self.tripped.is_some()
    }

    /// Whether a call into Lua would end at once.
    pub(crate) fn is_spent(&self) -> bool {
        self.has_tripped() || self.reached().is_some()
    }

    /// The limit because of which a call into Lua would end at once, in words.
    pub(crate) fn spent_by(&self) -> Option<&'static str> {
        let tripped = self.tripped.as_ref().map(|ended| ended.limit);
        tripped.or_else(|| self.reached()).map(Limit::text)
    }

    /// Whether a limit ended the last call from the host.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn reached(&self) -> Option<Limit> {
        if self.interrupted.load(Ordering::Acquire) {
            Some(Limit::Interrupt)
        } else if self.overdrawn {
            Some(Limit::Fuel)
        } else if self.deadline.is_some_and(|at| Instant::now() >= at) {
            Some(Limit::Deadline)
        } else {
            None
        }
    }

    /// Whether the fuel did not suffice.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.overdrawn
    }

    /// Takes `units` off the fuel; what is not there is not owed.
    pub(crate) fn spend(&mut self, units: u64) {
        if let Some(rest) = units.checked_sub(self.meter) {
            let more = rest
                .saturating_add(SLICE)
                .min(self.fuel.unwrap_or(u64::MAX));
            if let Some(fuel) = &mut self.fuel {
                *fuel -= more;
            }
            self.overdrawn = more < rest;
            self.meter = more.saturating_sub(rest);
        } else {
            self.meter -= units;
        }
    }

    /// What ended the last call from the host, if a limit did; the limit whose
    /// error is on its way, inside a native.
    pub(crate) fn take_ended(&mut self) -> Option<Ended> {
        self.tripped.clone().or_else(|| self.ended.take())
    }
}

impl Limits {
    /// Whether a limit is set, or one was reached.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed
    }

    pub(super) fn refresh_armed(&mut self) {
        self.armed = self.deadline.is_some()
            || self.fuel.is_some()
            || self.tripped.is_some()
            || self.ended.is_some();
    }
}
