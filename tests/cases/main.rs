//! Tests with one case per data file or row: scripts with their outputs, the
//! official suite, scenarios of patches in several modes, command lines.
//!
//! `cargo test -p moonswap-tests --test cases -- PART-OF-A-NAME` runs some of them
//! and prints the time of each if they are few; `-- --list` shows the names.

mod badinput;
mod cli_reference;
mod faults;
mod language;
mod modes;
mod official;
mod packages;
mod patched;
mod safepoints;
mod stress;

use std::process::ExitCode;

use moonswap_harness::Cases;
use moonswap_tests::{fault, scenario, support, world};

fn main() -> ExitCode {
    let mut cases = Cases::default();
    // The long ones first, so that no processor is idle at the end.
    official::add(&mut cases);
    patched::add(&mut cases);
    stress::add(&mut cases);
    packages::add(&mut cases);
    faults::add(&mut cases);
    modes::add(&mut cases);
    safepoints::add(&mut cases);
    language::add(&mut cases);
    badinput::add(&mut cases);
    cli_reference::add(&mut cases);
    cases.run()
}
