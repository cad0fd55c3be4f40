//! `Queue`: the work of one thread. Bounded; senders wait, blocking or as futures.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use event_listener::{Event, EventListener};

/// What the thread takes.
pub(super) enum Taken<T> {
    Item(T),
    /// Somebody called [`Queue::wake`].
    Woken,
    /// The time has come.
    TimedOut,
    /// Closed, and nothing is left.
    Closed,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There is no room now.
    Full,
    /// There will be none.
    Closed,
}

struct State<T> {
    items: VecDeque<T>,
    is_closed: bool,
    is_woken: bool,
    /// The last answer was [`Taken::Woken`].
    was_woken: bool,
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// For the thread.
    work: Condvar,
    /// For senders: each free place wakes one of them.
    room: Event,
    capacity: usize,
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                is_closed: false,
                is_woken: false,
                was_woken: false,
            }),
            work: Condvar::new(),
            room: Event::new(),
            capacity: capacity.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the item out of `item` if there is room.
    pub(super) fn try_push(&self, item: &mut Option<T>) -> Result<(), Full> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Full::Closed);
        }
        if state.items.len() >= self.capacity {
            return Err(Full::Full);
        }
        state.items.extend(item.take());
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Is notified when there may be room. Ask again after this was called.
    pub(super) fn listen(&self) -> EventListener {
        self.room.listen()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Has [`pop`](Self::pop) come back, now or when it is called next.
    pub(super) fn wake(&self) {
        self.lock().is_woken = true;
        self.work.notify_one();
    }

    /// Takes no more items; those inside stay.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.work.notify_one();
        self.room.notify(usize::MAX);
    }

    /// The next item. Wake-ups come first: they are what must not be late. But who is
    /// woken again and again gets an item between. A closed
    /// queue is waited at as well if `has_more` work is under way.
    pub(super) fn pop(&self, until: Option<Instant>, has_more: bool) -> Taken<T> {
        let mut state = self.lock();
        loop {
            let is_turn_of_items = state.was_woken && !state.items.is_empty();
            if state.is_woken && !is_turn_of_items {
                state.is_woken = false;
                state.was_woken = true;
                return Taken::Woken;
            }
            if let Some(item) = state.items.pop_front() {
                state.was_woken = false;
                drop(state);
                self.room.notify_additional(1);
                return Taken::Item(item);
            }
            if state.is_closed && !has_more {
                return Taken::Closed;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(left) if left.is_zero() => return Taken::TimedOut,
                Some(left) => {
                    let slept = self.work.wait_timeout(state, left);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use event_listener::Listener;

    use super::*;

    #[test]
    fn a_full_queue_takes_nothing_and_a_closed_one_gives_what_it_has() {
        let queue = Queue::new(1);
        let mut two = Some(2);
        assert_eq!(queue.try_push(&mut Some(1)), Ok(()));
        assert_eq!(queue.try_push(&mut two), Err(Full::Full));
        assert_eq!(two, Some(2));
        queue.close();
        assert_eq!(queue.try_push(&mut two), Err(Full::Closed));
        queue.wake();
        assert!(matches!(queue.pop(None, false), Taken::Woken));
        assert!(matches!(queue.pop(None, false), Taken::Item(1)));
        assert!(matches!(queue.pop(None, false), Taken::Closed));
    }

    #[test]
    fn items_are_taken_between_wake_ups() {
        let queue = Queue::new(2);
        assert_eq!(queue.try_push(&mut Some(1)), Ok(()));
        queue.wake();
        assert!(matches!(queue.pop(None, false), Taken::Woken));
        queue.wake();
        assert!(matches!(queue.pop(None, false), Taken::Item(1)));
        assert!(matches!(queue.pop(None, false), Taken::Woken));
    }

    #[test]
    fn each_free_place_wakes_a_sender() {
        let queue = Queue::new(1);
        assert_eq!(queue.try_push(&mut Some(1)), Ok(()));
        let (first, second) = (queue.listen(), queue.listen());
        let now = Some(Instant::now());
        assert!(matches!(queue.pop(now, false), Taken::Item(1)));
        assert!(first.wait_deadline(Instant::now()).is_some());
        assert!(second.wait_deadline(Instant::now()).is_none());
        assert!(matches!(queue.pop(now, false), Taken::TimedOut));
    }
}
