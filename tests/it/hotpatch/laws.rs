//! Laws of patching: same text, there and back, refusals, faults, fresh loads,
//! memory.

use moonswap_vm::HotError;
use moonswap_vm::planning::{Patch, Policy};

use super::world::{CHUNK, World};

const A: &str = "
local count = 0
local LIMIT = 10
local list = { 1, 2, 3 }
local M = {}
local function helper(x) return x + LIMIT end
function M.hit(x) count = count + 1 return helper(x) end
function M.make(k) local n = k return function(d) n = n + d return n end end
function M:method(y) return self == M, y, #list end
function M.pure(a, b) return a * b + #'pure', a .. b end
mod = M
";

const B: &str = "
local count = 0
local LIMIT = 20
local list = { 1, 2, 3 }
local M = {}
local function helper(x) return x * 2 + LIMIT end
function M.hit(x) count = count + 100 return helper(x), count end
function M.make(k) local n = k return function(d) n = n - d return n, 'b' end end
function M:method(y, ...) return self == M, y, select('#', ...) end
function M.pure(a, b) local t = { a, b } return t[1] - t[2], b .. a .. 'b' end
mod = M
";

const BEHAVIOUR: &str = "
local a, b = mod.hit(1)
local f = mod.make(5)
local c, d, e = mod:method(7, 8, 9)
local x, y = mod.pure(6, 7)
return table.concat({ tostring(a), tostring(b ~= nil), tostring(f(2)), tostring(c), tostring(d), tostring(e), tostring(x), y }, ' ')
";

fn hashes(world: &World, text: &str) -> String {
    // The plan of a text that runs already is empty; its listing names what
    // differs otherwise.
    let patch = Patch::compile(CHUNK, text.as_bytes()).expect("compiles");
    world.machine.with(|cx| {
        cx.hot_plan(&patch, &Policy::default())
            .expect("plan")
            .to_string()
    })
}

#[test]
fn a_patch_with_itself_is_empty() {
    for text in [A, B] {
        let world = World::new();
        world.load(CHUNK, text, true).expect("loads");
        world.fingerprint();
        let before = world.fingerprint();
        let report = world.patch(CHUNK, text).expect("applied");
        assert!(report.functions.is_empty(), "{report}");
        assert_eq!(before, world.fingerprint());
    }
}

#[test]
fn there_and_back() {
    let world = World::new();
    world.load(CHUNK, A, true).expect("loads");
    let behaviour_a = world.run(BEHAVIOUR).expect("runs");
    assert!(hashes(&world, A).contains("nothing changed"));
    for round in 0..3 {
        world.patch(CHUNK, B).expect("applied");
        let b = world.run(BEHAVIOUR).expect("runs");
        assert_ne!(b, behaviour_a);
        assert!(
            hashes(&world, B).contains("nothing changed"),
            "{}",
            hashes(&world, B)
        );
        if round % 2 == 0 {
            world.patch(CHUNK, A).expect("applied");
        } else {
            world
                .machine
                .with(|cx| cx.hot_rollback(None))
                .expect("rolled back");
        }
        assert_eq!(world.run(BEHAVIOUR), Ok(behaviour_a.clone()));
        assert!(
            hashes(&world, A).contains("nothing changed"),
            "{}",
            hashes(&world, A)
        );
    }
}

#[test]
fn functions_without_state_are_as_freshly_loaded() {
    let patched = World::new();
    patched.load(CHUNK, A, true).expect("loads");
    patched.patch(CHUNK, B).expect("applied");
    let fresh = World::new();
    fresh.load(CHUNK, B, true).expect("loads");
    for script in [
        BEHAVIOUR,
        "return table.concat({ mod.pure(1, 2) }, ' ')",
        "return tostring(select('#', mod:method(1, 2, 3))) .. tostring(select(3, mod:method(1, 2, 3)))",
        "local f = mod.make(1) return f(1) .. f(2)",
        "local i = debug.getinfo(mod.pure, 'Su') return i.short_src .. i.linedefined .. i.lastlinedefined .. i.nparams",
        "return select(2, pcall(mod.pure, nil, 1))",
    ] {
        assert_eq!(patched.run(script), fresh.run(script), "{script}");
    }
}

