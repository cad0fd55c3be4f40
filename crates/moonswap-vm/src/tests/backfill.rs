//! Captured variables that a patch gives to closures there are already
//! (`heap/backfill.rs`, `interp/backfill.rs`).

use moonswap_hotpatch::{Captures, Policy};

use super::{run, set_global, sized, swapping};

const OLD: &str = "
    function make(a, b)
      local c = 3
      return function() return a end
    end";

#[test]
fn each_closure_gets_one_of_its_own() {
    let second = "
    function make(a, b)
      local c = 3
      return function(x) if x then b = x end return a, b end
    end";
    // Extra upvalues grow, coroutines and inner closures share what stands in them.
    let third = "
    function make(a, b)
      local c = 3
      return function(x)
        if x == 'sleep' then x = yield(b) end
        if x then b, c = x, {x} end
        return function(y) c = y or c return a, b, tostring(c and c[1]) end
      end
    end";
    let policy = Policy::default().captures(Captures::Nil);
    let machine = swapping(OLD, &[second, third], &policy);
    let script = format!(
        "local f, g = make(1, 2), make(10, 20)
         local log = ''
         local function show(...)
           for _, v in next, {{...}} do log = log .. tostring(v) .. ' ' end
           log = log .. '| '
         end
         do
           local dying = {{}}
           for i = 1, {} do dying[i] = make(i, i) end
           swap()
           for i = 1, #dying do dying[i]('dies') end
         end
         collect()
         show(f()) show(f(5)) show(g()) show(f()) show(make(7, 8)())
         swap()
         collect()
         local co = create(g)
         resume(co, 'sleep')
         step() collect()
         local _, inner = resume(co, 8)
         f(6)({{9}})
         collect()
         show(inner()) show(f()()) show(make(1, 2)(3)({{4}}))
         return log",
        sized(40, 2)
    );
    assert_eq!(
        run(&machine, &script),
        "1 | 1 5 | 10 | 1 5 | 7 8 | 10 8 8 | 1 6 9 | 1 3 4 | "
    );
}

#[test]
fn an_expression_is_computed_once_in_each() {
    let new = "
    function make(a, b)
      local c = 3
      return function(x) b = b + x return a, b, c end
    end";
    let policy = Policy::default().captures(Captures::Expression("seen(a)".to_owned()));
    let machine = swapping(OLD, &[new], &policy);
    let script = "
        local calls = 0
        function seen(x) calls = calls + 1 collect() return x * 10 end
        local f, g = make(1, 2), make(3, 4)
        swap()
        local a, b, c = f(1)
        local _, d = f(1)
        local co = wrap(g)
        local _, e = co(1)
        local _, h = make(5, 6)(1)
        return a, b, c, d, e, h, calls";
    assert_eq!(run(&machine, script), "1 11 10 12 31 7 4");
}

#[test]
fn seen_and_joined_from_outside() {
    let new = "
    function make(a, b)
      local c = 3
      return function(x) b = x or b return a, b, c end
    end";
    let policy = Policy::default().captures(Captures::Nil);
    let machine = swapping(OLD, &[new], &policy);
    set_global(&machine, "join", |cx| {
        let (n, m) = (cx.check_int(1)?, cx.check_int(3)?);
        cx.upvalue_join(0, n, 2, m).map(|()| 0)
    });
    set_global(&machine, "get", |cx| {
        let n = cx.check_int(1)?;
        Ok(usize::from(cx.push_upvalue_of(0, n).is_some()))
    });
    set_global(&machine, "set", |cx| {
        let n = cx.check_int(1)?;
        cx.set_height(3);
        assert!(cx.set_upvalue_of(0, n).is_some());
        Ok(0)
    });
    let script = "
        local f, g = make(1, 2), make(10, 20)
        swap()
        local before = tostring(get(f, 2)) .. tostring(get(f, 3)) .. tostring(get(f, 4))
        set(f, 3, {'late'})
        join(g, 2, f, 2)
        join(g, 3, f, 3)
        f('shared')
        collect()
        local a, b, c = g()
        f = nil
        collect()
        local d, e = get(g, 2), get(g, 3)
        return before, a, b, c[1], d, e[1], get(make(1, 2), 2)";
    assert_eq!(
        run(&machine, script),
        "nilnilnil 10 shared late shared late 2"
    );
}
