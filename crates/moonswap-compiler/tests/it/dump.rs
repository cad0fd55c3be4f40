//! Binary chunks: what is written is read back, what could only harm is refused.

use std::sync::Arc;

use moonswap_bytecode::dump::{UndumpError, dump, undump, undump_in_parts};
use moonswap_bytecode::{FunctionId, PathStep, Prototype};

fn compiled(source: &str) -> Prototype {
    let prototype = moonswap_compiler::compile("@d", source.as_bytes()).expect("it compiles");
    Prototype::clone(&prototype)
}

#[test]
fn what_is_written_is_read_back() {
    let source = "local a <const>, b = 1, 2.5 return function(...) b = b + a return ..., 'x' end";
    let prototype = compiled(source);
    for strip in [false, true] {
        let bytes = dump(&prototype, strip);
        let back = undump(&bytes).expect("a dump is readable");
        assert_eq!(dump(&back, strip), bytes);
        assert_eq!(back.is_stripped(), strip);
        for end in 0..bytes.len() {
            assert!(undump(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn every_function_of_deep_and_wide_code_is_readable() {
    let source = format!(
        "{} {} {}",
        "local function f() ".repeat(90),
        "f = function() end ".repeat(3000),
        "end ".repeat(90)
    );
    let prototype = compiled(&source);
    for strip in [false, true] {
        let back = undump(&dump(&prototype, strip)).expect("a dump is readable");
        assert_eq!(back.children.len(), prototype.children.len());
    }
}

/// A VM reads function by function what others read as a whole.
#[test]
fn parts_are_those_of_the_whole() {
    let source = "local a, b = 1, 'x' function f() return a, b end
        g = { h = function(x) return function() return x, 'x', 2.5 end end }";
    let prototype = compiled(source);
    for strip in [false, true] {
        let bytes = dump(&prototype, strip);
        let whole = undump(&bytes).expect("a dump is readable");
        let mut children = Vec::new();
        let mut give = |child: &Prototype| children.push(Arc::new(child.clone()));
        let mut main = undump_in_parts(&bytes, None, &mut give).expect("in parts as well");
        assert_eq!(children.len(), 2);
        main.children = children.into();
        assert_eq!(dump(&main, strip), bytes);
        assert_eq!(main.code, whole.code);
        for end in 0..bytes.len() {
            let cut = undump_in_parts(&bytes[..end], None, &mut |_| {}).map(|_| ());
            let whole = undump(&bytes[..end]).map(|_| ());
            assert_eq!(cut, whole, "cut at {end}");
        }
        for at in 35..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            let parts = undump_in_parts(&bytes, None, &mut |_| {}).is_ok();
            assert_eq!(parts, undump(&bytes).is_ok(), "byte {at}");
        }
    }
}

/// A short string is written once; long ones, which take time, each time.
#[test]
fn short_strings_are_written_once() {
    let size = |text: &str| dump(&compiled(&format!("f({text})")), true).len();
    let (short, long) = ("s".repeat(40), "l".repeat(41));
    let twice = |s: &str| format!("'{s}', function() return '{s}' end");
    let other = |s: &str| format!("'{s}', function() return '{}' end", s.to_uppercase());
    assert_eq!(size(&other(&short)) - size(&twice(&short)), 41);
    assert_eq!(size(&other(&long)), size(&twice(&long)));
}

#[test]
fn paths_take_no_more_memory_than_the_chunk_pays_for() {
    // A path is written as one step and held in full: few bytes, much memory.
    let mut prototype = compiled("f = function() end");
    let step = (PathStep::Anonymous, 0);
    prototype.id = FunctionId::new(prototype.id.chunk().clone(), vec![step; 1000]);
    prototype.scope = Box::new([]);
    assert_eq!(
        undump(&dump(&prototype, true)).err(),
        Some(UndumpError::Corrupted)
    );
}

#[test]
fn debug_information_is_whole_or_absent() {
    let mut prototype = compiled("local a = 1 return a");
    prototype.debug.lines = vec![1].into();
    assert_eq!(
        undump(&dump(&prototype, false)).err(),
        Some(UndumpError::Corrupted)
    );
    let child =
        |p: &mut Prototype| Arc::make_mut(&mut p.children[0]).debug.lines = Vec::new().into();
    let mut prototype = compiled("return function() return 1 end");
    child(&mut prototype);
    assert_eq!(
        undump(&dump(&prototype, false)).err(),
        Some(UndumpError::Corrupted)
    );
}

/// A build with other operations would take the code for another, as valid.
#[test]
fn chunks_of_other_builds_are_refused() {
    let prototype = compiled("return 1");
    let mut bytes = dump(&prototype, false);
    // Behind the reference's header and its two numbers.
    for at in 31..35 {
        bytes[at] ^= 1;
        assert!(
            matches!(undump(&bytes), Err(UndumpError::Header(what)) if what.contains("another version")),
            "byte {at}"
        );
        bytes[at] ^= 1;
    }
    assert!(undump(&bytes).is_ok());
}
