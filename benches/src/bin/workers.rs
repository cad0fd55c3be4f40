//! Latency of calls from tasks of tokio to a pool of workers, with and without patches
//! that arrive meanwhile.
//!
//! `cargo run --release -p moonswap-benches --features workers --bin workers`

#[path = "../../../crates/moonswap/tests/worker_load/load.rs"]
mod load;

use std::time::Duration;

use load::{Load, run};

const LOAD: Load = Load {
    vms: 8,
    tasks: 1000,
    calls_per_task: 100,
    rest: Duration::from_millis(100),
    patch_every: None,
};

fn main() -> moonswap::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    println!(
        "{} tasks, {} VMs, {} calls each",
        LOAD.tasks, LOAD.vms, LOAD.calls_per_task
    );
    println!("| patches | patches/s | calls/s | p50 | p99 | p99.9 | longest |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    // Each twice: what comes first pays for what is new to the process.
    for patch_every in [None, Some(Duration::from_millis(10))].repeat(2) {
        let outcome = runtime.block_on(run(Load {
            patch_every,
            ..LOAD
        }))?;
        let is_whole = outcome.counted == LOAD.tasks * LOAD.calls_per_task
            && outcome.failed.is_empty()
            && outcome.stepped_back == 0
            && outcome.versions.iter().all(|v| *v == outcome.patches + 1);
        if !is_whole {
            return Err(moonswap::Error::runtime(format_args!(
                "something was lost: {outcome:?}"
            )));
        }
        let seconds = outcome.time.as_secs_f64();
        let micros = |per_mille| outcome.quantile(per_mille).as_micros();
        println!(
            "| {} | {:.0} | {:.0} | {} µs | {} µs | {} µs | {} µs |",
            outcome.patches,
            outcome.patches as f64 / seconds,
            outcome.counted as f64 / seconds,
            micros(500),
            micros(990),
            micros(999),
            micros(1000),
        );
    }
    Ok(())
}
