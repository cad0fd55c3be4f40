//! What the code of a patch has written before the patch fails is undone: writes at
//! random into everything that can be reached, limits that trip in the middle of
//! them, allocations that fail. `LAWS=n` tries n cases of the first.

use std::cell::Cell;
use std::time::{Duration, Instant};

use moonswap_fuzz::data::{Data, row};
use moonswap_fuzz::module::Module;
use moonswap_vm::HotError;

use super::random::{DRIVE, PRELUDE, n_cases};
use super::world::{CHUNK, World};

const SEED: u64 = 977;

/// `scribble(seed, n)`: n writes into what can be reached, by all means there are,
/// and then an error.
const SCRIBBLE: &str = r#"
local next, type, pcall, error = next, type, pcall, error
local rawget, rawset, load, info, fingerprint = rawget, rawset, load, debug.getinfo, fingerprint
local setmeta, getmeta, registry = debug.setmetatable, debug.getmetatable, debug.getregistry
local setup, getup, join, sethook = debug.setupvalue, debug.getupvalue, debug.upvaluejoin, debug.sethook
local insert, remove, sort, move, collect = table.insert, table.remove, table.sort, table.move, collectgarbage
local wrap, tostring, globals = coroutine.wrap, tostring, _G

local function ordered(t)
  local keys = {}
  for k in next, t do keys[#keys + 1] = k end
  local function name(k) return type(k) == "string" and "s" .. k or type(k) == "number" and "n" .. k or "x" end
  sort(keys, function(a, b) return name(a) < name(b) end)
  return keys
end

local function reachable(own)
  local seen, tables, functions, at = { [own] = true }, {}, {}, 0
  local function visit(v)
    if (type(v) == "table" or type(v) == "function") and not seen[v] then
      seen[v] = true
      local list = type(v) == "table" and tables or functions
      list[#list + 1] = v
    end
  end
  visit(globals)
  visit(registry())
  visit(getmeta(""))
  local of = 0
  while at < #tables or of < #functions do
    if at < #tables then
      at = at + 1
      local t = tables[at]
      for _, k in next, ordered(t) do visit(k) visit(rawget(t, k)) end
      visit(getmeta(t))
    else
      of = of + 1
      for i = 1, 255 do
        local n, v = getup(functions[of], i)
        if not n then break end
        visit(v)
      end
    end
  end
  return tables, functions
end

function scribble(seed, n)
  local tables, functions = reachable(scribble)
  -- As metamethods, natives such as os.time make loops of years.
  local harmless = { type, pcall, rawget }
  for _, f in next, functions do
    if info(f, "S").what == "Lua" and f ~= fingerprint then harmless[#harmless + 1] = f end
  end
  local function draw(k)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % k + 1
  end
  local function any(list) return list[draw(#list)] end
  local function value()
    local kind = draw(9)
    if kind == 1 then return draw(1000) - 500 end
    if kind == 2 then return draw(1000) / 8 end
    if kind == 3 then return "text" .. draw(20) end
    if kind == 4 then return draw(2) == 1 end
    if kind == 5 then return { draw(5), any(tables) } end
    if kind == 6 then return any(harmless) end
    if kind == 7 then return function() return seed end end
    return any(tables)
  end
  local function key(t)
    if draw(3) == 1 then
      local k = draw(4)
      return k == 1 and draw(40) or k == 2 and draw(40) + 0.5 or k == 3 and "new" .. draw(30) or any(tables)
    end
    local keys = ordered(t)
    return keys[1] ~= nil and any(keys) or "first"
  end
  local events = { "__index", "__newindex", "__mode", "__gc", "__len", "__call", "__metatable", "__eq" }
  local deeds = {
    function(t) rawset(t, key(t), value()) end,
    function(t) rawset(t, key(t), nil) end,
    function(t) t[key(t)] = value() end,
    function(t) local k = key(t) rawset(t, k, nil) rawset(t, "other" .. draw(9), 1) rawset(t, k, value()) end,
    function(t) setmeta(t, draw(3) > 1 and any(tables) or nil) end,
    function(t) rawset(getmeta(t) or t, any(events), value()) end,
    function() setup(any(functions), draw(3), value()) end,
    function() join(any(functions), draw(3), any(functions), draw(3)) end,
    function() setmeta(any({ 1, true, print, "" }), draw(2) == 1 and any(tables) or nil) end,
    function() setmeta(nil, any(tables)) end,
    function()
      collect("setpause", 100 + draw(300))
      collect("setstepmul", 100 + draw(300))
      collect(any({ "generational", "incremental" }))
      collect(any({ "stop", "restart", "collect", "step" }))
    end,
    function() sethook(function() globals.hits = draw(9) end, any({ "", "c", "r", "l" }), draw(50)) end,
    function() sethook() end,
    function(t) insert(t, draw(#t + 1), value()) end,
    function(t) remove(t) remove(t, 1) end,
    function(t) sort(t) end,
    function(t) sort(t, function(a, b) return tostring(a) < tostring(b) end) end,
    function(t) move(any(tables), 1, draw(5), draw(5), t) end,
    function(t) for i = 1, 60 do t[i * 1000] = i end for i = 1, 50 do t[i * 1000] = nil end end,
    function(t) for i, k in next, ordered(t) do if i % 2 == 0 then rawset(t, k, nil) end end end,
    function(t) for i = 1, 60 do t["grow" .. i] = i end for i = 1, 60 do t["grow" .. i] = nil end end,
    function() load("global" .. draw(9) .. " = ...; new = function() return global1 end", "=run")(value()) end,
    function(t) wrap(function() rawset(t, key(t), value()) end)() end,
  }
  for _ = 1, n do pcall(any(deeds), any(tables)) end
  error("scribbled", 0)
end
"#;

/// What differs, a few lines of it.
fn difference(before: &str, after: &str) -> String {
    let lines = |a: &str, b: &str, sign: &str| -> Vec<String> {
        let known: std::collections::HashSet<&str> = b.lines().collect();
        let lost = a.lines().filter(|line| !known.contains(line));
        lost.take(6).map(|line| format!("{sign} {line}")).collect()
    };
    [lines(before, after, "-"), lines(after, before, "+")]
        .concat()
        .join("\n")
}

fn assert_same(before: &str, world: &World, what: &str) {
    world.machine.verify_heap();
    let after = world.fingerprint();
    assert!(before == after, "{what}\n{}", difference(before, &after));
}

#[test]
fn random_writes_of_a_patch_that_fails_are_undone() {
    let (n_modules, mut tripped) = (n_cases(60), 0);
    for i in 0..n_modules {
        let bytes = row(SEED, i);
        let mut data = Data::new(&bytes);
        let first = Module::draw(&mut data);
        let (a, b) = (first.source(), first.edited(&mut data).source());
        let world = World::new();
        world.run(PRELUDE).expect("prelude");
        world.run(SCRIBBLE).expect("scribble");
        if world.load(CHUNK, &a, true).is_err() {
            continue;
        }
        world.run(DRIVE).expect("drives");
        world.fingerprint();
        let before = world.fingerprint();
        for n in [3, 40, 400] {
            let head = format!(
                "local scribbled = scribble({}, {n}) function scribbler() return scribbled end\n",
                i * 31 + n
            );
            let deadline = Instant::now() + Duration::from_secs(5);
            world.machine.set_deadline(Some(deadline));
            world.machine.set_memory_limit(Some(256 << 20));
            let outcome = world.patch(CHUNK, &(head + &b));
            world.machine.set_memory_limit(None);
            world.machine.set_deadline(None);
            match outcome {
                Err(HotError::Delta(_) | HotError::Memory) => tripped += 1,
                Err(HotError::Refused(_)) => {}
                other => panic!("case {i}: {other:?}"),
            }
            assert_same(&before, &world, &format!("case {i}, {n} writes\n{a}"));
            world.run("collectgarbage()").expect("collects");
            assert_same(&before, &world, &format!("case {i}, collected"));
        }
        let scribbles =
            format!("function migrate() scribble({i}, 50) end\n{a}\nfunction scribbler() end\n");
        let outcome = world.patch(CHUNK, &scribbles);
        assert!(outcome.is_err(), "case {i}: {outcome:?}");
        assert_same(&before, &world, &format!("case {i}, migrate"));
        // All is well behind it.
        world.run(DRIVE).expect("drives");
        let _ = world.patch(CHUNK, &b);
        world.run(DRIVE).expect("drives");
    }
    println!("{n_modules} modules, {tripped} patches failed in their code");
    assert!(tripped > n_modules, "{tripped}");
}

const OLD: &str = "
local n, list = 0, {}
state = { a = 1, list = list }
for i = 1, 100 do list[i], state['key' .. i] = i, i end
function f() n = n + 1 return n, #list end
";

/// The patch whose first initialiser does `work`, which may not come to an end.
fn with(work: &str) -> String {
    format!(
        "
local n, list = 0, {{}}
state = {{ a = 1, list = list }}
for i = 1, 100 do list[i], state['key' .. i] = i, i end
local function tear(t) for k in next, t do t[k] = nil end for i = 1, 300 do t[i * 3], t['x' .. i] = i, i end end
local made = (function() {work} end)()
function f() n = n + 1 return n, #list, made, tear end
"
    )
}

/// Memory was short, in the code of the patch or about it.
fn is_memory(error: &HotError) -> bool {
    match error {
        HotError::Memory => true,
        HotError::Delta(why) => why == "not enough memory",
        _ => false,
    }
}

fn loaded() -> (World, String) {
    let world = World::new();
    world.load(CHUNK, OLD, true).expect("loads");
    world.fingerprint();
    let before = world.fingerprint();
    (world, before)
}

#[test]
fn limits_that_strike_in_the_code_of_a_patch() {
    let endless = with(
        "tear(list) tear(state) setmetatable(_G, {}) collectgarbage('stop')
         while true do n = n + 1 state[n] = n end",
    );
    let in_coroutine = with(
        "tear(list) local co = coroutine.wrap(function() pcall(function() while true do state.b = state end end) end) co()",
    );
    let silent = with("tear(state) for i = 1, 1e9 do list[i % 1000] = i end");
    for (i, text) in [&endless, &in_coroutine, &silent].into_iter().enumerate() {
        let (world, before) = loaded();
        let now = Instant::now();
        world
            .machine
            .set_deadline(Some(now + Duration::from_millis(30)));
        let outcome = world.patch(CHUNK, text);
        assert!(matches!(outcome, Err(HotError::Delta(_))), "{outcome:?}");
        world.machine.set_deadline(None);
        assert_same(&before, &world, &format!("deadline, {i}"));

        for fuel in [1, 50, 333, 5000] {
            world.machine.set_fuel(Some(fuel));
            let outcome = world.patch(CHUNK, text);
            assert!(matches!(outcome, Err(HotError::Delta(_))), "{outcome:?}");
            world.machine.set_fuel(None);
            assert_same(&before, &world, &format!("fuel {fuel}, {i}"));
        }

        let interrupter = world.machine.interrupter();
        // From another thread, once the code of the patch has come some way.
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            told.recv().expect("the code runs");
            interrupter.interrupt();
        });
        let n = Cell::new(0);
        let hook = move |_: &mut moonswap_vm::Context<'_>| {
            n.set(n.get() + 1);
            if n.get() == 100 {
                let _ = tell.send(());
            }
        };
        world.machine.set_safe_point_hook(Some(Box::new(hook)));
        let outcome = world.patch(CHUNK, text);
        world.machine.set_safe_point_hook(None);
        assert!(matches!(outcome, Err(HotError::Delta(_))), "{outcome:?}");
        thread.join().expect("joined");
        assert_same(&before, &world, &format!("interrupt, {i}"));
        world
            .patch(CHUNK, &with("tear(list) return 7"))
            .expect("applied");
        assert_eq!(
            world.run("local _, _, made = f() return made"),
            Ok("7".to_owned()),
            "{i}"
        );
    }
}

#[test]
fn an_undo_log_that_grows_past_the_memory_limit() {
    // Nothing but the undo log grows: all tables stay as large as they are.
    let rewritten = with(
        "local t = wide for round = 1, 2 do for i = 1, #t do t[i] = round end end
         for i = 1, #t do t[i] = nil end return 'done'",
    );
    let sorted =
        with("wide[#wide] = 0 table.sort(wide) table.move(wide, 1, #wide, 2) return 'done'");
    for text in [&rewritten, &sorted] {
        let (world, _) = loaded();
        world
            .run("wide = {} for i = 1, 200000 do wide[i] = i end collectgarbage() collectgarbage()")
            .expect("runs");
        world.fingerprint();
        let before = world.fingerprint();
        world.run("collectgarbage()").expect("collects");
        let used = world.machine.with(|cx| cx.gc_bytes());
        world.machine.set_memory_limit(Some(used + (3 << 20)));
        let outcome = world.patch(CHUNK, text);
        world.machine.set_memory_limit(None);
        assert!(outcome.as_ref().is_err_and(is_memory), "{outcome:?}");
        assert_same(&before, &world, "memory limit");
        world.patch(CHUNK, text).expect("applied");
        assert_eq!(
            world.run("local _, _, made = f() return made"),
            Ok("done".to_owned())
        );
        world.machine.verify_heap();
    }
}

#[test]
fn each_allocation_of_a_patch_fails_once() {
    let text = with(
        "tear(list) tear(state)
         setmetatable(state, { __index = list })
         for i = 1, 40 do state[i] = function() n = n + i end state[i]() end
         debug.setupvalue(f, 1, 77)
         debug.sethook(print, '', 1000000)
         debug.sethook()
         table.insert(list, 5)
         coroutine.wrap(function() state = {} end)()
         return 'done'",
    );
    let (world, before) = loaded();
    let (mut n, mut refused) = (1, 0);
    loop {
        world.machine.set_failing_allocation(n);
        let outcome = world.patch(CHUNK, &text);
        let is_over = world.machine.is_failure_pending();
        world.machine.set_failing_allocation(0);
        match outcome {
            Ok(_) if is_over => break,
            // It was one that can be done without.
            Ok(_) => {
                world
                    .machine
                    .with(|cx| cx.hot_rollback(None))
                    .expect("rolled back");
                panic!("allocation {n} failed and the patch was applied");
            }
            Err(error) => {
                refused += 1;
                assert!(is_memory(&error) && !is_over, "{n}: {error}");
                assert_same(&before, &world, &format!("allocation {n}"));
            }
        }
        n += 1 + n / 20;
    }
    assert!(refused > 30, "{refused}");
    assert_eq!(
        world.run("local n, k, made = f() return n .. ' ' .. made"),
        Ok("78 done".to_owned())
    );
}
