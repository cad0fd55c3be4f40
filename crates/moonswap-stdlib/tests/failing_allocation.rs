//! Every allocation of a program fails once: whatever it is, the program gets an
//! error it can catch, the heap is in order and the VM works as before.
//!
//! A script is run with the n-th allocation failing, n = 1, 2, 3, … until it ends
//! before that. By default n is sampled so that the test takes seconds;
//! `MOONSWAP_ALLOC_FULL=1` tries every n, `MOONSWAP_ALLOC_ONLY=name` one script.

use moonswap_vm::{Keep, Machine, View};

/// Runs per script unless all are asked for.
const SAMPLES: u64 = 40;

/// Takes away what writes, so that failing runs are quiet.
const QUIET: &str = "print = function() end
io.write = print
io.stdout = { write = function(self) return self end, flush = print, setvbuf = print }
warn = print
";

/// What must work after any failure.
const AFTER: &str = "
local t = {}
for i = 1, 200 do t[i] = ('x'):rep(i % 50) .. i end
assert(#table.concat(t) > 200)
local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b .. 'z' end)
assert(co(1) == 2 and co('y') == 'yz')
assert(select('#', table.unpack(t)) == 200)
assert(load('return function(...) return {...} end')()(1, 2)[2] == 2)
assert(not pcall(error, {}))
assert(string.format('%5d %s', 42, {}) ~= '')
";

fn run(m: &Machine, text: &str, name: &str) -> Result<(), String> {
    m.with(|cx| {
        let base = cx.height();
        let message = |cx: &mut moonswap_vm::Context<'_>| {
            let top = cx.height() - 1;
            match cx.at(top) {
                View::String(s) => String::from_utf8_lossy(s.as_bytes()).into_owned(),
                other => format!("a {} value", other.type_name()),
            }
        };
        match cx.load(text.as_bytes(), name.as_bytes(), "t", Keep::Module) {
            Ok(true) => {}
            Ok(false) => return Err(message(cx)),
            Err(e) => {
                cx.push_error(e);
                return Err(message(cx));
            }
        }
        let result = match cx.pcall(0, Some(0)) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(())) => Err(message(cx)),
            Err(_) => Err("an error that cannot be caught".to_owned()),
        };
        cx.set_height(base);
        result
    })
}

/// One run with the `n`-th allocation failing; true if it came to that.
/// `strict`: the error must reach us.
fn fail_at(text: &str, name: &str, n: u64, strict: bool) -> bool {
    let m = Machine::new();
    m.with(moonswap_stdlib::open_all).expect("libraries");
    run(&m, QUIET, "=quiet").expect("quiet");
    m.set_failing_allocation(n);
    let result = run(&m, text, name);
    let came = !m.is_failure_pending();
    m.set_failing_allocation(0);
    if let Err(message) = &result {
        assert!(came, "{name} fails by itself: {message}");
        assert!(
            !strict || message.contains("not enough memory"),
            "{name}, allocation {n}: {message}"
        );
    }
    m.verify_heap();
    if let Err(message) = run(&m, AFTER, "=after") {
        // One that only a safe point raises, and there was none any more.
        assert!(
            message == "not enough memory",
            "{name}, after allocation {n}: {message}"
        );
        if let Err(message) = run(&m, AFTER, "=after") {
            panic!("{name}, after allocation {n}: {message}");
        }
    }
    m.with(|cx| cx.gc_collect().is_ok());
    m.verify_heap();
    came
}

/// How many allocations a script makes.
fn count(text: &str, name: &str) -> u64 {
    let mut most = 1;
    while fail_at(text, name, most, false) {
        most *= 4;
    }
    let mut least = most / 4;
    while most - least > 1 + least / 16 {
        let middle = least.midpoint(most);
        if fail_at(text, name, middle, false) {
            least = middle;
        } else {
            most = middle;
        }
    }
    most
}

fn every_allocation(text: &str, name: &str, strict: bool) {
    let full = std::env::var_os("MOONSWAP_ALLOC_FULL").is_some();
    let n = count(text, name);
    let stride = if full { 1 } else { (n / SAMPLES).max(1) };
    let mut at = 1;
    let mut runs = 0;
    while at < n {
        fail_at(text, name, at, strict);
        at += stride;
        runs += 1;
    }
    println!("{name}: {n} allocations, {runs} runs");
    assert!(runs > 0, "{name} allocates nothing");
}

