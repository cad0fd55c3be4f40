//! `moonswap`: a bare call means what `lua` means; the first argument may be a
//! verb instead.
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
mod session;
mod sources;
mod verbs;
mod watch;

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

fn main() -> ExitCode {
    interrupt::end_with_the_pipe();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let code = match arguments.get(1).and_then(|first| first.to_str()) {
        Some(first) if verbs::is_verb(first) => verbs::main(arguments),
        _ => lua_style::main(&arguments),
    };
    ExitCode::from(code)
}
