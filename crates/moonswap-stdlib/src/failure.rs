//! Results of failed system calls, in the form Lua programs expect: `nil`, a
//! message and the error number; and the results of finished processes.

use std::io::Error;
use std::process::ExitStatus;

use moonswap_vm::context::{Context, Outcome};

/// The system's text for `error`, without the number that std appends.
pub(crate) fn text(error: &Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Pushes `nil, "name: message", number`.
pub(crate) fn fail(cx: &Context<'_>, error: &Error, name: Option<&[u8]>) -> Outcome<usize> {
    let mut message = Vec::new();
    if let Some(name) = name {
        message.extend_from_slice(name);
        message.extend_from_slice(b": ");
    }
    message.extend_from_slice(text(error).as_bytes());
    cx.push_nil();
    cx.push_bytes(&message);
    cx.push_int(error.raw_os_error().unwrap_or(0).into());
    Ok(3)
}

/// Pushes `true`, or what [`fail`] pushes.
pub(crate) fn result(
    cx: &Context<'_>,
    outcome: Result<(), Error>,
    name: Option<&[u8]>,
) -> Outcome<usize> {
    match outcome {
        Ok(()) => cx.ret_bool(true),
        Err(error) => fail(cx, &error, name),
    }
}

/// Pushes `true|nil, "exit"|"signal", code` for a process that has ended.
pub(crate) fn exit_status(cx: &Context<'_>, status: ExitStatus) -> Outcome<usize> {
    let (what, code) = describe(status);
    if what == "exit" && code == 0 {
        cx.push_bool(true);
    } else {
        cx.push_nil();
    }
    cx.push_bytes(what.as_bytes());
    cx.push_int(code.into());
    Ok(3)
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> (&'static str, i32) {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => ("exit", code),
        (None, Some(signal)) => ("signal", signal),
        (None, None) => ("exit", -1),
    }
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> (&'static str, i32) {
    ("exit", status.code().unwrap_or(-1))
}

/// A file name given as bytes, as the system takes it.
#[cfg(unix)]
pub(crate) fn path(name: &[u8]) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name).into()
}

/// A file name given as bytes, as the system takes it.
#[cfg(not(unix))]
pub(crate) fn path(name: &[u8]) -> std::path::PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}

/// A string of the system as bytes.
#[cfg(unix)]
pub(crate) fn bytes_of(s: std::ffi::OsString) -> Vec<u8> {
    use std::os::unix::ffi::OsStringExt;
    s.into_vec()
}

/// A string of the system as bytes.
#[cfg(not(unix))]
pub(crate) fn bytes_of(s: std::ffi::OsString) -> Vec<u8> {
    s.to_string_lossy().into_owned().into_bytes()
}

/// Value of an environment variable. Names that no variable can have (empty,
/// with `=` or NUL) have none.
pub(crate) fn environment(name: &[u8]) -> Option<Vec<u8>> {
    if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
        return None;
    }
    std::env::var_os(path(name).as_os_str()).map(bytes_of)
}

/// Six characters that make a temporary file's name unlikely to exist.
pub(crate) fn unique_suffix() -> String {
    use std::collections::hash_map::RandomState;
    use std::hash::{BuildHasher, Hasher};
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    // each RandomState has keys of its own, so its empty hash is random
    let mut bits = RandomState::new().build_hasher().finish();
    let mut out = String::with_capacity(6);
    for _ in 0..6 {
        let letter = LETTERS[(bits % LETTERS.len() as u64) as usize];
        out.push(char::from(letter));
        bits /= LETTERS.len() as u64;
    }
    out
}
