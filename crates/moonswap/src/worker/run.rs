//! The thread of a worker: its loop, and the futures that it drives.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::Shared;
use super::call::caught;
use super::queue::Taken;
use super::time;
use crate::{Interrupter, Lua, Patcher, Result};

/// Jobs that are done in a row before futures are looked at.
const IN_A_ROW: usize = 64;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Futures of one thread. Each is polled when its waker was called.
#[derive(Default)]
pub(super) struct Tasks {
    all: HashMap<u64, (Task, Waker)>,
    last: u64,
    ready: Arc<Ready>,
}

/// Which tasks to poll.
#[derive(Default)]
struct Ready {
    tasks: Mutex<Vec<u64>>,
    shared: OnceLock<Weak<Shared>>,
}

struct TaskWaker {
    ready: Arc<Ready>,
    task: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut tasks = self
            .ready
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if tasks.contains(&self.task) {
            return;
        }
        tasks.push(self.task);
        drop(tasks);
        if let Some(shared) = self.ready.shared.get().and_then(Weak::upgrade) {
            shared.queue.wake();
        }
    }
}

impl Tasks {
    /// Begins a future: it is polled at once, and then whenever it is woken.
    pub(super) fn begin(&mut self, task: impl Future<Output = ()> + 'static) -> Waker {
        self.last += 1;
        let waker = Waker::from(Arc::new(TaskWaker {
            ready: Arc::clone(&self.ready),
            task: self.last,
        }));
        self.all.insert(self.last, (Box::pin(task), waker.clone()));
        waker.wake_by_ref();
        waker
    }

    /// Polls what was woken.
    fn poll(&mut self) {
        let mut tasks = self
            .ready
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ready = std::mem::take(&mut *tasks);
        drop(tasks);
        for id in ready {
            let Some((task, waker)) = self.all.get_mut(&id) else {
                continue;
            };
            if task.as_mut().poll(&mut Context::from_waker(waker)) != Poll::Pending {
                self.all.remove(&id);
            }
        }
    }
}

/// Works until the queue is closed and nothing is left to do.
pub(super) fn run(lua: &Lua, shared: &Arc<Shared>) {
    let mut tasks = Tasks::default();
    let _ = tasks.ready.shared.set(Arc::downgrade(shared));
    let mut in_a_row = 0;
    loop {
        time::ring();
        match shared.queue.pop(time::next(), !tasks.all.is_empty()) {
            Taken::Item(job) => {
                let start = Instant::now();
                shared.is_busy.store(true, Ordering::Release);
                shared.begun.fetch_add(1, Ordering::Relaxed);
                job(lua, &mut tasks);
                shared.is_busy.store(false, Ordering::Release);
                shared.note(lua, start.elapsed());
                in_a_row += 1;
                if in_a_row < IN_A_ROW {
                    continue;
                }
            }
            Taken::Woken | Taken::TimedOut => lua.poll(),
            Taken::Closed => break,
        }
        in_a_row = 0;
        time::ring();
        let start = Instant::now();
        shared.is_busy.store(true, Ordering::Release);
        tasks.poll();
        shared.is_busy.store(false, Ordering::Release);
        shared.note(lua, start.elapsed());
    }
}

/// The whole life of the thread.
pub(super) fn live(
    shared: &Arc<Shared>,
    make: impl FnOnce() -> Result<Lua>,
    set_up: impl FnOnce(&Lua) -> Result<()>,
    ready: impl FnOnce(Result<(Patcher, Interrupter)>),
) {
    time::enter();
    let lua = match caught(make) {
        Ok(lua) => lua,
        Err(error) => return ready(Err(error)),
    };
    let patcher = lua.hot().patcher();
    let queue = Arc::downgrade(shared);
    patcher.set_waker(Some(Arc::new(move || {
        if let Some(shared) = queue.upgrade() {
            shared.queue.wake();
        }
    })));
    if let Err(error) = caught(|| set_up(&lua)) {
        return ready(Err(error));
    }
    shared.note(&lua, Duration::ZERO);
    ready(Ok((patcher, lua.interrupter())));
    run(&lua, shared);
}
