//! `moonswap`: a bare call means what `lua` means; the first argument may be a
//! verb instead.
#![forbid(unsafe_code)]

mod check;
mod interrupt;
mod lua_style;
mod output;
mod prompt;
mod session;
mod verbs;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of a Lua error.
const LUA_ERROR: u8 = 1;
/// Exit code of a refused patch.
const REFUSED: u8 = 3;

fn main() -> ExitCode {
    interrupt::end_with_the_pipe();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let code = match arguments.get(1).and_then(|first| first.to_str()) {
        Some(first) if verbs::is_verb(first) => verbs::main(arguments),
        _ => lua_style::main(&arguments),
    };
    ExitCode::from(code)
}
