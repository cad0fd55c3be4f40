//! What a swap costs, against the heap, the live closures of the function and
//! the number of changed functions. `prepare` (planning and loading) and
//! `commit` (the pause) are taken from the report, `apply` is the whole call.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use moonswap_benches::{World, apply, patch, world};
use moonswap_vm::Machine;
use moonswap_vm::planning::{Patch, Report};

/// Alternates between two versions; sums what `part` says of each swap.
fn swaps(machine: &Machine, patches: &[Patch; 2], n: u64, part: fn(&Report, Duration) -> Duration) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..n {
        for patch in patches {
            let start = Instant::now();
            let report = apply(machine, patch);
            let whole = start.elapsed();
            sum += part(&report, whole);
        }
        // Replaced versions are garbage; their collection is not the swap.
        machine.poll();
    }
    sum / 2
}

fn measure(c: &mut Criterion, group: &str, label: &str, size: World) {
    let machine = world(size);
    let patches = [patch(size.functions, 2), patch(size.functions, 3)];
    let parts: [(&str, fn(&Report, Duration) -> Duration); 3] = [
        ("commit", |report, _| report.times.pause),
        ("prepare", |report, _| report.times.prepare),
        ("apply", |_, whole| whole),
    ];
    for (name, part) in parts {
        let mut group = c.benchmark_group(format!("{group}/{name}"));
        group.sampling_mode(SamplingMode::Flat).sample_size(20).warm_up_time(Duration::from_millis(50));
        // Counted in the measured part: the commit is a small one of the whole.
        group.measurement_time(Duration::from_millis(if name == "commit" { 4 } else { 200 }));
        group.bench_function(BenchmarkId::from_parameter(label), |b| {
            b.iter_custom(|n| swaps(&machine, &patches, n, part));
        });
        group.finish();
    }
}

fn heap(c: &mut Criterion) {
    for (label, tables) in [("10^3", 1_000), ("10^6", 1_000_000)] {
        measure(c, "tables", label, World { tables, closures: 1, functions: 1 });
    }
}

fn closures(c: &mut Criterion) {
    for (label, closures) in [("10^3", 1_000), ("10^6", 1_000_000)] {
        measure(c, "closures", label, World { tables: 1, closures, functions: 1 });
    }
}

fn functions(c: &mut Criterion) {
    for functions in [1, 10, 100] {
        measure(c, "functions", &functions.to_string(), World { tables: 1_000, closures: 1, functions });
    }
}

fn rollback(c: &mut Criterion) {
    let machine = world(World { tables: 1_000, closures: 1_000, functions: 10 });
    let patch = patch(10, 2);
    let mut group = c.benchmark_group("rollback");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group.warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(100));
    group.bench_function("10", |b| {
        b.iter_custom(|n| {
            let mut sum = Duration::ZERO;
            for _ in 0..n {
                apply(&machine, &patch);
                let start = Instant::now();
                let report = machine.with(|cx| cx.hot_rollback(None));
                sum += start.elapsed();
                assert!(black_box(report).is_ok());
                machine.poll();
            }
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, heap, closures, functions, rollback);
criterion_main!(benches);