#[test]
fn a_fault_at_each_statement_changes_nothing() {
    let old = "
local n, log = 1, {}
M = {}
function M.f() n = n + 1 return n, #log end
keep = M.f
";
    // Each of them works; then one is made to fail, in turn.
    let added = [
        "local extra1 = { n }",
        "local extra2 = (function() return #extra1 + n end)()",
        "local n2, n3 = 5, tostring(extra2)",
        "local function helper() return n2 end",
        "function M.g() return helper() end",
        "function added() return extra1 end",
        "function M.h() return n3 end",
    ];
    let text = |fault: Option<usize>| {
        let mut text = String::from("\nlocal n, log = 1, {}\nM = {}\n");
        for (i, line) in added.iter().enumerate() {
            if fault == Some(i) {
                text.push_str("local fault = error('fault')\n");
                text.push_str("function nowhere.at.all() end\n");
            }
            text.push_str(line);
            text.push('\n');
        }
        if fault == Some(added.len()) {
            text.push_str("function nowhere.at.all() end\n");
        }
        text.push_str("function M.f() n = n + 10 return n, #log, extra2, M.g() end\nkeep = M.f\n");
        text
    };
    let world = World::new();
    world.load(CHUNK, old, true).expect("loads");
    world.fingerprint();
    let before = world.fingerprint();
    for fault in 0..=added.len() {
        let outcome = world.patch(CHUNK, &text(Some(fault)));
        if fault < added.len() {
            assert!(matches!(outcome, Err(HotError::Delta(_))), "{outcome:?}");
        } else {
            // A function for a table that is not there.
            let code = match &outcome {
                Err(HotError::Refused(refused)) => refused.refusals[0].code.text(),
                _ => "",
            };
            assert_eq!(code, "P023", "{outcome:?}");
        }
        assert_eq!(before, world.fingerprint(), "fault at {fault}");
        world.run("collectgarbage()").expect("collects");
    }
    assert_eq!(
        world.run("return M.f() .. ' ' .. tostring(M.g) .. tostring(added)"),
        Ok("2 nilnil".to_owned())
    );
    world.patch(CHUNK, &text(None)).expect("applied");
    assert_eq!(
        world.run("local a, b, c, d = M.f() return a .. b .. c .. d .. added()[1] .. M.h()"),
        Ok("120352".to_owned() + "3")
    );
}

#[test]
fn refused_patches_change_nothing() {
    let world = World::new();
    world.load(CHUNK, A, true).expect("loads");
    world.run("closure = mod.make(1)").expect("runs");
    world.fingerprint();
    let before = world.fingerprint();
    for bad in [
        A.replace("n = n + d", "n = n + d + k"),
        A.replace("x + LIMIT", "x +"),
        B.replace("n = n - d", "n = n - k"),
        format!("{A} local x <close> = nil"),
        A.replace("local count = 0", "local count = 0 local count = 1"),
        format!("{A}\nfunction x.y.z() end"),
    ] {
        let outcome = world.patch(CHUNK, &bad);
        assert!(outcome.is_err(), "{outcome:?}\n{bad}");
        assert_eq!(before, world.fingerprint(), "{outcome:?}");
    }
}

/// 10,000 patches, or as many as `MOONSWAP_PATCHES` says.
#[test]
fn many_patches_leave_memory_flat() {
    let n_patches = std::env::var("MOONSWAP_PATCHES")
        .map_or(10_000, |n| n.parse().expect("a number of patches"));
    let world = World::new();
    world.load(CHUNK, A, true).expect("loads");
    world
        .run("closures = {} for i = 1, 100 do closures[i] = mod.make(i) end")
        .expect("runs");
    let bytes = |world: &World| {
        world.machine.with(|cx| {
            let _ = cx.gc_collect();
            let _ = cx.gc_collect();
            cx.gc_bytes()
        })
    };
    let with_new = format!("{B}\nlocal extra = {{}}\nfunction mod2() return extra end\n");
    let patches: Vec<Patch> = [B, A, &with_new, A]
        .iter()
        .map(|text| Patch::compile(CHUNK, text.as_bytes()).expect("compiles"))
        .collect();
    let mut first = 0;
    for round in 0..n_patches {
        let patch = &patches[round % patches.len()];
        world
            .machine
            .with(|cx| cx.hot_apply(patch, &Policy::default()))
            .expect("applied");
        if round % 50 == 0 {
            world
                .run("for i = 1, 100 do closures[i](1) end")
                .expect("runs");
        }
        if round == 100 {
            first = bytes(&world);
        }
    }
    let last = bytes(&world);
    assert!(
        last < first + 64 * 1024,
        "{first} bytes after 100 patches, {last} after {n_patches}"
    );
    assert!(world.machine.with(|cx| cx.hot_history().len()) <= 16);
    assert_eq!(world.run("return mod.pure(2, 3)"), Ok("10".to_owned()));
}
