//! Errors on their way between Rust and Lua: what Lua raised as an `Error`, an
//! `Error` raised in Lua.

use std::sync::Arc;

use moonswap_vm::{Context, CoroutineRef, Limit, Outcome, Raised, View};

use crate::{Error, ErrorKind, Panicked, Result};

/// Name of the metatable of Rust errors inside Lua.
const ERROR_METATABLE: &str = "moonswap.Error";

/// What the message handler found, until the call that raised returns.
#[derive(Debug, Default)]
pub(crate) struct LastTrace {
    pub(crate) traceback: Option<String>,
    /// Memory was short: the text alone does not say so.
    pub(crate) is_memory: bool,
}

/// Whether errors become text with a traceback where they are raised.
#[derive(Debug, Default)]
struct ErrorTexts(bool);

/// From now on they do.
pub(crate) fn make_error_texts(cx: &mut Context<'_>) {
    cx.host_state::<ErrorTexts>().borrow_mut().0 = true;
}

/// Runs an operation that may raise.
pub(crate) fn checked<R>(
    cx: &mut Context<'_>,
    f: impl FnOnce(&mut Context<'_>) -> Outcome<R>,
) -> Result<R> {
    match f(cx) {
        Ok(result) => Ok(result),
        Err(raised) => Err(caught(cx, raised)),
    }
}

/// The error that a direct operation raised.
pub(crate) fn caught(cx: &mut Context<'_>, raised: Raised) -> Error {
    let is_memory = cx.is_memory_error(&raised);
    cx.push_error(raised);
    take_error_of(
        cx,
        LastTrace {
            traceback: None,
            is_memory,
        },
    )
}

/// Pops an error value that was not raised just now.
pub(crate) fn take_error(cx: &mut Context<'_>) -> Error {
    take_error_of(cx, LastTrace::default())
}

/// Pops an error value.
pub(crate) fn take_error_of(cx: &mut Context<'_>, last: LastTrace) -> Error {
    let LastTrace {
        traceback,
        is_memory,
    } = last;
    let at = cx.height() - 1;
    if let Some(ended) = cx.take_limit() {
        let kind = match ended.limit {
            Limit::Deadline => ErrorKind::Deadline,
            Limit::Fuel => ErrorKind::OutOfFuel,
            _ => ErrorKind::Interrupted,
        };
        cx.set_height(at);
        return Error::Ended {
            kind,
            message: String::from_utf8_lossy(&ended.message).into_owned(),
            traceback: trace_text(ended.traceback),
        };
    }
    let error = match cx.at(at) {
        View::String(text) => {
            let mut message = text.as_bytes().to_vec();
            if let Some(traceback) = &traceback
                && cx.host_state::<ErrorTexts>().borrow().0
                && let Some(rest) = message.strip_suffix(traceback.as_bytes())
            {
                message = rest.strip_suffix(b"\n").unwrap_or(rest).to_vec();
            }
            if is_memory && message == b"not enough memory" {
                let text = "not enough memory\n".to_owned();
                Error::MemoryError(text + traceback.as_deref().unwrap_or("stack traceback:"))
            } else {
                Error::raised(message, traceback)
            }
        }
        View::UserData(data) if data.downcast::<Error>().is_some() => data
            .downcast::<Error>()
            .cloned()
            .unwrap_or(Error::Destroyed),
        View::Integer(_) | View::Float(_) => match cx.push_tostring(at) {
            Ok(()) => Error::raised(top_text(cx), traceback),
            Err(raised) => {
                cx.push_error(raised);
                Error::raised(b"(error object is a number value)".into(), traceback)
            }
        },
        other => {
            let plain = format!("(error object is a {} value)", other.type_name());
            if cx.metafield(at, "__tostring").is_nil() {
                Error::raised(plain.into_bytes(), traceback)
            } else {
                cx.push(cx.metafield(at, "__tostring"));
                cx.push_at(at);
                // An object that knows its own text speaks for itself: no
                // traceback, as in the stand-alone interpreter.
                match cx.pcall(1, Some(1)) {
                    Ok(Ok(_)) if matches!(cx.at(cx.height() - 1), View::String(_)) => {
                        Error::raised(top_text(cx), None)
                    }
                    _ => Error::raised(plain.into_bytes(), traceback),
                }
            }
        }
    };
    cx.set_height(at);
    error
}

fn top_text(cx: &Context<'_>) -> Vec<u8> {
    match cx.at(cx.height() - 1) {
        View::String(text) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// Keeps the traceback and hands the error value on unchanged, except one that
/// knows its own text: that is asked for here, where `debug` still shows the
/// place of the error, and needs no traceback.
pub(crate) fn message_handler(cx: &mut Context<'_>) -> Outcome<usize> {
    let is_own = matches!(cx.at(0), View::UserData(data) if data.downcast::<Error>().is_some());
    let speaks = match cx.at(0) {
        View::String(_) | View::Integer(_) | View::Float(_) => false,
        _ => !is_own,
    };
    if speaks && !cx.metafield(0, "__tostring").is_nil() {
        // An error in it comes here in its turn, where its frames still stand: the
        // reason is not lost, nor its place.
        cx.push(cx.metafield(0, "__tostring"));
        cx.push_at(0);
        cx.call(1, Some(1))?;
        if let View::String(_) = cx.at(cx.height() - 1) {
            *cx.host_state::<LastTrace>().borrow_mut() = LastTrace::default();
            return Ok(1);
        }
        cx.set_height(1);
    }
    let last = LastTrace {
        // Rust's errors have theirs.
        traceback: (!is_own).then(|| capture(cx, None, 1)),
        is_memory: cx.is_newest_error_of_memory(),
    };
    *cx.host_state::<LastTrace>().borrow_mut() = last;
    if cx.host_state::<ErrorTexts>().borrow().0 {
        push_error_text(cx)
    } else {
        cx.push_at(0);
        Ok(1)
    }
}

/// Pushes the text that an error in slot 0 has, with its traceback.
fn push_error_text(cx: &mut Context<'_>) -> Outcome<usize> {
    let mut text = match cx.at(0) {
        View::String(text) => text.as_bytes().to_vec(),
        View::Integer(_) | View::Float(_) => {
            cx.push_tostring(0)?;
            top_text(cx)
        }
        // Errors of Rust functions have more to them than a text.
        View::UserData(data) if data.downcast::<Error>().is_some() => {
            cx.push_at(0);
            return Ok(1);
        }
        other => format!("(error object is a {} value)", other.type_name()).into_bytes(),
    };
    if let Some(traceback) = &cx.host_state::<LastTrace>().borrow().traceback {
        text.push(b'\n');
        text.extend_from_slice(traceback.as_bytes());
    }
    cx.push_bytes(&text);
    Ok(1)
}

/// The traceback of the running coroutine from `level` on, or of another one.
pub(crate) fn capture(cx: &Context<'_>, of: Option<CoroutineRef<'_>>, level: usize) -> String {
    let level = if of.is_none() { level } else { 0 };
    trace_text(cx.traceback(of, None, level))
}

/// The protected call that this library puts around every call from Rust is a
/// line of its own; people know of the host's line only.
pub(crate) fn trace_text(mut text: Vec<u8>) -> String {
    const HOST: &[u8] = b"\n\t[C]: in ?";
    if text.ends_with(&[HOST, HOST].concat()) {
        text.truncate(text.len() - HOST.len());
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Pushes a Rust error as a Lua object with a text.
pub(crate) fn push_error_object(cx: &Context<'_>, error: &Error) {
    let at = cx.height();
    cx.push_userdata(Box::new(error.clone()));
    if cx.new_metatable(ERROR_METATABLE) {
        cx.push_native("tostring", |cx| match cx.at(0) {
            View::UserData(data) => {
                let error = data.downcast::<Error>();
                if error
                    .and_then(Error::panicked)
                    .is_some_and(Panicked::is_spent)
                {
                    return Err(raise(cx, Error::PreviouslyResumedPanic));
                }
                let text = error.map(Error::message_bytes).unwrap_or_default();
                cx.ret_bytes(&text)
            }
            _ => Err(cx.arg_error(0, "error object expected")),
        });
        let filled = cx.raw_set_field(at + 1, "__tostring");
        cx.push_bytes(b"error");
        let named = cx.raw_set_field(at + 1, "__name");
        // A string key in a table without limits cannot fail.
        debug_assert!(filled.is_ok() && named.is_ok());
    }
    cx.set_metatable(at);
}

/// Raises what a Rust function returned as an object that Lua code can catch.
pub(crate) fn raise(cx: &Context<'_>, error: Error) -> Raised {
    let error = Error::CallbackError {
        traceback: capture(cx, None, 0),
        cause: Arc::new(error.bounded()),
    };
    push_error_object(cx, &error);
    cx.raise_top()
}

/// Raises an error as it is.
pub(crate) fn raise_plain(cx: &Context<'_>, error: &Error) -> Raised {
    push_error_object(cx, error);
    cx.raise_top()
}
