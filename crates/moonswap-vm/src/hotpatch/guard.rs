//! Probation: errors in new code are counted against the budget of the patch
//! that brought it; a patch that uses it up, or whose code takes too long
//! (`watchdog`), is undone and quarantined. One that does neither has passed when
//! its time is over.
//!
//! An error counts once, when it passes activations of code that the patch
//! installed, whether it was raised there or came from what they called. Errors of
//! limits (deadline, fuel, interrupt, memory) are among them. Nothing is counted,
//! and nothing costs anything, while no patch is on probation.
//!
//! Invariants: HP1–HP3: the versions compared with are kept by the history.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_bytecode::OpCode;
use moonswap_hotpatch::{Code, Patch, PatchHash, PatchSource, Policy, Refusal, Refused};

use super::AtSafePoint;
use super::attempt::{self, Origin};
use super::cause::Cause;
use super::event::{EventChunk, EventKind};
use super::watchdog::{self, Seen, Watchdog};
use crate::frame::Frame;
use crate::object::{PrototypeSlot, Version};
use crate::root::Root;
use crate::value::Value;
use crate::vm::Vm;

/// Patches in quarantine that are remembered; the oldest is forgotten first.
const MAX_QUARANTINED: usize = 256;

/// A patch on probation.
pub(super) struct Probation {
    pub(super) patch: u64,
    hash: PatchHash,
    chunks: Vec<EventChunk>,
    /// Errors it may still make.
    left: u32,
    errors: u32,
    within: Duration,
    pub(super) until: Instant,
    pub(super) versions: HashSet<*mut Version>,
    /// How long an activation of them may take.
    pub(super) slow: Option<Duration>,
    /// The one that is watched.
    pub(super) seen: Option<Seen>,
    /// It was undone; activations of it that are left are still watched.
    pub(super) is_undone: bool,
}

impl Probation {
    /// Whether there is something to look for.
    pub(super) fn is_watched(&self, now: Instant) -> bool {
        self.slow.is_some() && !self.is_over(now)
    }

    /// An activation that is watched is to its end.
    fn is_over(&self, now: Instant) -> bool {
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
    /// What it did, in words: "raised 2 errors within 60 s".
    pub deed: String,
    /// Its chunks, named as given to `load`.
    pub chunks: Vec<Arc<str>>,
}

impl Quarantined {
    /// Of a probation that ends like this. `slow`: the function that took too long.
    pub(super) fn new(probation: &Probation, cause: Cause, slow: Option<&str>) -> Self {
        let errors = probation.errors;
        let deed = match slow {
            Some(function) => format!(
                "did not return within {} s: {function}",
                probation.slow.unwrap_or_default().as_secs_f64()
            ),
            None => format!(
                "raised {errors} error{} within {} s{}",
                if errors == 1 { "" } else { "s" },
                probation.within.as_secs_f64(),
                match cause {
                    Cause::Limit => ", the last one that of a limit",
                    Cause::Errors | Cause::Slow => "",
                }
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

/// Patches on probation and in quarantine.
#[derive(Default)]
pub(crate) struct Guards {
    pub(super) active: Vec<Probation>,
    /// To be undone.
    pub(super) due: Vec<Quarantined>,
    quarantine: VecDeque<Quarantined>,
    pub(super) dog: Watchdog,
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

/// Which patch is to be let out of quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// By what it means.
    Hash(PatchHash),
    /// By its number when it was applied.
    Patch(u64),
}

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
pub(super) fn watch(vm: &mut AtSafePoint, patch: &Patch, policy: &Policy) {
    let Some(guard) = policy.guard else { return };
    let vm: &mut Vm = vm;
    let Some(entry) = vm.hot.history.entries.back() else {
        return;
    };
    let mut versions = HashSet::new();
    for change in &entry.changes {
        // SAFETY: HP3.
        unsafe {
            for slot in &change.slots {
                let hash = |version: *mut Version| super::literals::of(vm, version).own_hash;
                // Moved lines make no errors.
                if hash(slot.before) != hash(slot.after) {
                    versions.insert(slot.after);
                }
            }
            // Added functions; moved ones have had their turn.
            let known: HashSet<_> = change.slots.iter().map(|c| c.slot).collect();
            let now = super::manifest::known_registry(change.instance);
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
pub(super) fn forget_gone(vm: &mut Vm) -> Vec<u64> {
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
            guards.due.push(Quarantined::new(probation, cause, None));
        }
        guards.active.retain(|p| !p.is_undone || p.slow.is_some());
        if guards.is_due() {
            vm.poll.request();
        }
    }
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
pub(super) fn end_probations(vm: &mut AtSafePoint) {
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
