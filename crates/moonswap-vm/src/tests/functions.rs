//! Closures and their variables, calls of every kind, errors on their way.

use super::{machine, run, run_hard};

#[test]
fn variables_are_shared_opened_and_closed() {
    run_hard(
        "local all = {}
         for i = 1, 4 do
           local n = i * 10
           all[#all + 1] = function(d) n = n + (d or 0); return n + i end
           all[#all + 1] = function() return n end
         end
         all[1](5)
         local function deep(k, f)
           if k == 0 then return f() end
           local here = k
           return (deep(k - 1, function() here = here + 1; return here + f() end))
         end
         return all[1](), all[2](), all[8](), deep(6, function() return 100 end)",
        "16 15 40 127",
    );
}

#[test]
fn arguments_and_results_of_any_number() {
    run_hard(
        "local function count(...) local t = {...} return #t, ... end
         local function pass(...) return count(...) end
         local function many(n, ...) if n == 0 then return ... end return many(n - 1, n, ...) end
         local a, b, c = pass(1, 2, 3)
         local n = pass(many(60))
         local x, y = (many(3))
         local callable = setmetatable({}, {__call = function(self, a) return a end})
         return a, b, c, n, x, y, callable(9), call(callable, 8), tail(pass, 1, 2)",
        "3 1 2 60 1 nil 9 8 2 1 2",
    );
}

#[test]
fn errors_unwind_and_are_caught() {
    run_hard(
        "local log = {}
         local function closes(name)
           return setmetatable({}, {__close = function(_, e)
             log[#log + 1] = name .. tostring(e)
             if name == 'bad' then error('from close') end
           end})
         end
         local kept
         local ok, e = pcall(function()
           local a <close> = closes('a')
           local b <close> = closes('bad')
           local v = 1
           kept = function() v = v + 1 return v end
           local c <close> = closes('c')
           error('first')
         end)
         local ok2, e2 = xpcall(function() local x = nil; return x.y end,
           function(m) return 'handled ' .. m end)
         local ok3, e3 = pcall(call, function() error({}) end)
         local ok4, r = pcall(function() local d <close> = closes('d') return 5 end)
         local function endless() return 1 + endless() end
         local text = ''
         for i = 1, #log do text = text .. log[i] .. ',' end
         return ok, e, ok2, e2, ok3, ok4, r, kept(), text",
        "false from close false handled test:17: attempt to index a nil value (local 'x') \
         false true 5 2 cfirst,badfirst,afrom close,dnil,",
    );
}

#[test]
fn a_stack_that_overflows_is_an_error() {
    // The whole stack takes Miri minutes; a deadline of depth does not need it.
    if cfg!(miri) {
        let machine = machine();
        assert_eq!(
            run(
                &machine,
                "local function nest(n) return call(nest, n + 1) end
                 local ok, e = pcall(nest, 1)
                 return ok, e"
            ),
            "false error in error handling"
        );
        return;
    }
    let machine = machine();
    let text = run(
        &machine,
        "local function endless() return 1 + endless() end
         local ok, e = pcall(endless)
         return ok, e",
    );
    assert!(text.contains("stack overflow"), "{text}");
}

#[test]
fn tracebacks_walk_every_kind_of_frame() {
    let machine = machine();
    let text = run(
        &machine,
        "local t = setmetatable({}, {__index = function() return traceback() end})
         local function f(...) return (t.x) end
         local text
         pcall(call, function() text = f(1, 2, 3) end)
         return text",
    );
    assert!(text.contains("in metamethod 'index'"), "{text}");
    assert!(text.contains("in upvalue 'f'"), "{text}");
}
