//! A VM on a thread of its own, and many of them.
//!
//! A [`Lua`] stays on the thread that made it. A [`Worker`] makes one on a new thread
//! and can itself be shared, cloned and sent: its calls are futures that any executor
//! can await, tokio among them, or that a plain thread waits for.
//!
//! ```
//! use moonswap::worker::Worker;
//!
//! let worker = Worker::spawn(|lua| {
//!     lua.load("function price(x) return x * 1.2 end").set_name("@shop.lua").exec()
//! })?;
//! assert_eq!(worker.call::<f64>("price", 100).wait()?, 120.0);
//!
//! // Patched while it works, or sleeps.
//! let new = "function price(x) return x * 1.5 end";
//! let report = worker.patch(&moonswap::Patch::compile("@shop.lua", new.as_bytes())?).wait(None)?;
//! assert_eq!(report.functions.len(), 1);
//! assert_eq!(worker.call::<f64>("price", 100).wait()?, 150.0);
//! worker.shutdown().wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
mod pool;
mod queue;
mod run;
mod shared;
mod tasks;
mod time;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use event_listener::{EventListener, Listener};
use moonswap_hotpatch::{Patch, Policy};
use moonswap_vm::contained;
use moonswap_vm::hotpatch::OneShot;

pub use call::Call;
pub use pool::WorkerPool;
pub use time::{Sleep, open_sleep, sleep};

use call::{Reply, caught, gone};
use queue::{Queue, Taken};
use shared::{Ended, Shared};

use crate::{
    Error, FromLuaMulti, Function, Interrupter, IntoLuaMulti, Lua, Patcher, Result, Table, Ticket,
    Value,
};

/// Calls that may wait at a worker if nobody says otherwise.
const CAPACITY: usize = 1024;

/// What a worker did so far; see [`Worker::stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Name of the worker and its thread.
    pub name: String,
    /// Calls that wait in the queue.
    pub queued: usize,
    /// Calls that were taken out of the queue.
    pub begun: u64,
    /// Whether it is working now.
    pub is_busy: bool,
    /// Time spent working.
    pub busy: Duration,
    /// Memory of the VM in bytes when it worked last.
    pub memory: usize,
    /// Generation of its code: 1, and one more with each commit.
    pub generation: u64,
    /// Whether the thread is over.
    pub has_ended: bool,
}

/// How a worker is made; [`Worker::builder`].
#[derive(Debug)]
#[must_use = "`spawn` starts the thread"]
pub struct WorkerBuilder {
    name: String,
    capacity: usize,
    stack_size: Option<usize>,
    make: fn() -> Result<Lua>,
}

impl WorkerBuilder {
    /// Name of the thread, for reports and debuggers; `lua` by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many calls may wait; 1,024 by default, at least 1. Who sends more waits
    /// for room.
    pub fn capacity(mut self, calls: usize) -> Self {
        self.capacity = calls;
        self
    }

    /// Bytes of the thread's native stack; what Rust has threads take by default.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// How the VM is made; [`Lua::new`] by default.
    pub fn lua(mut self, make: fn() -> Result<Lua>) -> Self {
        self.make = make;
        self
    }

    /// Starts the thread, which makes the VM and calls `set_up`; comes back when that
    /// is done.
    ///
    /// # Errors
    /// What `set_up` fails with; that the system gives no thread.
    pub fn spawn(self, set_up: impl FnOnce(&Lua) -> Result<()> + Send + 'static) -> Result<Worker> {
        if self.name.contains('\0') {
            return Err(Error::runtime(
                "the name of a worker cannot have a zero byte",
            ));
        }
        let shared = Arc::new(Shared {
            name: self.name,
            queue: Queue::new(self.capacity),
            thread: OnceLock::new(),
            is_busy: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            busy_nanos: AtomicU64::new(0),
            memory: AtomicUsize::new(0),
            ended: Ended::default(),
        });
        let mut thread = std::thread::Builder::new().name(shared.name.clone());
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let ready = Arc::new(OneShot::default());
        let (of_thread, make) = (Arc::clone(&shared), self.make);
        let answer = Reply::new(&ready);
        let live = move || {
            let end = End(of_thread);
            run::live(&end.0, make, set_up, answer);
        };
        thread.spawn(live).map_err(Error::external)?;
        let (patcher, interrupter) = ready.wait(None).unwrap_or_else(|| Err(gone()))?;
        Ok(Worker(Arc::new(Handle {
            shared,
            patcher,
            interrupter,
        })))
    }
}

/// The end of the thread, by whatever way.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.queue.close();
        // What waits hears that nobody is there.
        loop {
            match self.0.queue.pop(None, false) {
                Taken::Item(job) => drop(contained(|| drop(job))),
                Taken::Woken => {}
                Taken::TimedOut | Taken::Closed => break,
            }
        }
        self.0.ended.set();
    }
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    patcher: Patcher,
    interrupter: Interrupter,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// A VM on a thread of its own. Cheap to clone; may be shared and sent.
///
/// When the last clone is dropped the worker does what is in its queue and ends.
#[derive(Clone, Debug)]
pub struct Worker(Arc<Handle>);

impl Worker {
    /// A worker with a plain VM that `set_up` prepares, on the new thread.
    ///
    /// # Errors
    /// As [`WorkerBuilder::spawn`].
    pub fn spawn(set_up: impl FnOnce(&Lua) -> Result<()> + Send + 'static) -> Result<Self> {
        Self::builder().spawn(set_up)
    }

