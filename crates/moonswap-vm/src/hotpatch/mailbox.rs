//! Patches from other threads.
//!
//! A chunk that was patched before is known (`published`): it is planned by the
//! submitter, and the VM's thread only commits. Otherwise it is visited twice:
//! it describes the chunk, a thread of its own plans, it commits. Where no thread
//! can be started the VM's thread plans as well.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moonswap_hotpatch::{MigrationReport, Patch, PatchSource, Policy, Report, Times};

use super::HotError;
use super::attempt::{self, Origin};
use super::closing;
use super::commit;
use super::event::{EventChunk, HotEvent};
use super::guard::{self, Which};
use super::manifest::{self, Description};
use super::migrate;
use super::oneshot::{OneShot, lock};
use super::published::{self, DeferredDrops, Preconditions, Published, SpeculativePlan};
use super::ticket::{Sender, Ticket, TicketState};
use super::waiting;
use crate::callee::FROZEN;
use crate::safepoint::PollHandle;
use crate::threads;
use crate::vm::Vm;

pub(super) type Manifests = Result<Vec<(Preconditions, Description)>, HotError>;

enum Request {
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
    /// An attempt that ended without the VM's thread.
    Note(Box<HotEvent>),
    Rollback(RollbackRequest),
}

/// Asks for a patch to be undone.
struct RollbackRequest {
    /// `None`: of the newest patch in force.
    id: Option<u64>,
    /// Only if the VM is still at this generation.
    generation: Option<u64>,
    origin: Origin,
    ticket: Arc<Sender>,
}

pub(super) struct CommitRequest {
    pub(super) patch: Patch,
    pub(super) policy: Policy,
    /// Plans made elsewhere; `None`: plan on the VM's thread.
    pub(super) speculative: Option<SpeculativePlan>,
    prepare: Duration,
    submitted: Instant,
    /// When it may no longer wait.
    pub(super) due: Option<Instant>,
    pub(super) ticket: Arc<Sender>,
}

impl CommitRequest {
    pub(super) fn answer(&self, outcome: Result<Report, HotError>) {
        self.ticket.answer(outcome);
    }
}

/// Requests on their way to the VM's thread.
#[derive(Default)]
pub(crate) struct Mailbox {
    queue: Mutex<VecDeque<Request>>,
    closed: AtomicBool,
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
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    fn post(&self, request: Request, poll: &PollHandle) {
        if FROZEN {
            return give_up(request, &HotError::CompiledOut);
        }
        let mut queue = lock(&self.queue);
        if self.closed.load(Ordering::Acquire) {
            drop(queue);
            give_up(request, &HotError::Gone);
            return;
        }
        queue.push_back(request);
        drop(queue);
        poll.request();
    }

    /// Answers everything with "gone"; for a VM that is dropped.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let all = std::mem::take(&mut *lock(&self.queue));
        for request in all {
            give_up(request, &HotError::Gone);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.queue).is_empty()
    }

    /// How many patches are on their way.
    pub(crate) fn n_commits(&self) -> usize {
        let is_commit = |r: &&Request| matches!(r, Request::Commit(_));
        lock(&self.queue).iter().filter(is_commit).count()
    }

    /// The VM has come to another generation.
    pub(super) fn publish_generation(&self, n_commits: u64) {
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
        Request::Note(_) => {}
    }
}

/// Submits patches to one VM from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Patcher {
    mailbox: Arc<Mailbox>,
    poll: Arc<PollHandle>,
}

impl std::fmt::Debug for Patcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patcher")
    }
}

impl Patcher {
    pub(crate) fn new(mailbox: Arc<Mailbox>, poll: Arc<PollHandle>) -> Patcher {
        Patcher { mailbox, poll }
    }

    fn of(vm: &Vm) -> Patcher {
        Patcher::new(Arc::clone(&vm.hot.mailbox), Arc::clone(&vm.poll))
    }

