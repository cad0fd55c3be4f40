//! Recursion 10,000 deep that is patched at depth 5,000, with versions that
//! differ in constants, frame size, arity and vararg-ness.

use super::world::{CHUNK, World};

const N: i64 = 10_000;
const AT: i64 = 5_000;

/// `f(n)` to depth 0, patching at depth 5,000: each level adds to a sum by
/// which its version is known, and counts itself.
fn source(head: &str, before: &str, call: &str, add: &str, marker: &str) -> String {
    format!(
        "olds, news = 0, 0\nfunction f({head}\n  if n == {AT} and olds == 0 then olds = 0 step() end\n{before}\n  if n == 0 then return 0 end\n  \
         local rest = {call}\n  {marker} = {marker} + 1\n  return rest + {add}\nend\n"
    )
}

fn locals(n: usize) -> String {
    let names: Vec<String> = (0..n).map(|i| format!("l{i}")).collect();
    let values: Vec<String> = (0..n).map(|i| i.to_string()).collect();
    format!("  local {} = {}", names.join(", "), values.join(", "))
}

/// Runs `old` and patches to `new` at the middle; what each level adds.
fn check(name: &str, old: &str, new: &str, add_old: i64, add_new: i64, collect: bool) {
    let world = World::new();
    world.source("v2", new);
    let script = if collect {
        "function step() step = function() end assert(patch('v2')) collectgarbage() end"
    } else {
        "function step() step = function() end assert(patch('v2')) end"
    };
    world.run(script).expect("script");
    world
        .load(CHUNK, old, true)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let result = world.run(&format!(
        "local sum = f({N}, 'a', 'b') collectgarbage() return sum .. ' ' .. olds .. ' ' .. news .. ' ' .. f(10, 'a', 'b')"
    ));
    // Levels N … AT began before the patch, AT-1 … 1 after it; 0 adds nothing.
    let (olds, news) = (N - AT + 1, AT - 1);
    let expected = format!(
        "{} {olds} {news} {}",
        olds * add_old + news * add_new,
        10 * add_new
    );
    assert_eq!(
        result,
        Ok(expected),
        "{name}, collect = {collect}\n{old}\n{new}"
    );
}

#[test]
fn patched_in_the_middle() {
    let plain = source("n)", "", "f(n - 1)", "3", "olds");
    let many = locals(150);
    let news = [
        (
            "constants",
            source("n)", "", "f(n - 1)", "(7 + #'constants' - 9)", "news"),
            7,
        ),
        (
            "frame size",
            source("n)", &many, "f(n - 1)", "l100 + l149 - n * 0", "news"),
            249,
        ),
        (
            "arity",
            source(
                "n, a, b, c)",
                "",
                "f(n - 1, 1, 2, 3)",
                "(a == nil and 1 or 5) + 0",
                "news",
            ),
            5,
        ),
        (
            "vararg",
            source("n, ...)", "", "f(n - 1, n, ...)", "2", "news"),
            2,
        ),
        (
            "no parameter list",
            source(
                "...) local n = ...",
                &many,
                "f(n - 1)",
                "(select('#', ...) + 10) * 0 + l7",
                "news",
            ),
            7,
        ),
        (
            "float",
            source("n)", "", "f(n - 1)", "math.tointeger(2.5 * 4)", "news"),
            10,
        ),
    ];
    for (name, new, add) in &news {
        for collect in [false, true] {
            if *name == "arity" || *name == "vararg" {
                continue;
            }
            check(name, &plain, new, 3, *add, collect);
            // And back: from the larger to the small one.
            let back = source("n)", "", "f(n - 1)", "3", "news");
            let old = new.replace("news = news + 1", "olds = olds + 1");
            check(&format!("from {name}"), &old, &back, *add, 3, collect);
        }
    }
}

/// Arity and varargs: each level hands on arguments that its callee may not
/// take, so the sums depend on the version of the caller and of the callee.
#[test]
fn arity_in_the_middle() {
    // The old one takes (n), the new one (n, a, b) and adds a + b if given.
    let fixed = source("n)", "", "f(n - 1, 1, 2)", "3", "olds");
    let wide = source(
        "n, a, b)",
        "",
        "f(n - 1, 1, 2)",
        "(a or 100) + (b or 200)",
        "news",
    );
    let vararg = source(
        "n, ...)",
        "",
        "f(n - 1, 1, 2)",
        "select('#', ...) + (select(1, ...))",
        "news",
    );
    for (name, new, each) in [("wide", &wide, 3), ("vararg", &vararg, 3)] {
        for collect in [false, true] {
            let world = World::new();
            world.source("v2", new);
            let gc = if collect { "collectgarbage()" } else { "" };
            world
                .run(&format!(
                    "function step() step = function() end assert(patch('v2')) {gc} end"
                ))
                .expect("script");
            world.load(CHUNK, &fixed, true).expect("loads");
            let result = world.run(&format!(
                "local sum = f({N}) collectgarbage() return sum .. ' ' .. olds .. ' ' .. news"
            ));
            let (olds, news) = (N - AT + 1, AT - 1);
            assert_eq!(
                result,
                Ok(format!("{} {olds} {news}", olds * 3 + news * each)),
                "{name}, collect = {collect}"
            );
        }
    }
}

/// A → B → A → B … on the way down: each level keeps the version it began with.
#[test]
fn flipped_at_every_level() {
    let text = |own: &str, pad: &str| {
        format!(
            "function f(n)\n{pad}\n  flip(n)\n  if n == 0 then return '' end\n  local rest = f(n - 1)\n  return '{own}' .. rest\nend\n"
        )
    };
    let (a, b) = (text("a", ""), text("b", &locals(40)));
    let world = World::new();
    world.source("a", &a);
    world.source("b", &b);
    world
        .run("function flip(n) if n > 900 then assert(patch(n % 2 == 0 and 'b' or 'a')) end end")
        .expect("script");
    world.load(CHUNK, &a, true).expect("loads");
    // 1000 (a) patches to b; 999 (b) to a; … 901 to a; all below are a.
    let expected: String = (1..=1000)
        .rev()
        .map(|n| if n >= 900 && n % 2 == 1 { 'b' } else { 'a' })
        .collect();
    assert_eq!(world.run("return f(1000)"), Ok(expected));
    assert!(world.machine.with(|cx| cx.hot_history().len()) <= 16);
}
