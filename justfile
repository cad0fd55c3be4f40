# Recipes are one line each; `just` lists them.

default:
    @just --list

# Everything CI runs; installs what it needs.
ci:
    bash .ci/run

# What the tests and checks need beside Rust: Debian packages, toolchains, cargo-deny.
setup:
    .ci/setup

# The live program; edit demo/actors.lua while it runs.
demo:
    cargo run --release -p moonswap-cli -- run --watch demo/main.lua

# All tests; the official suite takes part when it has been fetched.
test:
    cargo test --workspace

# Releases of real packages, applied one to the next (minutes; needs pip, npm, a network).
commits *options:
    lua-tests/commits/fetch.py
    cargo run -q -p moonswap-tests --bin commits -- {{options}}

# The official Lua test suite, into lua-tests/official.
fetch:
    lua-tests/fetch-official.sh

# The whole official suite while another thread patches all its chunks (minutes).
patched-suite:
    PATCHED_ALL=1 cargo test -p moonswap-tests --test cases -- official-while-patched/

# Faults in every step of an attempt, each place of each.
faults:
    MOONSWAP_FAULTS=all cargo test -p moonswap-tests -- faults

# 100,000 alternating patches and their memory.
many-patches:
    MOONSWAP_PATCHES=100000 cargo test -p moonswap-tests --test patch_memory -- --nocapture

# Only the official suite.
official:
    cargo test -p moonswap-tests -- official

# Make the expected outputs of lua-tests with the reference interpreter.
expected:
    lua-tests/expected.sh

# Formatting and clippy as CI wants them.
lint:
    cargo fmt --all -- --check && cargo clippy --workspace --all-targets -- -D warnings

# Ratios to the reference interpreter over benches/scripts.
compare *args:
    cargo build --release -p moonswap-cli && benches/compare.py {{args}}

# The figures that must hold.
gate:
    cargo build --release -p moonswap-cli && benches/compare.py --gate 0.90 --class-gate 1.25

# Criterion benches.
bench *args:
    cargo bench {{args}}

# Latency of patches: the table, slopes and bars.
latency *args:
    cargo run --release -p moonswap-benches --bin latency -- {{args}}

# The twelve ways to hold a function, beside what people use with lua5.4.
coverage *args:
    cargo run --release -p moonswap-benches --bin coverage -- {{args}}

# What being patchable costs: instructions and times against a build without.
patchable *args:
    benches/patchable.py {{args}}

# Library tests of the VM under Miri (needs a nightly toolchain with the miri
# component): `quick` (minutes), `all` (long) or `seeds` (threads, several schedules).
miri which="quick":
    bash .ci/miri {{which}}

# The core crates for the web.
wasm:
    cargo build --target wasm32-unknown-unknown -p moonswap-vm

# Every script and the official suite in every stress mode, with the debug program and the optimised one.
stress:
    MOONSWAP_STRESS_ALL=1 cargo test -p moonswap-tests --test cases -- under-stress/
    cargo build --release -p moonswap-cli --features stress --target-dir target/stress
    MOONSWAP_BIN={{justfile_directory()}}/target/stress/release/moonswap MOONSWAP_STRESS_ALL=1 cargo test -p moonswap-tests --test cases -- under-stress/

# Random programs under stress against the reference.
stress-random count="2000":
    cargo build -p moonswap-cli
    MOONSWAP_STRESS=gc,cells tests/random/compare.py --count {{count}} --timeout 60 --moonswap target/debug/moonswap
    MOONSWAP_STRESS=stack,step,keep tests/random/compare.py --count {{count}} --timeout 60 --moonswap target/debug/moonswap

# All tests of scripts and patches under AddressSanitizer, which sees freed cells too, then under stress (nightly).
asan target="x86_64-unknown-linux-gnu":
    tests/sanitize.sh address {{target}}

# The tests with threads under ThreadSanitizer (nightly with rust-src).
tsan target="x86_64-unknown-linux-gnu":
    tests/sanitize.sh thread {{target}}

# A fuzz target from a seed: just fuzz run 1000000 7 (targets: compile, undump, run, patch, file).
fuzz target="run" execs="100000" seed="1":
    cargo run --release -p moonswap-fuzz -- {{target}} --execs {{execs}} --seed {{seed}} --state target/fuzz-{{target}}

# The same under AddressSanitizer (needs a nightly toolchain); fuzz/README.md says what the settings are for.
fuzz-asan target="run" execs="100000" seed="1":
    RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=4:thread_local_quarantine_size_kb=256:malloc_context_size=1 cargo +nightly run --profile sanitized -p moonswap-fuzz --target x86_64-unknown-linux-gnu -- {{target}} --execs {{execs}} --seed {{seed}} --slow 10 --state target/fuzz-asan-{{target}}

# Targets guided by coverage: just libfuzzer patch 3600 (needs a C++ compiler).
libfuzzer target="all" seconds="60":
    PROFILE=release fuzz/libfuzzer/run {{target}} {{seconds}}
