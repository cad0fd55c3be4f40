//! `Queue`: what other threads post for the VM's thread, until it is closed.

use std::collections::VecDeque;

use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock};

/// Requests in order. Each is taken out once, or given back: none is lost.
pub(crate) struct Queue<T> {
    waiting: Mutex<VecDeque<T>>,
    is_closed: AtomicBool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            is_closed: AtomicBool::new(false),
        }
    }
}

impl<T> Queue<T> {
    /// Puts one at the end.
    ///
    /// # Errors
    /// The queue is closed: the request is given back.
    pub(crate) fn post(&self, request: T) -> Result<(), T> {
        let mut waiting = self.waiting();
        if self.is_closed() {
            return Err(request);
        }
        waiting.push_back(request);
        Ok(())
    }

    /// From now on nothing is taken; answers what was waiting.
    pub(crate) fn close(&self) -> VecDeque<T> {
        // Whoever has the queue locked posts before this, all others see the flag.
        self.is_closed.store(true, Ordering::Release);
        std::mem::take(&mut *self.waiting())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Those that wait, in order.
    pub(crate) fn waiting(&self) -> MutexGuard<'_, VecDeque<T>> {
        lock(&self.waiting)
    }
}
