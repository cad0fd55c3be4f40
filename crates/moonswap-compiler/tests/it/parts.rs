//! A chunk compiled statement by statement is the chunk compiled as a whole.

use std::path::Path;
use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_bytecode::dump::dump;
use moonswap_compiler::{Compiled, compile, compile_in_parts};

/// Compares both ways; whether it went in parts.
fn check(name: &str, source: &[u8]) -> bool {
    let mut given: Vec<Arc<Prototype>> = Vec::new();
    let parts = compile_in_parts(name, source, None, &mut |child| given.push(child));
    match (parts, compile(name, source)) {
        (Ok(Compiled::InParts(main, summaries)), Ok(whole)) => {
            assert_eq!(summaries.len(), given.len());
            let mut main = *main;
            assert!(main.children.is_empty());
            main.children = given.into();
            assert_eq!(main.deep_hash, whole.deep_hash, "{name}");
            assert_eq!(main.own_hash, whole.own_hash, "{name}");
            assert_eq!(main.debug.loops, whole.debug.loops, "{name}");
            assert!(dump(&main, false) == dump(&whole, false), "{name}");
            true
        }
        (Ok(Compiled::Whole(all)), Ok(whole)) => {
            assert!(dump(&all, false) == dump(&whole, false), "{name}");
            false
        }
        (Err(a), Err(b)) => {
            assert_eq!((a.raw, a.span), (b.raw, b.span), "{name}");
            false
        }
        (a, b) => panic!("{name}: {:?} {:?}", a.is_ok(), b.is_ok()),
    }
}

fn walk(folder: &Path, on_file: &mut dyn FnMut(&Path)) {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository");
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            walk(&path, on_file);
        } else if path.extension().is_some_and(|e| e == "lua") {
            on_file(&path);
        }
    }
}

#[test]
fn programs_compile_alike() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut n, mut in_parts) = (0, 0);
    for folder in ["lua-tests", "benches", "demo", "library"] {
        walk(&root.join(folder), &mut |path| {
            let source = std::fs::read(path).expect("a readable script");
            let source = moonswap_compiler::skip_shebang(&source);
            in_parts += usize::from(check("@program.lua", source));
            n += 1;
        });
    }
    assert!(in_parts > 100, "{in_parts} of {n} programs");
}

#[test]
fn texts_cut_anywhere_have_the_same_errors() {
    let source = "local a <const> = 1; local t = {f = function() return a end}
        function t.g(...) if ... then return t.f() end end; for i = 1, 2 do t[i] = i end
        do local _ENV = t; x = 1 end return t.f, 'text'";
    for end in 0..=source.len() {
        check("=cut", &source.as_bytes()[..end]);
    }
}

#[test]
fn what_statements_need_of_each_other_is_there() {
    let many_locals = |n: usize| (0..n).map(|i| format!("local v{i} ")).collect::<String>();
    let long = |n: usize| {
        let one = |i| format!("t.f{i} = function() return {i} end ");
        format!("local t = {{}} {}", (0..n).map(one).collect::<String>())
    };
    for (source, goes_in_parts) in [
        ("", true),
        (";;; ; return", true),
        ("return 1 ; ;", false),
        ("local a = 1 goto e; do local b end ::e::", false),
        ("::top:: f() goto top", false),
        ("goto nowhere", false),
        ("break", false),
        ("f() end", false),
        ("local x <const> = 5; x = 6", false),
        ("f = function() return _ENV end g = _ENV.g", true),
        (
            "g() f = function() return h end local _ENV = {}; function k() return h end",
            true,
        ),
        (
            "--@id name\nlocal f = function() end\nlocal f = function() end",
            true,
        ),
        (
            "f = function() end f = function() end f = function() return 1 end",
            true,
        ),
    ]
    .map(|(source, parts)| (source.to_string(), parts))
    .into_iter()
    .chain([
        (many_locals(200), true),
        (many_locals(201), false),
        (long(2_000), true),
        // The main chunk is too long for the short forms of its operands.
        (long(20_000), true),
    ]) {
        assert_eq!(
            check("=t", source.as_bytes()),
            goes_in_parts,
            "{source:.60}"
        );
    }
}
