//! `OneShot`: a channel for one value from one thread to another.
//!
//! The sender calls the system only if a receiver is parked: the VM's thread is to
//! go on with Lua. So the receiver spins before it parks, for as long as a busy VM
//! takes to commit a small patch. It does not spin longer: a VM that shares the
//! processor with it would have to wait.

use std::sync::PoisonError;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::contained;
use crate::sync::{AtomicBool, Condvar, IS_MODEL, Mutex, Ordering, lock};

/// How long a receiver spins before it parks.
const SPIN: Duration = Duration::from_micros(8);

/// A channel for one value.
#[derive(Debug)]
pub struct OneShot<T> {
    place: Mutex<Place<T>>,
    ready: Condvar,
    /// There has been a value. Set under the lock, readable without it, so that a
    /// reader never blocks the sender.
    is_put: AtomicBool,
}

#[derive(Debug)]
struct Place<T> {
    value: Option<T>,
    n_asleep: usize,
    /// The task that polled last.
    waker: Option<Waker>,
}

impl<T> Default for OneShot<T> {
    fn default() -> Self {
        let place = Place {
            value: None,
            n_asleep: 0,
            waker: None,
        };
        Self {
            place: Mutex::new(place),
            ready: Condvar::new(),
            is_put: AtomicBool::new(false),
        }
    }
}

impl<T> OneShot<T> {
    /// Sends the value.
    pub fn put(&self, value: T) {
        let mut place = lock(&self.place);
        place.value = Some(value);
        self.is_put.store(true, Ordering::Release);
        let wake = place.n_asleep > 0;
        let waker = place.waker.take();
        drop(place);
        if wake {
            self.ready.notify_all();
        }
        if let Some(waker) = waker {
            // The sender is in the middle of its work: a panic of the task's is not its.
            let _ = contained(|| waker.wake());
        }
    }

    /// The value, if there is one by now; it is taken. Otherwise the task is woken
    /// when there is one.
    pub fn poll(&self, waker: &Waker) -> Poll<T> {
        let mut place = lock(&self.place);
        if let Some(value) = place.value.take() {
            return Poll::Ready(value);
        }
        match &mut place.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// Whether there is a value now.
    pub fn is_there(&self) -> bool {
        lock(&self.place).value.is_some()
    }

    /// The value, if there is one by now; it is taken.
    pub fn take(&self) -> Option<T> {
        lock(&self.place).value.take()
    }

    /// Whether there has been a value; it may have been taken.
    pub fn was_put(&self) -> bool {
        self.is_put.load(Ordering::Acquire)
    }

    /// Whether there was a value, and somebody has it.
    pub fn is_taken(&self) -> bool {
        let place = lock(&self.place);
        self.was_put() && place.value.is_none()
    }

    /// Waits for a moment without calling the system.
    fn spin(&self) {
        let start = Instant::now();
        while !IS_MODEL && !self.was_put() && start.elapsed() < SPIN {
            std::hint::spin_loop();
        }
    }

    /// Waits for the value, and takes it. `None`: there was none by then.
    pub fn wait(&self, until: Option<Instant>) -> Option<T> {
        self.spin();
        let mut place = lock(&self.place);
        loop {
            if let Some(value) = place.value.take() {
                return Some(value);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            place.n_asleep += 1;
            place = match left {
                None => self
                    .ready
                    .wait(place)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let slept = self.ready.wait_timeout(place, left);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            place.n_asleep -= 1;
        }
    }
}
