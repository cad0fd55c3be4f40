//! Long sources of up to 1 MiB: a million tokens of one kind, nesting without
//! end, one string, comment, name or number of that length, many small things.
//!
//! Each is made of a few draws. How long they may take is the runner's bound; a
//! watch must be able to stop them wherever it likes.

use std::cell::Cell;

use moonswap_bytecode::{Watch, dump, verify};
use moonswap_compiler::CompileOptions;

use crate::compile::{PAIRS, TOKENS};
use crate::data::Data;

/// Longest source, bytes; programs without optimisation take a tenth of it.
const LONGEST: usize = if cfg!(debug_assertions) {
    100 << 10
} else {
    1 << 20
};

/// Openings of what goes on without end, and the ends.
const ENDLESS: [(&str, &str, &str); 22] = [
    ("x = '", "a", "'"),
    ("x = '", "\\065", "'"),
    ("x = '", "\\u{7FFFFFFF}", "'"),
    ("x = '", "\\z \n", "'"),
    ("x = '", "\\\n", "'"),
    ("x = [==[", "]=", "]==]"),
    ("x = [==[", "\r\n", "]==]"),
    ("--[[", "]", "]]"),
    ("--", "-", "\n"),
    ("x = [", "=", "["),
    ("x = 0x", "f", ""),
    ("x = 0x.", "0", "p99"),
    ("x = ", "9", "e1"),
    ("x = 1e", "9", ""),
    ("x = 0.", "0", "1"),
    ("local ", "n", " = 1"),
    ("", "\n", "x = 1"),
    ("#", "!", "\nx = 1"),
    ("goto ", "l", ""),
    ("return ", "...,", "1"),
    ("f ", "''", ""),
    ("x = y", ".z", ""),
];

/// Statements and expressions that may come any number of times; `@` becomes
/// the number of the time.
const REPEATED: [&str; 16] = [
    "x = x + 1 ",
    "local a = 1 ",
    "do local a, b <const>, c <close> = 1, 2 end ",
    "f(@, '@', {@, k = @}) ",
    "x@ = 'k@' ",
    "t.k@ = @.5 ",
    "function f@(a, ...) return a@, ... end ",
    "local function g() return g, x@ end ",
    "::l@:: goto l@ ",
    "if x == @ then y = @ elseif x < 3 then y = nil else goto e@ end ::e@:: ",
    "for i = 1, @ do z = i end ",
    "for k, v in next, t do if k then break end end ",
    "while x do x = x and y or @ end ",
    "repeat local a = function() return a end until a == @ ",
    "do goto e@ local a ::e@:: end ",
    "; ",
];

/// A long source.
pub(crate) fn source(data: &mut Data<'_>) -> Vec<u8> {
    let length = match data.below(8) {
        0..=4 => 4096,
        5..=6 => LONGEST / 16,
        _ => LONGEST,
    };
    let times = |piece: usize| length / piece.max(1);
    let text = match data.below(6) {
        0 => data.pick(&TOKENS).repeat(times(8)),
        1 => {
            let pair = format!("{} {} ", data.pick(&TOKENS), data.pick(&TOKENS));
            pair.repeat(times(pair.len()))
        }
        2 => {
            let (open, middle, close) = PAIRS[data.below(PAIRS.len())];
            let n = times(open.len() + close.len());
            let ends = if data.chance(3) { data.below(n) } else { n };
            let start = data.pick(&["", "return ", "x = "]);
            format!("{start}{}{middle}{}", open.repeat(n), close.repeat(ends))
        }
        3 => {
            let (open, middle, close) = ENDLESS[data.below(ENDLESS.len())];
            let close = if data.chance(4) { "" } else { close };
            format!("{open}{}{close}", middle.repeat(times(middle.len())))
        }
        4 => {
            let separator = data.pick(&[",", "+", "..", " and ", " == ", "^", "<<"]);
            let item = data.pick(&["@", "'s@'", "x", "x@", "f(@)", "{@}", "@.5", "-x", "nil"]);
            let (open, close) = *[("return ", ""), ("x = {", "}"), ("f(", ")")]
                .get(data.below(3))
                .unwrap_or(&("", ""));
            let items = numbered(&format!("{item}{separator}"), length);
            format!("{open}{items}1{close}")
        }
        _ => numbered(data.pick(&REPEATED), length),
    };
    let start = data.pick(&["", "local x, y, t, z = ... ", "--@id x\n"]);
    let end = data.pick(&["", " return x", " end", " ::done::"]);
    format!("{start}{text}{end}").into_bytes()
}

fn numbered(piece: &str, length: usize) -> String {
    let mut out = String::new();
    let mut n = 0u32;
    while out.len() < length {
        out += &piece.replace('@', &n.to_string());
        n += 1;
    }
    out
}

/// Compiles, verifies, writes and reads it; then once more, stopped on the way.
///
/// # Panics
/// When something does not hold.
pub(crate) fn check(source: &[u8], stop: u32) {
    let compiled = moonswap_compiler::compile("@long.lua", source);
    match &compiled {
        Ok(prototype) => {
            verify::verify(prototype).expect("what compiles verifies");
            let bytes = dump::dump(prototype, false);
            let back = dump::undump(&bytes).expect("a dump can be read");
            assert_eq!(back.deep_hash, prototype.deep_hash);
        }
        Err(error) => {
            assert!(!error.message.is_empty() && !error.raw.is_empty());
            assert!(error.span.end as usize <= source.len());
            // Messages show what is wrong, not all of it.
            assert!(error.raw.len() < 300 || error.raw.len() <= source.len() + 100);
        }
    }
    let asked = Cell::new(0);
    let is_over = || {
        asked.set(asked.get() + 1);
        asked.get() >= stop
    };
    let watch = Watch::new(&is_over);
    let options = CompileOptions {
        watch: Some(&watch),
        ..CompileOptions::default()
    };
    let again = moonswap_compiler::compile_with("@long.lua", source, options);
    if asked.get() < stop {
        assert_eq!(
            compiled.is_ok(),
            again.is_ok(),
            "a watch changes the result"
        );
    } else {
        assert!(again.is_err(), "stopped, and still done");
        assert_eq!(asked.get(), stop, "asked again after it was stopped");
    }
}
