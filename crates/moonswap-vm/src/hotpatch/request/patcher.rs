//! Submitting patches and rollbacks: from any thread by a [`Patcher`], and from the
//! VM's own. The submitter plans; the VM's thread commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{MigrationReport, Patch, PatchSource, Plan, Policy};

use super::commit_request::CommitRequest;
use super::mailbox::{Mailbox, Request, RollbackRequest};
use super::oneshot::OneShot;
use super::ticket::{Sender, Ticket, TicketState};
use crate::hotpatch::after::history;
use crate::hotpatch::after::probation::Which;
use crate::hotpatch::apply::attempt::{self, Origin};
use crate::hotpatch::observe::event::{EventChunk, HotEvent};
use crate::hotpatch::observe::inspect;
use crate::hotpatch::planner::plan::{self, Manifests};
use crate::hotpatch::planner::published::{self, SpeculativePlan};
use crate::hotpatch::{AtSafePoint, HistoryEntry, HotError, StaleFrame, VersionInfo};
use crate::safepoint::{HostWaker, PollHandle};
use crate::threads;
use crate::vm::Vm;

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
    pub(crate) fn resume_step(&self) {
        self.poll.resume_step();
    }

    /// What the VM's thread leaves to whoever waited for an outcome.
    pub(crate) fn tidy_up(&self) {
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

    /// What a patch would do, as [`hot_plan`](crate::Context::hot_plan) says on the
    /// VM's own thread; changes nothing.
    ///
    /// # Errors
    /// As for applying it. [`HotError::TimedOut`]: the VM reached no safe point within
    /// `timeout`. [`HotError::Gone`]: there is no VM any more.
    pub fn plan(&self, patch: Patch, policy: Policy, timeout: Duration) -> Result<Plan, HotError> {
        self.visit(timeout, move |vm| plan::preview(vm, &patch, &policy))?
    }

    /// Activations and suspended coroutines that run an older version.
    ///
    /// # Errors
    /// [`HotError::TimedOut`], [`HotError::Gone`]: as for [`plan`](Self::plan).
    pub fn frames(&self, timeout: Duration) -> Result<Vec<StaleFrame>, HotError> {
        self.visit(timeout, |vm| inspect::stale_frames(vm, None))
    }

    /// Version of each function of each loaded chunk.
    ///
    /// # Errors
    /// [`HotError::TimedOut`], [`HotError::Gone`]: as for [`plan`](Self::plan).
    pub fn versions(&self, timeout: Duration) -> Result<Vec<VersionInfo>, HotError> {
        self.visit(timeout, |vm| inspect::versions(vm, None))
    }

    /// Patches and rollbacks that can be undone, oldest first.
    ///
    /// # Errors
    /// [`HotError::TimedOut`], [`HotError::Gone`]: as for [`plan`](Self::plan).
    pub fn history(&self, timeout: Duration) -> Result<Vec<HistoryEntry>, HotError> {
        self.visit(timeout, |vm| history::list(vm))
    }

    /// Does something with the VM at one of its next safe points, and waits for it.
    fn visit<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(&mut AtSafePoint) -> T + Send + 'static,
    ) -> Result<T, HotError> {
        let answer = Arc::new(OneShot::default());
        let reply = Reply(Arc::clone(&answer));
        let visit = move |vm: &mut AtSafePoint| reply.0.put(Ok(work(vm)));
        self.mailbox
            .post(Request::Visit(Box::new(visit)), &self.poll);
        let until = Instant::now().checked_add(timeout);
        answer.wait(until).unwrap_or(Err(HotError::TimedOut))
    }

    /// Sets what is called, on any thread, when the VM has something to do: a host
    /// that sleeps outside of Lua wakes up in it and calls `poll`. `None`: nothing.
    pub fn set_waker(&self, waker: Option<HostWaker>) {
        self.poll.set_host_waker(waker);
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
        self.mailbox.generation()
    }

    /// Whether the VM no longer exists.
    pub fn is_gone(&self) -> bool {
        self.mailbox.is_closed()
    }
}

/// The end of a visit: one that is dropped undone has no VM.
struct Reply<T>(Arc<OneShot<Result<T, HotError>>>);

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if !self.0.was_put() {
            self.0.put(Err(HotError::Gone));
        }
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
            if plan::refusals(&speculative.planned).is_none() && !speculative.asks_for_closures() {
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
        if speculative.asks_for_closures() {
            // The VM's thread can look.
            return self.commit(None, start.elapsed());
        }
        if let Some(refused) = plan::refusals(&speculative.planned) {
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

fn chunks_of(patch: &Patch) -> Vec<EventChunk> {
    let chunk = |chunk: &moonswap_hotpatch::ChunkPatch| EventChunk {
        name: Arc::clone(chunk.chunk()),
        base: None,
        new: Some(chunk.main().deep_hash),
    };
    patch.chunks().iter().map(chunk).collect()
}
