//! The target `undump` for libFuzzer, which mutates its row of bytes. What it does and
//! what must hold is in `fuzz/src/undump.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| moonswap_fuzz::undump::run(bytes));