    /// Who waited for the outcome has it: the new code has been called by now.
    pub(super) fn resume_step(&self) {
        self.poll.resume_step();
    }

    /// What the VM's thread leaves to whoever waited for an outcome.
    pub(super) fn tidy_up(&self) {
        self.mailbox.deferred_drops.clear();
        self.resume_step();
    }

    /// Submits a patch: it is planned off the VM's thread and committed at one
    /// of the VM's next safe points. Does not wait for the VM: a chunk that was
    /// patched before is planned here and now (some microseconds for a
    /// function), for others a thread asks the VM first.
    pub fn submit(&self, patch: Patch, mut policy: Policy) -> Ticket {
        if policy.source == PatchSource::Rust {
            policy.source = PatchSource::Thread;
        }
        let state = Arc::new(TicketState::default());
        let submitted = Instant::now();
        let due = due_of(&policy, submitted);
        let job = Job {
            patcher: self.clone(),
            patch,
            policy,
            submitted,
            ticket: Sender::new(&state),
        };
        job.start();
        self.mailbox.deferred_drops.clear();
        Ticket::new(state, submitted, due, self.clone())
    }

    /// Names of all chunks with live instances, as given to `load`, at one of the
    /// VM's next safe points. `None`: it reached none within `timeout`; none for a
    /// VM that is gone.
    pub fn chunks(&self, timeout: Duration) -> Option<Vec<String>> {
        let answer = Arc::new(OneShot::default());
        self.mailbox
            .post(Request::Chunks(Arc::clone(&answer)), &self.poll);
        answer.wait(Instant::now().checked_add(timeout))
    }

    /// Lets the running activations of a chunk (`None`: of all chunks) that are on
    /// older code move to the current code, at one of the VM's next safe points, and
    /// tells of all of them: see [`hot_migrate`](crate::Context::hot_migrate). Not for
    /// the VM's own thread, which would wait for itself.
    ///
    /// # Errors
    /// [`HotError::TimedOut`]: the VM reached no safe point within `timeout`; it does it
    /// at the next one. [`HotError::Gone`]: there is no VM any more.
    pub fn migrate(
        &self,
        chunk: Option<&str>,
        timeout: Duration,
    ) -> Result<MigrationReport, HotError> {
        let answer = Arc::new(OneShot::default());
        let request = Request::Migrate {
            chunk: chunk.map(str::to_owned),
            answer: Arc::clone(&answer),
        };
        self.mailbox.post(request, &self.poll);
        let until = Instant::now().checked_add(timeout);
        answer.wait(until).unwrap_or(Err(HotError::TimedOut))
    }

    /// Lets a patch out of quarantine at one of the VM's next safe points; whether it
    /// was in it. `None`: the VM reached none within `timeout`.
    pub fn release(&self, which: Which, timeout: Duration) -> Option<bool> {
        let answer = Arc::new(OneShot::default());
        let request = Request::Release {
            which,
            answer: Arc::clone(&answer),
        };
        self.mailbox.post(request, &self.poll);
        answer.wait(Instant::now().checked_add(timeout))
    }

    /// Compiles the new text of a chunk here and submits it. A text that does
    /// not compile is an attempt as well: the VM's listeners hear of it, and the
    /// ticket has the error at once.
    pub fn submit_source(&self, name: &str, source: &[u8], mut policy: Policy) -> Ticket {
        match Patch::compile(name, source) {
            Ok(patch) => self.submit(patch, policy),
            Err(error) => {
                if policy.source == PatchSource::Rust {
                    policy.source = PatchSource::Thread;
                }
                let error = HotError::from(error);
                self.note_failure(&[name], &policy, error.clone());
                let state = Arc::new(TicketState::default());
                state.answer(Err(error));
                Ticket::new(state, Instant::now(), None, self.clone())
            }
        }
    }

