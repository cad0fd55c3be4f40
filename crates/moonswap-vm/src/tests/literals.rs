//! What versions were loaded from, read off them.

use std::path::Path;
use std::sync::Arc;

use moonswap_bytecode::Prototype;

use super::{machine, run_in};
use crate::hotpatch::literals;
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
