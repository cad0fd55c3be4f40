//! Laws over random modules and random edits of them; `LAWS=n` tries n of each
//! instead of a few hundred.

use std::collections::HashMap;
use std::fmt::Write as _;

use moonswap_fuzz::data::{Data, row};
use moonswap_fuzz::module::Module;
use moonswap_vm::planning::{Patch, Policy};

use super::world::{CHUNK, World, compile};

const SEED: u64 = 540;
const OTHER: &str = "@other.lua";

pub(super) fn n_cases(usual: u64) -> u64 {
    std::env::var("LAWS").map_or(usual, |n| n.parse().expect("a number"))
}

/// What random modules call.
pub(super) const PRELUDE: &str =
    "function tick() end function keep(...) kept = kept or {} kept[#kept + 1] = (...) end";
/// Calls what they define, so that there is state.
pub(super) const DRIVE: &str = "
local names = {}
for k, f in pairs(_G) do if type(f) == 'function' and k:find '^[Ff]%d$' then names[#names + 1] = k end end
table.sort(names)
for _, k in ipairs(names) do pcall(_G[k], 1, 2) end
collectgarbage()";

/// Calls what the modules define; false if that takes too much: random programs may
/// allocate, or loop, without end.
fn drive(world: &World) -> Result<bool, String> {
    world.machine.set_memory_limit(Some(64 << 20));
    world.machine.set_fuel(Some(100_000_000));
    let outcome = world.run(DRIVE);
    world.machine.set_memory_limit(None);
    world.machine.set_fuel(None);
    match outcome {
        Ok(_) => Ok(true),
        Err(why) if why == "(limit)" || why.contains("not enough memory") => Ok(false),
        Err(why) => Err(why),
    }
}

/// What a text would change now: nothing, if it is the one in force.
fn is_in_force(world: &World, chunk: &str, text: &str) -> Result<(), String> {
    let patch = Patch::compile(chunk, text.as_bytes()).expect("compiles");
    let plan = world
        .machine
        .with(|cx| cx.hot_plan(&patch, &Policy::default()))
        .map_err(|e| e.to_string())?
        .to_string();
    if plan.contains("nothing changed") {
        Ok(())
    } else {
        Err(format!("not in force:\n{plan}"))
    }
}

#[derive(Default)]
struct Tally {
    applied: u64,
    refused: u64,
    back: u64,
    rolled_back: u64,
    too_long: u64,
}

/// Itself, an edit, back, and through the history.
fn one(i: u64, tally: &mut Tally) -> Result<(), String> {
    let bytes = row(SEED, i);
    let mut data = Data::new(&bytes);
    let first = Module::draw(&mut data);
    let (a, b) = (first.source(), first.edited(&mut data).source());
    let c = Module::draw(&mut data);
    let (c, d) = (c.source(), c.edited(&mut data).source());
    let fail = |what: &str, why: &str| Err(format!("case {i}: {what}: {why}\n{a}\n-- to\n{b}"));
    let world = World::new();
    world.run(PRELUDE)?;
    if world.load(CHUNK, &a, true).is_err() || world.load(OTHER, &c, true).is_err() {
        return Ok(());
    }
    if !drive(&world)? {
        tally.too_long += 1;
        return Ok(());
    }
    world.fingerprint();
    let before = world.fingerprint();
    match world.patch(CHUNK, &a) {
        Ok(report) if !report.functions.is_empty() => return fail("itself", &report.to_string()),
        Ok(_) => {}
        Err(e) => return fail("itself", &e.to_string()),
    }
    if before != world.fingerprint() {
        return fail("itself", "something changed");
    }
    // The texts in force, and what they were before each entry of the history.
    let mut now = [a.clone(), c.clone()];
    let mut history: HashMap<u64, [String; 2]> = HashMap::new();
    let pairs = [
        vec![(CHUNK.to_owned(), b.as_str())],
        vec![(CHUNK.to_owned(), a.as_str())],
        vec![
            (CHUNK.to_owned(), b.as_str()),
            (OTHER.to_owned(), d.as_str()),
        ],
        vec![(OTHER.to_owned(), c.as_str())],
    ];
    for (step, texts) in pairs.iter().enumerate() {
        let patch = compile(texts).expect("compiles");
        let before = world.fingerprint();
        let generation = world.machine.with(|cx| cx.hot_generation());
        match world
            .machine
            .with(|cx| cx.hot_apply(&patch, &Policy::default()))
        {
            Ok(report) => {
                tally.applied += 1;
                tally.back += u64::from(step == 1);
                if report.generation != generation {
                    history.insert(report.id, now.clone());
                }
                for (chunk, text) in texts {
                    now[usize::from(chunk == OTHER)] = (*text).to_owned();
                }
            }
            Err(error) => {
                tally.refused += 1;
                let after = world.fingerprint();
                if before != after {
                    return fail("a refusal changed something", &error.to_string());
                }
            }
        }
        for (chunk, text) in [CHUNK, OTHER].iter().zip(&now) {
            if let Err(why) = is_in_force(&world, chunk, text) {
                return fail(&format!("step {step}"), &why);
            }
        }
        if !drive(&world)? {
            tally.too_long += 1;
            return Ok(());
        }
        world.machine.verify_heap();
    }
    for step in 0..6 {
        let kept = world.machine.with(|cx| cx.hot_history());
        if kept.is_empty() {
            break;
        }
        let entry = &kept[data.below(kept.len())];
        let Some(wanted) = history.get(&entry.id).cloned() else {
            return fail("history", &format!("entry {} is unknown", entry.id));
        };
        let report = match world.machine.with(|cx| cx.hot_rollback(Some(entry.id))) {
            Ok(report) => report,
            Err(e) => return fail("rollback", &e.to_string()),
        };
        tally.rolled_back += 1;
        history.insert(report.id, std::mem::replace(&mut now, wanted));
        for (chunk, text) in [CHUNK, OTHER].iter().zip(&now) {
            if let Err(why) = is_in_force(&world, chunk, text) {
                return fail(&format!("rollback {step} to before {}", entry.id), &why);
            }
        }
        if !drive(&world)? {
            tally.too_long += 1;
            return Ok(());
        }
        world.machine.verify_heap();
    }
    Ok(())
}

#[test]
fn laws_over_random_edits() {
    let mut tally = Tally::default();
    let n = n_cases(150);
    for i in 0..n {
        if let Err(why) = one(i, &mut tally) {
            panic!("{why}");
        }
    }
    println!(
        "{n} modules: {} patches applied, {} refused, {} there and back, {} rollbacks, {} past their limits",
        tally.applied, tally.refused, tally.back, tally.rolled_back, tally.too_long
    );
    assert!(tally.applied > n && tally.refused > 0 && tally.back > n / 3);
    assert!(tally.rolled_back > n * 2);
}

/// An expression over `a` and `b` that needs nothing else.
fn expression(data: &mut Data<'_>, depth: usize) -> String {
    if depth == 0 {
        let k = data.byte();
        return ["a", "b", &k.to_string()][data.below(3)].to_owned();
    }
    let mut part = || expression(data, depth - 1);
    let (x, y) = (part(), part());
    match data.below(7) {
        0 => format!("({x} + {y})"),
        1 => format!("({x} * {y} - {})", data.byte()),
        2 => format!("#({x} .. '|' .. {y})"),
        3 => format!("math.max({x}, {y})"),
        4 => format!("math.min({x}, {y} + {})", data.byte()),
        5 => format!("({x} < {y} and {y} or {x})"),
        _ => format!("select(2, {x}, {y}, {})", data.byte()),
    }
}

/// Functions without state; some are the same whatever is drawn last.
fn pure(data: &mut Data<'_>, seeds: &[u8]) -> String {
    let mut text = String::from("local function twice(x) return x * 2 end\n");
    for (i, seed) in seeds.iter().enumerate() {
        let body = expression(data, usize::from(seed % 4));
        let _ = match seed % 3 {
            0 => writeln!(text, "function p{i}(a, b) return {body} end"),
            1 => writeln!(
                text,
                "function p{i}(a, b, ...) local n = 0 for i = 1, 3 do n = n + i * ({body}) end return n end"
            ),
            _ => writeln!(text, "function p{i}(a, b) return twice({body}), 'p{i}' end"),
        };
    }
    text
}

#[test]
fn patched_functions_without_state_are_as_freshly_loaded() {
    const CALLS: &str = "
local out = {}
for i = 0, 5 do for a = -1, 2 do
  local f = _G['p' .. i]
  out[#out + 1] = f and table.concat({ tostring(f(a, 3)), tostring(select('#', f(a, 3))) }, ' ') or 'none'
end end
return table.concat(out, '\\n')";
    let mut swapped = 0;
    for i in 0..n_cases(200) {
        let bytes: Vec<u8> = (0..12).flat_map(|n| row(SEED + 1 + n, i)).collect();
        let mut data = Data::new(&bytes);
        let seeds: Vec<u8> = (0..6).map(|_| data.byte()).collect();
        let old = pure(&mut data, &seeds[..5]);
        let new = pure(&mut data, &seeds);
        let patched = World::new();
        patched.load(CHUNK, &old, true).expect("loads");
        patched.run(CALLS).expect("runs");
        let report = patched
            .patch(CHUNK, &new)
            .unwrap_or_else(|e| panic!("case {i}: {e}\n{old}\n-- to\n{new}"));
        swapped += report.functions.len();
        let fresh = World::new();
        fresh.load(CHUNK, &new, true).expect("loads");
        let wanted = fresh.run(CALLS);
        // A function that was there and is not in the new text stays callable.
        assert_eq!(patched.run(CALLS), wanted, "case {i}\n{old}\n-- to\n{new}");
        assert!(wanted.is_ok(), "case {i}: {wanted:?}");
    }
    assert!(swapped > 200, "only {swapped}");
}
