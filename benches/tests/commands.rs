//! The commands whose verdict does not depend on the speed of the machine, in
//! their quick form: they end well.

#![forbid(unsafe_code)]

use std::process::Command;

#[track_caller]
fn ends_well(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program starts");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}{errors}");
    out
}

/// Each way to hold a function sees the new code.
#[test]
fn coverage() {
    ends_well(env!("CARGO_BIN_EXE_coverage"), &["--quick"]);
}

/// Patches of all sizes are committed, measured and rolled back.
#[test]
fn latency() {
    let out = ends_well(env!("CARGO_BIN_EXE_latency"), &["--quick"]);
    assert!(out.contains("rollback"), "{out}");
}
