//! What is kept of patches on probation and in quarantine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashSet;
use moonswap_hotpatch::PatchHash;

use crate::frame::Place;
use crate::hotpatch::cause::Cause;
use crate::hotpatch::observe::event::EventChunk;
use crate::object::Version;

/// Characters of an error that are quoted.
const LONGEST_QUOTE: usize = 200;

/// A patch on probation.
pub(crate) struct Probation {
    pub(crate) patch: u64,
    pub(crate) hash: PatchHash,
    pub(crate) chunks: Vec<EventChunk>,
    /// Errors it may still make.
    pub(crate) left: u32,
    pub(crate) errors: u32,
    pub(crate) within: Duration,
    pub(crate) until: Instant,
    pub(crate) versions: HashSet<*mut Version>,
    /// How long an activation of them may take.
    pub(crate) slow: Option<Duration>,
    /// The one that is watched.
    pub(crate) seen: Option<Seen>,
    /// It was undone; activations of it that are left are still watched.
    pub(crate) is_undone: bool,
}

impl Probation {
    /// Whether there is something to look for.
    pub(crate) fn is_watched(&self, now: Instant) -> bool {
        self.slow.is_some() && !self.is_over(now)
    }

    /// An activation that is watched is to its end.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until && self.seen.is_none()
    }
}

/// A patch on probation, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnProbation {
    /// Its number.
    pub patch: u64,
    /// How many errors it has made.
    pub errors: u32,
    /// How many it may still make.
    pub left: u32,
    /// How long an activation of its code may take.
    pub slow: Option<Duration>,
    /// How long its probation still lasts.
    pub rest: Duration,
}

/// A patch that was undone because of what its code did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quarantined {
    /// What it means.
    pub hash: PatchHash,
    /// Its number when it was applied.
    pub patch: u64,
    /// How many errors it made.
    pub errors: u32,
    /// What ended its probation.
    pub cause: Cause,
    /// What it did, in words: "raised 2 errors within 60 s (the last one: a.lua:7: …)".
    pub deed: String,
    /// Its chunks, named as given to `load`.
    pub chunks: Vec<Arc<str>>,
}

impl Quarantined {
    /// Of a probation that ends like this. `last`: the function that took too long, or
    /// the last error.
    pub(crate) fn new(probation: &Probation, cause: Cause, last: &str) -> Self {
        let errors = probation.errors;
        let deed = match cause {
            Cause::Slow => format!(
                "did not return within {} s: {last}",
                probation.slow.unwrap_or_default().as_secs_f64()
            ),
            Cause::Errors | Cause::Limit => format!(
                "raised {errors} error{} within {} s (the last one{}: {})",
                if errors == 1 { "" } else { "s" },
                probation.within.as_secs_f64(),
                match cause {
                    Cause::Limit => ", that of a limit",
                    Cause::Errors | Cause::Slow => "",
                },
                shortened(last),
            ),
        };
        Self {
            hash: probation.hash,
            patch: probation.patch,
            errors,
            cause,
            deed,
            chunks: probation
                .chunks
                .iter()
                .map(|c| Arc::clone(&c.name))
                .collect(),
        }
    }
}

/// The first line of a message, which may be as long as the program likes.
fn shortened(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Patches on probation and in quarantine.
#[derive(Default)]
pub(crate) struct Guards {
    pub(crate) active: Vec<Probation>,
    /// To be undone.
    pub(crate) due: Vec<Quarantined>,
    pub(crate) quarantine: VecDeque<Quarantined>,
    pub(crate) dog: Watchdog,
}

impl Guards {
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        !self.active.is_empty()
    }

    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether one is to be undone before the error that is raised goes on its way.
    #[inline]
    pub(crate) fn is_overdue(&self) -> bool {
        self.due.iter().any(|due| due.cause == Cause::Slow)
    }

    /// Patches on probation, oldest first.
    pub(crate) fn on_probation(&self) -> Vec<OnProbation> {
        let now = Instant::now();
        let active = self.active.iter().filter(|p| !p.is_undone && now < p.until);
        let told = active.map(|p| OnProbation {
            patch: p.patch,
            errors: p.errors,
            left: p.left,
            slow: p.slow,
            rest: p.until - now,
        });
        told.collect()
    }

    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        self.quarantine.iter().cloned().collect()
    }
}

/// An activation that was met.
pub(crate) struct Seen {
    pub(crate) place: Place,
    pub(crate) since: Instant,
    /// Path of its function.
    pub(crate) function: String,
    /// It was expelled.
    pub(crate) is_expelled: bool,
}

/// When scans are due.
#[derive(Default)]
pub(crate) struct Watchdog {
    /// When the timer rings.
    pub(crate) ring: Option<Instant>,
    /// No thread will ring: safe points look at the clock.
    pub(crate) has_no_timer: bool,
}

/// Which patch is to be let out of quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// By what it means.
    Hash(PatchHash),
    /// By its number when it was applied.
    Patch(u64),
}