#[test]
fn each_kind_of_allocation() {
    let programs: &[(&str, &str)] = &[
        ("tables", "local t = {} for i = 1, 300 do t[i] = {x = i, [i] = {}} end t.a = 1 t.b = 2"),
        ("strings", "local s = '' for i = 1, 60 do s = s .. i .. ('y'):rep(i * 20) end
            local u = s .. s .. s .. s .. s .. s .. s .. s return #u"),
        ("closures", "local f for i = 1, 100 do local g = f f = function() return g, i end end"),
        ("coroutines", "local t = {} for i = 1, 20 do t[i] = coroutine.wrap(function(...)
            coroutine.yield(...) return 1 end) t[i](i) end for i = 1, 20 do t[i]() end"),
        ("recursion", "local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end f(20000)"),
        ("varargs", "local function f(...) return select('#', ...) end
            local t = {} for i = 1, 5000 do t[i] = i end f(table.unpack(t)) table.pack(table.unpack(t))"),
        ("library", "local s = ('abc '):rep(3000) s = s:gsub('%w+', function(w) return w:upper() end)
            s = s:gsub('A', {A = 'xyz'}) s = ('%q %s %d'):format(s, s, 1) s = s:reverse():lower()
            table.concat({s, s, s}) string.pack('s4', s) utf8.char(1, 1000, 70000)
            for w in s:gmatch('%w+') do end local t = {} for i = 1, 500 do table.insert(t, 1, i) end
            table.sort(t) table.sort(t, function(a, b) return a > b end) table.move(t, 1, 500, 300)"),
        ("loading", "for i = 1, 10 do local f = load(('local a%d = {%d, \"%s\"} return function() return a%d end')
            :format(i, i, ('k'):rep(9000), i)) if not f then error('not enough memory', 0) end f()() end
            string.dump(function() return 1 end)"),
        ("metatables", "local mt = {__index = function(t, k) return {k} end, __gc = function() local x = {} end,
            __close = function() local y = {} end, __concat = function(a, b) return {} end}
            for i = 1, 50 do local t <close> = setmetatable({}, mt) local v = t[i] v = t .. v end collectgarbage()"),
        ("weak", "local t = setmetatable({}, {__mode = 'k'}) for i = 1, 300 do t[{}] = {} end collectgarbage()
            local u = setmetatable({}, {__mode = 'v'}) for i = 1, 300 do u[i] = {} end collectgarbage()"),
    ];
    for (name, text) in programs {
        if wanted(name) {
            every_allocation(text, &format!("={name}"), true);
        }
    }
}

fn wanted(name: &str) -> bool {
    std::env::var("MOONSWAP_ALLOC_ONLY").map_or(true, |only| name.contains(&only))
}

#[test]
fn scripts_of_the_tests() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lua-tests");
    for script in [
        "language/closures.lua",
        "language/coroutines.lua",
        "language/metamethods-index.lua",
        "language/oop.lua",
        "language/pcalls.lua",
        "language/varargs.lua",
        "stdlib/table-lib.lua",
        "stdlib/string-basic.lua",
        "stdlib/utf8-lib.lua",
    ] {
        let path = format!("{root}/{script}");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        if wanted(script) {
            every_allocation(&text, &format!("@{script}"), false);
        }
    }
}

const OLD: &str = "local n = 0
local kept = {}
function count() n = n + 1 return n end
function make() return function() return 'old' .. n end end
M = { f = function() return 'old' end, limit = 1 }
made = made or make()
";

/// The same chunk with other code, a new local, a new function and a long
/// constant.
fn new_text() -> String {
    format!(
        "local n = 0
local kept = {{}}
local extra = {{ 1, 2, 3, {{ 4 }} }}
function count() n = n + 10 return n, #extra end
function make() return function() return 'new' .. n end end
function added() return #extra + #'{}' end
M = {{ f = function() return 'new' end, limit = 1 }}
made = made or make()
",
        "k".repeat(9000)
    )
}

/// All of a patch or nothing, whichever allocation of planning, loading, running
/// its new initialisers, committing and rolling back fails.
#[test]
fn patches() {
    use moonswap_vm::planning::{Patch, Policy};
    let new = new_text();
    let mut n = 1;
    loop {
        let m = Machine::new();
        m.with(moonswap_stdlib::open_all).expect("libraries");
        run(&m, OLD, "@chunk.lua").expect("old");
        let patch = Patch::compile("@chunk.lua", new.as_bytes()).expect("patch");
        m.set_failing_allocation(n);
        let applied = m.with(|cx| cx.hot_apply(&patch, &Policy::default()).is_ok());
        let rolled_back = applied && m.with(|cx| cx.hot_rollback(None).is_ok());
        let came = !m.is_failure_pending();
        m.set_failing_allocation(0);
        m.verify_heap();
        let is_new = applied && !rolled_back;
        let check = format!(
            "local is_new = {is_new}
            assert(M.f() == (is_new and 'new' or 'old'), M.f())
            local before = count()
            assert(count() - before == (is_new and 10 or 1))
            assert(made():find(is_new and '^new' or '^old'))
            if is_new then assert(added() == 9004) end"
        );
        if run(&m, &check, "=check").is_err() {
            // What a safe point raised after the commit.
            run(&m, &check, "=check").unwrap_or_else(|e| panic!("allocation {n}: {e}"));
        }
        // The patch can still be applied.
        if !is_new {
            m.with(|cx| cx.hot_apply(&patch, &Policy::default()).map(|_| ()))
                .unwrap_or_else(|e| panic!("allocation {n}: {e}"));
        }
        run(&m, "assert(M.f() == 'new' and added() == 9004)", "=applied")
            .unwrap_or_else(|e| panic!("allocation {n}: {e}"));
        m.with(|cx| cx.gc_collect().is_ok());
        m.verify_heap();
        if !came {
            break;
        }
        n += 1;
    }
    println!("patches: {n} allocations");
    assert!(n > 20);
}
