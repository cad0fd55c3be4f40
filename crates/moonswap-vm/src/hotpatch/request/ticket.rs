//! `Ticket`: a submitted patch as its submitter has it: waits for the outcome, asks
//! what it waits for, withdraws it.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use moonswap_hotpatch::Report;

use super::oneshot::OneShot;
use super::patcher::Patcher;
use crate::hotpatch::HotError;
use crate::hotpatch::schedule::obstacle::Obstacle;
use crate::sync::{AtomicU8, Mutex, Ordering, lock};

/// Where a submission stands. It leaves `PENDING` once: either the VM's thread
/// takes it up, and then there will be an answer, or it is withdrawn, and then
/// nothing of it will ever be committed.
const PENDING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

#[derive(Debug, Default)]
pub(crate) struct TicketState {
    answer: OneShot<Result<Report, HotError>>,
    stage: AtomicU8,
    /// What it waits for, once the VM's thread has looked.
    obstacle: Mutex<Option<Obstacle>>,
}

impl TicketState {
    fn advance(&self, to: u8) -> bool {
        self.stage
            .compare_exchange(PENDING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The outcome of one that is not committed: it cannot be withdrawn any more.
    pub(crate) fn answer(&self, outcome: Result<Report, HotError>) {
        self.advance(TAKEN);
        self.answer.put(outcome);
    }

    pub(crate) fn advance_to_taken(&self) -> bool {
        self.advance(TAKEN)
    }

    /// Whether it will never be committed from now on.
    pub(crate) fn withdraw(&self) -> bool {
        !self.answer.is_there() && self.advance(WITHDRAWN)
    }

    /// The outcome, if there is one by now; it is taken.
    pub(crate) fn take(&self) -> Option<Result<Report, HotError>> {
        self.answer.take()
    }

    /// Waits for the outcome, and takes it. `None`: there was none by then.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Option<Result<Report, HotError>> {
        self.answer.wait(until)
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.stage.load(Ordering::Acquire) == WITHDRAWN
    }

    pub(crate) fn note(&self, obstacle: Obstacle) {
        *lock(&self.obstacle) = Some(obstacle);
    }
}

/// The duty to answer a ticket, shared by all who may. When the last of them lets
/// it go unanswered (a panic of the host has passed through the VM, say), the
/// submitter hears that nothing will come.
#[derive(Debug)]
pub(crate) struct Sender(Arc<TicketState>);

impl Sender {
    pub(crate) fn new(state: &Arc<TicketState>) -> Arc<Sender> {
        Arc::new(Sender(Arc::clone(state)))
    }
}

impl Deref for Sender {
    type Target = TicketState;

    fn deref(&self) -> &TicketState {
        &self.0
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.0.answer.was_put() {
            let error = match self.0.is_withdrawn() {
                true => HotError::TimedOut,
                false => HotError::Gone,
            };
            self.0.answer(Err(error));
        }
    }
}

/// Waits for the outcome of a submitted patch: by [`wait`](Self::wait), or as a
/// future of the same outcome, on any executor. Dropping it changes nothing: the
/// patch is committed or refused all the same.
///
/// A future has no time limit of its own: bound it with the executor's timer, and
/// call [`withdraw`](Self::withdraw) if that runs out.
#[derive(Debug)]
#[must_use = "a submitted patch can be refused: wait for the outcome, or drop it on purpose"]
pub struct Ticket {
    state: Arc<TicketState>,
    submitted: Instant,
    patcher: Patcher,
    /// When it is refused at the latest, if the VM looks.
    due: Option<Instant>,
}

/// How long after the deadline of a patch the VM may take to say what stood in
/// its way.
const LAST_WORD: Duration = Duration::from_millis(250);

impl Ticket {
    pub(crate) fn new(
        state: Arc<TicketState>,
        submitted: Instant,
        due: Option<Instant>,
        patcher: Patcher,
    ) -> Self {
        Self {
            state,
            submitted,
            patcher,
            due,
        }
    }

    /// Waits until the patch is committed or refused. After `timeout` it is
    /// withdrawn: it will not be committed later. The same happens when the
    /// deadline of its policy passes and the VM reaches no safe point to say why.
    /// Not for the VM's own thread, which would wait for itself. Of an outcome that
    /// [`try_take`](Self::try_take) has answered, and of a patch that was withdrawn,
    /// nothing will come: that is an error at once.
    pub fn wait(self, timeout: Option<Duration>) -> Result<Report, HotError> {
        let outcome = self.outcome(timeout);
        self.patcher.tidy_up();
        outcome
    }

    fn outcome(&self, timeout: Option<Duration>) -> Result<Report, HotError> {
        if self.state.answer.is_taken() {
            return Err(HotError::Other("the outcome was taken before".to_owned()));
        }
        if self.state.is_withdrawn() {
            return self.try_take().unwrap_or(Err(HotError::TimedOut));
        }
        let timeout = timeout.and_then(|t| self.submitted.checked_add(t));
        let due = self.due.and_then(|due| due.checked_add(LAST_WORD));
        let until = [timeout, due].into_iter().flatten().min();
        match self.state.wait(until) {
            Some(outcome) => outcome,
            None => {
                if self.state.advance(WITHDRAWN) {
                    // Refused without the VM's thread in this very moment?
                    return self.try_take().unwrap_or(Err(HotError::TimedOut));
                }
                // It is being committed: the answer is a matter of moments.
                self.state
                    .answer
                    .wait(None)
                    .unwrap_or(Err(HotError::TimedOut))
            }
        }
    }

    /// What it waits for is known already.
    pub(crate) fn note(&self, obstacle: Obstacle) {
        self.state.note(obstacle);
    }

    /// Withdraws the patch. False if it is being committed, or was, or was
    /// refused: then there is an outcome.
    pub fn withdraw(&self) -> bool {
        self.state.withdraw()
    }

    /// What the patch waits for, as far as the VM has looked: `step v1 active in
    /// main at line 12`.
    pub fn waits_for(&self) -> Option<String> {
        lock(&self.state.obstacle).as_ref().map(ToString::to_string)
    }

    /// The outcome, if there is one by now; it is taken.
    pub fn try_take(&self) -> Option<Result<Report, HotError>> {
        let outcome = self.state.take();
        if outcome.is_some() {
            self.patcher.resume_step();
        }
        outcome
    }
}

impl Future for Ticket {
    type Output = Result<Report, HotError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match self.state.answer.poll(cx.waker()) {
            Poll::Ready(outcome) => outcome,
            // Nothing will come: taken before, or withdrawn.
            Poll::Pending if self.state.answer.was_put() || self.state.is_withdrawn() => {
                self.outcome(Some(Duration::ZERO))
            }
            Poll::Pending => return Poll::Pending,
        };
        self.patcher.tidy_up();
        Poll::Ready(outcome)
    }
}

/// What became of a patch that may have to wait.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each patch")]
pub enum Applied {
    /// It is in force.
    Now(Report),
    /// It waits.
    Queued(Ticket),
}

/// What became of a rollback that may have to wait.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each patch")]
pub enum RolledBack {
    /// It is done.
    Now(Report),
    /// It waits.
    Queued {
        /// Tells when it is done.
        ticket: Ticket,
        /// The chunks concerned, as given to `load`.
        chunks: Vec<Arc<str>>,
    },
}
