//! Futures that one thread drives.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Wake, Waker};

use moonswap_vm::contained;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Futures of one thread. Each is polled when its waker was called.
#[derive(Default)]
pub(super) struct Tasks {
    all: HashMap<u64, (Task, Arc<TaskWaker>)>,
    last: u64,
    ready: Arc<Ready>,
}

/// Which tasks to poll.
#[derive(Default)]
struct Ready {
    tasks: Mutex<Vec<u64>>,
    /// Wakes the thread.
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct TaskWaker {
    ready: Arc<Ready>,
    task: u64,
    /// It is in the list.
    is_ready: AtomicBool,
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
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        tasks.push(self.task);
        drop(tasks);
        if let Some(wake) = self.ready.wake.get() {
            wake();
        }
    }
}

impl Tasks {
    /// None yet; `wake` wakes the thread that is to poll.
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let tasks = Self::default();
        let _ = tasks.ready.wake.set(Box::new(wake));
        tasks
    }

    /// Whether all are over.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Begins a future: it is polled at once, and then whenever it is woken.
    pub(super) fn begin(&mut self, task: impl Future<Output = ()> + 'static) -> Waker {
        self.last += 1;
        let waker = Arc::new(TaskWaker {
            ready: Arc::clone(&self.ready),
            task: self.last,
            is_ready: AtomicBool::new(false),
        });
        self.all
            .insert(self.last, (Box::pin(task), Arc::clone(&waker)));
        waker.wake_by_ref();
        Waker::from(waker)
    }

    /// Polls what was woken.
    pub(super) fn poll(&mut self) {
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
            // Woken while it is polled, it is polled again.
            waker.is_ready.store(false, Ordering::Release);
            let waker = Waker::from(Arc::clone(waker));
            let mut is_over = true;
            let _ = contained(|| {
                let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
                is_over = polled.is_ready();
            });
            if is_over {
                let task = self.all.remove(&id);
                let _ = contained(|| drop(task));
            }
        }
    }
}
