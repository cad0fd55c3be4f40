//! How much native stack a VM needs at most: each way to nest without end is
//! driven to its limit on a thread of 1 MiB, half of what Rust gives a thread.
//! An overflow ends the process, so the last name printed is the culprit
//! (`--nocapture`).
//!
//! `NATIVE_STACK_KIB` sets another size, to measure.

use moonswap::{Function, Lua, MultiValue};

/// Stack of the thread a VM runs on, bytes.
const STACK: usize = 1 << 20;

/// `nest(step)` has `step` call a function that calls it again, to the limit of
/// nesting, which must lie where the reference's does.
const PRELUDE: &str = "
    function nest(step)
        local depth, deepest = 0, 0
        local function again(...)
            depth = depth + 1
            if depth > deepest then deepest = depth end
            local ok, e = pcall(step, again, ...)
            depth = depth - 1
            if not ok then error(e, 0) end
            return 'x'
        end
        pcall(again)
        assert(deepest > 60, deepest)
        assert(deepest < 1000, deepest)
    end
";

const CASES: &[(&str, &str)] = &[
    ("pairs as __pairs", "local t = setmetatable({}, {__pairs = pairs}) assert(not pcall(pairs, t))"),
    ("__close fails in a native, often", "
        local m = {__close = error}
        local function f(n)
            local x <close> = setmetatable({}, m)
            if n > 0 then return (f(n - 1)) end
            error 'x'
        end
        assert(not pcall(f, 60000))
        local co = coroutine.wrap(f)
        assert(not pcall(co, 60000))
        assert(not pcall(table.sort, {1, 2}, function() f(20000) end))"),
    ("__close fails in Lua, often", "
        local m = {__close = function() error 'y' end}
        local function f(n)
            local x <close> = setmetatable({}, m)
            if n > 0 then return (f(n - 1)) end
            error 'x'
        end
        assert(not pcall(f, 20000))"),
    ("pcall of pcall", "
        local t = {} for i = 1, 200000 do t[i] = pcall end
        pcall(table.unpack(t))
        for i = 1, 200000 do t[i] = xpcall end
        pcall(table.unpack(t))
        local function f() return pcall(f) end f()"),
    ("wrap of wrap", "
        local f = error
        for i = 1, 1000 do f = coroutine.wrap(f) end
        pcall(f, 'x')
        f = function() return 1 end
        for i = 1, 1000 do f = coroutine.wrap(f) end
        pcall(f)"),
    ("resume in resume", "
        local function f(n) return coroutine.resume(coroutine.create(f), n + 1) end f(1)
        local function g(n) local x <close> = setmetatable({}, {__close = error}) return coroutine.wrap(g)(n + 1) end pcall(g, 1)
        local function h(n) return select(2, pcall(coroutine.wrap(h), n + 1)) end h(1)"),
    ("close in close", "
        local function f(n)
            local co = coroutine.create(function()
                local x <close> = setmetatable({}, {__close = function() f(n + 1) end})
                coroutine.yield()
            end)
            coroutine.resume(co)
            return coroutine.close(co)
        end
        f(1)"),
    ("gsub", "nest(function(again) return ('a'):gsub('a', again) end)"),
    ("gsub over a table", "nest(function(again) return ('a'):gsub('a', setmetatable({}, {__index = function() return again() end})) end)"),
    ("sort", "nest(function(again) return table.sort({3, 2, 1}, again) end)"),
    ("sort, __lt", "nest(function(again) local m = {__lt = again} return table.sort({setmetatable({}, m), setmetatable({}, m)}) end)"),
    ("tostring", "nest(function(again) return tostring(setmetatable({}, {__tostring = again})) end)"),
    ("format", "nest(function(again) return ('%s %s'):format(1, setmetatable({}, {__tostring = again})) end)"),
    ("print", "nest(function(again) return print(setmetatable({}, {__tostring = again})) end)"),
    ("load with a reader", "nest(function(again) return load(function() again() end) end)"),
    ("require", "
        local n = 0
        table.insert(package.searchers, 1, function(name) return function() n = n + 1 return require(name .. 'x') end end)
        pcall(require, 'x') assert(n > 60)"),
    ("table functions over __index", "nest(function(again) return table.unpack(setmetatable({}, {__index = again}), 1, 1) end)
        nest(function(again) return table.concat(setmetatable({}, {__index = again}), '', 1, 1) end)
        nest(function(again) return table.insert(setmetatable({}, {__newindex = again}), 1) end)
        nest(function(again) return table.move(setmetatable({}, {__index = again}), 1, 1, 2) end)
        nest(function(again) return table.remove(setmetatable({}, {__index = again, __len = function() return 1 end})) end)
        nest(function(again) return #table.pack(table.unpack(setmetatable({}, {__len = function() again() return 1 end}))) end)"),
    ("select with ipairs", "nest(function(again) for _ in ipairs(setmetatable({}, {__index = again})) do end end)"),
    ("xpcall handlers", "
        local function h(e) return xpcall(error, h, e) end
        xpcall(error, h, 'x')
        xpcall(error, error, 'x')
        xpcall(error, function() error 'y' end, 'x')
        nest(function(again) return xpcall(error, again) end)
        local function f() return f() + 1 end
        xpcall(f, function(e) return debug.traceback(e) end)
        xpcall(f, function(e) return f() end)"),
    ("finalizers", "
        local function make(n) return setmetatable({}, {__gc = function() if n < 1000 then make(n + 1) collectgarbage() end end}) end
        make(1) make = make collectgarbage() collectgarbage()"),
    ("hooks", "
        local n = 0
        local function f() n = n + 1 debug.sethook(f, 'crl') local x = tostring(n) if n < 1000 then f() end end
        pcall(f) debug.sethook() assert(n >= 1000)"),
    ("texts", "
        local function try(open, inner, close)
            for _, n in ipairs {60, 90, 150, 190, 198, 199, 200, 250, 1000} do
                local f = load(open:rep(n) .. inner .. close:rep(n))
                if f then local s = string.dump(f) assert(load(s)) assert(load(string.dump(f, true))) end
            end
        end
        try('return (', '1', ')') try('local x = {', '1', '}') try('do ', '', ' end') try('while x do ', '', ' end')
        try('return function() ', '', ' end') try('local function f() ', 'return f', ' end')
        try('for i = 1, 2 do ', '', ' end') try('for k in f do ', '', ' end') try('repeat ', '', ' until x')
        try('if x then ', '', ' end') try('if x then else ', '', ' end') try('if x then elseif y then ', '', ' end')
        local function expression(open, inner, close) try('return ' .. open, inner, close) end
        for _, n in ipairs {100, 150, 190, 199, 250, 2000} do
            load('return ' .. ('('):rep(n) .. '1' .. (')'):rep(n)) load('return ' .. ('{'):rep(n) .. '1' .. ('}'):rep(n))
            load('return ' .. ('-'):rep(n) .. '1') load('return ' .. ('not '):rep(n) .. '1')
            load('return ' .. ('1 ^ '):rep(n) .. '1') load('return ' .. ('a .. '):rep(n) .. '1')
            load('return ' .. ('a + '):rep(n) .. '1') load('return ' .. ('a and '):rep(n) .. '1')
            load('return ' .. ('a + ('):rep(n) .. '1' .. (')'):rep(n)) load('return ' .. ('f('):rep(n) .. '1' .. (')'):rep(n))
            load('return ' .. ('a['):rep(n) .. '1' .. (']'):rep(n)) load('return a' .. ('.b'):rep(n)) load('return f' .. ('()'):rep(n))
            load('return ' .. ('function() return '):rep(n) .. '1' .. (' end'):rep(n))
            load('return ' .. ('f(function() return {x = a + '):rep(n // 3) .. '1' .. ('} end)'):rep(n // 3))
            load('return ' .. ('{['):rep(n) .. '1' .. ('] = 1}'):rep(n))
            load('x = ' .. ('a == (b and '):rep(n) .. '1' .. (')'):rep(n))
            load(('a.b[c], '):rep(n) .. 'x = 1') load(('do local a <close> = f() '):rep(n) .. (' end'):rep(n))
        end"),
    ("load in load", "
        local s = 'return function() return ' .. ('{'):rep(180) .. ('}'):rep(180) .. ' end'
        nest(function(again) local n = 0 return load(function() n = n + 1 if n > 1 then return end again() return s end)() end)"),
    ("patterns", "
        local a = ('a'):rep(400)
        for _, p in ipairs {'(', '(a*)', '()', 'a?', 'a*', 'a-', '%f[%w]', '%b()', '[^b]'} do
            for _, n in ipairs {30, 100, 199, 200, 250, 5000} do pcall(string.find, a, p:rep(n)) pcall(string.match, a, '^' .. ('a-'):rep(n)) end
        end
        nest(function(again) return ('a'):rep(300):gsub(('a?'):rep(150), again) end)"),
    ("garbage in chains", "
        local t for i = 1, 300000 do t = {t} end collectgarbage() t = nil collectgarbage()
        local f for i = 1, 100000 do local g = f f = function() return g end end collectgarbage() f = nil collectgarbage()
        local co for i = 1, 10000 do local c = co co = coroutine.wrap(function() local x = c coroutine.yield() end) co() end
        collectgarbage() co = nil collectgarbage()
        local m for i = 1, 100000 do m = setmetatable({}, {__index = m}) end collectgarbage() pcall(function() return m.x end)"),
    ("metamethods", "
        local m = {} m.__index = function(t, k) return t[k .. 'x'] end pcall(function() return setmetatable({}, m).x end)
        local t = setmetatable({}, {}) getmetatable(t).__index = t pcall(function() return t.x end)
        getmetatable(t).__call = t pcall(t) getmetatable(t).__call = setmetatable({}, {__call = pcall}) pcall(t)
        local eq = setmetatable({}, {__eq = function(a, b) return a == b end}) pcall(function() return eq == setmetatable({}, getmetatable(eq)) end)
        local c = setmetatable({}, {__concat = function(a, b) return a .. b end}) pcall(function() return c .. 'x' end)
        local p = setmetatable({}, {__tostring = tostring}) pcall(tostring, p)
        local g = setmetatable({}, {__gc = collectgarbage}) g = nil collectgarbage()
        local n = setmetatable({}, {__name = 'x', __index = rawget, __newindex = rawset, __call = select}) n.x = 1 pcall(n, 1)"),
    ("mixed", "nest(function(again)
            local co = coroutine.wrap(function()
                local x <close> = setmetatable({}, {__close = function() again() end})
                return table.sort({2, 1}, function() return ('a'):gsub('a', function() error(setmetatable({}, {__tostring = again})) end) end)
            end)
            return co() end)"),
    ("callbacks of the host", "nest(function(again) return rust(again) end)"),
];

fn stack() -> usize {
    let kib = std::env::var("NATIVE_STACK_KIB").ok();
    kib.map_or(STACK, |kib| kib.parse::<usize>().expect("a number") << 10)
}

fn drive(name: &str, source: &str) {
    println!("{name}");
    let lua = Lua::new();
    let rust = lua.create_function(|_: &Lua, f: Function| f.call::<MultiValue>(()));
    lua.globals().set("rust", rust.unwrap()).unwrap();
    lua.load(PRELUDE).set_name("=prelude").exec().unwrap();
    if let Err(error) = lua.load(source).set_name("=case").exec() {
        panic!("{name}: {error}");
    }
    lua.close();
}

#[test]
fn what_nests_to_its_limit_fits_half_a_thread() {
    let only = std::env::var("NATIVE_STACK_CASE").unwrap_or_default();
    for &(name, source) in CASES.iter().filter(|case| case.0.contains(&only)) {
        let thread = std::thread::Builder::new().stack_size(stack());
        let thread = thread.spawn(move || drive(name, source)).unwrap();
        assert!(thread.join().is_ok(), "{name}");
    }
}
