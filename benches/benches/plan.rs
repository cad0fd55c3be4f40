//! What planning costs, without a VM: a patch of one function in a module of
//! many, against the text that runs (`known`: compiled before, as it is after
//! the first patch; `unknown`: to be compiled again).

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use moonswap_hotpatch::{ChunkManifest, ChunkPatch, Policy, plan_chunk};

/// A module of `n` functions; function 0 differs between versions. With
/// `captures` it uses a local that it did not use before.
fn text(n: usize, version: usize, captures: bool) -> String {
    let mut text = "local M, limit, log = {}, 10, {}\n".to_owned();
    for i in 0..n {
        let body = match (i, captures && version > 1) {
            (0, true) => format!("log[#log + 1] = a * {version} + b"),
            (0, false) => format!("a = a * {version} + b"),
            _ => format!("a = a + b * {i}"),
        };
        text += &format!(
            "function M.f{i}(a, b)\n  if a > limit then\n    {body}\n  end\n  \
             for k = 1, #M do a = a + M[k].x end\n  return a, {{ x = a, y = b }}\nend\n"
        );
    }
    text + "return M\n"
}

fn plans(c: &mut Criterion) {
    for (name, captures) in [("body", false), ("capture", true)] {
        let mut group = c.benchmark_group(format!("plan/{name}"));
        group
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500))
            .sample_size(20);
        for n in [1, 10, 100, 1000] {
            let compile = |version| {
                let text = text(n, version, captures);
                ChunkPatch::compile("@m.lua", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
            };
            let (old, new) = (compile(1), compile(2));
            let policy = Policy::default();
            let source = Some(old.source().clone());
            let mut manifest = ChunkManifest::fresh(old.main().clone(), source);
            for kind in ["unknown", "known"] {
                manifest.text = (kind == "known").then(|| old.clone());
                assert!(!plan_chunk(&manifest, &new, &policy).is_refused());
                group.bench_function(BenchmarkId::new(kind, n), |b| {
                    b.iter(|| black_box(plan_chunk(&manifest, &new, &policy)));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, plans);
criterion_main!(benches);
