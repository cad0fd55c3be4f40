//! `moonswap`: a bare call means what `lua` means; the first argument may be a
//! verb instead. A library, so that tests can run the same program with a thread
//! that watches it; nothing else is to depend on it.
#![forbid(unsafe_code)]

mod answers;
mod audit_verb;
mod check;
mod interrupt;
mod lua_style;
mod output;
mod patch_verb;
mod policy_args;
mod prompt;
mod release;
mod sandbox;
mod session;
mod sources;
mod tell;
mod verbs;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of a Lua error.
const LUA_ERROR: u8 = 1;
/// Exit code of a command line that means nothing.
const USAGE: u8 = 2;
/// Exit code of a refused patch.
const REFUSED: u8 = 3;
/// Exit code of a patch with a wrong signature, or made for another text.
const PROVENANCE: u8 = 5;

/// The exit code that a refusal ends with.
fn refusal_code(refused: &moonswap::Refused) -> u8 {
    if refused.is_provenance() {
        PROVENANCE
    } else {
        REFUSED
    }
}

/// Runs a command line, the program's name first. Each VM that it starts for
/// scripts or a prompt is given to `show` before anything runs in it.
pub fn main(arguments: Vec<OsString>, show: fn(&moonswap::Lua)) -> ExitCode {
    interrupt::end_with_the_pipe();
    let code = match arguments.get(1).and_then(|first| first.to_str()) {
        Some(first) if words::is_verb(first) => verbs::main(arguments, show),
        _ => lua_style::main(&arguments, show),
    };
    ExitCode::from(code)
}
