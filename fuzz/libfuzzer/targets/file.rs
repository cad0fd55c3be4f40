//! The target `file` for libFuzzer, which mutates its row of bytes. What it does and
//! what must hold is in `fuzz/src/file.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| moonswap_fuzz::file::run(bytes));
