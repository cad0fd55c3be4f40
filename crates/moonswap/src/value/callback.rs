//! Crossing the border: protected calls into Lua, and Rust closures as Lua
//! functions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moonswap_vm::{Context, CoroutineRef, NativeKind, Outcome, Root, View};

use crate::value::handle::Handle;
use crate::value::raise::{
    LastTrace, capture, caught, message_handler, raise, raise_plain, take_error_of,
};
use crate::{Error, FromLuaMulti, IntoLuaMulti, Lua, MultiValue, Result, Value};

/// A Rust function that lives as long as `'f`.
pub(crate) type Borrowing<'f> = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue> + 'f>;
/// A Rust function as Lua calls it.
pub(crate) type Callback = Box<dyn Fn(&Lua, MultiValue) -> Result<MultiValue>>;

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

/// Calls `function` protected. An error carries the traceback of its place.
pub(crate) fn call(lua: &Lua, function: &Value, arguments: &MultiValue) -> Result<MultiValue> {
    let results = lua.attempt(|cx| {
        let base = cx.height();
        if let Err(raised) = cx.ensure_stack(arguments.len() + 8, "too many arguments") {
            return Err(caught(cx, raised));
        }
        // `xpcall` is run by the interpreter itself: the handler sees the
        // stack as it was at the error.
        push_protected_call(cx);
        function.push(lua, cx)?;
        push_message_handler(cx);
        for value in arguments {
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
    });
    lua.handed_over(results?)
}

/// Whether the function at an index is the one that protects calls from Rust.
pub(crate) fn is_protected_call(cx: &Context<'_>, function: &Handle) -> bool {
    let natives = cx.host_state::<CallNatives>();
    let natives = natives.borrow();
    let own = natives.xpcall.as_ref().map(Root::address);
    own == Some(function.address())
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

/// Never called: the interpreter runs natives of this kind itself.
fn unreachable_native(cx: &mut Context<'_>) -> Outcome<usize> {
    Err(cx.error_plain("not callable"))
}

/// Resumes a coroutine. An error carries the traceback of its place in it.
pub(crate) fn resume(lua: &Lua, thread: &Handle, arguments: &MultiValue) -> Result<MultiValue> {
    let results = lua.surfacing(|cx| {
        let base = cx.height();
        if let Err(raised) = cx.ensure_stack(arguments.len() + 8, "too many arguments") {
            return Err(caught(cx, raised));
        }
        thread.push(lua, cx)?;
        cx.push_native_with("resume", NativeKind::Resume, unreachable_native, 0);
        thread.push(lua, cx)?;
        for value in arguments {
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
                        Some(capture(cx, Some(coroutine), 0))
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
    });
    lua.handed_over(results?)
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
        if cx
            .ensure_stack(bound.len() + 2, "too many arguments")
            .is_err()
        {
            return Err(Error::BindError);
        }
        function.push(lua, cx)?;
        for value in bound {
            value.push(lua, cx)?;
        }
        cx.push_native_with("?", NativeKind::Plain, call_bound, bound.len() + 1);
        Ok(Handle::pop(lua, cx))
    })
}

/// What [`bind`] makes: its captured variables are the function and its first
/// arguments.
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

/// A typed Rust closure as Lua calls it; `name` is for messages.
pub(crate) fn typed<A, R>(
    name: Option<String>,
    function: impl Fn(&Lua, A) -> Result<R> + 'static,
) -> Callback
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    Box::new(move |lua, arguments| {
        let arguments = A::from_lua_args(arguments, 1, name.as_deref(), lua)?;
        function(lua, arguments)?.into_lua_multi(lua)
    })
}

/// The same of a closure that need not live for ever.
pub(crate) fn typed_boxed<'f, A, R>(function: impl Fn(&Lua, A) -> Result<R> + 'f) -> Borrowing<'f>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    Box::new(move |lua, arguments| {
        let arguments = A::from_lua_args(arguments, 1, None, lua)?;
        function(lua, arguments)?.into_lua_multi(lua)
    })
}

/// Pushes a Rust function as a Lua function.
pub(crate) fn push_callback(cx: &Context<'_>, callback: Callback) {
    cx.push_boxed("?", Box::new(move |cx| run_callback(cx, &callback)));
}

/// Runs a Rust function with the arguments on the stack, pushes its results.
pub(crate) fn run_callback(
    cx: &mut Context<'_>,
    callback: &dyn Fn(&Lua, MultiValue) -> Result<MultiValue>,
) -> Outcome<usize> {
    let Some(lua) = Lua::of(cx) else {
        return Err(cx.error_plain("the VM is being closed"));
    };
    let arguments = take_values(&lua, cx, 0);
    run_suspended(cx, &lua, || callback(&lua, arguments))
}

/// Runs the host's code, pushes its results. It may come back into the VM through its
/// handles. A panic must not unwind through the interpreter: the server lives on and
/// the script sees an error.
pub(crate) fn run_suspended(
    cx: &mut Context<'_>,
    lua: &Lua,
    run: impl FnOnce() -> Result<MultiValue>,
) -> Outcome<usize> {
    let results = match cx.suspended(|| catch_unwind(AssertUnwindSafe(run))) {
        Ok(Ok(results)) => results,
        Ok(Err(error)) => return Err(raise(cx, error)),
        Err(payload) => return Err(lua.raise_panic(cx, payload)),
    };
    if cx.ensure_stack(results.len(), "too many results").is_err() {
        return Err(raise_plain(cx, &Error::StackError));
    }
    for value in &results {
        if let Err(error) = value.push(lua, cx) {
            return Err(raise(cx, error));
        }
    }
    Ok(results.len())
}
