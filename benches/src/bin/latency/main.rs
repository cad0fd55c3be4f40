//! Latency of patches, against everything it must not depend on and the one
//! thing it may: heap, live closures, suspended coroutines, functions that stay;
//! changed functions.
//!
//! `latency [--quick] [--gate] [SAMPLES]` prints one table in microseconds,
//! p50/p99/max. Compiled patches are submitted from another thread to a VM that
//! is in a busy loop of Lua calls: *prepare* is planning and loading, *load* the
//! part of it that the VM's thread does, *wait* the time until the safe point,
//! *pause* from the first store until Lua may go on, *effective* from the
//! submission to the first call of the new code. Below: rollbacks, and what a
//! loop of requests feels of patches. Slopes are regressions through lower
//! deciles, which other programs on the machine move least.
//!
//! Times of the table are times that pass: on a busy machine the tails are the
//! scheduler's. Requests are measured by the CPU time of the VM's thread as well,
//! which is what patches take from them whatever else runs. Bars are therefore
//! compared with the best of five parts of the samples, *effective* with those of all
//! rows of the smallest world, which are spread over the run: a machine may be slow for
//! seconds. With `--gate` a bar that is exceeded makes the exit code 1, as a slope does
//! unless `--quick` leaves too few samples.

#![forbid(unsafe_code)]

mod requests;
mod submit;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use moonswap_benches::{Fit, SMALL, Summary, World, apply, micros, patch, world};

use submit::Row;

/// Parts of the samples of one world.
const PARTS: usize = 5;
/// Between two patches: the loop is warm again.
const REST: Duration = Duration::from_micros(300);
/// Growth below this over the whole range is none for anybody.
const NEGLIGIBLE_US: f64 = 1.0;
/// The same where caches are cold: a commit then takes 7 µs, two more or less.
const NEGLIGIBLE_COLD_US: f64 = 4.0;

/// What the command line asks for.
struct Options {
    is_quick: bool,
    has_gate: bool,
    samples: usize,
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options {
            is_quick: false,
            has_gate: false,
            samples: 0,
        };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--quick" => options.is_quick = true,
                "--gate" => options.has_gate = true,
                n => {
                    let usage = || format!("latency: {n}? [--quick] [--gate] [SAMPLES]");
                    options.samples = n.parse().map_err(|_| usage())?;
                }
            }
        }
        if options.samples == 0 {
            options.samples = if options.is_quick { 20 } else { 300 };
        }
        Ok(options)
    }
}

fn cell(s: &Summary) -> String {
    format!("{}/{}/{}", micros(s.p50), micros(s.p99), micros(s.max))
}

/// The smallest p99 of the parts.
fn best_p99(samples: &[Duration]) -> Duration {
    let parts = samples.chunks(samples.len().div_ceil(PARTS).max(1));
    let p99 = parts.map(|part| Summary::of(part.to_vec()).p99);
    p99.min().unwrap_or_default()
}

fn print_row(size: World, row: &Row) {
    println!(
        "{:>9}{:>9}{:>10}{:>10}{:>10} {:>22} {:>18} {:>18} {:>16} {:>22}",
        size.tables,
        size.closures,
        size.coroutines,
        size.unchanged,
        size.functions,
        cell(&Summary::of(row.prepare.clone())),
        cell(&Summary::of(row.load.clone())),
        cell(&Summary::of(row.wait.clone())),
        cell(&Summary::of(row.pause.clone())),
        cell(&Summary::of(row.effective.clone())),
    );
}

/// Bars that were exceeded.
#[derive(Default)]
struct Verdict {
    has_slope: bool,
    exceeded: Vec<String>,
}

impl Verdict {
    fn bar(&mut self, what: &str, is: f64, bar: f64, unit: &str) {
        let met = is <= bar;
        let word = if met { "met" } else { "EXCEEDED" };
        println!("  {what}: {is:.2} {unit}, bar {bar}: {word}");
        if !met {
            self.exceeded.push(what.to_owned());
        }
    }

    /// Regression of the parts' lower deciles against one size.
    fn slope(
        &mut self,
        what: &str,
        points: &[(f64, f64)],
        (unit, per): (f64, &str),
        negligible: f64,
    ) {
        let Some(fit) = Fit::of(points) else { return };
        let flat = fit.is_flat() || fit.total < negligible;
        println!(
            "  pause against {what}: {:+.3} ± {:.3} µs {per}, {:+.2} µs over the range: {}",
            fit.slope * unit,
            fit.error * unit,
            fit.total,
            if flat { "no slope" } else { "SLOPE" }
        );
        self.has_slope |= !flat;
    }
}

/// The lower decile of each part.
fn points_of(x: f64, samples: &[Duration]) -> impl Iterator<Item = (f64, f64)> {
    let parts = samples.chunks(samples.len().div_ceil(PARTS).max(1));
    parts.map(move |part| {
        let mut part = part.to_vec();
        part.sort_unstable();
        (x, part[part.len() / 10].as_secs_f64() * 1e6)
    })
}

