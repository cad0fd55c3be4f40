//! What a swap costs, against the heap, the live closures of the function, the
//! coroutines suspended in it and the number of changed functions: `commit` and
//! `load` are what the report says of the VM's thread, `plan` only plans, `apply`
//! is the whole call. The latter two are CPU times of the thread, for they are
//! long enough to be interrupted by other programs.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use moonswap_benches::{SMALL, World, apply, cpu_time, patch, world};
use moonswap_vm::Machine;
use moonswap_vm::planning::{Patch, Policy};

/// Does its part with one patch; answers how long that took.
type Part = fn(&Machine, &Patch) -> Duration;

fn commit(machine: &Machine, patch: &Patch) -> Duration {
    apply(machine, patch).times.pause
}

fn load(machine: &Machine, patch: &Patch) -> Duration {
    apply(machine, patch).times.load
}

fn plan(machine: &Machine, patch: &Patch) -> Duration {
    let start = cpu_time();
    let planned = machine.with(|cx| cx.hot_plan(patch, &Policy::default()));
    let took = cpu_time() - start;
    assert!(black_box(planned).is_ok());
    took
}

fn whole(machine: &Machine, patch: &Patch) -> Duration {
    let start = cpu_time();
    black_box(apply(machine, patch));
    cpu_time() - start
}

/// Alternates between two versions.
fn swaps(machine: &Machine, patches: &[Patch; 2], n: u64, part: Part) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..n {
        for patch in patches {
            sum += part(machine, patch);
        }
        // Replaced versions are garbage; their collection is not the swap.
        machine.poll();
    }
    sum / 2
}

fn measure(c: &mut Criterion, group: &str, label: &str, size: World) {
    let machine = world(size);
    let patches = [patch(size, 2), patch(size, 3)];
    let parts: [(&str, Part); 4] = [
        ("commit", commit),
        ("load", load),
        ("plan", plan),
        ("apply", whole),
    ];
    for (name, part) in parts {
        let mut group = c.benchmark_group(format!("{group}/{name}"));
        group
            .sampling_mode(SamplingMode::Flat)
            .sample_size(15)
            .warm_up_time(Duration::from_millis(50));
        // Only the measured part counts, and the commit is a small one.
        let millis = match (name, size.functions) {
            ("commit" | "load", _) => 5,
            (_, 100) => 600,
            _ => 250,
        };
        group.measurement_time(Duration::from_millis(millis));
        group.bench_function(BenchmarkId::from_parameter(label), |b| {
            b.iter_custom(|n| swaps(&machine, &patches, n, part));
        });
        group.finish();
    }
}

fn heap(c: &mut Criterion) {
    for (label, tables) in [("10^3", 1_000), ("10^6", 1_000_000)] {
        measure(c, "tables", label, World { tables, ..SMALL });
    }
}

fn closures(c: &mut Criterion) {
    for (label, closures) in [("10^3", 1_000), ("10^6", 1_000_000)] {
        measure(c, "closures", label, World { closures, ..SMALL });
    }
}

fn functions(c: &mut Criterion) {
    for functions in [1, 10, 100] {
        measure(
            c,
            "functions",
            &functions.to_string(),
            World { functions, ..SMALL },
        );
    }
}

fn coroutines(c: &mut Criterion) {
    for (label, coroutines) in [("0", 0), ("10^4", 10_000)] {
        measure(
            c,
            "coroutines",
            label,
            World {
                coroutines,
                ..SMALL
            },
        );
    }
}

fn rollback(c: &mut Criterion) {
    let size = World {
        closures: 1_000,
        functions: 10,
        ..SMALL
    };
    let machine = world(size);
    let patch = patch(size, 2);
    let mut group = c.benchmark_group("rollback");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(100));
    group.bench_function("10_functions", |b| {
        b.iter_custom(|n| {
            let mut sum = Duration::ZERO;
            for _ in 0..n {
                apply(&machine, &patch);
                let start = cpu_time();
                let report = machine.with(|cx| cx.hot_rollback(None));
                sum += cpu_time() - start;
                assert!(black_box(report).is_ok());
                machine.poll();
            }
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, heap, closures, functions, coroutines, rollback);
criterion_main!(benches);
