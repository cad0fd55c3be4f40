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
/// A Rust function that finds its arguments on the stack and leaves its results there.
pub(crate) type NativeCallback = Box<dyn Fn(&mut Context<'_>) -> Outcome<usize>>;
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
    let push = |cx: &mut Context<'_>| {
        for value in arguments {
            value.push(lua, cx)?;
        }
        Ok(arguments.len())
    };
    let n = arguments.len();
    let target = |cx: &mut Context<'_>| function.push(lua, cx);
    let results = call_with(lua, target, n, push, |cx, at| take_values(lua, cx, at))?;
    lua.handed_over(results)
}

/// [`call`] with values that go to the stack and come from it as they are, where that
/// is possible.
pub(crate) fn call_typed<A: IntoLuaMulti, R: FromLuaMulti>(
    lua: &Lua,
    function: &Handle,
    arguments: A,
) -> Result<R> {
    let take = |cx: &mut Context<'_>, at| {
        let is_error = |at| match cx.at(at) {
            View::UserData(data) => data.downcast::<Error>().is_some(),
            _ => false,
        };
        // Panics that Lua caught are among the errors.
        let has_errors = (at..cx.height()).any(is_error);
        match R::take_direct(lua, cx, at) {
            Some(results) if !has_errors => Ok(results),
            _ => Err(take_values(lua, cx, at)),
        }
    };
    let target = |cx: &mut Context<'_>| function.push(lua, cx);
    let results = if A::IS_DIRECT {
        let push = |cx: &mut Context<'_>| arguments.push_direct(lua, cx);
        call_with(lua, target, A::N_DIRECT, push, take)?
    } else {
        let arguments = arguments.into_lua_multi(lua)?;
        let n = arguments.len();
        let push = |cx: &mut Context<'_>| arguments.push_direct(lua, cx);
        call_with(lua, target, n, push, take)?
    };
    results.or_else(|values| R::from_lua_multi(lua.handed_over(values)?, lua))
}

/// A protected call: `push` puts at most `n` arguments on the stack, `take` gets the
/// results from a place on.
fn call_with<T>(
    lua: &Lua,
    function: impl FnOnce(&mut Context<'_>) -> Result<()>,
    n: usize,
    push: impl FnOnce(&mut Context<'_>) -> Result<usize>,
    take: impl FnOnce(&mut Context<'_>, usize) -> T,
) -> Result<T> {
    lua.attempt(|cx| {
        let base = cx.height();
        if let Err(raised) = cx.ensure_stack(n + 8, "too many arguments") {
            return Err(caught(cx, raised));
        }
        // `xpcall` is run by the interpreter itself: the handler sees the
        // stack as it was at the error.
        push_protected_call(cx);
        function(cx)?;
        push_message_handler(cx);
        let n = push(cx)?;
        match cx.call(n + 2, None) {
            Ok(_) if cx.at(base).truthy() => Ok(take(cx, base + 1)),
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

/// A typed Rust closure as a native function; `name` is for messages.
pub(crate) fn native<A, R>(
    name: Option<String>,
    function: impl Fn(&Lua, A) -> Result<R> + 'static,
) -> NativeCallback
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    Box::new(move |cx| run_native(cx, name.as_deref(), &function))
}

/// Runs a typed Rust function with the arguments on the stack, pushes its results.
fn run_native<A: FromLuaMulti, R: IntoLuaMulti>(
    cx: &mut Context<'_>,
    name: Option<&str>,
    function: &impl Fn(&Lua, A) -> Result<R>,
) -> Outcome<usize> {
    let Some(lua) = Lua::of(cx) else {
        return Err(cx.error_plain("the VM is being closed"));
    };
    let arguments = match A::take_direct(&lua, cx, 0) {
        Some(arguments) => Ok(arguments),
        None => Err(take_values(&lua, cx, 0)),
    };
    let run = || {
        let arguments = arguments.or_else(|values| A::from_lua_args(values, 1, name, &lua))?;
        let results = function(&lua, arguments)?;
        match R::IS_DIRECT {
            true => Ok(Results::Direct(results)),
            false => results.into_lua_multi(&lua).map(Results::Values),
        }
    };
    match suspended(cx, &lua, run)? {
        Results::Values(values) => push_results(cx, &lua, &values),
        Results::Direct(results) => {
            if cx.ensure_stack(R::N_DIRECT, "too many results").is_err() {
                return Err(raise_plain(cx, &Error::StackError));
            }
            results
                .push_direct(&lua, cx)
                .map_err(|error| raise(cx, error))
        }
    }
}

/// What a Rust function returned.
enum Results<R> {
    /// Goes to the stack as it is.
    Direct(R),
    Values(MultiValue),
}

/// A typed Rust closure that need not live for ever.
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

/// Runs the host's code, pushes its results.
pub(crate) fn run_suspended(
    cx: &mut Context<'_>,
    lua: &Lua,
    run: impl FnOnce() -> Result<MultiValue>,
) -> Outcome<usize> {
    let results = suspended(cx, lua, run)?;
    push_results(cx, lua, &results)
}

/// Runs the host's code. It may come back into the VM through its handles. A panic must
/// not unwind through the interpreter: the server lives on and the script sees an error.
pub(crate) fn suspended<T>(
    cx: &mut Context<'_>,
    lua: &Lua,
    run: impl FnOnce() -> Result<T>,
) -> Outcome<T> {
    match cx.suspended(|| catch_unwind(AssertUnwindSafe(run))) {
        Ok(Ok(results)) => Ok(results),
        Ok(Err(error)) => Err(raise(cx, error)),
        Err(payload) => Err(lua.raise_panic(cx, payload)),
    }
}

fn push_results(cx: &mut Context<'_>, lua: &Lua, results: &MultiValue) -> Outcome<usize> {
    if cx.ensure_stack(results.len(), "too many results").is_err() {
        return Err(raise_plain(cx, &Error::StackError));
    }
    for value in results {
        if let Err(error) = value.push(lua, cx) {
            return Err(raise(cx, error));
        }
    }
    Ok(results.len())
}