    /// Tells the VM's listeners of an attempt that failed before there was a
    /// patch: texts that do not compile.
    pub fn note_failure(&self, chunks: &[impl AsRef<str>], policy: &Policy, error: HotError) {
        let chunk = |name: &_| EventChunk {
            name: AsRef::<str>::as_ref(name).into(),
            base: None,
            new: None,
        };
        let chunks = chunks.iter().map(chunk).collect();
        self.note(attempt::failed(chunks, policy, error));
    }

    fn note(&self, event: HotEvent) {
        self.mailbox
            .post(Request::Note(Box::new(event)), &self.poll);
    }

    /// Asks for what was before patch `id` at one of the VM's next safe points,
    /// as [`rollback`](crate::Context::hot_rollback) does on its own thread.
    /// With a generation: only if the VM is still at it, so that nothing is
    /// undone that was committed since ([`HotError::GenerationMismatch`]).
    pub fn rollback(&self, id: u64, generation: Option<u64>) -> Ticket {
        let state = Arc::new(TicketState::default());
        let submitted = Instant::now();
        let request = RollbackRequest {
            id: Some(id),
            generation,
            origin: Origin {
                source: PatchSource::Thread,
                ..Origin::default()
            },
            ticket: Sender::new(&state),
        };
        self.mailbox.post(Request::Rollback(request), &self.poll);
        self.mailbox.deferred_drops.clear();
        Ticket::new(state, submitted, None, self.clone())
    }

    /// The VM's generation at this moment; the last one, if the VM is gone.
    pub fn generation(&self) -> u64 {
        self.mailbox.n_commits.load(Ordering::Acquire) + 1
    }

    /// Whether the VM no longer exists.
    pub fn is_gone(&self) -> bool {
        self.mailbox.closed.load(Ordering::Acquire)
    }
}

/// Planning of one submission.
#[derive(Clone)]
struct Job {
    patcher: Patcher,
    patch: Patch,
    policy: Policy,
    submitted: Instant,
    ticket: Arc<Sender>,
}

impl Job {
    fn start(self) {
        // A patch for a certain generation needs to know that of the VM.
        let known = match self.policy.base {
            None => self.patcher.mailbox.published.of(&self.patch),
            Some(_) => None,
        };
        if let Some(snapshots) = known {
            let speculative = SpeculativePlan::new(&snapshots, &self.patch, &self.policy);
            // What is refused may be out of date: the VM is asked.
            if commit::refusals(&speculative.planned).is_none() {
                let prepare = self.submitted.elapsed();
                return self.commit(Some(speculative), prepare);
            }
        }
        let answer = Arc::new(OneShot::default());
        let request = Request::Manifests {
            patch: self.patch.clone(),
            answer: Arc::clone(&answer),
        };
        self.patcher.mailbox.post(request, &self.patcher.poll);
        let fallback = self.clone();
        let poll = Arc::clone(&self.patcher.poll);
        if !threads::start("moonswap-plan", &poll, move || self.ask(&answer)) {
            fallback.commit(None, Duration::ZERO);
        }
    }

    /// Plans with what the VM's thread answers.
    fn ask(self, answer: &OneShot<Manifests>) {
        let told = loop {
            if self.ticket.is_withdrawn() {
                return self.refuse(HotError::TimedOut);
            }
            let until = Instant::now() + Duration::from_millis(100);
            if let Some(answer) = answer.wait(Some(until)) {
                break answer;
            }
        };
        let start = Instant::now();
        let snapshots = match told.and_then(published::complete) {
            Ok(snapshots) => snapshots,
            Err(e) => return self.refuse(e),
        };
        let speculative = SpeculativePlan::new(&snapshots, &self.patch, &self.policy);
        if let Some(refused) = commit::refusals(&speculative.planned) {
            return self.refuse(refused.into());
        }
        self.commit(Some(speculative), start.elapsed());
    }

