//! What versions were loaded from, read off them.

use std::path::Path;
use std::sync::Arc;

use moonswap_bytecode::{Constant, Prototype, Watch};

use super::{machine, run_in};
use crate::hotpatch::registry::{current, literals};
use crate::object::{Closure, PrototypeSlot};
use crate::{Keep, Machine};

/// The main chunk of a text that was just loaded, as its version has it.
fn unloaded(machine: &Machine, text: &[u8]) -> Option<Arc<Prototype>> {
    machine.with(|cx| {
        let is_loaded = cx.load(text, b"=text", "t", Keep::Captured).ok()?;
        let f = cx.value(cx.height() - 1);
        // SAFETY: the function was just loaded; nothing is collected meanwhile.
        let found = is_loaded.then(|| unsafe {
            let slot = Closure::slot(f.as_closure());
            literals::unloaded(&cx.vm(), PrototypeSlot::version(slot))
        });
        cx.pop(1);
        found
    })
}

fn assert_same(a: &Prototype, b: &Prototype) {
    assert_eq!(a.id, b.id);
    assert_eq!(a.code, b.code, "{}", a.id);
    assert_eq!(a.constants, b.constants, "{}", a.id);
    assert_eq!(a.sites, b.sites, "{}", a.id);
    assert_eq!(a.upvalues, b.upvalues, "{}", a.id);
    assert_eq!(a.scope, b.scope, "{}", a.id);
    assert_eq!(a.debug.lines, b.debug.lines, "{}", a.id);
    assert_eq!(a.debug.locals, b.debug.locals, "{}", a.id);
    let header = |p: &Prototype| {
        let lines = (p.line_defined, p.last_line_defined);
        (p.n_params, p.is_vararg, p.frame_size, lines)
    };
    assert_eq!(header(a), header(b), "{}", a.id);
    assert_eq!(a.deep_hash, b.deep_hash, "{}", a.id);
    assert_eq!(a.children.len(), b.children.len());
    for (a, b) in a.children.iter().zip(&b.children) {
        assert_same(a, b);
    }
}

fn check(machine: &Machine, text: &[u8]) -> bool {
    let Ok(compiled) = moonswap_compiler::compile("=text", text) else {
        return false;
    };
    let unloaded = unloaded(machine, text).expect("what compiles can be loaded");
    assert_same(&unloaded, &compiled);
    true
}

#[test]
fn small_ones_are_what_was_compiled() {
    let machine = machine();
    for text in [
        "",
        "return 1",
        "local a <const>, b <close> = 1.5 local function f(...) return a, b, ... end return f",
        "for i = 1, 3 do for k, v in next, {i} do x = function() return i, k, v, x.y end end end",
        "return function(self) return function() return self, nil == self, self == true end end",
        "\n\n\nreturn {f = function() end, function() end, g(1, function() end)}",
    ] {
        assert!(check(&machine, text.as_bytes()), "{text}");
    }
}

#[test]
fn all_programs_are_what_was_compiled() {
    if cfg!(miri) {
        return;
    }
    let machine = machine();
    let mut n = 0;
    for folder in ["language", "stdlib", "memory", "stress"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../lua-tests")
            .join(folder);
        for file in folder.read_dir().expect("is there") {
            let path = file.expect("is there").path();
            if path.extension().is_some_and(|e| e == "lua") {
                let text = std::fs::read(path).expect("can be read");
                n += usize::from(check(&machine, &text));
            }
        }
    }
    assert!(n > 50, "{n} programs");
}

