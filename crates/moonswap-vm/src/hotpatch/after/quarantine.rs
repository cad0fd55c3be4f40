//! The end of a probation: a patch that used up its budget, or took too long, is
//! undone and quarantined; one that did neither has passed. Releases from quarantine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_hotpatch::PatchSource;

use super::probation::{Quarantined, Which};
use super::watchdog;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::apply::attempt::{self, Origin};
use crate::hotpatch::cause::Cause;
use crate::hotpatch::observe::event::{EventChunk, EventKind};
use crate::root::Root;
use crate::value::Value;

/// Patches in quarantine that are remembered; the oldest is forgotten first.
const MAX_QUARANTINED: usize = 256;

/// Lets a patch out of quarantine; false if it is not in it.
pub(crate) fn release(vm: &mut AtSafePoint, which: Which, source: PatchSource) -> bool {
    let quarantine = &mut vm.hot.guards.quarantine;
    let found = quarantine.iter().position(|q| match which {
        Which::Hash(hash) => q.hash == hash,
        Which::Patch(id) => q.patch == id,
    });
    let Some(released) = found.and_then(|at| quarantine.remove(at)) else {
        return false;
    };
    let reason = format!("patch {} {}", released.patch, released.deed);
    let chunks = released.chunks.iter().map(|name| EventChunk {
        name: Arc::clone(name),
        base: None,
        new: None,
    });
    let chunks = chunks.collect();
    attempt::tell(
        vm,
        EventKind::Released,
        source,
        released.patch,
        reason,
        chunks,
    );
    true
}

/// At a safe point: undoes the patches whose budget is used up.
#[cold]
pub(crate) fn restore(vm: &mut AtSafePoint) {
    while let Some(used_up) = vm.hot.guards.due.pop() {
        undo(vm, used_up);
    }
}

/// Undoes the patches whose code took too long, while the error that ends it is on
/// its way.
#[cold]
pub(crate) fn restore_before_unwinding(vm: &mut AtSafePoint) {
    if vm.hot.gate.is_occupied() {
        return;
    }
    // Listeners and hooks run: the error is not reachable from anywhere else.
    let (error, is_memory) = (vm.error, vm.is_memory_error);
    let error = Root::new(vm, error);
    let in_flight = std::mem::take(&mut vm.in_flight);
    let all = std::mem::take(&mut vm.hot.guards.due);
    let (slow, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|q| q.cause == Cause::Slow);
    vm.hot.guards.due = others;
    for used_up in slow {
        undo(vm, used_up);
    }
    vm.in_flight = in_flight;
    vm.error = error.value(vm).unwrap_or(Value::NIL);
    vm.is_memory_error = is_memory;
}

fn undo(vm: &mut AtSafePoint, used_up: Quarantined) {
    let id = used_up.patch;
    let origin = Origin {
        source: PatchSource::Guard,
        author: None,
        reason: Some(format!("patch {id} {}", used_up.deed)),
        cause: Some(used_up.cause),
    };
    let quarantine = &mut vm.hot.guards.quarantine;
    quarantine.retain(|q| q.hash != used_up.hash);
    quarantine.push_back(used_up);
    if quarantine.len() > MAX_QUARANTINED {
        quarantine.pop_front();
    }
    // One that is out of the history is told of as refused.
    let _ = attempt::rollback(vm, Some(id), None, &origin);
}

/// At a safe point: lets patches go whose time of probation is over, and tells of
/// those that have passed.
pub(crate) fn end_probations(vm: &mut AtSafePoint) {
    let now = Instant::now();
    if !vm.hot.guards.active.iter().any(|p| p.is_over(now)) {
        return;
    }
    let all = std::mem::take(&mut vm.hot.guards.active);
    let (over, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|p| p.is_over(now));
    vm.hot.guards.active = others;
    watchdog::set_timer(vm, Duration::ZERO);
    for probation in over.into_iter().filter(|p| !p.is_undone) {
        let reason = format!(
            "patch {} was on probation for {} s: {} error{}",
            probation.patch,
            probation.within.as_secs_f64(),
            probation.errors,
            if probation.errors == 1 { "" } else { "s" }
        );
        let (source, patch) = (PatchSource::Guard, probation.patch);
        attempt::tell(
            vm,
            EventKind::Passed,
            source,
            patch,
            reason,
            probation.chunks,
        );
    }
}
