//! What a worker's thread and its handles share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use event_listener::Event;

use super::queue::Queue;
use super::tasks::Tasks;
use crate::Lua;

/// What a worker does with its VM.
pub(super) type Job = Box<dyn FnOnce(&Lua, &mut Tasks) + Send>;

/// What a worker's thread and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) queue: Queue<Job>,
    pub(super) thread: OnceLock<ThreadId>,
    pub(super) is_busy: AtomicBool,
    pub(super) begun: AtomicU64,
    pub(super) busy_nanos: AtomicU64,
    pub(super) memory: AtomicUsize,
    pub(super) ended: Ended,
}

/// Whether the thread is over, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) has_ended: AtomicBool,
    pub(super) waiting: Event,
}

impl Ended {
    pub(super) fn set(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.waiting.notify(usize::MAX);
    }

    pub(super) fn get(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

impl Shared {
    /// Whether this is the worker's thread.
    pub(super) fn is_own_thread(&self) -> bool {
        self.thread.get() == Some(&std::thread::current().id())
    }

    /// It has worked for so long.
    pub(super) fn note(&self, lua: &Lua, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.memory.store(lua.used_memory(), Ordering::Relaxed);
    }
}
