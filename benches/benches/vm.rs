//! Micro benchmarks of the VM: a hundred thousand turns each.

#![forbid(unsafe_code)]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use moonswap_benches::{machine, run};

const TURNS: u64 = 100_000;

/// Name and body of a function that takes its turns as `n`.
const PROGRAMS: &[(&str, &str)] = &[
    ("loop", "local s = 0 for i = 1, n do s = s + i end return s"),
    (
        "call",
        "local function f(x) return x end local s = 0 for i = 1, n do s = s + f(i) end return s",
    ),
    (
        "recursion",
        "local function f(d) if d == 0 then return 0 end return 1 + f(d - 1) end for _ = 1, n // 100 do f(99) end",
    ),
    (
        "native_call",
        "local abs = math.abs local s = 0 for i = 1, n do s = s + abs(i) end return s",
    ),
    (
        "closure",
        "local f for i = 1, n do f = function() return i end end return f",
    ),
    (
        "table_get",
        "local t = { x = 1 } local s = 0 for i = 1, n do s = s + t.x end return s",
    ),
    (
        "table_set",
        "local t = { x = 1 } for i = 1, n do t.x = i end return t",
    ),
    (
        "array",
        "local t = {} for i = 1, n do t[i] = i end return #t",
    ),
    (
        "new_table",
        "local t for i = 1, n do t = { x = i, y = i } end return t",
    ),
    (
        "method",
        "local C = {} C.__index = C function C:get() return self.v end local o = setmetatable({ v = 1 }, C) local s = 0 for i = 1, n do s = s + o:get() end return s",
    ),
    (
        "concat",
        "local s for i = 1, n do s = 'key' .. i end return s",
    ),
    (
        "string_sub",
        "local s, sub, r = ('abc'):rep(100), string.sub, nil for i = 1, n do r = sub(s, i % 200 + 1, i % 200 + 8) end return r",
    ),
    (
        "pcall",
        "local f = function() end for i = 1, n do pcall(f) end",
    ),
    (
        "coroutine",
        "local co = coroutine.wrap(function() while true do coroutine.yield() end end) for i = 1, n do co() end",
    ),
];

fn programs(c: &mut Criterion) {
    let mut group = c.benchmark_group("vm");
    group.throughput(Throughput::Elements(TURNS));
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    for (name, body) in PROGRAMS {
        let machine = machine();
        run(
            &machine,
            "=program",
            &format!("function program(n) {body} end"),
            false,
        );
        group.bench_function(*name, |b| {
            b.iter(|| {
                let done = machine.with(|cx| {
                    cx.push_globals();
                    cx.index_field(0, "program")?;
                    cx.push_int(TURNS as i64);
                    cx.call(1, Some(0))
                });
                assert!(done.is_ok(), "{name} failed");
            })
        });
    }
    group.finish();
}

criterion_group!(benches, programs);
criterion_main!(benches);
