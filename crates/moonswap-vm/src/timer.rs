//! One thread for the deadlines, waiting patches and patches on probation of all VMs
//! of the process: it sleeps until the next of their times and asks that VM for a
//! poll.
//!
//! It starts with the first deadline and stays. It only wakes: whether a
//! deadline has passed is for the VM to see (`limits.rs`). Where no thread can
//! be started, [`set`] says so and the VM counts safe points instead.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::contained::contained;
use crate::safepoint::PollHandle;
use crate::threads;

/// What a VM is woken for: one time for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// The deadline of its limits.
    Deadline,
    /// Patches that wait (`hotpatch/schedule/waiting.rs`).
    Patches,
    /// Patches on probation (`hotpatch/after/watchdog.rs`).
    Guard,
}

/// When, the address of the handle, and what for.
type Key = (Instant, usize, Purpose);

#[derive(Default)]
struct Timer {
    queue: BTreeMap<Key, Weak<PollHandle>>,
    is_running: bool,
    /// When the thread looks at the queue next, at the latest; `None`: when it
    /// is told to. A host that sets a deadline for each of its requests does not
    /// wake the thread each time: it sleeps on to the time of the first one.
    looks_at: Option<Instant>,
}

static TIMER: Mutex<Timer> = Mutex::new(Timer {
    queue: BTreeMap::new(),
    is_running: false,
    looks_at: None,
});
static CHANGED: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Timer> {
    TIMER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replaces the time at which a VM is woken; false if nothing will ring.
pub(crate) fn set(
    poll: &Arc<PollHandle>,
    old: Option<Instant>,
    new: Option<Instant>,
    purpose: Purpose,
) -> bool {
    if old.is_none() && new.is_none() {
        return true;
    }
    let key = |at| (at, Arc::as_ptr(poll) as usize, purpose);
    let mut timer = lock();
    if let Some(at) = old {
        timer.queue.remove(&key(at));
    }
    let Some(at) = new else {
        return true;
    };
    timer.queue.insert(key(at), Arc::downgrade(poll));
    if !timer.is_running || poll.without_threads.load(Ordering::Relaxed) {
        if !threads::start("moonswap-timer", poll, run) {
            timer.queue.remove(&key(at));
            return false;
        }
        timer.is_running = true;
    } else if timer.looks_at.is_none_or(|looks_at| at < looks_at) {
        timer.looks_at = Some(at);
        CHANGED.notify_one();
    }
    true
}

fn run() {
    let mut timer = lock();
    loop {
        let Some((&(at, id, purpose), _)) = timer.queue.first_key_value() else {
            timer.looks_at = None;
            timer = CHANGED.wait(timer).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let now = Instant::now();
        if now < at {
            timer.looks_at = Some(at);
            let waited = CHANGED.wait_timeout(timer, at - now);
            timer = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        if let Some(poll) = timer
            .queue
            .remove(&(at, id, purpose))
            .and_then(|p| p.upgrade())
        {
            match purpose {
                Purpose::Deadline => poll.overdue.store(true, Ordering::Release),
                Purpose::Guard => poll.guard_rings.store(true, Ordering::Release),
                Purpose::Patches => {}
            }
            // The waker is the host's code: it may set timers itself.
            // A panic in it must not end the timer of all VMs.
            drop(timer);
            let _ = contained(|| {
                poll.request_of_host();
                drop(poll);
            });
            timer = lock();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rings(poll: &PollHandle) -> bool {
        for _ in 0..400 {
            if poll.requested.load(Ordering::Acquire) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    #[test]
    fn an_earlier_deadline_overtakes_a_later_one() {
        let (late, early) = (Arc::<PollHandle>::default(), Arc::<PollHandle>::default());
        let now = Instant::now();
        assert!(set(
            &late,
            None,
            Some(now + Duration::from_secs(3600)),
            Purpose::Deadline
        ));
        assert!(set(
            &early,
            None,
            Some(now + Duration::from_millis(20)),
            Purpose::Deadline
        ));
        assert!(rings(&early));
        assert!(!late.requested.load(Ordering::Acquire));
        assert!(set(
            &late,
            Some(now + Duration::from_secs(3600)),
            Some(now),
            Purpose::Deadline
        ));
        assert!(rings(&late));
    }

    #[test]
    fn one_behind_a_lifted_one_rings() {
        let poll = Arc::<PollHandle>::default();
        let at = |ms| Some(Instant::now() + Duration::from_millis(ms));
        let (first, second) = (at(20), at(60));
        assert!(set(&poll, None, first, Purpose::Deadline));
        assert!(set(&poll, first, None, Purpose::Deadline));
        // The thread looks at the time of the first one, and then at this.
        assert!(set(&poll, None, second, Purpose::Deadline));
        assert!(rings(&poll));
        let third = at(0);
        poll.requested.store(false, Ordering::Release);
        assert!(set(&poll, None, third, Purpose::Deadline));
        assert!(rings(&poll));
    }

    #[test]
    fn a_lifted_deadline_does_not_ring() {
        let (lifted, other) = (Arc::<PollHandle>::default(), Arc::<PollHandle>::default());
        let now = Instant::now();
        // Miri is slow.
        let soon = now + Duration::from_millis(if cfg!(miri) { 500 } else { 20 });
        assert!(set(&lifted, None, Some(soon), Purpose::Deadline));
        assert!(set(&lifted, Some(soon), None, Purpose::Deadline));
        assert!(set(
            &other,
            None,
            Some(soon + Duration::from_millis(20)),
            Purpose::Deadline
        ));
        assert!(rings(&other));
        assert!(!lifted.requested.load(Ordering::Acquire));
    }
}
