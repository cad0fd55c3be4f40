//! Patches that wait for their moment, on the VM's thread.
//!
//! Looking for active functions takes time, so scans are rationed: the timer
//! (`timer.rs`) asks for one about every millisecond, less often if a scan takes
//! long, so that at most a fiftieth of the time is spent on them. In between,
//! the ends of what stood in the way ask for one: a native that blocked, the
//! coroutine that was seen last, the activation that was seen last (`trap.rs`),
//! the outermost call of the host.
//!
//! A patch that waits gives way to later ones of the same chunk: when one of
//! them is committed it is refused, so that an older text never replaces a newer
//! one.
//!
//! Invariants: HP2.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Code, Patch, Refusal, Refused, Report, SuspendedPolicy, Times, Timing};

use super::obstacle::Obstacle;
use super::timing::{self, Quiet};
use super::trap;
use crate::hotpatch::apply::{attempt, commit};
use crate::hotpatch::planner::plan;
use crate::hotpatch::planner::published::{ReportDraft, SpeculativePlan};
use crate::hotpatch::request::commit_request::CommitRequest;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::object::Coroutine;
use crate::timer::{self, Purpose};
use crate::vm::Vm;

/// Shortest time between two scans that the timer asks for.
const PERIOD: Duration = Duration::from_millis(1);
/// A scan that took a time is followed by so many such times without one.
const RATIO: u32 = 50;
/// How long after its deadline a patch may still be committed if the first look
/// after it finds nothing in the way.
const GRACE: Duration = Duration::from_millis(50);

/// One time of working off what waits and what is new.
pub(crate) struct Pass {
    /// The host polls.
    host_polls: bool,
    /// There may be scans.
    may_scan: bool,
}

/// Patches that wait, oldest first.
pub(crate) struct Waiting {
    requests: VecDeque<Box<CommitRequest>>,
    /// When the next look may be: for the timer, for those who ask.
    next_scan: Option<(Instant, Instant)>,
    /// Those who asked were given a scan before its time.
    was_lenient: bool,
    /// When the timer rings.
    ring: Option<Instant>,
    /// The coroutine that the last look found in the way; compared only.
    pub(crate) watched: *const Coroutine,
    /// Something that was in the way has ended.
    pub(crate) is_asked: bool,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            requests: VecDeque::new(),
            next_scan: None,
            was_lenient: false,
            ring: None,
            watched: std::ptr::null(),
            is_asked: false,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for request in self.requests.drain(..) {
            request.answer(Err(HotError::Gone));
        }
    }
}

impl Waiting {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Takes out those that are for a chunk of `patch`, which was committed.
    fn supersede(&mut self, patch: &Patch, id: u64) -> Vec<(Box<CommitRequest>, Refused)> {
        let mut out = Vec::new();
        let shares = |r: &CommitRequest| {
            let chunks = r.patch.chunks();
            let mut both = chunks.iter().filter(|c| {
                patch
                    .chunks()
                    .iter()
                    .any(|other| other.chunk() == c.chunk())
            });
            both.next().map(|c| Arc::clone(c.chunk()))
        };
        for request in std::mem::take(&mut self.requests) {
            let Some(chunk) = shares(&request) else {
                self.requests.push_back(request);
                continue;
            };
            let refusal = Refusal {
                code: Code::Superseded,
                chunk: chunk.strip_prefix(['@', '=']).unwrap_or(&chunk).into(),
                line: 1,
                column: 1,
                function: "patch".to_owned(),
                reason: format!("patch {id} of this chunk was committed while this one waited"),
                remedy: "make the patch anew from the text that runs now".to_owned(),
            };
            out.push((request, vec![refusal].into()));
        }
        out
    }
}

/// Goes through those that wait.
pub(crate) fn rescan(vm: &mut AtSafePoint, host_polls: bool) -> Pass {
    if !vm.hot.waiting.is_empty() {
        let asked = host_polls || std::mem::take(&mut vm.hot.waiting.is_asked);
        let pass = Pass {
            host_polls,
            may_scan: may_scan(vm, asked),
        };
        for request in std::mem::take(&mut vm.hot.waiting.requests) {
            consider(vm, request, &pass);
        }
    }
    // New ones are looked at once, when they come.
    Pass {
        host_polls,
        may_scan: true,
    }
}

