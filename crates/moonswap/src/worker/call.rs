//! `Call`: work for a worker as its sender has it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use event_listener::{EventListener, Listener};
use moonswap_vm::hotpatch::OneShot;
use moonswap_vm::{contained, spent};

use super::queue::Full;
use super::shared::{Job, Shared};
use crate::{Error, Result};

/// Where a job stands. It leaves `WAITING` once.
const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Where a job stands, shared by its sender and its worker.
#[derive(Debug, Default)]
pub(super) struct Stage {
    stage: AtomicU8,
    /// The sender does not want the outcome any more.
    dropped: AtomicBool,
    /// To be woken then: the task that works for it.
    task: Mutex<Option<Waker>>,
}

impl Stage {
    fn advance(&self, to: u8) -> bool {
        self.stage
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    pub(super) fn begin(&self) -> bool {
        self.advance(BEGUN)
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    pub(super) fn set_task(&self, waker: Waker) {
        let task = self.task.lock();
        *task.unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    fn drop_outcome(&self) {
        self.dropped.store(true, Ordering::Release);
        let task = self.task.lock();
        let task = task.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = contained(|| task.wake());
        }
    }
}

/// The worker's side of the outcome: a job that is dropped undone has no worker.
pub(super) struct Reply<R>(Arc<OneShot<Result<R>>>);

impl<R> Reply<R> {
    pub(super) fn new(outcome: &Arc<OneShot<Result<R>>>) -> Self {
        Self(Arc::clone(outcome))
    }

    pub(super) fn put(&self, outcome: Result<R>) {
        self.0.put(outcome);
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        if !self.0.was_put() {
            self.0.put(Err(gone()));
        }
    }
}

pub(super) fn gone() -> Error {
    Error::runtime("the worker has ended")
}

/// Calls the host's code; a panic is an error.
pub(super) fn caught<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(panicked(payload)))
}

fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let text = spent(payload);
    Error::runtime(format_args!("panic in the work of a worker: {text}"))
}

/// Work for a [`Worker`](super::Worker): a future of its outcome on any executor, or
/// [`wait`](Self::wait).
///
/// It is sent when it is first polled or waited for. While the worker's queue is full
/// it waits for room, so senders are slowed down rather than memory filled. A call
/// that is dropped before the worker began is not done at all. If it began, it is
/// finished and its outcome dropped; a future of
/// [`exec_async`](super::Worker::exec_async) is dropped where it waits.
#[must_use = "nothing is done before it is awaited or waited for"]
pub struct Call<R> {
    shared: Arc<Shared>,
    job: Option<Job>,
    room: Option<EventListener>,
    stage: Arc<Stage>,
    outcome: Arc<OneShot<Result<R>>>,
    is_done: bool,
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("is_sent", &self.job.is_none())
            .finish_non_exhaustive()
    }
}

// Nothing in it is pinned.
impl<R> Unpin for Call<R> {}

impl<R> Call<R> {
    pub(super) fn new(shared: &Arc<Shared>, job: impl FnOnce(Reply<R>, Arc<Stage>) -> Job) -> Self {
        let outcome = Arc::new(OneShot::default());
        let stage = Arc::new(Stage::default());
        let job = job(Reply::new(&outcome), Arc::clone(&stage));
        Self {
            shared: Arc::clone(shared),
            job: Some(job),
            room: None,
            stage,
            outcome,
            is_done: false,
        }
    }

    /// Sends it if that is not done yet, and waits for the outcome.
    ///
    /// # Errors
    /// What the work fails with; a panic in it; that the worker has ended. On the
    /// worker's own thread, which would wait for itself.
    pub fn wait(self) -> Result<R> {
        self.wait_until(None)
    }

    /// As [`wait`](Self::wait), for a time at most. What has not begun by then is
    /// withdrawn.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); and that the time is over.
    pub fn wait_timeout(self, timeout: Duration) -> Result<R> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(mut self, until: Option<Instant>) -> Result<R> {
        if self.shared.is_own_thread() {
            return Err(Error::runtime(
                "a worker cannot wait for itself; await the call, or use the `&Lua` at hand",
            ));
        }
        while let Some(room) = self.send() {
            match until {
                None => room.wait(),
                Some(until) => {
                    if room.wait_deadline(until).is_none() {
                        return Err(late(&self.shared));
                    }
                }
            }
        }
        let outcome = self.outcome.wait(until);
        self.is_done = outcome.is_some();
        outcome.unwrap_or_else(|| Err(late(&self.shared)))
    }

    /// Sends it without waiting for room.
    ///
    /// # Errors
    /// The call itself, if the queue is full: to be tried again or dropped.
    pub fn try_send(mut self) -> std::result::Result<Self, Self> {
        match self.send() {
            None => Ok(self),
            Some(_) => Err(self),
        }
    }

    /// What to wait for, if there is no room. A worker that has ended answers at once.
    fn send(&mut self) -> Option<EventListener> {
        // What it was notified of goes to the next sender, or to the look below.
        self.room = None;
        self.job.as_ref()?;
        let mut room = None;
        loop {
            match self.shared.queue.try_push(&mut self.job) {
                Ok(()) => return None,
                Err(Full::Closed) => {
                    // Its reply says that nobody is there.
                    let _ = contained(|| drop(self.job.take()));
                    return None;
                }
                Err(Full::Full) => match room {
                    // A place that came free before this was listened for is seen by
                    // the second look.
                    None => room = Some(self.shared.queue.listen()),
                    room => return room,
                },
            }
        }
    }
}

fn late(shared: &Shared) -> Error {
    Error::runtime(format_args!(
        "worker '{}' did not finish in time",
        shared.name
    ))
}

impl<R> Future for Call<R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.is_done {
            return Poll::Ready(Err(Error::runtime("the outcome was taken before")));
        }
        loop {
            if let Some(room) = &mut self.room {
                match Pin::new(room).poll(cx) {
                    Poll::Ready(()) => self.room = None,
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.send() {
                None => break,
                room => self.room = room,
            }
        }
        let outcome = self.outcome.poll(cx.waker());
        self.is_done = outcome.is_ready();
        outcome
    }
}

impl<R> Drop for Call<R> {
    fn drop(&mut self) {
        if !self.is_done {
            self.stage.advance(WITHDRAWN);
            self.stage.drop_outcome();
        }
        // A notification that this one got and does not use goes to the next sender:
        // the listener's own destructor does that.
    }
}

/// A future and its reply: ready as well when nobody wants the outcome any more.
pub(super) struct Watched<F, R> {
    /// `None`: it is over.
    future: Option<Pin<Box<F>>>,
    reply: Reply<R>,
    stage: Arc<Stage>,
}

impl<F, R> Watched<F, R> {
    pub(super) fn new(future: F, reply: Reply<R>, stage: Arc<Stage>) -> Self {
        Self {
            future: Some(Box::pin(future)),
            reply,
            stage,
        }
    }
}

impl<F, R> Unpin for Watched<F, R> {}

impl<F: Future<Output = Result<R>>, R> Future for Watched<F, R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = this.future.as_mut().filter(|_| !this.stage.is_dropped()) else {
            this.future = None;
            return Poll::Ready(());
        };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(payload) => Err(panicked(payload)),
        };
        this.future = None;
        this.reply.put(outcome);
        Poll::Ready(())
    }
}
