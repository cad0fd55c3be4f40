//! The target `patch` for libFuzzer, which mutates its row of bytes. What it does and
//! what must hold is in `fuzz/src/patch.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| moonswap_fuzz::patch::run(bytes));