    /// Options for a worker that is not the plain one.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder {
            name: "lua".to_owned(),
            capacity: CAPACITY,
            stack_size: None,
            make: || Ok(Lua::new()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// Calls the function at a path from the globals: `tick`, `game.tick`.
    /// Arguments and results cross to the other thread and back as Rust values.
    pub fn call<R>(
        &self,
        path: impl Into<String>,
        arguments: impl IntoLuaMulti + Send + 'static,
    ) -> Call<R>
    where
        R: FromLuaMulti + Send + 'static,
    {
        let path = path.into();
        self.exec(move |lua| function_at(lua, &path)?.call(arguments))
    }

    /// As [`call`](Self::call), for functions that wait: they run in a coroutine, and
    /// the worker does other work while they do.
    pub fn call_async<R>(
        &self,
        path: impl Into<String>,
        arguments: impl IntoLuaMulti + Send + 'static,
    ) -> Call<R>
    where
        R: FromLuaMulti + Send + 'static,
    {
        let path = path.into();
        self.exec_async(move |lua| async move {
            let function = function_at(&lua, &path)?;
            function.call_async(arguments).await
        })
    }

    /// Does something with the VM on its thread. A panic in it is an error of the
    /// call; the worker goes on.
    pub fn exec<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Lua) -> Result<R> + Send + 'static,
    ) -> Call<R> {
        Call::new(&self.0.shared, |reply, stage| {
            Box::new(move |lua, _| {
                if stage.begin() {
                    reply.put(caught(|| work(lua)));
                }
            })
        })
    }

    /// Drives a future on the VM's thread, together with the others that were begun.
    /// A panic in it is an error of the call. Dropping the call drops the future
    /// where it waits.
    ///
    /// The future may use [`sleep`] and whatever needs no reactor of another
    /// executor.
    pub fn exec_async<R, F>(&self, work: impl FnOnce(Lua) -> F + Send + 'static) -> Call<R>
    where
        R: Send + 'static,
        F: Future<Output = Result<R>> + 'static,
    {
        Call::new(&self.0.shared, |reply, stage| {
            Box::new(move |lua, tasks| {
                if !stage.begin() {
                    return;
                }
                match caught(|| Ok(work(lua.clone()))) {
                    Err(error) => reply.put(Err(error)),
                    Ok(future) => {
                        let watched = call::Watched::new(future, reply, Arc::clone(&stage));
                        stage.set_task(tasks.begin(watched));
                    }
                }
            })
        })
    }

    /// Submits a patch, which is planned off the VM's thread and committed at its next
    /// safe point; a worker that sleeps is woken. The ticket is a future.
    pub fn patch(&self, patch: &Patch) -> Ticket {
        self.patch_with(patch, Policy::default())
    }

    /// [`patch`](Self::patch) under a policy.
    pub fn patch_with(&self, patch: &Patch, policy: Policy) -> Ticket {
        self.0.patcher.submit(patch.clone(), policy)
    }

    /// Plans, rolls back, lists versions and frames from any thread.
    pub fn patcher(&self) -> &Patcher {
        &self.0.patcher
    }

    /// Ends what the worker is doing with an error that Lua code cannot catch. If it is
    /// idle, what it does next ends so.
    pub fn interrupt(&self) {
        self.0.interrupter.interrupt();
    }

    /// What it did so far. Does not wait for the worker.
    pub fn stats(&self) -> WorkerStats {
        let shared = &self.0.shared;
        WorkerStats {
            name: shared.name.clone(),
            queued: shared.queue.len(),
            begun: shared.begun.load(Ordering::Relaxed),
            is_busy: shared.is_busy.load(Ordering::Acquire),
            busy: Duration::from_nanos(shared.busy_nanos.load(Ordering::Relaxed)),
            memory: shared.memory.load(Ordering::Relaxed),
            generation: self.0.patcher.generation(),
            has_ended: shared.ended.get(),
        }
    }

    /// Takes no more calls, does what was sent before, drives begun futures to their
    /// end, closes the VM and ends the thread. Other clones' calls fail from now on. A
    /// future that never ends keeps it: drop its call.
    pub fn shutdown(&self) -> Shutdown {
        self.0.shared.queue.close();
        Shutdown {
            shared: Arc::clone(&self.0.shared),
            listener: None,
        }
    }
}

/// The function at a path from the globals.
fn function_at(lua: &Lua, path: &str) -> Result<Function> {
    let mut at = Value::Table(lua.globals());
    for name in path.split('.') {
        at = match at {
            Value::Table(table) => Table::get(&table, name)?,
            _ => Value::Nil,
        };
    }
    match at {
        Value::Function(function) => Ok(function),
        other => Err(Error::runtime(format_args!(
            "no function at '{path}' (a {} value)",
            other.type_name()
        ))),
    }
}

/// Waits until a worker has ended: a future, or [`wait`](Self::wait).
#[derive(Debug)]
#[must_use = "the worker ends by itself, but who does not wait does not know when"]
pub struct Shutdown {
    shared: Arc<Shared>,
    listener: Option<EventListener>,
}

impl Shutdown {
    /// Listens, if there is something to wait for.
    fn listen(&mut self) -> bool {
        if self.shared.ended.get() {
            return false;
        }
        let listener = self.shared.ended.waiting.listen();
        self.listener = Some(listener);
        // It may have ended before this listened.
        !self.shared.ended.get()
    }

    /// Waits until the thread has ended.
    ///
    /// # Errors
    /// On the worker's own thread, which would wait for itself.
    pub fn wait(mut self) -> Result<()> {
        if self.shared.is_own_thread() {
            return Err(Error::runtime(
                "a worker cannot wait for its own end; drop the shutdown",
            ));
        }
        if self.listen()
            && let Some(listener) = self.listener.take()
        {
            listener.wait();
        }
        Ok(())
    }
}

impl Future for Shutdown {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.listener.is_none() && !self.listen() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.listener {
            Some(listener) => Pin::new(listener).poll(cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}
