//! Tickets, answers and the queue of requests in every order of events that the
//! memory model allows, and requests for safe points:
//! `RUSTFLAGS="--cfg loom" cargo test -p moonswap-vm --lib models`.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use moonswap_bytecode::OpCode;

use super::oneshot::OneShot;
use super::queue::Queue;
use super::ticket::{Sender, TicketState};
use crate::hotpatch::HotError;
use crate::safepoint::{DispatchTable, Handlers, PollHandle};

/// Whoever waits has what was put, however late it comes.
#[test]
fn an_answer_wakes_whoever_waits() {
    loom::model(|| {
        let answer = Arc::new(OneShot::default());
        let put = Arc::clone(&answer);
        let thread = thread::spawn(move || put.put(7));
        assert_eq!(answer.wait(None), Some(7));
        assert!(answer.is_taken());
        thread.join().expect("joined");
    });
}

/// Of two that take, one has it.
#[test]
fn an_answer_is_taken_once() {
    loom::model(|| {
        let answer = Arc::new(OneShot::default());
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let answer = Arc::clone(&answer);
                thread::spawn(move || usize::from(answer.take().is_some()))
            })
            .collect();
        answer.put(7);
        let taken = takers.into_iter().map(|t| t.join().expect("joined"));
        let n = taken.sum::<usize>() + usize::from(answer.take().is_some());
        assert_eq!(n, 1);
        assert!(answer.was_put());
    });
}

/// A patch is committed or withdrawn, never both, and its ticket has an outcome.
#[test]
fn a_ticket_is_taken_up_or_withdrawn() {
    loom::model(|| {
        let state = Arc::new(TicketState::default());
        let reply = Sender::new(&state);
        let vm = thread::spawn(move || {
            let commits = reply.advance_to_taken();
            if commits {
                reply.answer(Err(HotError::Busy));
            }
            commits
        });
        let withdrawn = state.withdraw();
        let committed = vm.join().expect("joined");
        assert_ne!(withdrawn, committed);
        let outcome = state.take();
        match committed {
            true => assert!(matches!(outcome, Some(Err(HotError::Busy)))),
            false => assert!(matches!(outcome, Some(Err(HotError::TimedOut)))),
        }
    });
}

/// When the last who may answer lets go of a ticket, whoever waits hears of it.
#[test]
fn a_ticket_that_nobody_answers_is_gone() {
    loom::model(|| {
        let state = Arc::new(TicketState::default());
        let reply = Sender::new(&state);
        let other = Arc::clone(&reply);
        let thread = thread::spawn(move || drop(other));
        drop(reply);
        let outcome = state.wait(None);
        assert!(matches!(outcome, Some(Err(HotError::Gone))));
        thread.join().expect("joined");
    });
}

/// A request that is posted while the VM is dropped is given back or found.
#[test]
fn a_queue_that_closes_loses_nothing() {
    loom::model(|| {
        let queue = Arc::new(Queue::default());
        let back = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|i| {
                let (queue, back) = (Arc::clone(&queue), Arc::clone(&back));
                thread::spawn(move || {
                    if queue.post(i).is_err() {
                        back.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let found = queue.close().len();
        for thread in threads {
            thread.join().expect("joined");
        }
        assert_eq!(found + back.load(Ordering::Relaxed), 2);
        assert!(queue.waiting().is_empty());
    });
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task that polls has the value, or is woken once it is there.
#[test]
fn a_task_is_woken_or_has_the_answer() {
    loom::model(|| {
        let answer = Arc::new(OneShot::default());
        let put = Arc::clone(&answer);
        let thread = thread::spawn(move || put.put(7));
        let woken = Arc::new(Woken::default());
        let first = answer.poll(&Waker::from(Arc::clone(&woken)));
        thread.join().expect("joined");
        if first.is_pending() {
            assert_eq!(woken.0.load(Ordering::Relaxed), 1);
            assert_eq!(answer.take(), Some(7));
        } else {
            assert_eq!(first, Poll::Ready(7));
        }
    });
}

/// Handlers that are told apart by being null or not.
#[derive(Debug)]
struct Addresses;

impl Handlers for Addresses {
    fn usual(&self, _: OpCode, _: &DispatchTable) -> *mut () {
        std::ptr::null_mut()
    }

    fn poll(&self) -> *mut () {
        std::ptr::dangling_mut()
    }
}

fn handle() -> Arc<PollHandle> {
    Arc::new(PollHandle::new(DispatchTable::new(&Addresses)))
}

/// Whether the VM's thread will come to a poll.
fn is_armed(poll: &PollHandle) -> bool {
    let entry = &poll.table.entries[OpCode::Call as usize];
    poll.requested.load(Ordering::Relaxed) && !entry.load(Ordering::Relaxed).is_null()
}

/// What another thread says before it asks for a safe point is seen by the poll that
/// takes the request, or by the next one.
#[test]
fn a_poll_misses_no_request() {
    loom::model(|| {
        let (poll, flag) = (handle(), Arc::new(AtomicBool::new(false)));
        let (ask, say) = (Arc::clone(&poll), Arc::clone(&flag));
        let thread = thread::spawn(move || {
            say.store(true, Ordering::Release);
            ask.request();
        });
        poll.table.disarm();
        poll.take_request(false);
        let is_seen = flag.load(Ordering::Acquire);
        thread.join().expect("joined");
        assert!(is_seen || is_armed(&poll));
    });
}

/// A request stands although the VM's thread writes all entries anew meanwhile.
#[test]
fn entries_written_anew_hide_no_request() {
    loom::model(|| {
        let poll = handle();
        let ask = Arc::clone(&poll);
        let thread = thread::spawn(move || ask.request());
        poll.table.disarm();
        poll.rearm();
        thread.join().expect("joined");
        assert!(is_armed(&poll));
    });
}