/// What running notes in the code is not part of it.
#[test]
fn code_that_ran_is_what_was_compiled() {
    let machine = machine();
    let text = "local t = {a = 1, b = {c = 2}} \
                function run() t.a = t.a + t.b.c return t.b.c, setmetatable(t, t).a end \
                run() run()";
    machine.with(|cx| {
        assert_eq!(run_in(cx, "=text", text), "");
        cx.push_globals();
        let globals = cx.height() - 1;
        assert!(cx.index_field(globals, "run").is_ok());
        let f = cx.value(cx.height() - 1);
        // SAFETY: a live function.
        let version = unsafe { PrototypeSlot::version(Closure::slot(f.as_closure())) };
        // SAFETY: its version; nothing is collected meanwhile.
        let found = unsafe { literals::unloaded(&cx.vm(), version) };
        let compiled = moonswap_compiler::compile("=text", text.as_bytes()).expect("compiles");
        assert_same(&found, &compiled.children[0]);
        cx.set_height(0);
    });
}

fn binary(prototype: &Prototype) -> Vec<u8> {
    moonswap_bytecode::dump::dump(prototype, false)
}

/// The main chunk of a prototype that went through a binary chunk; it is on top.
fn loaded(cx: &mut crate::Context<'_>, main: &Prototype) -> crate::value::Value {
    let bytes = binary(main);
    assert!(matches!(
        cx.load(&bytes, b"=b", "b", Keep::Captured),
        Ok(true)
    ));
    cx.value(cx.height() - 1)
}

/// Constants may have made cells before the main chunk names its own.
#[test]
fn cells_are_those_that_were_written() {
    let machine = machine();
    let compiled = moonswap_compiler::compile("=text", b"local a, b = 1, 2 return a");
    let mut main = Prototype::clone(&compiled.expect("compiles"));
    main.constants = [1, 9, 0].map(Constant::Cell).into();
    machine.with(|cx| {
        let f = loaded(cx, &main);
        // SAFETY: the function was just loaded; nothing is collected meanwhile.
        let found = unsafe {
            let slot = Closure::slot(f.as_closure());
            literals::unloaded(&cx.vm(), PrototypeSlot::version(slot))
        };
        assert_eq!(found.constants, main.constants);
        assert_eq!(found.scope, main.scope);
        cx.pop(1);
    });
}

/// Whoever dumps a function may be out of time.
#[test]
fn reading_back_can_be_stopped() {
    let machine = machine();
    let compiled = moonswap_compiler::compile("=text", b"return 1");
    let mut main = Prototype::clone(&compiled.expect("compiles"));
    main.constants = (0..5000).map(Constant::Cell).collect();
    machine.with(|cx| {
        let f = loaded(cx, &main);
        let n = |stops: bool| {
            let is_over = || stops;
            let watch = Watch::new(&is_over);
            // SAFETY: the function was just loaded; nothing is collected meanwhile.
            let version = unsafe { Closure::version(f.as_closure()) };
            // SAFETY: its version.
            let found = unsafe { current::prototype(&cx.vm(), version, &watch) };
            found.constants.len()
        };
        assert_eq!(n(false), 5000);
        assert!(n(true) < 2000, "{}", n(true));
        cx.pop(1);
    });
}

/// A chunk without one of its constants is not there, and nothing is left to be raised.
#[test]
fn failed_loads_leave_nothing() {
    let machine = machine();
    let text = format!("return '{}'", "x".repeat(100_000));
    let compiled = moonswap_compiler::compile("=text", text.as_bytes()).expect("compiles");
    let mut n_failed = 0;
    machine.with(|cx| {
        for source in [text.into_bytes(), binary(&compiled)] {
            for n in 1.. {
                let known =
                    |cx: &mut crate::Context<'_>| cx.vm().hot.instances.get_mut().all().len();
                let before = known(cx);
                cx.vm().heap.fail_nth(n);
                let loaded = cx.load(&source, b"=b", "bt", Keep::Module);
                let is_over = cx.vm().heap.is_failing();
                cx.vm().heap.fail_nth(0);
                assert!(!cx.vm().heap.deferred);
                if loaded.is_err() {
                    assert!(known(cx) <= before, "{n}");
                    n_failed += 1;
                }
                cx.set_height(0);
                if is_over {
                    break;
                }
            }
        }
    });
    assert!(n_failed >= 2, "{n_failed}");
}
