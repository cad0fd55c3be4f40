//! The coroutine library. `resume`, `yield` and the functions made by `wrap`
//! are run by the interpreter, which switches stacks without native recursion;
//! the rest asks the VM about a coroutine.

use moonswap_vm::context::{Context, CoroutineRef, NativeFn, NativeKind, Outcome, View};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("close", close),
    ("create", create),
    ("isyieldable", isyieldable),
    ("running", running),
    ("status", status),
    ("wrap", wrap),
];

/// Opens the library as the global `coroutine`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "coroutine", FUNCTIONS)?;
    let table = cx.height() - 1;
    cx.push_native_with("resume", NativeKind::Resume, run_by_interpreter, 0);
    cx.raw_set_field(table, "resume")?;
    cx.push_native_with("yield", NativeKind::Yield, run_by_interpreter, 0);
    cx.raw_set_field(table, "yield")?;
    cx.set_height(table);
    Ok(())
}

/// Body of the natives that the interpreter handles before any call.
fn run_by_interpreter(cx: &mut Context<'_>) -> Outcome<usize> {
    Err(cx.error("attempt to switch coroutines outside of the interpreter"))
}

fn coroutine_argument<'a>(cx: &'a Context<'_>) -> Outcome<CoroutineRef<'a>> {
    match cx.at(0) {
        View::Coroutine(c) => Ok(c),
        _ => Err(cx.type_error(0, "thread")),
    }
}

fn create(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_function(0)?;
    cx.push_at(0);
    cx.push_coroutine();
    Ok(1)
}

fn wrap(cx: &mut Context<'_>) -> Outcome<usize> {
    create(cx)?;
    cx.push_native_with("wrap", NativeKind::Wrap, run_by_interpreter, 1);
    Ok(1)
}

fn status(cx: &mut Context<'_>) -> Outcome<usize> {
    let status = cx.coroutine_status(coroutine_argument(cx)?);
    cx.ret_bytes(status.as_bytes())
}

fn running(cx: &mut Context<'_>) -> Outcome<usize> {
    let main = cx.push_running();
    cx.push_bool(main);
    Ok(2)
}

fn isyieldable(cx: &mut Context<'_>) -> Outcome<usize> {
    let yieldable = if cx.has(0) {
        cx.is_yieldable(Some(coroutine_argument(cx)?))
    } else {
        cx.is_yieldable(None)
    };
    cx.ret_bool(yieldable)
}

fn close(cx: &mut Context<'_>) -> Outcome<usize> {
    coroutine_argument(cx)?;
    cx.close_coroutine(0)
}
