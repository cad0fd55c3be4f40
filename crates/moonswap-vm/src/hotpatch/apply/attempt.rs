//! Attempts: one way in for everything that wants to change code, so that
//! quarantine, hooks, probation and events are the same for all sources.
//!
//! Invariants: HP1–HP3.

use std::sync::Arc;

use moonswap_hotpatch::{Patch, PatchSource, Policy, Report};

use super::hooks::{self, Swapped};
use crate::hotpatch::after::{guard, history};
use crate::hotpatch::cause::Cause;
use crate::hotpatch::observe::event::{self, EventChunk, EventKind, HotEvent};
use crate::hotpatch::registry::literals;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::vm::Vm;

/// Who asks for a rollback, by which way.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// By which way.
    pub source: PatchSource,
    /// Who.
    pub author: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Of the VM's own ([`PatchSource::Guard`]): what the patch did.
    pub cause: Option<Cause>,
}

/// Tries a patch; `work` plans and commits it.
pub(crate) fn patch(
    vm: &mut AtSafePoint,
    patch: &Patch,
    policy: &Policy,
    work: impl FnOnce(&mut AtSafePoint) -> Result<Report, HotError>,
) -> Result<Report, HotError> {
    if policy.dry {
        return work(vm);
    }
    let attempt = vm.hot.events.next_attempt();
    let heard = vm.hot.events.has_listeners();
    let started = heard.then(|| begin(vm, event::of_patch(vm, attempt, patch, policy)));
    let generation = vm.hot.n_commits;
    let mut outcome = match guard::quarantined(vm, patch) {
        Some(refused) => Err(refused.into()),
        None => work(vm),
    };
    if let Ok(report) = &mut outcome
        && vm.hot.n_commits != generation
    {
        let entry = vm.hot.history.entries.back();
        debug_assert!(entry.is_some_and(|entry| entry.id == report.id));
        let swapped = Swapped::by_newest(vm);
        guard::watch(vm, patch, policy);
        for id in guard::forget_gone(vm) {
            report.warnings.push(format!(
                "patch {id} fell out of the history: its probation is over"
            ));
        }
        hooks::after_commit(vm, &swapped, report);
    }
    end(vm, started, EventKind::After, &mut outcome);
    outcome
}

/// An attempt that comes to nothing: the quarantine is asked and listeners are told
/// as of any other.
pub(crate) fn reject(
    vm: &mut AtSafePoint,
    refused: &Patch,
    policy: &Policy,
    error: HotError,
) -> Result<Report, HotError> {
    patch(vm, refused, policy, |_| Err(error))
}

/// Restores what was before a patch; with a `generation`, only if the VM is
/// still at it.
pub(crate) fn rollback(
    vm: &mut AtSafePoint,
    id: Option<u64>,
    generation: Option<u64>,
    origin: &Origin,
) -> Result<Report, HotError> {
    let attempt = vm.hot.events.next_attempt();
    let heard = vm.hot.events.has_listeners();
    let started = heard.then(|| {
        let event = HotEvent {
            kind: EventKind::Before,
            attempt,
            source: origin.source,
            author: origin.author.clone(),
            reason: origin.reason.clone(),
            chunks: chunks_of(vm, id),
            undoes: history::entry_of(vm, id),
            cause: origin.cause,
            outcome: None,
        };
        begin(vm, event)
    });
    let now = vm.hot.generation();
    let mut outcome = match generation {
        Some(expected) if expected != now => Err(HotError::GenerationMismatch { expected, now }),
        _ => history::rollback(vm, id),
    };
    if let Ok(report) = &mut outcome {
        if let Some(entry) = vm.hot.history.entries.back_mut() {
            entry.author.clone_from(&origin.author);
            entry.reason.clone_from(&origin.reason);
        }
        guard::forget_gone(vm);
        let swapped = Swapped::by_newest(vm);
        hooks::after_commit(vm, &swapped, report);
    }
    end(vm, started, EventKind::Rollback, &mut outcome);
    outcome
}

/// [`rollback`] for who waits for it on the VM's own thread, and so takes apart what
/// it leaves over.
pub(crate) fn rollback_here(
    vm: &mut AtSafePoint,
    id: Option<u64>,
    origin: &Origin,
) -> Result<Report, HotError> {
    let outcome = rollback(vm, id, None, origin);
    vm.hot.mailbox.deferred_drops.clear();
    outcome
}

