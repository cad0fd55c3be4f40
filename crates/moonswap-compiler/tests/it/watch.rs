//! Work that is stopped from outside ends, wherever it is.

use std::cell::Cell;

use moonswap_bytecode::{dump, verify};
use moonswap_compiler::{CompileOptions, Watch, compile, compile_with};

/// Compiles, stopping at the `n`th question; how many were asked.
fn stop_at(n: u32, text: &str) -> (u32, bool) {
    let asked = Cell::new(0);
    let is_over = || {
        asked.set(asked.get() + 1);
        asked.get() >= n
    };
    let watch = Watch::new(&is_over);
    let options = CompileOptions {
        watch: Some(&watch),
        ..CompileOptions::default()
    };
    let done = compile_with("=x", text.as_bytes(), options).is_ok();
    (asked.get(), done)
}

#[test]
fn every_stage_is_stopped() {
    for text in [
        "x = x + 1 ".repeat(5000),
        format!("return 1{}", " + x".repeat(9000)),
        format!("return x{}", ":y()".repeat(9000)),
        format!("return {{{}}}", "{1},".repeat(9000)),
    ] {
        let (all, done) = stop_at(u32::MAX, &text);
        assert!(done && all > 20, "{all}");
        for n in 1..=all {
            assert_eq!(stop_at(n, &text), (n, false));
        }
    }
}

/// Stops `work` at every question it asks: each time it must end by that.
fn is_stopped_everywhere(mut work: impl FnMut(&Watch<'_>) -> bool) {
    let mut run = |n: u32| {
        let asked = Cell::new(0);
        let is_over = || {
            asked.set(asked.get() + 1);
            asked.get() >= n
        };
        let done = work(&Watch::new(&is_over));
        (asked.get(), done)
    };
    let (all, done) = run(u32::MAX);
    assert!(done && all > 20, "{all}");
    for n in 1..=all {
        assert_eq!(run(n), (n, false));
    }
}

#[test]
fn verifying_and_dumping_are_stopped() {
    for text in [
        format!("local x {}", "x = x + 1 ".repeat(30_000)),
        format!("local x {}", "if x then x = 1 end ".repeat(15_000)),
        "function f() return function() end end ".repeat(8_000),
    ] {
        let prototype = compile("=x", text.as_bytes()).expect("compiles");
        let bytes = dump::dump(&prototype, false);
        is_stopped_everywhere(|watch| verify::verify_watched(&prototype, Some(watch)).is_ok());
        is_stopped_everywhere(|watch| dump::dump_watched(&prototype, false, watch).is_some());
        is_stopped_everywhere(|watch| dump::undump_watched(&bytes, Some(watch)).is_ok());
    }
}
