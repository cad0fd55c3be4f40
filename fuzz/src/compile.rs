//! Bytes → compile: random bytes, soups of tokens, damaged real sources, deep
//! nesting, sizes around the limits.
//!
//! Whatever comes in: no panic, the same result twice, errors with a place inside
//! the text, and what compiles passes the verifier and survives a dump.

use moonswap_bytecode::{dump, listing};

use crate::corpus;
use crate::data::Data;
use crate::long;
use crate::program;

/// Words and symbols of the language, and some that are none.
pub const TOKENS: [&str; 95] = [
    " ",
    "\n",
    "x",
    "y",
    "_ENV",
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "goto",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "^",
    "#",
    "&",
    "~",
    "|",
    "<<",
    ">>",
    "==",
    "~=",
    "<=",
    ">=",
    "<",
    ">",
    "=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "::",
    ";",
    ":",
    ",",
    ".",
    "..",
    "...",
    "<const>",
    "<close>",
    "0",
    "1",
    "0x7fffffffffffffff",
    "1e308",
    "0x1p-1074",
    "9223372036854775808",
    "3e",
    "0x",
    "'s'",
    "\"\\u{7FFFFFFF}\"",
    "'\\z  a'",
    "[[l]]",
    "[==[",
    "]==]",
    "--[[",
    "--",
    "'",
    "\"",
    "\\",
    "\0",
    "\u{FEFF}",
    "\r",
    "b.c",
    "f()",
    "0x1p4",
    "3x",
    "\"\\x41\"",
    "é",
    "--@id x\n",
    "\\u{7FFFFFFF}",
    "\\z",
    "\\300",
    "]]",
];

/// One execution.
///
/// # Panics
/// When something does not hold.
pub fn run(bytes: &[u8]) {
    let mut data = Data::new(bytes);
    let kind = data.byte();
    if is_long(kind) {
        let stop = 1 + data.below(200) as u32;
        long::check(&long::source(&mut data), stop);
    } else {
        check(&source(&mut data, kind));
    }
}

/// One in 256 takes as long as all others together.
fn is_long(kind: u8) -> bool {
    kind == u8::MAX
}

/// What an execution compiles, to be read by people.
pub fn show(bytes: &[u8]) -> String {
    let mut data = Data::new(bytes);
    let kind = data.byte();
    let text = if is_long(kind) {
        let _ = data.below(200);
        long::source(&mut data)
    } else {
        source(&mut data, kind)
    };
    String::from_utf8_lossy(&text).into_owned()
}

fn source(data: &mut Data<'_>, kind: u8) -> Vec<u8> {
    match kind % 16 {
        0 => data.rest().to_vec(),
        1..=4 => soup(data),
        5..=9 => damaged(data),
        10..=11 => nested(data),
        12 => sizes(data),
        _ => {
            let mut text = program::program(data).into_bytes();
            damage(data, &mut text);
            text
        }
    }
}

fn soup(data: &mut Data<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    while !data.is_done() && text.len() < 8192 {
        text.extend_from_slice(data.pick(&TOKENS).as_bytes());
        if !data.chance(4) {
            text.push(b' ');
        }
    }
    text
}

/// A piece of a real source, damaged.
fn damaged(data: &mut Data<'_>) -> Vec<u8> {
    let mut text = piece(data, 4096).to_vec();
    if data.chance(3) {
        text.extend_from_slice(piece(data, 1024));
    }
    damage(data, &mut text);
    text
}

