//! The target `run` for libFuzzer, which mutates its row of bytes. What it does and
//! what must hold is in `fuzz/src/run.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| moonswap_fuzz::run::run(bytes));
