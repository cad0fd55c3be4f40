//! `Answer`: a one-shot place where one thread leaves a value for another.
//!
//! Who puts it there does not call the system unless somebody sleeps: the VM's
//! thread is to go on with Lua. So who waits stays awake for as long as a busy VM
//! takes to commit a small patch, and not longer: a VM that shares the processor
//! with it would have to wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long who waits stays awake.
const AWAKE: Duration = Duration::from_micros(8);

/// One-shot place for an answer.
#[derive(Debug)]
pub(super) struct Answer<T> {
    place: Mutex<Place<T>>,
    ready: Condvar,
    /// There has been a value: to be looked at without keeping who puts one
    /// there out.
    is_put: AtomicBool,
}

#[derive(Debug)]
struct Place<T> {
    value: Option<T>,
    is_taken: bool,
    n_asleep: usize,
}

impl<T> Place<T> {
    fn take(&mut self) -> Option<T> {
        let value = self.value.take();
        self.is_taken |= value.is_some();
        value
    }
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        let place = Place {
            value: None,
            is_taken: false,
            n_asleep: 0,
        };
        Self {
            place: Mutex::new(place),
            ready: Condvar::new(),
            is_put: AtomicBool::new(false),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Answer<T> {
    pub(super) fn put(&self, value: T) {
        let mut place = lock(&self.place);
        place.value = Some(value);
        let wake = place.n_asleep > 0;
        drop(place);
        self.is_put.store(true, Ordering::Release);
        if wake {
            self.ready.notify_all();
        }
    }

    /// Whether there is a value now.
    pub(super) fn is_there(&self) -> bool {
        lock(&self.place).value.is_some()
    }

    /// The value, if there is one by now; it is taken.
    pub(super) fn take(&self) -> Option<T> {
        lock(&self.place).take()
    }

    /// Whether there was a value, and somebody has it.
    pub(super) fn is_taken(&self) -> bool {
        lock(&self.place).is_taken
    }

    pub(super) fn wait(&self, until: Option<Instant>) -> Option<T> {
        let start = Instant::now();
        while !self.is_put.load(Ordering::Acquire) && start.elapsed() < AWAKE {
            std::hint::spin_loop();
        }
        let mut place = lock(&self.place);
        loop {
            if let Some(value) = place.take() {
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