    /// The end of it, without the VM's thread.
    fn refuse(self, error: HotError) {
        let chunks = chunks_of(&self.patch);
        self.patcher
            .note(attempt::failed(chunks, &self.policy, error.clone()));
        self.ticket.answer(Err(error));
    }

    fn commit(self, speculative: Option<SpeculativePlan>, prepare: Duration) {
        let request = CommitRequest {
            due: due_of(&self.policy, self.submitted),
            patch: self.patch,
            policy: self.policy,
            speculative,
            prepare,
            submitted: self.submitted,
            ticket: self.ticket,
        };
        self.patcher
            .mailbox
            .post(Request::Commit(Box::new(request)), &self.patcher.poll);
    }
}

/// Queues a patch from the VM's own thread; it is planned when its turn comes.
pub(crate) fn submit_here(vm: &mut Vm, patch: Patch, policy: Policy) -> Ticket {
    let ticket = Arc::new(TicketState::default());
    let submitted = Instant::now();
    let due = due_of(&policy, submitted);
    let request = CommitRequest {
        due,
        patch,
        policy,
        speculative: None,
        prepare: Duration::ZERO,
        submitted,
        ticket: Sender::new(&ticket),
    };
    vm.hot
        .mailbox
        .post(Request::Commit(Box::new(request)), &vm.poll);
    Ticket::new(ticket, submitted, due, Patcher::of(vm))
}

/// Queues a rollback from the VM's own thread.
pub(crate) fn roll_back_later(vm: &mut Vm, id: Option<u64>, origin: Origin) -> Ticket {
    let ticket = Arc::new(TicketState::default());
    let request = RollbackRequest {
        id,
        generation: None,
        origin,
        ticket: Sender::new(&ticket),
    };
    vm.hot.mailbox.post(Request::Rollback(request), &vm.poll);
    Ticket::new(ticket, Instant::now(), None, Patcher::of(vm))
}

/// When a patch may no longer wait; never, if that is beyond what clocks count.
fn due_of(policy: &Policy, submitted: Instant) -> Option<Instant> {
    policy.deadline.and_then(|time| submitted.checked_add(time))
}

/// Works off the mailbox at a safe point, and what waits (`waiting.rs`). What
/// Lua code does meanwhile (initialisers, `__close` methods) begins nothing of
/// this: it comes after.
pub(crate) fn drain(vm: &mut Vm, host_polls: bool) {
    if FROZEN {
        return;
    }
    if vm.hot.guards.is_due() && !vm.hot.busy && !vm.hot.is_draining {
        if vm.hot.n_blocking > 0 && !host_polls {
            vm.hot.is_held = true;
        } else {
            guard::restore(vm);
        }
    }
    if vm.hot.guards.is_active() {
        if host_polls {
            super::watchdog::host_polls(vm);
        }
        if !vm.hot.busy && !vm.hot.is_draining {
            guard::end_probations(vm);
        }
    }
    let mailbox = Arc::clone(&vm.hot.mailbox);
    if vm.hot.busy || vm.hot.is_draining {
        return;
    }
    let idle = vm.hot.waiting.is_empty() && vm.hot.closings.due().is_none();
    if idle && mailbox.is_empty() {
        return;
    }
    vm.hot.is_draining = true;
    let pass = waiting::rescan(vm, host_polls);
    let mut held = VecDeque::new();
    loop {
        let Some(request) = lock(&mailbox.queue).pop_front() else {
            break;
        };
        match request {
            Request::Manifests { patch, answer } => answer.put(manifests(vm, &patch)),
            Request::Note(event) => attempt::note(vm, *event),
            Request::Commit(request) => waiting::consider(vm, request, &pass),
            Request::Chunks(answer) => answer.put(vm.hot.chunks()),
            Request::Migrate { chunk, answer } => {
                answer.put(migrate::begin_all(vm, chunk.as_deref()));
            }
            Request::Release { which, answer } => {
                answer.put(guard::release(vm, which, PatchSource::Thread));
            }
            Request::Rollback(request) => {
                if vm.hot.n_blocking > 0 && !host_polls {
                    held.push_back(Request::Rollback(request));
                } else if request.ticket.advance_to_taken() {
                    let outcome = roll_back(vm, &request);
                    request.ticket.answer(outcome);
                }
            }
        }
    }
    // SAFETY: HP2.
    unsafe { closing::close_due(vm) };
    waiting::set_timer(vm);
    vm.hot.is_draining = false;
    if !mailbox.is_empty() {
        // Submitted by what was closed.
        vm.poll.request();
    }
    if !held.is_empty() {
        // Looked at again when the native is through (`host.rs`).
        vm.hot.is_held = true;
        let mut queue = lock(&mailbox.queue);
        while let Some(request) = held.pop_back() {
            queue.push_front(request);
        }
    }
}

