//! What many patches leave behind, measured on a process of its own: 10,000
//! alternating ones by default, `MOONSWAP_PATCHES=n` as many as wanted.
//!
//! One test, so that nothing else allocates meanwhile.

use std::sync::Arc;

use moonswap::{Lua, Patch};

fn text(version: usize) -> String {
    // Always as long: the main chunk, whose compiled form keeps those of the
    // functions in it, knows columns.
    let version = format!("{version:03}");
    let mut text = String::from("local kept = { 1, 2, 3 }\n");
    for i in 0..20 {
        text.push_str(&format!(
            "function f{i}(x) local t = {{ x, {version}, 'text {version} of {i}' }} return t[1] + t[2] + #kept end\n"
        ));
    }
    text.push_str(&format!(
        "function co() while true do coroutine.yield({version}) end end\n"
    ));
    text
}

const CHUNK: &str = "@many.lua";

/// Bytes of Lua's heap after full collections.
fn live(lua: &Lua) -> usize {
    for _ in 0..2 {
        lua.gc_collect().expect("collects");
    }
    lua.machine().with(|cx| cx.gc_bytes())
}

/// Bytes of memory the process occupies.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Versions in the heap after full collections.
fn versions(lua: &Lua) -> usize {
    live(lua);
    lua.machine().live_versions()
}

#[test]
fn memory_stays_flat() {
    let n = std::env::var("MOONSWAP_PATCHES")
        .map_or(10_000, |n| n.parse().expect("a number of patches"));
    let lua = Lua::new();
    lua.load(text(0)).set_name(CHUNK).exec().expect("loads");
    let patch = |v: usize| Patch::compile(CHUNK, text(v).as_bytes()).expect("compiles");
    let both = [patch(1), patch(0)];
    let mut at_1000 = (0, None);
    for i in 1..=n {
        let report = lua.hot().apply(&both[(i + 1) % 2]).expect("applied");
        assert_eq!(report.functions.len(), 21);
        // What a host does between two calls; the collector works there.
        lua.machine().poll();
        if i == 1000 {
            at_1000 = (live(&lua), resident());
        }
    }
    let (heap, process) = (live(&lua), resident());
    println!(
        "heap {} bytes after 1,000 patches, {heap} after {n}",
        at_1000.0
    );
    assert!(heap < at_1000.0 + (1 << 20), "{at_1000:?}, then {heap}");
    if let (Some(before), Some(after)) = (at_1000.1, process) {
        println!("process {before} bytes after 1,000 patches, {after} after {n}");
        assert!(
            after as f64 <= before as f64 * 1.05,
            "{before}, then {after}"
        );
    }
    let history = lua.hot().history().len();
    assert!(history <= 16, "{history} entries");

    a_pinned_version(&lua, &patch);
    a_rollback_storm(&lua, n.min(10_000));
}

/// A coroutine suspended in version 7 keeps that one; beside it there are the
/// current ones and those of the history, of each function, and nothing else.
/// When it is gone, version 7 goes too.
fn a_pinned_version(lua: &Lua, patch: &dyn Fn(usize) -> Patch) {
    // The code of each text's `co`, as long as anything keeps it.
    let mut codes = Vec::new();
    let mut apply = |v: usize| {
        let patch = patch(v);
        let main = patch.chunks()[0].main();
        let co = main.children.last().expect("the last function");
        codes.push((v, Arc::downgrade(co)));
        lua.hot().apply(&patch).expect("applied");
    };
    (2..=7).for_each(&mut apply);
    let script = "pinned = coroutine.create(co) return select(2, coroutine.resume(pinned))";
    let seven: i64 = lua.load(script).transient().eval().expect("runs");
    assert_eq!(seven, 7);
    (8..60).for_each(&mut apply);
    let kept = || -> Vec<usize> {
        let live = codes.iter().filter(|(_, code)| code.strong_count() > 0);
        live.map(|(v, _)| *v).collect()
    };
    let with = versions(lua);
    // The one that runs, and what 16 patches replaced.
    let history: Vec<usize> = (60 - 17..60).collect();
    assert_eq!(kept(), [&[7], &history[..]].concat());
    // Others may come and go meanwhile.
    let script = "for i = 1, 100 do local other = coroutine.create(co) coroutine.resume(other) end";
    lua.load(script).transient().exec().expect("runs");
    assert_eq!(versions(lua), with);

    let script = "local a = select(2, coroutine.resume(pinned)) pinned = nil return a";
    let seven: i64 = lua.load(script).transient().eval().expect("runs");
    assert_eq!(seven, 7, "finishes on the code it began with");
    let without = versions(lua);
    println!("{with} versions with a coroutine in version 7, {without} without");
    assert_eq!(with, without + 1);
    assert_eq!(kept(), history);
    // Current ones and 16 kept, of 21 functions; libraries and main chunks.
    assert!((17 * 21..17 * 21 + 40).contains(&without), "{without}");
}

/// Rollbacks are entries too, and as bounded.
fn a_rollback_storm(lua: &Lua, n: usize) {
    let mut before = 0;
    for i in 0..n {
        let history = lua.hot().history();
        let entry = &history[i * 7 % history.len()];
        lua.hot().rollback(entry.id).expect("rolled back");
        assert!(lua.hot().history().len() <= 32);
        if i == 100 {
            before = live(lua);
        }
    }
    let after = live(lua);
    println!("heap {before} bytes after 100 rollbacks, {after} after {n}");
    assert!(after < before + (1 << 20), "{before}, then {after}");
}