/// Whether it is time for scans. Who asks gets one ahead of its time, so that the
/// moment is not missed.
fn may_scan(vm: &mut Vm, asked: bool) -> bool {
    let waiting = &mut vm.hot.waiting;
    let Some((timer, on_request)) = waiting.next_scan else {
        return true;
    };
    let now = Instant::now();
    if now >= timer {
        waiting.was_lenient = false;
        true
    } else if asked {
        now >= on_request || !std::mem::replace(&mut waiting.was_lenient, true)
    } else {
        false
    }
}

/// Commits a patch, refuses it, or lets it wait.
pub(crate) fn consider(vm: &mut AtSafePoint, mut request: Box<CommitRequest>, pass: &Pass) {
    if request.ticket.is_withdrawn() {
        // Who withdrew it waits for no answer.
        refuse(vm, &request, HotError::TimedOut);
        return;
    }
    match decide(vm, &mut request, pass) {
        Decision::Commit => {
            if request.ticket.advance_to_taken() {
                commit_and_answer(vm, *request);
            }
        }
        Decision::Refuse(error) => refuse(vm, &request, error),
        Decision::Wait(obstacle) => {
            if let Some(obstacle) = obstacle {
                request.ticket.note(obstacle);
            }
            vm.hot.waiting.requests.push_back(request);
        }
    }
}

/// Ends an attempt that came to nothing.
fn refuse(vm: &mut AtSafePoint, request: &CommitRequest, error: HotError) {
    let outcome = attempt::reject(vm, &request.patch, &request.policy, error);
    request.answer(outcome);
}

fn commit_and_answer(vm: &mut AtSafePoint, request: CommitRequest) {
    let ticket = Arc::clone(&request.ticket);
    let (patch, policy) = (request.patch.clone(), request.policy.clone());
    let before = vm.hot.generation();
    let outcome = attempt::patch(vm, &patch, &policy, |vm| commit_request(vm, request));
    committed(vm, &patch, before, &outcome);
    if outcome.is_ok() {
        // Before the answer: who gets it resumes the step.
        vm.heap.put_off_step();
    }
    ticket.answer(outcome);
}

/// After an attempt to commit: patches that waited for the same chunks are out
/// of date if it has changed anything.
pub(crate) fn committed(
    vm: &mut AtSafePoint,
    patch: &Patch,
    generation_before: u64,
    outcome: &Result<Report, HotError>,
) {
    if let Ok(report) = outcome
        && vm.hot.generation() != generation_before
    {
        for (request, refused) in vm.hot.waiting.supersede(patch, report.id) {
            refuse(vm, &request, refused.into());
        }
    }
}

enum Decision {
    Commit,
    Refuse(HotError),
    /// For this, or for the same as before.
    Wait(Option<Obstacle>),
}

fn decide(vm: &mut AtSafePoint, request: &mut CommitRequest, pass: &Pass) -> Decision {
    let now = Instant::now();
    let late = request.due.is_some_and(|due| due <= now);
    let expired = request
        .due
        .is_some_and(|due| now.saturating_duration_since(due) >= GRACE);
    let policy = &request.policy;
    if let Some(obstacle) = timing::obstacle(vm, policy, pass.host_polls) {
        if late {
            return Decision::Refuse(obstacle.refused(&request.patch));
        }
        // Looked at again when the native is through (`host.rs`).
        if matches!(obstacle, Obstacle::Native(_)) {
            vm.hot.gate.hold();
        }
        return Decision::Wait(Some(obstacle));
    }
    if !timing::asks_for_quiet(policy) {
        return match expired {
            true => Decision::Refuse(HotError::TimedOut),
            false => Decision::Commit,
        };
    }
    if !late && !pass.may_scan {
        return Decision::Wait(None);
    }
    let speculative = match speculative(vm, request) {
        Ok(speculative) => speculative,
        Err(error) => return Decision::Refuse(error),
    };
    let start = Instant::now();
    let quiet = timing::quiet(vm, &speculative.planned, &request.policy, late);
    let took = start.elapsed();
    record_scan(vm, start, took, &quiet);
    let closes = request.policy.suspended == SuspendedPolicy::Close
        && request.policy.timing == Timing::Quiescent;
    let decision = match quiet {
        Quiet::Yes if expired && !closes => Decision::Refuse(HotError::TimedOut),
        Quiet::Yes => Decision::Commit,
        Quiet::Never(refused) => Decision::Refuse(refused.into()),
        Quiet::NotYet(found) => Decision::Wait(Some(Obstacle::Activation(found.activation))),
    };
    request.speculative = Some(speculative);
    decision
}

