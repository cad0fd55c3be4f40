//! Code for patches: given capture layouts, cells, parts of a main chunk.

use std::sync::Arc;

use moonswap_bytecode::{Capture, FunctionId, Prototype, UpvalueDescription};
use moonswap_compiler::{CaptureLayout, CellMap, CompileOptions, compile, compile_with};

fn layout_of(prototype: &Prototype, into: &mut CaptureLayout) {
    into.functions
        .insert(prototype.id.clone(), prototype.upvalues.to_vec());
    for child in &prototype.children {
        layout_of(child, into);
    }
}

fn cells_of(prototype: &Prototype) -> CellMap {
    let scope = prototype.scope.iter().enumerate();
    scope
        .map(|(i, v)| ((Arc::clone(&v.name), v.declaration), i as u32))
        .collect()
}

fn patched(old: &str, new: &str) -> Arc<Prototype> {
    let before = compile("@p", old.as_bytes()).expect("the old text compiles");
    let mut layout = CaptureLayout::default();
    layout_of(&before, &mut layout);
    let after = compile("@p", new.as_bytes()).expect("the new text compiles");
    let cells = cells_of(&after);
    let options = CompileOptions {
        layout: Some(&layout),
        cells: Some(&cells),
        ..Default::default()
    };
    let prototype =
        compile_with("@p", new.as_bytes(), options).expect("the new text compiles as a patch");
    moonswap_bytecode::verify(&prototype).expect("patched code verifies");
    prototype
}

fn names(prototype: &Prototype) -> Vec<String> {
    prototype
        .upvalues
        .iter()
        .map(|u| u.name.to_string())
        .collect()
}

#[test]
fn indices_stay_when_uses_move() {
    let old = "local count, log = 0, 0 function f() count = count + 1 log = log + 1 end";
    let new = "local count, log = 0, 0 function f() log = log + 2 count = count + 1 end";
    assert_eq!(
        names(&compile("@p", new.as_bytes()).expect("compiles").children[0]),
        ["log", "count"]
    );
    let prototype = patched(old, new);
    assert_eq!(names(&prototype.children[0]), ["count", "log"]);
    assert_eq!(
        &*prototype.sites[0].captures,
        [Capture::Register(0), Capture::Register(1)]
    );
}

#[test]
fn removed_captures_stay_reserved() {
    let old = "local a, b = 1, 2 function f() return a, b end";
    let prototype = patched(old, "local a, b = 1, 2 function f() return b end");
    assert_eq!(names(&prototype.children[0]), ["a", "b"]);
    assert_eq!(
        &*prototype.sites[0].captures,
        [Capture::Register(0), Capture::Register(1)]
    );
    let prototype = patched(old, "local b = 2 function f() return b end");
    assert_eq!(names(&prototype.children[0]), ["a", "b"]);
    assert_eq!(
        &*prototype.sites[0].captures,
        [Capture::Vacant, Capture::Register(0)]
    );
}

#[test]
fn new_captures_of_top_level_locals_are_cells() {
    let old = "local a, b = 1, 2 function f() return function() return a end end";
    let new = "local a, b = 1, 2 function f() return function() b = b + 1 return a, b end end";
    let prototype = patched(old, new);
    let f = &prototype.children[0];
    assert_eq!(names(f), ["a"]);
    assert_eq!(names(&f.children[0]), ["a"]);
    let listing = moonswap_bytecode::listing(&f.children[0]);
    assert!(
        listing.contains("GETCELL") && listing.contains("SETCELL") && listing.contains("cell 1"),
        "{listing}"
    );
}

#[test]
fn added_functions_capture_cells_where_their_parent_has_none() {
    let old = "local a = 1 function f() end";
    let new = "local a = 1 function f() return function() return a end end";
    let prototype = patched(old, new);
    let f = &prototype.children[0];
    assert_eq!(names(f), Vec::<String>::new());
    assert_eq!(names(&f.children[0]), ["a"]);
    assert_eq!(&*f.sites[0].captures, [Capture::Cell(0)]);
}

#[test]
fn variables_are_told_apart_by_declaration() {
    let old = "local x = 1 do local x = 2 function f() return x end end local x = 3 function g() return x end";
    let prototype = compile("@p", old.as_bytes()).expect("compiles");
    let of = |i: usize| -> UpvalueDescription { prototype.children[i].upvalues[0].clone() };
    assert!(!of(0).top_level && of(0).declaration == 0);
    assert!(of(1).top_level && of(1).declaration == 1);
    let same = patched(old, old);
    assert_eq!(same.deep_hash, prototype.deep_hash);
}

#[test]
fn a_delta_chunk_keeps_what_is_selected() {
    let source = "local a = 1\nlocal b = a + 1\nfunction f() return a + b end\nprint(a)\nfunction g() return b end";
    let whole = compile("@p", source.as_bytes()).expect("compiles");
    let cells = cells_of(&whole);
    let options = CompileOptions {
        cells: Some(&cells),
        delta: true,
        statements: Some(&[false, true, false, false, true]),
        ..Default::default()
    };
    let delta = compile_with("@p", source.as_bytes(), options).expect("compiles");
    moonswap_bytecode::verify(&delta).expect("verifies");
    assert_eq!(delta.children.len(), 1);
    let id: &FunctionId = &delta.children[0].id;
    assert_eq!(*id, whole.children[1].id);
    assert_eq!(&*delta.sites[0].captures, [Capture::Cell(1)]);
    let listing = moonswap_bytecode::listing(&delta);
    assert!(
        listing.contains("GETCELL") && listing.contains("SETCELL") && !listing.contains("print"),
        "{listing}"
    );
}

#[test]
fn hashes_ignore_lines_and_local_names_only() {
    let hash =
        |source: &str| compile("@p", source.as_bytes()).expect("compiles").children[0].own_hash;
    let base = hash("function f(x) return x + 1 end");
    assert_eq!(base, hash("\n\nfunction f(value)\n return value + 1\nend"));
    assert_ne!(base, hash("function f(x) return x + 2 end"));
    assert_ne!(base, hash("function f(x, y) return x + 1 end"));
    assert_ne!(
        hash("function f() return 1.5 end"),
        hash("function f() return 2.5 end")
    );
    assert_ne!(
        hash("function f() return a end"),
        hash("function f() return b end")
    );
    let deep = |source: &str| {
        let prototype = compile("@p", source.as_bytes()).expect("compiles");
        (prototype.own_hash, prototype.deep_hash)
    };
    let (own, all) = deep("function f() return 1 end");
    let (own_after, all_after) = deep("function f() return 2 end");
    assert_eq!(own, own_after);
    assert_ne!(all, all_after);
}