/// The chunks of the patches that a rollback undoes.
pub(crate) fn chunks_of(vm: &Vm, id: Option<u64>) -> Vec<EventChunk> {
    let entries = &vm.hot.history.entries;
    let from = history::entry_of(vm, id).and_then(|id| entries.iter().position(|e| e.id == id));
    let Some(from) = from else { return Vec::new() };
    let mut chunks: Vec<EventChunk> = Vec::new();
    for change in entries.range(from..).flat_map(|entry| &entry.changes) {
        // SAFETY: HP3: the history keeps instances alive.
        let (name, base) = unsafe {
            let instance = change.instance;
            (
                Arc::clone(&(*instance).chunk),
                literals::deep_hash(vm, instance),
            )
        };
        match chunks.iter_mut().find(|c| c.name == name) {
            Some(_) => {}
            None => chunks.push(EventChunk {
                name,
                base: Some(base),
                // What the oldest of the patches replaced comes back.
                new: Some(change.prototype.deep_hash),
            }),
        }
    }
    chunks
}

/// Tells of an attempt that ended before it came to the VM's thread.
pub(crate) fn note(vm: &mut AtSafePoint, mut event: HotEvent) {
    event.attempt = vm.hot.events.next_attempt();
    if !vm.hot.events.has_listeners() {
        return;
    }
    for chunk in &mut event.chunks {
        chunk.base = event::base_of(vm, &chunk.name);
    }
    let outcome = event.outcome.take();
    let mut event = begin(vm, event);
    event.kind = EventKind::Refused;
    event.outcome = outcome;
    let failed = event::record(vm, &event);
    warn_of(vm, failed);
    event::emit(vm, event);
}

/// What [`note`] is given for a patch.
pub(crate) fn failed(chunks: Vec<EventChunk>, policy: &Policy, error: HotError) -> HotEvent {
    HotEvent {
        kind: EventKind::Before,
        attempt: 0,
        source: policy.source,
        author: policy.author.clone(),
        reason: policy.reason.clone(),
        chunks,
        undoes: None,
        cause: None,
        outcome: Some(Err(error)),
    }
}

/// Tells what else has become of a patch: it has passed its probation, or was let out
/// of quarantine.
pub(crate) fn tell(
    vm: &mut AtSafePoint,
    kind: EventKind,
    source: PatchSource,
    patch: u64,
    reason: String,
    mut chunks: Vec<EventChunk>,
) {
    let attempt = vm.hot.events.next_attempt();
    if !vm.hot.events.has_listeners() {
        return;
    }
    for chunk in &mut chunks {
        chunk.base = event::base_of(vm, &chunk.name);
    }
    let event = HotEvent {
        kind,
        attempt,
        source,
        author: None,
        reason: Some(reason),
        chunks,
        undoes: Some(patch),
        cause: None,
        outcome: None,
    };
    let failed = event::record(vm, &event);
    warn_of(vm, failed);
    event::emit(vm, event);
}

fn begin(vm: &mut AtSafePoint, event: HotEvent) -> HotEvent {
    // No patch while listeners hear of this one's beginning.
    let before = vm.hot.gate.begin_preparing();
    let failed = event::record(vm, &event);
    warn_of(vm, failed);
    event::emit(vm, event.clone());
    vm.hot.gate.end_preparing(before);
    event
}

fn end(
    vm: &mut AtSafePoint,
    started: Option<HotEvent>,
    success: EventKind,
    outcome: &mut Result<Report, HotError>,
) {
    let Some(mut event) = started else { return };
    event.kind = match outcome {
        Ok(_) => success,
        Err(_) => EventKind::Refused,
    };
    event.outcome = Some(outcome.clone());
    let failed = event::record(vm, &event);
    match (outcome, &mut event.outcome) {
        (Ok(report), Some(Ok(heard))) => {
            heard.warnings.extend_from_slice(&failed);
            report.warnings.extend(failed);
        }
        _ => warn_of(vm, failed),
    }
    event::emit(vm, event);
    if !vm.hot.mailbox.is_empty() {
        // Polls in the listeners may have left it alone.
        vm.poll.request();
    }
}

/// What recorders could not write of an attempt that has no report.
fn warn_of(vm: &mut Vm, failed: Vec<String>) {
    for what in failed {
        vm.warning(format!("moonswap: {what}").as_bytes(), false);
    }
}
