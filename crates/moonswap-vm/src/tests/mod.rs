//! The VM as a whole, by programs small enough for Miri, the interpreter of
//! Rust that finds undefined behaviour: `just miri`. What the language means is
//! tested elsewhere (`lua-tests`); these go through all that is `unsafe`.

mod backfill;
mod collector;
mod coroutines;
mod functions;
mod literals;
mod migration;
mod patches;
mod sources;
mod tables;
mod undo;
mod waiting;

use moonswap_hotpatch::{Patch, Policy};

use crate::object::NativeFn;
use crate::{Context, Keep, Machine, NativeKind, Outcome, View};

/// A size for ordinary runs and one for Miri, which is some hundred times
/// slower.
pub(crate) const fn sized(usual: usize, in_miri: usize) -> usize {
    if cfg!(miri) { in_miri } else { usual }
}

/// A machine with the natives that the programs here use, as globals.
fn machine() -> Machine {
    let machine = Machine::new();
    let opened: Outcome<()> = machine.with(|cx| {
        let plain: [(&'static str, NativeFn); 13] = [
            ("setmetatable", |cx| {
                cx.set_height(2);
                cx.set_metatable(0);
                Ok(1)
            }),
            ("error", |cx| {
                cx.set_height(1);
                Err(cx.raise_top())
            }),
            ("tostring", |cx| cx.push_tostring(0).map(|()| 1)),
            ("create", |cx| {
                cx.set_height(1);
                cx.push_coroutine();
                Ok(1)
            }),
            ("wrap", |cx| {
                cx.set_height(1);
                cx.push_coroutine();
                cx.push_native_with("wrapped", NativeKind::Wrap, unreachable, 1);
                Ok(1)
            }),
            ("status", |cx| match cx.at(0) {
                View::Coroutine(co) => cx.ret_bytes(cx.coroutine_status(co).as_bytes()),
                _ => Err(cx.type_error(0, "coroutine")),
            }),
            ("close", |cx| cx.close_coroutine(0)),
            ("collect", |cx| cx.gc_collect().map(|()| 0)),
            ("step", |cx| {
                let done = cx.gc_step(1)?;
                cx.ret_bool(done)
            }),
            ("call", |cx| {
                let n = cx.n_args() - 1;
                cx.call(n, None)
            }),
            ("tail", |cx| {
                let n = cx.n_args() - 1;
                cx.tail_call(n, false)
            }),
            ("less", |cx| {
                let answer = cx.call_test(0, 1, 2)?;
                cx.ret_bool(answer)
            }),
            ("traceback", |cx| {
                let text = cx.traceback(None, None, 0);
                cx.ret_bytes(&text)
            }),
        ];
        let special = [
            ("pcall", NativeKind::Pcall),
            ("xpcall", NativeKind::Xpcall),
            ("resume", NativeKind::Resume),
            ("yield", NativeKind::Yield),
        ];
        cx.push_globals();
        for (name, function) in plain {
            cx.push_native(name, function);
            cx.raw_set_field(0, name)?;
        }
        for (name, kind) in special {
            cx.push_native_with(name, kind, unreachable, 0);
            cx.raw_set_field(0, name)?;
        }
        cx.push_native_with("next", NativeKind::Next, next, 0);
        cx.raw_set_field(0, "next")
    });
    assert!(opened.is_ok());
    machine
}

/// Makes a native with state of its own a global.
fn set_global(
    machine: &Machine,
    name: &str,
    f: impl Fn(&mut Context<'_>) -> Outcome<usize> + 'static,
) {
    let set = machine.with(|cx| {
        cx.push_globals();
        cx.push_boxed("native", Box::new(f));
        cx.raw_set_field(0, name)
    });
    assert!(set.is_ok());
}

fn compiled(chunk: &str, source: &str) -> Patch {
    match Patch::compile(chunk, source.as_bytes()) {
        Ok(patch) => patch,
        Err(error) => panic!("{error:?}"),
    }
}

/// A machine under stress whose program runs `old` as the chunk "world" and
/// patches it to the next of `news` each time it calls `swap`.
fn swapping(old: &str, news: &[&str], policy: &Policy) -> Machine {
    let machine = machine();
    machine.set_stress(crate::stress::Stress::always(false, true, true, 0));
    let patches: Vec<Patch> = news.iter().map(|new| compiled("=world", new)).collect();
    let (policy, next) = (policy.clone(), std::cell::Cell::new(0));
    set_global(&machine, "swap", move |cx| {
        let patch = &patches[next.replace(next.get() + 1)];
        match cx.hot_apply(patch, &policy) {
            Ok(_) => Ok(0),
            Err(error) => Err(cx.error(error.to_string())),
        }
    });
    assert_eq!(run_as(&machine, "=world", old), "");
    machine
}

fn unreachable(cx: &mut Context<'_>) -> Outcome<usize> {
    Err(cx.error("run by the interpreter"))
}

fn next(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.set_height(2);
    Ok(if cx.next(0)? { 2 } else { 0 })
}

/// Runs a chunk; its results as text, or the error with "error: " before it.
fn run(machine: &Machine, source: &str) -> String {
    run_as(machine, "=test", source)
}

/// [`run`] as a module of the given name, which can be patched.
fn run_as(machine: &Machine, chunk: &str, source: &str) -> String {
    machine.with(|cx| run_in(cx, chunk, source))
}

fn run_in(cx: &mut Context<'_>, chunk: &str, source: &str) -> String {
    let base = cx.height();
    let outcome = (|| {
        assert!(
            cx.load(source.as_bytes(), chunk.as_bytes(), "t", Keep::Module)?,
            "{source}"
        );
        cx.call(0, None)
    })();
    let failed = outcome.is_err();
    if let Err(raised) = outcome {
        cx.push_error(raised);
    }
    let mut texts = Vec::new();
    for i in base..cx.height() {
        match cx.push_tostring(i) {
            Ok(()) => texts.push(match cx.at(cx.height() - 1) {
                View::String(s) => String::from_utf8_lossy(s.as_bytes()).into_owned(),
                _ => "?".to_owned(),
            }),
            Err(raised) => {
                cx.push_error(raised);
                texts.push("(no text)".to_owned());
            }
        }
        cx.pop(1);
    }
    cx.set_height(base);
    let texts = texts.join(" ");
    if failed {
        format!("error: {texts}")
    } else {
        texts
    }
}

/// Runs the same program undisturbed, with a stack that moves at every chance,
/// with a step of the collector and with a full collection at every safe point.
/// Miri does the second and third in one.
fn run_hard(source: &str, expected: &str) {
    const WAYS: [(bool, bool, bool); 4] = [
        (false, true, true),
        (false, false, false),
        (false, false, true),
        (true, false, false),
    ];
    for &(collect, step, stack) in &WAYS[..sized(WAYS.len(), 1)] {
        let machine = machine();
        let verify = !cfg!(miri) && (collect || step);
        machine.set_stress(crate::stress::Stress::always(
            collect,
            step,
            stack,
            u32::from(verify),
        ));
        assert_eq!(
            run(&machine, source),
            expected,
            "collect {collect}, step {step}, stack {stack}"
        );
    }
}
