//! Probation: errors in new code are counted against the budget of the patch
//! that brought it (`probation`); `quarantine` undoes a patch that uses it up, or
//! whose code takes too long (`watchdog`).
//!
//! An error counts once, when it passes activations of code that the patch
//! installed, whether it was raised there or came from what they called. Errors of
//! limits (deadline, fuel, interrupt, memory) are among them. Nothing is counted,
//! and nothing costs anything, while no patch is on probation.
//!
//! Invariants: HP1–HP3: the versions compared with are kept by the history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashSet;
use moonswap_bytecode::OpCode;
use moonswap_hotpatch::{Code, Patch, Policy, Refusal, Refused};

use super::probation::{Probation, Quarantined};
use super::watchdog;
use crate::frame::Frame;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::apply::call;
use crate::hotpatch::cause::Cause;
use crate::hotpatch::observe::event::EventChunk;
use crate::hotpatch::registry::literals;
use crate::hotpatch::registry::manifest;
use crate::object::{PrototypeSlot, Version};
use crate::value::Value;
use crate::vm::Vm;

/// The refusal of a patch that is in quarantine.
pub(crate) fn quarantined(vm: &Vm, patch: &Patch) -> Option<Refused> {
    if vm.hot.guards.quarantine.is_empty() {
        return None;
    }
    let hash = patch.hash();
    let known = vm.hot.guards.quarantine.iter().find(|q| q.hash == hash)?;
    let chunk = patch.chunks().first()?.chunk();
    Some(Refused::from(vec![Refusal {
        code: Code::Quarantined,
        chunk: chunk.strip_prefix(['@', '=']).unwrap_or(chunk).into(),
        line: 1,
        column: 1,
        function: "patch".to_owned(),
        reason: format!(
            "in quarantine: as patch {} it {} and was undone",
            known.patch, known.deed
        ),
        remedy: format!(
            "mend the code; to try the same code again release it: hot.release({}) in Lua, \
             Hot::release in the host",
            known.patch
        ),
    }]))
}

/// Puts the patch that was just committed on probation if it wants to be.
pub(crate) fn watch(vm: &mut AtSafePoint, patch: &Patch, policy: &Policy) {
    let Some(guard) = policy.guard else { return };
    let vm: &mut Vm = vm;
    let Some(entry) = vm.hot.history.entries.back() else {
        return;
    };
    let mut versions = HashSet::default();
    for change in &entry.changes {
        // SAFETY: HP3.
        unsafe {
            for slot in &change.slots {
                let hash = |version: *mut Version| literals::of(vm, version).own_hash;
                // Moved lines make no errors.
                if hash(slot.before) != hash(slot.after) {
                    versions.insert(slot.after);
                }
            }
            // Added functions; moved ones have had their turn.
            let known: HashSet<_> = change.slots.iter().map(|c| c.slot).collect();
            let now = manifest::known_registry(change.instance);
            for slot in now.into_iter().flat_map(|now| now.beyond(&change.registry)) {
                if !known.contains(&slot) {
                    versions.insert(PrototypeSlot::version(slot));
                }
            }
        }
    }
    let now = Instant::now();
    let chunks = patch.chunks().iter().map(|chunk| EventChunk {
        name: Arc::clone(chunk.chunk()),
        base: None,
        new: Some(chunk.main().deep_hash),
    });
    vm.hot.guards.active.push(Probation {
        patch: entry.id,
        hash: patch.hash(),
        chunks: chunks.collect(),
        left: guard.errors,
        errors: 0,
        within: guard.within,
        // Beyond what the clock can tell: for ever.
        until: now
            .checked_add(guard.within)
            .unwrap_or(now + Duration::from_secs(1 << 30)),
        versions,
        slow: guard.slow,
        seen: None,
        is_undone: false,
    });
    watchdog::set_timer(vm, Duration::ZERO);
}

/// Patches that were undone or are out of the history cannot be undone, and the
/// versions of the latter are not kept: their probation is over. What runs of the
/// former is watched to its end. Answers the numbers of the latter.
pub(crate) fn forget_gone(vm: &mut Vm) -> Vec<u64> {
    let history = &vm.hot.history;
    let mut gone = Vec::new();
    let guards = &mut vm.hot.guards;
    guards.active.retain_mut(|p| {
        if history.in_force.contains(&p.patch) {
            return true;
        }
        let was_undone = std::mem::replace(&mut p.is_undone, true);
        let is_kept = history.entries.iter().any(|entry| entry.id == p.patch);
        if !is_kept && !was_undone {
            gone.push(p.patch);
        }
        is_kept && p.slow.is_some()
    });
    guards.due.retain(|q| history.in_force.contains(&q.patch));
    watchdog::set_timer(vm, Duration::ZERO);
    gone
}

/// An error passes from the topmost frame to `end` (base of a native's frame),
/// out of the host call with function slot `host`, or out of the coroutine.
///
/// # Safety
/// VM3, F1: `end` is null or the base of a frame, `host` is null or the function slot of
/// a host call.
#[cold]
#[inline(never)]
pub(crate) unsafe fn count(vm: &mut Vm, end: *mut Value, host: *mut Value) {
    // SAFETY: F1, F2: as `unwind::find_catcher`.
    unsafe {
        let of_limit = vm.limits.has_tripped();
        if vm.in_flight.counted || of_limit && vm.limits.is_counted {
            return;
        }
        let now = Instant::now();
        let mut hit: Vec<u64> = Vec::new();
        let mut next = Some(Frame {
            base: vm.base,
            pc: vm.pc,
        });
        while let Some(frame) = next {
            if std::ptr::eq(frame.base, end) {
                break;
            }
            let version = frame.version();
            if !version.is_null() {
                let counting = vm.hot.guards.active.iter();
                for probation in counting.filter(|p| !p.is_undone && now < p.until) {
                    if probation.versions.contains(&version) && !hit.contains(&probation.patch) {
                        hit.push(probation.patch);
                    }
                }
            }
            if frame.return_op() == Some(OpCode::Halt)
                && std::ptr::eq(frame.original_base().sub(2), host)
            {
                break;
            }
            next = frame.caller().map(|(below, _)| below);
        }
        if hit.is_empty() {
            return;
        }
        vm.in_flight.counted = true;
        vm.limits.is_counted = of_limit;
        let cause = match of_limit || vm.is_memory_error {
            true => Cause::Limit,
            false => Cause::Errors,
        };
        let last = call::text_of(vm.error);
        let guards = &mut vm.hot.guards;
        for probation in guards.active.iter_mut() {
            if !hit.contains(&probation.patch) {
                continue;
            }
            probation.errors += 1;
            if probation.left > 0 {
                probation.left -= 1;
                continue;
            }
            probation.is_undone = true;
            guards.due.push(Quarantined::new(probation, cause, &last));
        }
        guards.active.retain(|p| !p.is_undone || p.slow.is_some());
        if guards.is_due() {
            vm.poll.request();
        }
    }
}
