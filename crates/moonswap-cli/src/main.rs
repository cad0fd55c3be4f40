//! The `moonswap` program. All of it is in the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    moonswap_cli::main(std::env::args_os().collect(), |_| {})
}
