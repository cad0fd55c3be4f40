//! Stacks that are switched, grow, die and are closed.

use super::run_hard;

#[test]
fn values_pass_in_both_directions() {
    run_hard(
        "local co = create(function(a, b)
           local c = yield(a + b)
           local d, e = yield(c * 2)
           return d + e
         end)
         local _, x = resume(co, 1, 2)
         local _, y = resume(co, 10)
         local _, z = resume(co, 3, 4)
         local ok, why = resume(co)
         local gen = wrap(function() for i = 1, 5 do yield(i) end end)
         local sum = 0
         for v in gen do sum = sum + v end
         return x, y, z, ok, why, sum, status(co)",
        "3 20 7 false cannot resume dead coroutine 15 dead",
    );
}

#[test]
fn stacks_grow_while_variables_are_open() {
    run_hard(
        "local get, set
         local co = wrap(function()
           local v = 1
           get, set = function() return v end, function(x) v = x end
           local function deep(n) if n == 0 then yield(v) return 0 end return 1 + deep(n - 1) end
           local n = deep(60)
           yield(n + v)
           return v
         end)
         local a = co()
         set(5)
         local b = co()
         local c = co()
         return a, b, c, get()",
        "1 65 5 5",
    );
}

#[test]
fn errors_and_closing() {
    run_hard(
        "local log = ''
         local function closes(name)
           return setmetatable({}, {__close = function(_, e) log = log .. name .. tostring(e) .. ';' end})
         end
         local co = create(function() local a <close> = closes('a') yield() end)
         resume(co)
         local closed = close(co)
         local bad = create(function() local b <close> = closes('b') error('oops') end)
         local ok, e = resume(bad)
         local c1, c2 = close(bad)
         local ok2, e2 = pcall(wrap(function() local c <close> = closes('c') error('wrapped') end))
         local ok3, e3 = pcall(call, function() yield() end)
         local nested = wrap(function()
           local inner = wrap(function() yield(pcall(yield, 'in')) end)
           return inner(), inner()
         end)
         return closed, ok, e, c1, c2, ok2, e2, ok3, log, nested()",
        "true false oops false oops false wrapped false anil;boops;cwrapped; in true",
    );
}

#[test]
fn many_live_and_die() {
    let (n, expected) = if cfg!(miri) { (4, "25") } else { (12, "183") };
    let source = format!(
        "local kept, n = {{}}, 0
         for i = 1, {n} do
           local co = wrap(function(x) local y = {{x}} while true do x = yield(y[1] + x) end end)
           n = n + co(i)
           if i % 4 == 0 then kept[#kept + 1] = co end
         end
         for i = 1, #kept do n = n + kept[i](1) end
         return n"
    );
    run_hard(&source, expected);
}