fn chunks_of(patch: &Patch) -> Vec<EventChunk> {
    let chunk = |chunk: &moonswap_hotpatch::ChunkPatch| EventChunk {
        name: Arc::clone(chunk.chunk()),
        base: None,
        new: Some(chunk.main().deep_hash),
    };
    patch.chunks().iter().map(chunk).collect()
}

/// Plans for the instances as they are now: those the request came with, or new
/// ones.
pub(super) fn current_speculative(
    vm: &mut Vm,
    request: &mut CommitRequest,
) -> Result<SpeculativePlan, HotError> {
    let base = request.policy.base;
    match request.speculative.take() {
        Some(known)
            if known.is_current(vm, &request.patch)
                && base.is_none_or(|g| g == vm.hot.generation()) =>
        {
            Ok(known)
        }
        _ => {
            let start = Instant::now();
            // SAFETY: HP2.
            let made = unsafe { waiting::plan_now(vm, request) };
            request.prepare += start.elapsed();
            made
        }
    }
}

fn roll_back(vm: &mut Vm, request: &RollbackRequest) -> Result<Report, HotError> {
    attempt::rollback(vm, request.id, request.generation, &request.origin)
}

pub(super) fn manifests(vm: &mut Vm, patch: &Patch) -> Manifests {
    let mut found = Vec::with_capacity(patch.chunks().len());
    for chunk in patch.chunks() {
        let instances = vm.hot.instances_of(chunk.chunk());
        if instances.is_empty() {
            return Err(HotError::NotLoaded(chunk.chunk().to_string()));
        }
        for instance in instances {
            // SAFETY: at a safe point of the VM's thread (HP2); instances are
            // live. The manifest first: it opens cells.
            let told = unsafe {
                let description = manifest::summary(vm, instance);
                (Preconditions::of(instance), description)
            };
            found.push(told);
        }
    }
    Ok(found)
}

pub(super) fn commit_request(vm: &mut Vm, request: CommitRequest) -> Result<Report, HotError> {
    let mut times = Times {
        prepare: request.prepare,
        ..Times::default()
    };
    let wait = |times: &mut Times| {
        times.wait = request.submitted.elapsed().saturating_sub(times.prepare);
    };
    // SAFETY: HP2.
    unsafe {
        match request.speculative {
            Some(speculative)
                if speculative.is_current(vm, &request.patch)
                    && request.policy.base.is_none_or(|g| g == vm.hot.generation()) =>
            {
                wait(&mut times);
                let (planned, draft) = speculative.into_parts();
                commit::apply_planned(vm, planned, draft, &request.policy, times)
            }
            Some(_) | None => {
                let start = Instant::now();
                let planned = commit::plan_all(vm, &request.patch, &request.policy)?;
                let draft = published::ReportDraft::new(&planned);
                times.prepare += start.elapsed();
                wait(&mut times);
                let outcome = commit::apply_planned(vm, planned, draft, &request.policy, times);
                vm.hot.mailbox.deferred_drops.clear();
                outcome
            }
        }
    }
}
