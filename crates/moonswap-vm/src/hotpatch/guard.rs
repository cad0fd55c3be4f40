//! Probation: errors in new code are counted against the budget of the patch
//! that brought it; a patch that uses it up is undone and quarantined.
//!
//! An error counts once, when it passes activations of code that the patch
//! installed, whether it was raised there or came from what they called. Errors
//! of limits of time do not. Nothing is counted, and nothing costs anything,
//! while no patch is on probation.
//!
//! Invariants: HP1–HP3: the versions compared with are kept by the history.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use moonswap_bytecode::OpCode;
use moonswap_hotpatch::{Code, Door, Patch, PatchHash, Policy, Refusal, Refused};

use super::attempt::{self, Origin};
use crate::frame::Frame;
use crate::object::Version;
use crate::value::Value;
use crate::vm::Vm;

/// Patches in quarantine that are remembered; the oldest is forgotten first.
const MAX_QUARANTINED: usize = 256;

/// A patch on probation.
struct Probation {
    patch: u64,
    hash: PatchHash,
    /// Errors it may still make.
    left: u32,
    errors: u32,
    within: Duration,
    until: Instant,
    versions: HashSet<*mut Version>,
}

/// A patch that used up its error budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// What it means.
    pub hash: PatchHash,
    /// Its number when it was applied.
    pub patch: u64,
    /// How many errors it made.
    pub errors: u32,
}

/// Patches on probation and in quarantine.
#[derive(Default)]
pub(crate) struct Guards {
    active: Vec<Probation>,
    due: Vec<(Quarantined, Duration)>,
    quarantine: VecDeque<Quarantined>,
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

    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        self.quarantine.iter().cloned().collect()
    }

    pub(crate) fn release(&mut self, hash: PatchHash) -> bool {
        let before = self.quarantine.len();
        self.quarantine.retain(|q| q.hash != hash);
        self.quarantine.len() < before
    }
}

/// Why a patch is not even planned.
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
            "in quarantine: as patch {} it raised {} error{} and was undone",
            known.patch,
            known.errors,
            if known.errors == 1 { "" } else { "s" }
        ),
        remedy: "mend the code, or have the host release it".to_owned(),
    }]))
}

/// Puts the patch that was just committed on probation if it wants to be.
pub(super) unsafe fn watch(vm: &mut Vm, patch: &Patch, policy: &Policy) {
    let Some(guard) = policy.guard else { return };
    let Some(entry) = vm.hot.history.entries.back() else {
        return;
    };
    let mut versions = HashSet::new();
    for change in &entry.changes {
        // SAFETY: HP3.
        unsafe {
            for slot in &change.slots {
                let hash = |version: *mut Version| (&(*version).prototype).own_hash;
                // Moved lines make no errors.
                if hash(slot.before) != hash(slot.after) {
                    versions.insert(slot.after);
                }
            }
            // Added functions; moved ones have had their turn.
            let known: HashSet<_> = change.slots.iter().map(|c| c.slot).collect();
            let now = super::manifest::registry(change.instance);
            for slot in now.beyond(&change.registry) {
                if !known.contains(&slot) {
                    versions.insert((*slot).version);
                }
            }
        }
    }
    let now = Instant::now();
    vm.hot.guards.active.push(Probation {
        patch: entry.id,
        hash: patch.hash(),
        left: guard.errors,
        errors: 0,
        within: guard.within,
        // Beyond what the clock can tell: for ever.
        until: now
            .checked_add(guard.within)
            .unwrap_or(now + Duration::from_secs(1 << 30)),
        versions,
    });
}

/// Patches that were undone or are out of the history cannot be undone, and the
/// versions of the latter are not kept: their probation is over. Answers their
/// numbers.
pub(super) fn forget_gone(vm: &mut Vm) -> Vec<u64> {
    let in_force = &vm.hot.history.in_force;
    let is_kept = |id: u64| in_force.contains(&id);
    let mut gone = Vec::new();
    vm.hot.guards.active.retain(|p| {
        if !is_kept(p.patch) {
            gone.push(p.patch);
        }
        is_kept(p.patch)
    });
    vm.hot.guards.due.retain(|(q, _)| is_kept(q.patch));
    gone
}

/// An error passes from the topmost frame to `end` (base of a native's frame),
/// out of the host call with function slot `host`, or out of the coroutine.
#[cold]
#[inline(never)]
pub(crate) unsafe fn count(vm: &mut Vm, end: *mut Value, host: *mut Value) {
    // SAFETY: F1, F2: as `unwind::find_catcher`.
    unsafe {
        if vm.journey.counted || vm.limits.is_struck() {
            return;
        }
        let now = Instant::now();
        vm.hot.guards.active.retain(|p| now < p.until);
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
                for probation in &vm.hot.guards.active {
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
        vm.journey.counted = true;
        let guards = &mut vm.hot.guards;
        guards.active.retain_mut(|probation| {
            if !hit.contains(&probation.patch) {
                return true;
            }
            probation.errors += 1;
            if probation.left > 0 {
                probation.left -= 1;
                return true;
            }
            let used_up = Quarantined {
                hash: probation.hash,
                patch: probation.patch,
                errors: probation.errors,
            };
            guards.due.push((used_up, probation.within));
            false
        });
        if guards.is_due() {
            vm.poll.request();
        }
    }
}

/// At a safe point: undoes the patches whose budget is used up.
#[cold]
pub(crate) fn restore(vm: &mut Vm) {
    while let Some((used_up, within)) = vm.hot.guards.due.pop() {
        let id = used_up.patch;
        let reason = format!(
            "patch {id} raised {} error{} within {} s",
            used_up.errors,
            if used_up.errors == 1 { "" } else { "s" },
            within.as_secs_f64()
        );
        let quarantine = &mut vm.hot.guards.quarantine;
        quarantine.retain(|q| q.hash != used_up.hash);
        quarantine.push_back(used_up);
        if quarantine.len() > MAX_QUARANTINED {
            quarantine.pop_front();
        }
        let origin = Origin {
            door: Door::Guard,
            author: None,
            reason: Some(reason),
        };
        // One that is out of the history is told of as refused.
        let _ = attempt::rollback(vm, Some(id), None, &origin);
    }
}
