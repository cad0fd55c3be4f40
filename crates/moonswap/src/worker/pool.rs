//! `WorkerPool`: several workers, and who gets which call.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Shutdown, Worker, WorkerBuilder, WorkerStats};
use crate::{Lua, Pool, Result};

/// Several workers of one kind. What has the same key is done by the same worker: a room
/// of a game, an account, a session. Calls are done one after the other; those of
/// `call_async` and `exec_async` side by side.
///
/// ```
/// use moonswap::worker::WorkerPool;
///
/// let pool = WorkerPool::spawn(2, |lua, i| {
///     lua.globals().set("shard", i)?;
///     lua.load("function who() return shard end").set_name("@shard.lua").exec()
/// })?;
/// let first: usize = pool.of(&"room 1").call("who", ()).wait()?;
/// assert_eq!(pool.of(&"room 1").call::<usize>("who", ()).wait()?, first);
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WorkerPool {
    workers: Vec<Worker>,
}

impl WorkerPool {
    /// Starts `n` workers (at least one); `set_up` gets each VM and its index.
    ///
    /// # Errors
    /// As [`WorkerBuilder::spawn`], of the first worker that cannot be made.
    pub fn spawn(
        n: usize,
        set_up: impl Fn(&Lua, usize) -> Result<()> + Clone + Send + 'static,
    ) -> Result<Self> {
        Self::spawn_with(n, |i| Worker::builder().name(format!("lua {i}")), set_up)
    }

    /// [`spawn`](Self::spawn) with options for each worker.
    ///
    /// # Errors
    /// As there.
    pub fn spawn_with(
        n: usize,
        mut builder: impl FnMut(usize) -> WorkerBuilder,
        set_up: impl Fn(&Lua, usize) -> Result<()> + Clone + Send + 'static,
    ) -> Result<Self> {
        let worker = |i| {
            let set_up = set_up.clone();
            builder(i).spawn(move |lua| set_up(lua, i))
        };
        let workers: Result<Vec<_>> = (0..n.max(1)).map(worker).collect();
        Ok(Self { workers: workers? })
    }

    /// The worker for a key: always the same one, in all processes of one program that
    /// have as many workers.
    pub fn of(&self, key: &(impl Hash + ?Sized)) -> &Worker {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.workers[(hasher.finish() % self.workers.len() as u64) as usize]
    }

    /// The worker with the fewest calls in its queue, for work that can go anywhere.
    pub fn idlest(&self) -> &Worker {
        let load = |worker: &&Worker| {
            let stats = worker.stats();
            stats.queued + usize::from(stats.is_busy)
        };
        self.workers
            .iter()
            .min_by_key(load)
            .unwrap_or(&self.workers[0])
    }

    /// All of them, in order.
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// The VMs as a [`Pool`]: one patch for all of them, with canaries.
    pub fn patches(&self) -> Pool {
        let mut pool = Pool::new();
        for worker in &self.workers {
            pool.add(worker.name(), worker.patcher().clone());
        }
        pool
    }

    /// What each of them did so far.
    pub fn stats(&self) -> Vec<WorkerStats> {
        self.workers.iter().map(Worker::stats).collect()
    }

    /// Has all of them end; each is a future and can be waited for.
    pub fn shutdown(&self) -> Vec<Shutdown> {
        self.workers.iter().map(Worker::shutdown).collect()
    }
}
