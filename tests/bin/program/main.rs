//! The `moonswap` program, built together with the tests: with their features, so
//! that nothing is compiled twice, and never older than they are.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    moonswap_cli::main(std::env::args_os().collect(), |_| {})
}
