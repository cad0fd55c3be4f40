//! Applying a patch on the VM's thread, or undoing one, if this is a moment for a
//! commit: now, or not at all, or later.
//!
//! Invariants: HP1, HP2.

use std::time::Instant;

use moonswap_hotpatch::{Patch, Policy, Report, Times, Timing};

use super::attempt::{Origin, rollback_here};
use super::commit::apply_planned;
use crate::hotpatch::after::history;
use crate::hotpatch::planner::plan::{plan_all, refusals};
use crate::hotpatch::planner::published::ReportDraft;
use crate::hotpatch::request::patcher;
use crate::hotpatch::schedule::obstacle::Obstacle;
use crate::hotpatch::schedule::timing::{self, Quiet};
use crate::hotpatch::schedule::waiting;
use crate::hotpatch::{AtSafePoint, HotError, RolledBack};

/// What became of a patch that may be committed now, if its policy agrees.
#[allow(clippy::large_enum_variant, reason = "there is one for each patch")]
pub(crate) enum Attempt {
    /// It was, or it was refused.
    Done(Result<Report, HotError>),
    /// It has to wait for this.
    NotNow(Obstacle),
}

/// Plans and applies on the VM's thread, if the policy allows a commit here.
/// `last`: there will be no other attempt.
pub(crate) fn attempt(vm: &mut AtSafePoint, patch: &Patch, policy: &Policy, last: bool) -> Attempt {
    let start = Instant::now();
    let planned = match plan_all(vm, patch, policy) {
        Ok(planned) => planned,
        Err(error) => return refuse(vm, patch, policy, error),
    };
    if let Some(refused) = refusals(&planned) {
        return refuse(vm, patch, policy, refused.into());
    }
    // The host itself asks, and nothing runs.
    let host_polls = vm.host_depth == 0;
    if let Some(obstacle) = timing::obstacle(vm, policy, host_polls) {
        return Attempt::NotNow(obstacle);
    }
    match timing::quiet(vm, &planned, policy, last) {
        Quiet::Yes => {}
        Quiet::Never(refused) => return refuse(vm, patch, policy, refused.into()),
        Quiet::NotYet(found) => {
            return Attempt::NotNow(Obstacle::Activation(found.activation));
        }
    }
    let times = Times {
        prepare: start.elapsed(),
        ..Times::default()
    };
    let before = vm.hot.generation();
    let has_listeners = vm.hot.events.has_listeners();
    let outcome = super::attempt::patch(vm, patch, policy, |vm| {
        // Listeners may have loaded or run the chunk.
        let planned = match has_listeners {
            true => plan_all(vm, patch, policy)?,
            false => planned,
        };
        let draft = ReportDraft::new(&planned);
        apply_planned(vm, planned, draft, policy, times)
    });
    vm.hot.mailbox.deferred_drops.clear();
    waiting::committed(vm, patch, before, &outcome);
    Attempt::Done(outcome)
}

/// Ends an attempt that came to nothing.
fn refuse(vm: &mut AtSafePoint, patch: &Patch, policy: &Policy, error: HotError) -> Attempt {
    Attempt::Done(super::attempt::reject(vm, patch, policy, error))
}

/// [`attempt`] for Lua code, which may have been called in the middle of
/// something.
pub(crate) fn apply_or_wait(vm: &mut AtSafePoint, patch: &Patch, policy: &Policy) -> Attempt {
    if policy.dry {
        return attempt(vm, patch, policy, true);
    }
    // While another one is prepared it cannot be planned.
    if vm.hot.gate.is_occupied() {
        return Attempt::NotNow(Obstacle::SafePoint);
    }
    if policy.timing != Timing::Immediate && timing::is_called_by_machine(vm) {
        let refused = plan_all(vm, patch, policy).map(|planned| refusals(&planned));
        return match refused {
            Err(error) => refuse(vm, patch, policy, error),
            Ok(Some(refused)) => refuse(vm, patch, policy, refused.into()),
            Ok(None) => Attempt::NotNow(Obstacle::SafePoint),
        };
    }
    attempt(vm, patch, policy, false)
}

/// [`attempt`], now or never.
pub(crate) fn apply(
    vm: &mut AtSafePoint,
    patch: &Patch,
    policy: &Policy,
) -> Result<Report, HotError> {
    let error = if vm.hot.gate.is_occupied() && !policy.dry {
        HotError::Busy
    } else {
        match attempt(vm, patch, policy, true) {
            Attempt::Done(outcome) => return outcome,
            Attempt::NotNow(obstacle) => obstacle.refused(patch),
        }
    };
    super::attempt::reject(vm, patch, policy, error)
}

/// [`attempt::rollback_here`](rollback_here) for Lua code, which may have been called in the middle of
/// something: what is no moment for a commit is none for a rollback.
pub(crate) fn rollback_or_wait(
    vm: &mut AtSafePoint,
    id: Option<u64>,
    origin: &Origin,
) -> Result<RolledBack, HotError> {
    // While a patch is prepared it is not in the history yet: which one would be
    // undone is not what who asks has seen.
    if vm.hot.gate.is_preparing() {
        return rollback_here(vm, id, origin).map(RolledBack::Now);
    }
    let waits = vm.hot.closings.is_closing()
        || vm.hot.gate.is_blocked()
        || timing::is_called_by_machine(vm);
    let entry = history::entry_of(vm, id);
    let is_known = vm.hot.history.entries.iter().any(|e| Some(e.id) == entry);
    if !waits || !is_known {
        return rollback_here(vm, id, origin).map(RolledBack::Now);
    }
    let chunks = super::attempt::chunks_of(vm, id)
        .into_iter()
        .map(|chunk| chunk.name);
    let chunks = chunks.collect();
    // The one that is the newest now.
    let ticket = patcher::roll_back_later(vm, entry, origin.clone());
    Ok(RolledBack::Queued { ticket, chunks })
}