/// Which number of a world varies, and by which sizes.
struct Axis {
    name: &'static str,
    sizes: &'static [usize],
    quick: &'static [usize],
    world: fn(usize) -> World,
    /// Between two patches.
    rest: Duration,
    /// For printing the slope; `None`: it may have one.
    unit: Option<(f64, &'static str)>,
}

const AXES: [Axis; 5] = [
    Axis {
        name: "heap",
        sizes: &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
        quick: &[1_000, 100_000],
        world: |tables| World { tables, ..SMALL },
        rest: REST,
        unit: Some((1e6, "per 10^6 tables")),
    },
    Axis {
        name: "closures",
        sizes: &[1, 1_000, 100_000, 1_000_000],
        quick: &[1, 10_000],
        world: |closures| World { closures, ..SMALL },
        rest: REST,
        unit: Some((1e6, "per 10^6 closures")),
    },
    Axis {
        name: "coroutines",
        sizes: &[0, 1_000, 100_000],
        quick: &[0, 1_000],
        world: |coroutines| World {
            coroutines,
            ..SMALL
        },
        rest: REST,
        unit: Some((1e5, "per 10^5 coroutines")),
    },
    Axis {
        name: "unchanged functions",
        sizes: &[0, 100, 1_000, 10_000],
        quick: &[0, 1_000],
        world: |unchanged| World { unchanged, ..SMALL },
        // Planning takes up to a tenth of a second: so that caches are equally cold.
        rest: Duration::from_millis(100),
        unit: Some((1e4, "per 10^4 functions")),
    },
    Axis {
        name: "functions",
        sizes: &[1, 10, 100, 1_000, 10_000],
        quick: &[1, 10, 100],
        world: |functions| World { functions, ..SMALL },
        rest: REST,
        unit: None,
    },
];

fn table(options: &Options, verdict: &mut Verdict) -> Result<(), String> {
    println!(
        "µs p50/p99/max of {} patches submitted from another thread, Lua busy\n",
        options.samples
    );
    println!(
        "{:>9}{:>9}{:>10}{:>10}{:>10} {:>22} {:>18} {:>18} {:>16} {:>22}",
        "tables",
        "closures",
        "suspended",
        "unchanged",
        "functions",
        "prepare",
        "load",
        "wait",
        "pause",
        "effective"
    );
    // The first world of a process is the slowest: it is not shown.
    submit::measure(SMALL, options.samples, REST)?;
    let mut effective = Vec::new();
    for axis in &AXES {
        let mut points = Vec::new();
        let mut bars = Vec::new();
        let sizes = if options.is_quick {
            axis.quick
        } else {
            axis.sizes
        };
        for &n in sizes {
            let size = (axis.world)(n);
            // Planning ten thousand functions takes a tenth of a second.
            let samples = match size.functions {
                _ if axis.rest > REST => options.samples.min(60),
                0..1_000 => options.samples,
                1_000..10_000 => options.samples.min(50),
                _ => options.samples.min(15),
            };
            let row =
                submit::measure(size, samples, axis.rest).map_err(|e| format!("{size:?}: {e}"))?;
            print_row(size, &row);
            points.extend(points_of(n as f64, &row.pause));
            bars.push((n, best_p99(&row.pause)));
            if size == SMALL && axis.rest == REST {
                effective.push(best_p99(&row.effective));
            }
        }
        if let Some(unit) = axis.unit {
            let is_cold = axis.rest > REST;
            let negligible = if is_cold {
                NEGLIGIBLE_COLD_US
            } else {
                NEGLIGIBLE_US
            };
            verdict.slope(axis.name, &points, unit, negligible);
        } else if let Some((n, pause)) = bars.iter().rfind(|(n, _)| *n <= 100) {
            let what = format!("pause p99 of {n} functions");
            verdict.bar(&what, pause.as_secs_f64() * 1e6, 10.0, "µs");
        }
    }
    let all: Vec<String> = effective.iter().map(|&p99| micros(p99)).collect();
    println!(
        "  effective p99 of one function, by rows: {} µs",
        all.join(", ")
    );
    let best = effective.iter().min().copied().unwrap_or_default();
    let what = "effective p99 of one function";
    verdict.bar(what, best.as_secs_f64() * 1e6, 50.0, "µs");
    Ok(())
}

/// Rollbacks on the VM's thread: the whole call.
fn rollbacks(options: &Options) {
    println!("\nrollback, whole call on the VM's thread, µs p50/p99/max\n");
    let sizes: &[World] = if options.is_quick {
        &[SMALL]
    } else {
        &[
            SMALL,
            World {
                tables: 1_000_000,
                closures: 100_000,
                ..SMALL
            },
            World {
                functions: 100,
                ..SMALL
            },
            World {
                unchanged: 10_000,
                ..SMALL
            },
            World {
                functions: 10_000,
                ..SMALL
            },
        ]
    };
    for &size in sizes {
        let machine = world(size);
        let patch = patch(size, 2);
        let n = if size.functions > 1_000 { 10 } else { 100 };
        let samples = (0..n.min(options.samples)).map(|_| {
            apply(&machine, &patch);
            let start = Instant::now();
            let report = machine.with(|cx| cx.hot_rollback(None));
            let took = start.elapsed();
            assert!(report.is_ok(), "the rollback failed");
            machine.poll();
            took
        });
        let samples = Summary::of(samples.collect());
        println!(
            "{:>9}{:>9}{:>10}{:>10}{:>10}  {}",
            size.tables,
            size.closures,
            size.coroutines,
            size.unchanged,
            size.functions,
            cell(&samples)
        );
    }
}

fn run() -> Result<ExitCode, String> {
    let options = Options::read()?;
    let mut verdict = Verdict::default();
    table(&options, &mut verdict)?;
    rollbacks(&options);
    requests::throughput(options.is_quick)?;
    let ratio = requests::latency(options.is_quick)?;
    verdict.bar(
        "request p99 with 10 patches a second, against none",
        ratio,
        1.05,
        "times",
    );
    let failed =
        verdict.has_slope && !options.is_quick || options.has_gate && !verdict.exceeded.is_empty();
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn main() -> ExitCode {
    run().unwrap_or_else(|e| {
        eprintln!("{e}");
        ExitCode::FAILURE
    })
}
