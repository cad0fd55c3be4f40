//! Source → run against limits.

use crate::data::Data;
use crate::program;
use crate::sandbox::{Sandbox, Stress};

/// One execution.
///
/// # Panics
/// When the machine does.
pub fn run(bytes: &[u8]) {
    let mut data = Data::new(bytes);
    let stress = Stress::draw(&mut data);
    let source = program::program(&mut data);
    let sandbox = Sandbox::new(stress);
    let _ = sandbox.run("@fuzz.lua", source.as_bytes(), true);
    sandbox.end();
}

/// What an execution runs, to be read by people.
pub fn show(bytes: &[u8]) -> String {
    let mut data = Data::new(bytes);
    let stress = Stress::draw(&mut data);
    format!("-- {stress:?}\n{}", program::program(&mut data))
}
