//! Requests to the VM's thread, and how it serves them at safe points.
//!
//! A chunk that was patched before is known (`published`): it is planned by the
//! submitter, and the VM's thread only commits. Otherwise it is visited twice:
//! it describes the chunk, a thread of its own plans, it commits. Where no thread
//! can be started the VM's thread plans as well.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moonswap_hotpatch::{MigrationReport, Patch, PatchSource, Report};

use super::commit_request::CommitRequest;
use super::oneshot::OneShot;
use super::queue::Queue;
use super::ticket::Sender;
use crate::callee::FROZEN;
use crate::hotpatch::after::probation::Which;
use crate::hotpatch::after::watchdog;
use crate::hotpatch::after::{closing, quarantine};
use crate::hotpatch::apply::attempt::{self, Origin};
use crate::hotpatch::observe::event::HotEvent;
use crate::hotpatch::osr::migrate;
use crate::hotpatch::planner::plan::{self, Manifests};
use crate::hotpatch::planner::published::{DeferredDrops, Published};
use crate::hotpatch::schedule::waiting;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::safepoint::PollHandle;

pub(crate) enum Request {
    Manifests {
        patch: Patch,
        answer: Arc<OneShot<Manifests>>,
    },
    Commit(Box<CommitRequest>),
    /// Names of the chunks with live instances.
    Chunks(Arc<OneShot<Vec<String>>>),
    Migrate {
        chunk: Option<String>,
        answer: Arc<OneShot<Result<MigrationReport, HotError>>>,
    },
    /// A patch is to be let out of quarantine; whether it was in it.
    Release {
        which: Which,
        answer: Arc<OneShot<bool>>,
    },
    /// Something to be done with the VM.
    Visit(Visit),
    /// An attempt that ended without the VM's thread.
    Note(Box<HotEvent>),
    Rollback(RollbackRequest),
}

/// Work for the VM's thread; it is dropped undone if the VM is gone.
pub(crate) type Visit = Box<dyn FnOnce(&mut AtSafePoint) + Send>;

/// Asks for a patch to be undone.
pub(crate) struct RollbackRequest {
    /// `None`: of the newest patch in force.
    pub(crate) id: Option<u64>,
    /// Only if the VM is still at this generation.
    pub(crate) generation: Option<u64>,
    pub(crate) origin: Origin,
    pub(crate) ticket: Arc<Sender>,
}

/// Requests on their way to the VM's thread.
#[derive(Default)]
pub(crate) struct Mailbox {
    queue: Queue<Request>,
    /// The VM's, told to whoever asks from outside.
    n_commits: AtomicU64,
    /// What submitters know without asking.
    pub(crate) published: Published,
    /// What the VM's thread leaves others to take apart.
    pub(crate) deferred_drops: DeferredDrops,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("closed", &self.queue.is_closed())
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(crate) fn post(&self, request: Request, poll: &PollHandle) {
        if FROZEN {
            return give_up(request, &HotError::CompiledOut);
        }
        match self.queue.post(request) {
            Ok(()) => poll.request_of_host(),
            Err(request) => give_up(request, &HotError::Gone),
        }
    }

    /// Answers everything with "gone"; for a VM that is dropped.
    pub(crate) fn close(&self) {
        for request in self.queue.close() {
            give_up(request, &HotError::Gone);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.waiting().is_empty()
    }

    /// How many patches are on their way.
    pub(crate) fn n_commits(&self) -> usize {
        let is_commit = |r: &&Request| matches!(r, Request::Commit(_));
        self.queue.waiting().iter().filter(is_commit).count()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.n_commits.load(Ordering::Acquire) + 1
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// The VM has come to another generation.
    pub(crate) fn publish_generation(&self, n_commits: u64) {
        self.n_commits.store(n_commits, Ordering::Release);
    }
}

fn give_up(request: Request, why: &HotError) {
    match request {
        Request::Manifests { answer, .. } => answer.put(Err(why.clone())),
        Request::Chunks(answer) => answer.put(Vec::new()),
        Request::Migrate { answer, .. } => answer.put(Err(why.clone())),
        Request::Release { answer, .. } => answer.put(false),
        Request::Commit(commit) => commit.answer(Err(why.clone())),
        Request::Rollback(rollback) => rollback.ticket.answer(Err(why.clone())),
        Request::Visit(_) | Request::Note(_) => {}
    }
}

/// Works off the mailbox at a safe point, and what waits (`waiting.rs`). What
/// Lua code does meanwhile (initialisers, `__close` methods) begins nothing of
/// this: it comes after.
pub(crate) fn drain(vm: &mut AtSafePoint, host_polls: bool) {
    if FROZEN {
        return;
    }
    if vm.hot.guards.is_due() && !vm.hot.gate.is_occupied() {
        if vm.hot.gate.is_blocked() && !host_polls {
            vm.hot.gate.hold();
        } else {
            quarantine::restore(vm);
        }
    }
    if vm.hot.guards.is_active() {
        if host_polls {
            watchdog::host_polls(vm);
        }
        if !vm.hot.gate.is_occupied() {
            quarantine::end_probations(vm);
        }
    }
    let mailbox = Arc::clone(&vm.hot.mailbox);
    if vm.hot.gate.is_occupied() {
        return;
    }
    let idle = vm.hot.waiting.is_empty() && vm.hot.closings.due().is_none();
    if idle && mailbox.is_empty() {
        return;
    }
    let before = vm.hot.gate.begin_serving();
    let pass = waiting::rescan(vm, host_polls);
    let mut held = VecDeque::new();
    loop {
        let Some(request) = mailbox.queue.waiting().pop_front() else {
            break;
        };
        match request {
            Request::Manifests { patch, answer } => answer.put(plan::manifests(vm, &patch)),
            Request::Note(event) => attempt::note(vm, *event),
            Request::Visit(visit) => visit(vm),
            Request::Commit(request) => waiting::consider(vm, request, &pass),
            Request::Chunks(answer) => answer.put(vm.hot.chunks()),
            Request::Migrate { chunk, answer } => {
                answer.put(migrate::begin_all(vm, chunk.as_deref()));
            }
            Request::Release { which, answer } => {
                answer.put(quarantine::release(vm, which, PatchSource::Thread));
            }
            Request::Rollback(request) => {
                if vm.hot.gate.is_blocked() && !host_polls {
                    held.push_back(Request::Rollback(request));
                } else if request.ticket.advance_to_taken() {
                    let outcome = roll_back(vm, &request);
                    request.ticket.answer(outcome);
                }
            }
        }
    }
    closing::close_due(vm);
    waiting::set_timer(vm);
    vm.hot.gate.end_serving(before);
    if !mailbox.is_empty() {
        // Submitted by what was closed.
        vm.poll.request();
    }
    if !held.is_empty() {
        // Looked at again when the native is through (`host.rs`).
        vm.hot.gate.hold();
        let mut queue = mailbox.queue.waiting();
        while let Some(request) = held.pop_back() {
            queue.push_front(request);
        }
    }
}

fn roll_back(vm: &mut AtSafePoint, request: &RollbackRequest) -> Result<Report, HotError> {
    attempt::rollback(vm, request.id, request.generation, &request.origin)
}

/// The outermost call of the host begins: nothing runs yet.
#[cold]
#[inline(never)]
pub(crate) fn at_host_call(vm: &mut AtSafePoint) {
    if waiting::asks_at_host_call(vm) {
        drain(vm, false);
    }
}