/// Whole lines of a real source.
fn piece(data: &mut Data<'_>, most: usize) -> &'static [u8] {
    let sources = corpus::sources();
    let all = &sources[data.below(sources.len())][..];
    let start = data.below(all.len().max(1));
    let start = all[..start]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |at| at + 1);
    let n = 1 + data.below(most);
    let end = all.len().min(start + n);
    let end = all[end..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(all.len(), |at| end + at);
    &all[start..end]
}

/// Cuts, doubles, flips and inserts.
fn damage(data: &mut Data<'_>, text: &mut Vec<u8>) {
    let n = data.below(6);
    for _ in 0..n {
        let at = data.below(text.len() + 1);
        let length = data.below(64).min(text.len() - at);
        match data.below(6) {
            0 => drop(text.drain(at..at + length)),
            1 => {
                let copy = text[at..at + length].to_vec();
                let to = data.below(text.len() + 1);
                text.splice(to..to, copy);
            }
            2 if at < text.len() => text[at] ^= 1 << data.below(8),
            3 => text.truncate(at),
            _ => {
                let token = data.pick(&TOKENS).as_bytes();
                text.splice(at..at, token.iter().copied());
            }
        }
    }
}

/// What can be nested: opening, middle, end.
pub(crate) const PAIRS: [(&str, &str, &str); 20] = [
    ("(", "x", ")"),
    ("{", "", "}"),
    ("x[", "1", "]"),
    ("f(", "", ")"),
    ("-", "1", ""),
    ("not ", "x", ""),
    ("x..", "x", ""),
    ("x^", "2", ""),
    ("x+", "1", ""),
    ("x.y", "", ""),
    ("x and (y or ", "z", ")"),
    ("function() return ", "1", " end"),
    ("do ", "", " end"),
    ("if x then ", "", " end"),
    ("while x do ", "", " end"),
    ("repeat ", "", " until x"),
    ("for i=1,2 do ", "", " end"),
    ("for k in x do local f=function() return k end ", "", " end"),
    ("local function f() ", "", " end"),
    ("if x then elseif y then else ", "", " end"),
];

/// The same opening again and again, with or without its end.
fn nested(data: &mut Data<'_>) -> Vec<u8> {
    let (open, middle, close) = PAIRS[data.below(PAIRS.len())];
    let n = match data.below(4) {
        0 => data.below(260),
        1 => 180 + data.below(40),
        2 => data.below(3000),
        _ => data.below(16),
    };
    let (other, _, other_close) = PAIRS[data.below(PAIRS.len())];
    let mixed = data.chance(4);
    let ends = if data.chance(4) { data.below(n + 1) } else { n };
    let prefix = data.pick(&["", "return ", "local x = ", "f(", "x = "]);
    let mut text = prefix.to_owned();
    let half = |i: usize| mixed && i % 2 == 1;
    for i in 0..n {
        text.push_str(if half(i) { other } else { open });
    }
    text.push_str(middle);
    for i in (n - ends..n).rev() {
        text.push_str(if half(i) { other_close } else { close });
    }
    if prefix == "f(" {
        text.push(')');
    }
    text.into_bytes()
}

/// Around the limits of locals, captures, constants, registers, labels.
fn sizes(data: &mut Data<'_>) -> Vec<u8> {
    let n = 1 + data.below(300);
    let list = |item: &dyn Fn(usize) -> String, separator: &str| {
        (0..n).map(item).collect::<Vec<_>>().join(separator)
    };
    let text = match data.below(9) {
        0 => format!("local {} = 1", list(&|i| format!("a{i}"), ",")),
        1 => list(&|i| format!("local a{i} <const> = {i}"), "\n"),
        2 => {
            let half = list(&|i| format!("local a{i} = {i}"), "\n");
            format!(
                "do {half} end local function f() return {} end",
                list(&|i| format!("a{i}"), "+")
            )
        }
        3 => format!("return f({})", list(&|i| i.to_string(), ",")),
        4 => format!(
            "t = {{{}}}",
            list(&|i| format!("{i}.5, 'x{i}', k{i} = g()"), ",")
        ),
        5 => list(&|i| format!("::l{i}:: if x then goto l{} end", i / 2), "\n"),
        6 => format!("function f({}) end", list(&|i| format!("p{i}"), ",")),
        7 => format!("{} = f()", list(&|i| format!("t[{i}].x"), ",")),
        _ => {
            let deep = list(&|i| format!("local function f{i}() local v{i} = "), "");
            format!("{deep} 1 {}", list(&|i| format!("return v{i} end"), " "))
        }
    };
    text.into_bytes()
}

/// # Panics
/// When something does not hold.
pub(crate) fn check(source: &[u8]) {
    let result = moonswap_compiler::compile("@fuzz.lua", source);
    let again = moonswap_compiler::compile("@fuzz.lua", source);
    let prototype = match (result, again) {
        (Ok(prototype), Ok(other)) => {
            assert_eq!(
                dump::dump(&prototype, false),
                dump::dump(&other, false),
                "compiled twice, two results"
            );
            prototype
        }
        (Err(error), Err(other)) => {
            assert_eq!(error, other, "two errors for one text");
            let lines = 1 + source.iter().filter(|&&b| b == b'\n' || b == b'\r').count();
            let span = error.span;
            assert!(
                span.line >= 1 && span.line as usize <= lines && span.column >= 1,
                "no place: {span:?} of {lines} lines: {error}"
            );
            assert!(
                span.start <= span.end && span.end as usize <= source.len(),
                "place beyond the text: {span:?}: {error}"
            );
            assert!(!error.message.is_empty() && !error.raw.is_empty());
            return;
        }
        (first, second) => panic!("compiled once: {:?}, {:?}", first.err(), second.err()),
    };
    moonswap_bytecode::verify(&prototype).expect("what compiles verifies");
    for strip in [false, true] {
        let bytes = dump::dump(&prototype, strip);
        let back = dump::undump(&bytes).expect("a dump can be read");
        assert_eq!(dump::dump(&back, strip), bytes, "a dump read back differs");
        if !strip {
            assert_eq!(back.deep_hash, prototype.deep_hash);
            assert_eq!(listing(&back), listing(&prototype));
        }
    }
}
