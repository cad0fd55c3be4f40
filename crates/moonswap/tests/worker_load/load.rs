//! Tasks of tokio that call a pool of workers while patches arrive, and what came of
//! it. The benchmark `workers` runs the same with other figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moonswap::worker::WorkerPool;
use moonswap::{Error, HotError, Patch, Result};

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) vms: usize,
    pub(crate) tasks: usize,
    pub(crate) calls_per_task: usize,
    /// How long a task rests between two calls.
    pub(crate) rest: Duration,
    /// How long after a patch of all VMs the next one begins; none without patches.
    pub(crate) patch_every: Option<Duration>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Time from sending a call to having its answer, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Rounds of patches, each of all VMs.
    pub(crate) patches: usize,
    /// Patches of single VMs that did not commit.
    pub(crate) failed: Vec<HotError>,
    /// What the VMs counted, together.
    pub(crate) counted: usize,
    /// The version of the code that each VM runs at the end.
    pub(crate) versions: Vec<usize>,
    /// Calls that were answered by older code than an earlier call of the same VM.
    pub(crate) stepped_back: usize,
    pub(crate) time: Duration,
}

impl Outcome {
    /// The latency that so many of a thousand calls do not exceed.
    pub(crate) fn quantile(&self, per_mille: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (self.latencies.len() * per_mille / 1000).min(last);
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// The program in version `n`.
fn text(n: usize) -> String {
    format!("count = 0\nfunction add(n) count = count + n return count, {n} end\n")
}

/// Runs it, under tokio.
pub(crate) async fn run(load: Load) -> Result<Outcome> {
    let pool = WorkerPool::spawn(load.vms, |lua, _| {
        lua.load(text(1)).set_name("@load.lua").exec()
    })?;
    let start = Instant::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let patcher = load
        .patch_every
        .map(|pause| tokio::spawn(patch_until(pool.clone(), pause, Arc::clone(&is_over))));
    let tasks: Vec<_> = (0..load.tasks)
        .map(|task| tokio::spawn(call_often(pool.clone(), task, load)))
        .collect();
    let mut latencies = Vec::new();
    let mut stepped_back = 0;
    for task in tasks {
        let (times, back) = task.await.map_err(Error::external)??;
        latencies.extend(times);
        stepped_back += back;
    }
    is_over.store(true, Ordering::Relaxed);
    let (patches, failed) = match patcher {
        Some(patcher) => patcher.await.map_err(Error::external)?,
        None => (0, Vec::new()),
    };
    let time = start.elapsed();
    latencies.sort();
    let mut counted = 0;
    let mut versions = Vec::new();
    for worker in pool.workers() {
        let (count, version): (usize, usize) = worker.call("add", 0).await?;
        counted += count;
        versions.push(version);
    }
    for end in pool.shutdown() {
        end.await?;
    }
    Ok(Outcome {
        latencies,
        patches,
        failed,
        counted,
        versions,
        stepped_back,
        time,
    })
}

/// What one task does: its latencies, and how often it met older code than before.
async fn call_often(pool: WorkerPool, task: usize, load: Load) -> Result<(Vec<Duration>, usize)> {
    let worker = pool.of(&task);
    let mut times = Vec::with_capacity(load.calls_per_task);
    let (mut last, mut stepped_back) = (0, 0);
    // Not all at once.
    tokio::time::sleep(load.rest * task as u32 / load.tasks as u32).await;
    for _ in 0..load.calls_per_task {
        let sent = Instant::now();
        let (_, version): (usize, usize) = worker.call("add", 1).await?;
        times.push(sent.elapsed());
        stepped_back += usize::from(version < last);
        last = version;
        tokio::time::sleep(load.rest).await;
    }
    Ok((times, stepped_back))
}

/// Patches all VMs again and again: how often, and what failed.
async fn patch_until(
    pool: WorkerPool,
    pause: Duration,
    is_over: Arc<AtomicBool>,
) -> (usize, Vec<HotError>) {
    let mut rounds = 0;
    let mut failed = Vec::new();
    let mut clock = tokio::time::interval(pause);
    while !is_over.load(Ordering::Relaxed) {
        clock.tick().await;
        let text = text(rounds + 2);
        let patch = Patch::compile("@load.lua", text.as_bytes()).expect("it is Lua");
        let tickets: Vec<_> = pool.workers().iter().map(|w| w.patch(&patch)).collect();
        for ticket in tickets {
            failed.extend(ticket.await.err());
        }
        rounds += 1;
    }
    (rounds, failed)
}
