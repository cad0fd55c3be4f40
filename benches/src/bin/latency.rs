//! Latency of patches submitted from another thread to a VM that is in a busy
//! loop of Lua calls, against heap, live closures and changed functions.
//!
//! `latency [SAMPLES]` (200) prints a table in microseconds, p50/p99/max:
//! *prepare* is planning (the patch is compiled before), *wait* the time until
//! the safe point, *pause* the commit, *effective* from the submission to the
//! first call of the new code. Exit code 1 when the pause grows with heap or closures.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use moonswap_benches::{CHUNK, Summary, World, micros, module, run, world};
use moonswap_vm::Patcher;
use moonswap_vm::planning::{Patch, Policy};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The four distributions of one world.
struct Row {
    prepare: Summary,
    wait: Summary,
    pause: Summary,
    effective: Summary,
}

/// Swaps `samples` times; `seen` tells when a version answered first.
fn submit(
    patcher: &Patcher,
    functions: usize,
    samples: usize,
    seen: &Receiver<(i64, Instant)>,
) -> Result<Row, String> {
    let [mut prepare, mut wait, mut pause, mut effective] = [const { Vec::new() }; 4];
    for i in 0..samples {
        let version = i + 2;
        let text = module(functions, version);
        let patch = Patch::compile(CHUNK, text.as_bytes()).map_err(|e| format!("{e:?}"))?;
        let start = Instant::now();
        let report = patcher
            .submit(patch, Policy::default())
            .wait(Some(TIMEOUT))
            .map_err(|e| e.to_string())?;
        let served = loop {
            match seen.recv_timeout(TIMEOUT) {
                Ok((v, at)) if v == version as i64 => break at,
                Ok(_) => {}
                Err(e) => return Err(e.to_string()),
            }
        };
        prepare.push(report.times.prepare);
        wait.push(report.times.wait);
        pause.push(report.times.pause);
        effective.push(served - start);
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(Row {
        prepare: Summary::of(prepare),
        wait: Summary::of(wait),
        pause: Summary::of(pause),
        effective: Summary::of(effective),
    })
}

fn measure(size: World, samples: usize) -> Result<Row, String> {
    let machine = world(size);
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, seen) = channel();
    machine.with(|cx| {
        let stopped = Arc::clone(&stop);
        cx.push_globals();
        cx.push_boxed(
            "stopped",
            Box::new(move |cx| {
                cx.push_bool(stopped.load(Ordering::Relaxed));
                Ok(1)
            }),
        );
        let _ = cx.raw_set_field(0, "stopped");
        cx.push_boxed(
            "changed",
            Box::new(move |cx| {
                let now = Instant::now();
                let _ = tell.send((cx.check_int(0)?, now));
                Ok(0)
            }),
        );
        let _ = cx.raw_set_field(0, "changed");
    });
    let patcher = machine.patcher();
    let submitter = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let row = submit(&patcher, size.functions, samples, &seen);
            stop.store(true, Ordering::Relaxed);
            row
        })
    };
    let busy = "local f, last, stopped, changed = CLOSURES[1], 1, stopped, changed
        while not stopped() do
          for _ = 1, 1000 do
            local v = f(1)
            if v ~= last then last = v changed(v) end
          end
        end";
    run(&machine, "=busy", busy, false);
    submitter
        .join()
        .unwrap_or_else(|_| Err("the submitting thread panicked".to_owned()))
}

fn cell(s: &Summary) -> String {
    format!("{}/{}/{}", micros(s.p50), micros(s.p99), micros(s.max))
}

/// Whether the medians of the pause differ by no more than the runs scatter.
fn is_flat(pauses: &[Summary]) -> bool {
    let low = pauses.iter().map(|s| s.p50).min().unwrap_or_default();
    let high = pauses.iter().map(|s| s.p50).max().unwrap_or_default();
    let scatter = pauses
        .iter()
        .map(|s| s.p75 - s.p25)
        .max()
        .unwrap_or_default();
    high - low <= scatter.max(Duration::from_micros(2))
}

fn main() -> ExitCode {
    let samples = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(200)
        .max(1);
    let base = World {
        tables: 1_000,
        closures: 1,
        functions: 1,
    };
    let by_tables = [1_000, 10_000, 100_000, 1_000_000].map(|tables| World { tables, ..base });
    let by_closures = [1, 1_000, 100_000, 1_000_000].map(|closures| World { closures, ..base });
    let by_functions = [1, 10, 100].map(|functions| World { functions, ..base });
    println!("microseconds p50/p99/max of {samples} patches from another thread, Lua busy\n");
    println!(
        "{:>9}{:>10}{:>10}  {:>22}{:>22}{:>18}{:>24}",
        "tables", "closures", "functions", "prepare", "wait", "pause", "effective"
    );
    let mut code = ExitCode::SUCCESS;
    for (what, worlds) in [
        ("heap", &by_tables[..]),
        ("closures", &by_closures),
        ("functions", &by_functions),
    ] {
        let mut pauses = Vec::new();
        for &size in worlds {
            match measure(size, samples) {
                Ok(row) => {
                    println!(
                        "{:>9}{:>10}{:>10}  {:>22}{:>22}{:>18}{:>24}",
                        size.tables,
                        size.closures,
                        size.functions,
                        cell(&row.prepare),
                        cell(&row.wait),
                        cell(&row.pause),
                        cell(&row.effective)
                    );
                    pauses.push(row.pause);
                }
                Err(e) => {
                    eprintln!("{size:?}: {e}");
                    return ExitCode::FAILURE;
                }
            }
        }
        if what == "functions" {
            let worst = pauses.iter().map(|s| s.p99).max().unwrap_or_default();
            println!(
                "  pause p99 for up to 100 functions: {} µs (target < 10)",
                micros(worst)
            );
        } else if is_flat(&pauses) {
            println!("  pause against {what}: no slope beyond the noise");
        } else {
            println!("  pause against {what}: SLOPE beyond the noise");
            code = ExitCode::FAILURE;
        }
    }
    code
}
