//! Coroutines suspended in code that a patch changed, closed after its commit.
//!
//! Invariants: HP2; CL1 coroutines that are to be closed and versions of those
//! that will be are marked by the collector as long as they are kept here.

use std::collections::VecDeque;
use std::time::Instant;

use foldhash::HashSet;
use moonswap_hotpatch::{Activation, Policy, Report, SuspendedPolicy, Timing};

use crate::heap::Marker;
use crate::host;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::apply::call::text_of;
use crate::hotpatch::planner::planned::Changed;
use crate::hotpatch::schedule::activity::{self, Found, Wanted};
use crate::object::{Coroutine, CoroutineStatus, Version};

const SUSPENDED: Wanted = Wanted {
    running: false,
    suspended: true,
    first: false,
};

/// Those that have not finished by a certain time.
struct Later {
    due: Instant,
    /// The patch that changed them.
    patch: u64,
    /// The versions they ran when it was committed.
    versions: HashSet<*mut Version>,
}

/// What is to be closed.
#[derive(Default)]
pub(crate) struct Closings {
    /// Now, in this order; the one that is being closed comes first.
    now: VecDeque<*mut Coroutine>,
    later: Vec<Later>,
}

impl Closings {
    pub(crate) fn mark(&self, marker: &mut Marker) {
        // SAFETY: CL1.
        unsafe {
            for &co in &self.now {
                marker.mark_object(co.cast());
            }
            for &version in self.later.iter().flat_map(|l| &l.versions) {
                marker.mark_object(version.cast());
            }
        }
    }

    /// Whether coroutines are being closed at this moment.
    pub(crate) fn is_closing(&self) -> bool {
        !self.now.is_empty()
    }

    /// When the next ones have to be closed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.later.iter().map(|l| l.due).min()
    }

    /// What a patch changed is undone: its coroutines are up to date again.
    pub(crate) fn forget(&mut self, patch: u64) {
        self.later.retain(|l| l.patch != patch);
    }
}

/// The coroutines that a patch is going to close: to be asked just before the
/// commit.
pub(crate) fn candidates(vm: &mut AtSafePoint, changed: Option<&Changed>) -> Vec<Found> {
    match changed {
        None => Vec::new(),
        // SAFETY: HP2.
        Some(changed) => unsafe {
            activity::scan(vm, SUSPENDED, &|version| changed.contains(&(*version).slot))
        },
    }
}

/// Whether a policy closes coroutines.
pub(crate) fn is_wanted(policy: &Policy) -> bool {
    policy.suspended == SuspendedPolicy::Close && !policy.dry
}

/// When activations of what is replaced now are overdue.
pub(crate) fn finish_by(policy: &Policy) -> Option<Instant> {
    match policy.suspended {
        SuspendedPolicy::Finish => policy
            .deadline
            .and_then(|time| Instant::now().checked_add(time)),
        _ => None,
    }
}

/// Closes them, or makes a note to do so when the deadline has passed.
///
/// # Safety
/// Nothing was collected since the scan that found the candidates.
pub(crate) unsafe fn after_commit(
    vm: &mut AtSafePoint,
    candidates: Vec<Found>,
    policy: &Policy,
    report: &mut Report,
) {
    if candidates.is_empty() {
        return;
    }
    match policy.deadline {
        Some(time) if policy.timing != Timing::Quiescent => {
            let Some(due) = Instant::now().checked_add(time) else {
                return;
            };
            let n = count(&candidates);
            report.warnings.push(format!(
                "{n} suspended coroutine{} will be closed in {:?} if not finished",
                if n == 1 { "" } else { "s" },
                time
            ));
            let later = Later {
                due,
                patch: report.id,
                versions: candidates.iter().map(|f| f.pinned).collect(),
            };
            vm.hot.closings.later.push(later);
        }
        // SAFETY: HP2.
        _ => unsafe {
            close(vm, candidates, &mut |activation, fate| {
                report.warnings.push(describe(activation, &fate));
                if !matches!(fate, Fate::Left(_)) {
                    report.closed.push(activation.clone());
                }
            });
        },
    }
}

/// Closes those whose time has passed.
pub(crate) fn close_due(vm: &mut AtSafePoint) {
    let now = Instant::now();
    while let Some(i) = vm.hot.closings.later.iter().position(|l| l.due <= now) {
        // SAFETY: HP2; CL1: the versions are compared only.
        unsafe {
            let later = vm.hot.closings.later.remove(i);
            let found = activity::scan(vm, SUSPENDED, &|v| later.versions.contains(&v));
            let mut texts = Vec::new();
            close(vm, found, &mut |activation, fate| {
                texts.push(describe(activation, &fate));
            });
            for text in texts {
                vm.warning(format!("patch {}: {text}", later.patch).as_bytes(), false);
            }
        }
    }
}

/// What became of a coroutine that was to be closed.
enum Fate {
    Closed,
    /// With this error.
    Failed(String),
    /// It stays as it is, for this reason.
    Left(&'static str),
}

fn describe(activation: &Activation, fate: &Fate) -> String {
    match fate {
        Fate::Closed => format!("{activation} was closed"),
        Fate::Failed(error) => format!("{activation} was closed, with an error: {error}"),
        Fate::Left(why) => format!("{activation} was not closed: {why}"),
    }
}

fn count(found: &[Found]) -> usize {
    let all: HashSet<*mut Coroutine> = found.iter().map(|f| f.coroutine).collect();
    all.len()
}

/// Closes coroutines one after the other and tells of each, by its innermost
/// activation.
///
/// # Safety
/// Nothing was collected since the scan that found them.
unsafe fn close(vm: &mut AtSafePoint, found: Vec<Found>, tell: &mut dyn FnMut(&Activation, Fate)) {
    // SAFETY: HP2, CL1. Above `top` nothing is alive (VM3); `__close` methods
    // are called from there.
    unsafe {
        let mut last = std::ptr::null_mut();
        let mut activations = Vec::new();
        for f in found {
            if !std::ptr::eq(f.coroutine, last) {
                last = f.coroutine;
                vm.hot.closings.now.push_back(f.coroutine);
                activations.push(f.activation);
            }
        }
        let saved_top = vm.index_of(vm.top);
        vm.top = vm.top_in_use();
        let error = vm.error;
        let in_flight = std::mem::take(&mut vm.in_flight);
        for activation in activations {
            let Some(&co) = vm.hot.closings.now.front() else {
                break;
            };
            // Another one's method may have resumed or closed it.
            if (*co).status == CoroutineStatus::Suspended {
                // What a limit ended runs no `__close` methods.
                let fate = if let Some(limit) = vm.limits.spent_by() {
                    Fate::Left(limit)
                } else if vm.ensure_top(64).is_err() {
                    Fate::Left("stack overflow")
                } else {
                    match host::close_coroutine(vm, co) {
                        Ok(()) => Fate::Closed,
                        Err(value) => Fate::Failed(text_of(value)),
                    }
                };
                tell(&activation, fate);
            }
            vm.hot.closings.now.pop_front();
        }
        vm.hot.closings.now.clear();
        vm.error = error;
        vm.in_flight = in_flight;
        vm.top = vm.stack_base.add(saved_top);
    }
}
