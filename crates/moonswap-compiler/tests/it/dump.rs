//! Binary chunks: what is written is read back, what could only harm is refused.

use std::sync::Arc;

use moonswap_bytecode::dump::{Take, UndumpError, dump, undump, undump_to};
use moonswap_bytecode::{
    Constant, FunctionId, Instruction, Literal, LiteralStep, NumberedStep, PathStep, Prototype,
};

fn compiled(source: &str) -> Prototype {
    let prototype = moonswap_compiler::compile("@d", source.as_bytes()).expect("it compiles");
    Prototype::clone(&prototype)
}

/// Notes what it gets, and keeps nothing of it.
struct Taker {
    room: usize,
    /// How many functions may end.
    left: usize,
    /// The functions that began and did not end.
    open: Vec<Option<NumberedStep>>,
    /// Those that ended, with their code.
    ended: Vec<(Option<NumberedStep>, Vec<Instruction>)>,
}

impl Taker {
    fn new(room: usize) -> Self {
        Self {
            room,
            left: usize::MAX,
            open: Vec::new(),
            ended: Vec::new(),
        }
    }
}

impl Take for Taker {
    fn begins_outermost(&mut self, _: &str, _: &[LiteralStep<'_>]) -> Result<(), UndumpError> {
        assert!(self.open.is_empty());
        self.open.push(None);
        Ok(())
    }

    fn begins(&mut self, step: &LiteralStep<'_>) -> Result<(), UndumpError> {
        assert!(!self.open.is_empty());
        self.open.push(Some(step.step()));
        Ok(())
    }

    fn ends(&mut self, literal: &Literal<'_>, held: usize) -> Result<usize, UndumpError> {
        assert!(held <= self.room);
        let step = self.open.pop().expect("it began");
        self.ended.push((step, literal.code.clone()));
        self.left -= 1;
        match self.left {
            0 => Err(UndumpError::Memory),
            _ => Ok(self.room),
        }
    }
}

/// Reads function by function, with so much room.
fn without_parts(bytes: &[u8], room: usize) -> Result<(), UndumpError> {
    undump_to(bytes, None, room, &mut Taker::new(room))
}

/// Functions in the order in which they end.
fn functions(prototype: &Prototype, all: &mut Vec<(Option<NumberedStep>, Vec<Instruction>)>) {
    for child in &prototype.children {
        functions(child, all);
    }
    all.push((prototype.id.path().last().cloned(), prototype.code.to_vec()));
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
        let mut taker = Taker::new(usize::MAX);
        undump_to(&bytes, None, usize::MAX, &mut taker).expect("a dump is readable");
        assert!(taker.open.is_empty());
        let mut expected = Vec::new();
        functions(&prototype, &mut expected);
        assert_eq!(taker.ended, expected);
        assert_eq!(expected.len(), 4);
        let whole = undump(&bytes).expect("as a whole as well");
        assert_eq!(dump(&whole, strip), bytes);
        for end in 0..bytes.len() {
            let cut = without_parts(&bytes[..end], usize::MAX);
            let whole = undump(&bytes[..end]).map(|_| ());
            assert_eq!(cut, whole, "cut at {end}");
        }
        for at in 35..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            let parts = without_parts(&bytes, usize::MAX).is_ok();
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

/// Few bytes that become much: each is read with enough room, and refused without.
#[test]
fn no_more_memory_is_taken_than_there_is_room() {
    let mut many = compiled("return 1");
    many.constants = vec![Constant::Nil; 100_000].into();
    let mut deep = compiled("f = function() end");
    for _ in 0..200 {
        let outer = compiled("f = function() end");
        let mut outer = Prototype::clone(&outer.children[0]);
        let mut inner = Prototype::clone(&deep.children[0]);
        inner.id = FunctionId::new("@d".into(), [(PathStep::Anonymous, 0)]);
        outer.children = vec![Arc::new(inner)].into();
        deep.children = vec![Arc::new(outer)].into();
    }
    let mut wide = compiled("f = function() end");
    let leaf = Prototype::clone(&wide.children[0]);
    let leaf = |i| {
        let id = FunctionId::new("@d".into(), [(PathStep::Anonymous, i)]);
        Arc::new(Prototype { id, ..leaf.clone() })
    };
    wide.children = (0..5000).map(leaf).collect();
    let texts = (0..20_000).map(|i| Constant::String(format!("{i}").as_bytes().into()));
    let mut named = compiled("return 1");
    named.constants = texts.collect();
    for (what, prototype, times) in [("many", many, 20), ("deep", deep, 4), ("named", named, 15)] {
        let bytes = dump(&prototype, true);
        let enough = without_parts(&bytes, bytes.len() * 100 + 10_000);
        assert_eq!(enough, Ok(()), "{what}");
        let short = without_parts(&bytes, bytes.len() * times);
        assert_eq!(short, Err(UndumpError::Memory), "{what}");
    }
    // Each is gone before the next is read.
    let bytes = dump(&wide, true);
    assert_eq!(without_parts(&bytes, bytes.len() * 10), Ok(()));
    let mut taker = Taker::new(usize::MAX);
    taker.left = 2;
    let read = undump_to(&bytes, None, usize::MAX, &mut taker);
    assert_eq!(read, Err(UndumpError::Memory));
    assert_eq!(taker.ended.len(), 2);
}

/// What is known of registers wherever code jumps to takes more than the code.
#[test]
fn the_verifier_takes_no_more_than_there_is_room() {
    let source = format!(
        "local a = ... {} return a",
        "if a then a = f(a) end ".repeat(1000)
    );
    let mut prototype = compiled(&source);
    prototype.frame_size = 500;
    let bytes = dump(&prototype, true);
    assert_eq!(without_parts(&bytes, 4 << 20), Ok(()));
    assert_eq!(without_parts(&bytes, 300_000), Err(UndumpError::Memory));
}

/// Functions that claim more functions than there are bytes for.
#[test]
fn children_that_are_not_there_take_no_memory() {
    let prototype = compiled("return function() end");
    let mut bytes = dump(&prototype, true);
    // The number of functions in the innermost one; the bytes behind it mean nothing.
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend([0xFF, 0xFF, 0x03]);
    bytes.extend(vec![0xFF; 0xFFFF * 22]);
    assert_eq!(undump(&bytes).err(), Some(UndumpError::Truncated));
    let room = 20_000;
    assert_eq!(without_parts(&bytes, room), Err(UndumpError::Truncated));
    // As many as there are bytes for: they are read until one is wrong.
    bytes.extend(vec![0xFF; 0xFFFF]);
    assert_eq!(without_parts(&bytes, room), Err(UndumpError::Corrupted));
}

/// A patch knows functions by their ids.
#[test]
fn equal_functions_side_by_side_are_refused() {
    let prototype = compiled("f = function() g = function() end end");
    let twice = |p: &mut Prototype| p.children = vec![p.children[0].clone(); 2].into();
    let mut outer = prototype.clone();
    twice(&mut outer);
    let mut inner = prototype;
    twice(Arc::make_mut(&mut inner.children[0]));
    for prototype in [outer, inner] {
        let bytes = dump(&prototype, true);
        assert_eq!(undump(&bytes).err(), Some(UndumpError::Corrupted));
        let parts = without_parts(&bytes, usize::MAX);
        assert_eq!(parts, Err(UndumpError::Corrupted));
    }
}

#[test]
fn a_cell_is_one_constant() {
    let mut prototype = compiled("return 1");
    prototype.constants = [4, 2, 3].map(Constant::Cell).into();
    assert!(undump(&dump(&prototype, true)).is_ok());
    prototype.constants = [4, 2, 4].map(Constant::Cell).into();
    let read = undump(&dump(&prototype, true));
    assert_eq!(read.err(), Some(UndumpError::Corrupted));
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
