//! Crossing the border: protected calls into Lua with a traceback, and Rust
//! closures as Lua functions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moonswap_vm::{Context, CoroutineRef, Limit, NativeKind, Outcome, Raised, Root, View};

use crate::value::handle::Handle;
use crate::{
    Error, ErrorKind, FromLuaMulti, IntoLuaMulti, Lua, MultiValue, Result, TraceFrame, Traceback,
    Value,
};

/// Activations that a structured traceback keeps.
const MAX_TRACE: i64 = 64;
/// Name of the metatable of Rust errors inside Lua.
const ERROR_METATABLE: &str = "moonswap.Error";

/// What the message handler found, until the call that raised returns.
#[derive(Debug, Default)]
struct LastTrace {
    traceback: Option<Traceback>,
    /// Memory was short: the text alone does not say so.
    is_memory: bool,
}

/// The last error of a Rust function that Lua saw as a text, with that text. Who
/// catches the text in Rust gets the error back.
#[derive(Debug, Default)]
struct Crossing(Option<Error>);

/// The natives that every call from Rust goes through.
#[derive(Debug, Default)]
struct CallNatives {
    xpcall: Option<Root>,
    handler: Option<Root>,
}

/// Pushes the one of the natives that `which` says, made on first use.
fn push_call_native(
    cx: &Context<'_>,
    which: fn(&mut CallNatives) -> &mut Option<Root>,
    make: fn(&Context<'_>),
) {
    let natives = cx.host_state::<CallNatives>();
    if let Some(root) = which(&mut natives.borrow_mut()) {
        cx.push_root(root);
        return;
    }
    make(cx);
    cx.push_at(cx.height() - 1);
    *which(&mut natives.borrow_mut()) = Some(cx.root_top());
}

/// Whether errors become text with a traceback where they are raised.
#[derive(Debug, Default)]
struct ErrorTexts(bool);

/// From now on they do.
pub(crate) fn make_error_texts(cx: &mut Context<'_>) {
    cx.host_state::<ErrorTexts>().borrow_mut().0 = true;
}

/// Calls `function` protected. An error carries the traceback of its place.
pub(crate) fn call(lua: &Lua, function: &Handle, arguments: &MultiValue) -> Result<MultiValue> {
    lua.attempt(|cx| {
        let base = cx.height();
        if let Err(raised) = cx.ensure_stack(arguments.len() + 8, "too many arguments") {
            return Err(caught(cx, raised));
        }
        // `xpcall` is run by the interpreter itself: the handler sees the
        // stack as it was at the error.
        push_protected_call(cx);
        function.push(lua, cx)?;
        push_message_handler(cx);
        for value in arguments.iter() {
            value.push(lua, cx)?;
        }
        match cx.call(arguments.len() + 2, None) {
            Ok(_) if cx.at(base).truthy() => Ok(take_values(lua, cx, base + 1)),
            Ok(_) => {
                let last = std::mem::take(&mut *cx.host_state::<LastTrace>().borrow_mut());
                if cx.height() < base + 2 {
                    cx.push_nil();
                }
                cx.set_height(base + 2);
                Err(take_error_of(cx, last))
            }
            Err(raised) => Err(caught(cx, raised)),
        }
    })
}

fn push_protected_call(cx: &mut Context<'_>) {
    push_call_native(
        cx,
        |natives| &mut natives.xpcall,
        |cx| cx.push_native_with("xpcall", NativeKind::Xpcall, unreachable_native, 0),
    );
}

fn push_message_handler(cx: &mut Context<'_>) {
    push_call_native(
        cx,
        |natives| &mut natives.handler,
        |cx| cx.push_native("traceback", message_handler),
    );
}

/// Resumes a coroutine. An error carries the traceback of its place in it.
pub(crate) fn resume(lua: &Lua, thread: &Handle, arguments: &MultiValue) -> Result<MultiValue> {
    lua.with(|cx| {
        let base = cx.height();
        if let Err(raised) = cx.ensure_stack(arguments.len() + 8, "too many arguments") {
            return Err(caught(cx, raised));
        }
        thread.push(lua, cx)?;
        cx.push_native_with("resume", NativeKind::Resume, unreachable_native, 0);
        thread.push(lua, cx)?;
        for value in arguments.iter() {
            value.push(lua, cx)?;
        }
        match cx.call(arguments.len() + 1, None) {
            Ok(_) if cx.at(base + 1).truthy() => Ok(take_values(lua, cx, base + 2)),
            Ok(_) => {
                let is_memory = cx.is_newest_error_of_memory();
                if cx.height() < base + 3 {
                    cx.push_nil();
                }
                cx.set_height(base + 3);
                let traceback = match cx.at(base) {
                    View::Coroutine(coroutine) if has_frames(cx, coroutine) => {
                        Some(capture(cx, Some(coroutine)))
                    }
                    _ => None,
                };
                Err(take_error_of(
                    cx,
                    LastTrace {
                        traceback,
                        is_memory,
                    },
                ))
            }
            Err(raised) => Err(caught(cx, raised)),
        }
    })
}

/// Whether anything of a coroutine stands on its stack: it was not dead before.
fn has_frames(cx: &Context<'_>, coroutine: CoroutineRef<'_>) -> bool {
    let base = cx.height();
    let has = matches!(cx.push_info_level(Some(coroutine), 0, b""), Ok(true));
    cx.set_height(base);
    has
}

/// A function that calls `function` with `bound` in front of its arguments.
pub(crate) fn bind(lua: &Lua, function: &Handle, bound: &MultiValue) -> Result<Handle> {
    lua.with(|cx| {
        if let Err(raised) = cx.ensure_stack(bound.len() + 2, "too many arguments") {
            return Err(caught(cx, raised));
        }
        function.push(lua, cx)?;
        for value in bound.iter() {
            value.push(lua, cx)?;
        }
        cx.push_native_with("?", NativeKind::Plain, call_bound, bound.len() + 1);
        Ok(Handle::pop(lua, cx))
    })
}

/// What [`bind`] makes: its captured variables are the function and its first
/// arguments. Held by the host they would keep the VM alive.
fn call_bound(cx: &mut Context<'_>) -> Outcome<usize> {
    let (n_given, n_own) = (cx.height(), cx.n_upvalues());
    cx.ensure_stack(n_given + n_own, "too many arguments")?;
    for i in 0..n_own {
        cx.push(cx.upvalue(i));
    }
    for i in 0..n_given {
        cx.push_at(i);
    }
    cx.tail_call((n_own + n_given).saturating_sub(1), false)
}

/// The stack values from index `from` on; they stay on the stack.
pub(crate) fn take_values(lua: &Lua, cx: &Context<'_>, from: usize) -> MultiValue {
    let end = cx.height();
    (from..end)
        .map(|at| {
            cx.push_at(at);
            Value::pop(lua, cx)
        })
        .collect()
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
fn take_error_of(cx: &mut Context<'_>, last: LastTrace) -> Error {
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
        return Error::new(kind, ended.message).with_traceback(Some(Traceback {
            text: trace_text(ended.traceback),
            frames: Vec::new(),
        }));
    }
    let error = match cx.at(at) {
        View::String(text) => {
            let mut message = text.as_bytes().to_vec();
            if let Some(traceback) = &traceback
                && cx.host_state::<ErrorTexts>().borrow().0
                && let Some(rest) = message.strip_suffix(traceback.text.as_bytes())
            {
                message = rest.strip_suffix(b"\n").unwrap_or(rest).to_vec();
            }
            match crossing(cx, &message) {
                Some(error) => {
                    cx.host_state::<Crossing>().borrow_mut().0 = None;
                    error.with_traceback(traceback)
                }
                None => {
                    let kind = match is_memory && message == b"not enough memory" {
                        true => ErrorKind::Memory,
                        false => ErrorKind::Runtime,
                    };
                    Error::new(kind, message).with_traceback(traceback)
                }
            }
        }
        View::UserData(data) if data.downcast::<Error>().is_some() => {
            match data.downcast::<Error>() {
                Some(error) => error.clone().with_traceback(traceback),
                None => Error::runtime("error"),
            }
        }
        View::Integer(_) | View::Float(_) => match cx.push_tostring(at) {
            Ok(()) => top_text(cx, ErrorKind::Runtime).with_traceback(traceback),
            Err(raised) => {
                cx.push_error(raised);
                Error::runtime("(error object is a number value)")
            }
        },
        other => {
            let kind = other.type_name();
            let plain = || Error::runtime(format_args!("(error object is a {kind} value)"));
            if cx.metafield(at, "__tostring").is_nil() {
                plain().with_traceback(traceback)
            } else {
                cx.push(cx.metafield(at, "__tostring"));
                cx.push_at(at);
                // An object that knows its own text speaks for itself: no
                // traceback, as in the stand-alone interpreter.
                match cx.pcall(1, Some(1)) {
                    Ok(Ok(_)) if matches!(cx.at(cx.height() - 1), View::String(_)) => {
                        top_text(cx, ErrorKind::Runtime)
                    }
                    _ => plain().with_traceback(traceback),
                }
            }
        }
    };
    cx.set_height(at);
    error
}

/// The error of a Rust function that Lua has this text of, if it is one.
fn crossing(cx: &Context<'_>, text: &[u8]) -> Option<Error> {
    let last = cx.host_state::<Crossing>();
    let last = last.borrow();
    let error = last.0.as_ref()?;
    match text.strip_suffix(error.message_bytes())? {
        [] => Some(error.clone()),
        // A position in front, as `coroutine.wrap` adds it.
        place
            if place.ends_with(b": ")
                && place.rsplit(|&b| b == b':').nth(1).is_some_and(is_line) =>
        {
            Some(error.shown_as(text))
        }
        _ => None,
    }
}

fn is_line(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn top_text(cx: &Context<'_>, kind: ErrorKind) -> Error {
    match cx.at(cx.height() - 1) {
        View::String(text) => Error::new(kind, text.as_bytes().to_vec()),
        _ => Error::new(kind, Vec::new()),
    }
}

/// Never called: the interpreter runs natives of this kind itself.
fn unreachable_native(cx: &mut Context<'_>) -> Outcome<usize> {
    Err(cx.error_plain("not callable"))
}

/// Keeps the traceback and hands the error value on unchanged, except one that
/// knows its own text: that is asked for here, where `debug` still shows the
/// place of the error, and needs no traceback.
fn message_handler(cx: &mut Context<'_>) -> Outcome<usize> {
    let speaks = match cx.at(0) {
        View::String(_) | View::Integer(_) | View::Float(_) => false,
        View::UserData(data) => data.downcast::<Error>().is_none(),
        _ => true,
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
    let is_memory = cx.is_newest_error_of_memory();
    let known = match cx.at(0) {
        View::UserData(data) => data.downcast::<Error>().cloned(),
        View::String(text) => crossing(cx, text.as_bytes()),
        _ => None,
    };
    let known = known.and_then(|error| error.traceback().cloned());
    let last = LastTrace {
        traceback: Some(known.unwrap_or_else(|| capture(cx, None))),
        is_memory,
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
            match cx.at(cx.height() - 1) {
                View::String(text) => text.as_bytes().to_vec(),
                _ => Vec::new(),
            }
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
        text.extend_from_slice(traceback.text.as_bytes());
    }
    cx.push_bytes(&text);
    Ok(1)
}

/// The traceback of the running coroutine, above the handler, or of another one.
fn capture(cx: &Context<'_>, of: Option<CoroutineRef<'_>>) -> Traceback {
    let first = i64::from(of.is_none());
    let text = trace_text(cx.traceback(of, None, first as usize));
    let mut frames = Vec::new();
    for level in first..first + MAX_TRACE {
        let base = cx.height();
        if !matches!(cx.push_info_level(of, level, b"Sln"), Ok(true)) {
            cx.set_height(base);
            break;
        }
        let field = |name: &str| match cx.raw_get_field(base, name) {
            View::String(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
            _ => None,
        };
        let line = match cx.raw_get_field(base, "currentline") {
            View::Integer(line) => u32::try_from(line).ok(),
            _ => None,
        };
        let (function, source) = (field("name"), field("short_src").unwrap_or_default());
        let version = usize::try_from(level)
            .ok()
            .filter(|_| of.is_none())
            .and_then(|level| cx.hot_level_version(level));
        cx.set_height(base);
        frames.push(TraceFrame {
            function,
            source,
            line,
            version,
        });
    }
    Traceback { text, frames }
}

/// The protected call that this module puts around every call from Rust is a
/// line of its own; people know of the host's line only.
fn trace_text(mut text: Vec<u8>) -> String {
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
                let text = data
                    .downcast::<Error>()
                    .map(|error| error.message_bytes().to_vec());
                cx.ret_bytes(&text.unwrap_or_default())
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

/// Raises a Rust error in Lua.
pub(crate) fn raise(cx: &Context<'_>, error: &Error) -> Raised {
    match error.kind() {
        // A message that came out of Lua has its position already.
        ErrorKind::Runtime
        | ErrorKind::Syntax
        | ErrorKind::Memory
        | ErrorKind::Interrupted
        | ErrorKind::Deadline
        | ErrorKind::OutOfFuel
            if error.traceback().is_some() || error.compile_error().is_some() =>
        {
            crosses(cx, error, cx.raise_bytes(error.message_bytes()))
        }
        ErrorKind::Runtime | ErrorKind::Conversion { .. } => {
            crosses(cx, error, cx.error(error.to_string()))
        }
        _ => {
            push_error_object(cx, error);
            cx.raise_top()
        }
    }
}

/// Keeps the error that Lua sees as the text that was raised.
fn crosses(cx: &Context<'_>, error: &Error, raised: Raised) -> Raised {
    cx.push_error(raised);
    if let View::String(text) = cx.at(cx.height() - 1) {
        let error = error.shown_as(text.as_bytes());
        cx.host_state::<Crossing>().borrow_mut().0 = Some(error);
    }
    cx.raise_top()
}

/// Where a call of a Rust closure failed.
enum Failure {
    Argument(Error),
    Function(Error),
}

/// Pushes a Rust closure as a Lua function.
pub(crate) fn push_closure<A, R, F>(cx: &Context<'_>, function: F)
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
    F: Fn(&Lua, A) -> Result<R> + 'static,
{
    cx.push_boxed(
        "?",
        Box::new(move |cx| {
            let Some(lua) = Lua::of(cx) else {
                return Err(cx.error_plain("the VM is being closed"));
            };
            let arguments = take_values(&lua, cx, 0);
            // Everything here may be the host's code, which comes back into the
            // VM through its handles.
            let run = || {
                let arguments = A::from_lua_multi(arguments, &lua).map_err(Failure::Argument)?;
                function(&lua, arguments)
                    .and_then(|results| results.into_lua_multi(&lua))
                    .map_err(Failure::Function)
            };
            // A panic must not unwind through the interpreter: the server
            // lives on and the script sees an error.
            let results = match cx.suspended(|| catch_unwind(AssertUnwindSafe(run))) {
                Ok(Ok(results)) => results,
                Ok(Err(Failure::Function(error))) => return Err(raise(cx, &error)),
                Ok(Err(Failure::Argument(error))) => {
                    return Err(match error.kind() {
                        ErrorKind::Conversion {
                            position: Some(at), ..
                        } => crosses(cx, &error, cx.arg_error(*at, error.message_bytes())),
                        _ => raise(cx, &error),
                    });
                }
                Err(payload) => {
                    let text = payload
                        .downcast_ref::<&str>()
                        .map(|text| (*text).to_owned())
                        .or_else(|| payload.downcast_ref::<String>().cloned())
                        .unwrap_or_else(|| "unknown reason".to_owned());
                    return Err(cx.error(format!("panic in a Rust function: {text}")));
                }
            };
            cx.ensure_stack(results.len(), "too many results")?;
            for value in results.iter() {
                if let Err(error) = value.push(&lua, cx) {
                    return Err(raise(cx, &error));
                }
            }
            Ok(results.len())
        }),
    );
}
