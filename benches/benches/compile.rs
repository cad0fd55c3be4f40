//! Speed of the compiler: bytes of source per second, text to prototypes.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use moonswap_benches::{CHUNK, SMALL, World, module};
use moonswap_compiler::compile;
use moonswap_vm::planning::Patch;

/// A module with so many functions.
fn of(functions: usize) -> World {
    World { functions, ..SMALL }
}

/// A real program and generated ones with many functions.
fn sources() -> Vec<(&'static str, String)> {
    vec![
        (
            "richards",
            include_str!("../scripts/richards.lua").to_owned(),
        ),
        ("100_functions", module(of(100), 1)),
        ("5000_functions", module(of(5_000), 1)),
        (
            "data",
            format!(
                "return {{\n{}}}\n",
                "  { name = 'sword', price = 12.5, tags = { 'a', 'b' }, [7] = 0x1F },\n"
                    .repeat(5_000)
            ),
        ),
    ]
}

fn compiler(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(800));
    for (name, source) in sources() {
        group.throughput(Throughput::Bytes(source.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let prototype = compile(CHUNK, black_box(source.as_bytes()));
                assert!(black_box(prototype).is_ok());
            })
        });
    }
    let source = module(of(100), 1);
    group.throughput(Throughput::Bytes(source.len() as u64));
    group.bench_function("patch_of_100_functions", |b| {
        b.iter(|| {
            assert!(black_box(Patch::compile(CHUNK, black_box(source.as_bytes()))).is_ok());
        })
    });
    group.finish();
}

criterion_group!(benches, compiler);
criterion_main!(benches);