/// Plans for the instances as they are now: those the request came with, or new
/// ones.
fn speculative(
    vm: &mut AtSafePoint,
    request: &mut CommitRequest,
) -> Result<SpeculativePlan, HotError> {
    let (patch, policy) = (&request.patch, &request.policy);
    if let Some(known) = plan::revalidate(vm, request.speculative.take(), patch, policy) {
        return Ok(known);
    }
    let start = Instant::now();
    let made = plan::plan_snapshot(vm, patch, policy);
    request.prepare += start.elapsed();
    made
}

fn record_scan(vm: &mut Vm, start: Instant, took: Duration, quiet: &Quiet) {
    let rest = took * RATIO;
    let waiting = &mut vm.hot.waiting;
    // Scans of one pass add up.
    let from = waiting.next_scan.map_or(start, |(_, next)| next.max(start));
    waiting.next_scan = Some(((from + rest).max(start + PERIOD), from + rest));
    waiting.watched = match quiet {
        Quiet::NotYet(found) => found.coroutine,
        Quiet::Yes | Quiet::Never(_) => std::ptr::null(),
    };
}

/// Sets the timer for what waits now.
pub(crate) fn set_timer(vm: &mut Vm) {
    let waiting = &mut vm.hot.waiting;
    if waiting.requests.is_empty() {
        waiting.next_scan = None;
        waiting.watched = std::ptr::null();
        waiting.is_asked = false;
        waiting.was_lenient = false;
        trap::clear(vm);
    }
    let waiting = &mut vm.hot.waiting;
    let look = waiting.next_scan.map(|(timer, _)| timer);
    let scans = waiting
        .requests
        .iter()
        .filter(|r| timing::asks_for_quiet(&r.policy) && r.policy.timing != Timing::Checkpoint)
        .map(|_| look.unwrap_or_else(Instant::now));
    let dues = waiting.requests.iter().filter_map(|r| r.due);
    let ring = scans.chain(dues).chain(vm.hot.closings.due()).min();
    if ring == waiting.ring {
        return;
    }
    let old = std::mem::replace(&mut waiting.ring, ring);
    if !timer::set(&vm.poll, old, ring, Purpose::Patches) {
        // Nothing will ring: every safe point has to look at the clock.
        vm.hot.waiting.ring = None;
        vm.poll.request();
    }
}

/// Whether the outermost call of the host is a moment to look again: nothing runs yet.
pub(crate) fn asks_at_host_call(vm: &mut Vm) -> bool {
    let may_scan = |&(_, on_request): &(Instant, Instant)| Instant::now() >= on_request;
    let asks = vm.hot.waiting.next_scan.as_ref().is_none_or(may_scan);
    vm.hot.waiting.is_asked |= asks;
    asks
}

/// The VM goes away.
pub(crate) fn forget(vm: &mut Vm) {
    let ring = vm.hot.waiting.ring.take();
    timer::set(&vm.poll, ring, None, Purpose::Patches);
}

/// Commits what a request asks for: with the plans it came with if they still hold.
fn commit_request(vm: &mut AtSafePoint, request: CommitRequest) -> Result<Report, HotError> {
    let (patch, policy) = (&request.patch, &request.policy);
    let mut times = Times {
        prepare: request.prepare,
        ..Times::default()
    };
    let known = plan::revalidate(vm, request.speculative, patch, policy);
    let is_new = known.is_none();
    let (planned, draft) = match known {
        Some(speculative) => speculative.into_parts(),
        None => {
            let start = Instant::now();
            let planned = plan::plan_all(vm, patch, policy)?;
            let draft = ReportDraft::new(&planned);
            times.prepare += start.elapsed();
            (planned, draft)
        }
    };
    times.wait = request.submitted.elapsed().saturating_sub(times.prepare);
    let outcome = commit::apply_planned(vm, planned, draft, policy, times);
    if is_new {
        vm.hot.mailbox.deferred_drops.clear();
    }
    outcome
}
