//! Activations that move to new code at an iteration boundary of a loop
//! (`hotpatch/osr/migrate.rs`), one of each kind of loop.

use moonswap_hotpatch::{Policy, StalePolicy};

use super::{run, sized, swapping};

/// The program swaps itself for `news` while `script` runs, which answers
/// `expected`; so many activations have moved by then.
fn moves(old: &str, news: &[&str], script: &str, expected: &str, moved: u64) {
    let policy = Policy::default().stale(StalePolicy::Migrate);
    let machine = swapping(old, news, &policy);
    assert_eq!(run(&machine, script), expected);
    assert_eq!(machine.with(|cx| cx.hot_migrated()), moved);
    assert_eq!(run(&machine, "collect()"), "");
    machine.with(|cx| assert!(cx.hot_frames(None).is_empty()));
}

#[test]
fn numeric_loops() {
    let old = "
    function go(n)
      local sum, gone = 0, {}
      for i = 1, 3 do sum = sum + i if i == n then swap() end end
      for x = 2, 1.5, -0.25 do sum = sum + x if x == n then swap() end end
      return -sum
    end";
    let new = "
    function go(n)
      local text = 'new'
      local sum = 0
      for turn = 1, 3 do local double = turn * 2 sum = sum + double end
      for x = 2, 1.5, -0.25 do local y = x sum = sum + y * 100 end
      return 'new', sum
    end";
    moves(old, &[new], "return go(1)", "new 536.0", 1);
    moves(old, &[new], "return go(1.75)", "new 159.75", 1);
}

#[test]
fn a_generic_loop_whose_value_is_closed() {
    let old = "
    function go(t)
      local closed = setmetatable({}, { __close = function() collect() t.n = 'closed' end })
      local i = 0
      for x in function() i = i + 1 return t[i] end, nil, nil, closed do
        if x == 'b' then swap() end
        t[1] = t[1] .. x
      end
    end";
    let new = "
    function go(t)
      local closed = setmetatable({}, { __close = function() collect() t.n = 'closed' end })
      local i = 0
      for x in function() i = i + 1 return t[i] end, nil, nil, closed do
        local gap, shown = nil, 'new' .. x
        t[1] = t[1] .. shown
      end
      return t[1], t.n, i
    end";
    moves(
        old,
        &[new],
        "return go({'a', 'b', 'c', 'd'})",
        "aabnewcnewd closed 5",
        1,
    );
}

/// Captured variables that change their registers, that are gone, and one to be
/// closed.
#[test]
fn a_while_loop_with_open_variables() {
    let old = "
    function go(log)
      local first, second = 1, {}
      local resource <close> = setmetatable({}, { __close = function() log.n = 'closed' end })
      local lost = {'lost'}
      local shared = 0
      get, set = function() return shared end, function(x) shared = x end
      gone = function() return lost[1] end
      while shared < 100 do
        shared = shared + first
        if shared == 3 then swap() kept, keep = get, set end
      end
    end";
    let new = "
    function go(log)
      local shared = 0
      local hidden
      local resource <close> = setmetatable({}, { __close = function() log.n = 'closed' end })
      get, set = function() return shared end, function(x) shared = x end
      while shared < 100 do
        local one = 1
        shared = shared + one
        collect()
        if shared < 100 then set(shared * 10) end
      end
      return shared
    end";
    let script = "
        local log = {}
        local r = go(log)
        collect()
        keep(7)
        return r, log.n, kept(), gone(), get()";
    moves(old, &[new], script, "410 closed 7 lost 7", 1);
}

#[test]
fn repeat_and_goto() {
    let old = "
    function go()
      local n = 0
      repeat
        n = n + 1
        if n == 2 then swap() end
        local enough = n >= 9
      until enough
      ::again::
      n = n + 1
      if n == 20 then swap() end
      if n < 30 then goto again end
      return 'old', n
    end";
    let new = "
    function go()
      local a, n = 1, 0
      repeat
        local function f() return n end
        n = n + 1
        local enough = n >= 4
      until enough
      ::again::
      do
        local m = n + 1
        n = m
        if n == 20 then swap() end
        if n < 30 then goto again end
      end
      return 'new', n
    end";
    let third = new.replace("'new'", "'third'");
    moves(old, &[new, &third], "return go()", "third 30", 2);
}

/// Coroutines that slept through two patches move at once to the newest, with a frame that grows and
/// arguments beyond the parameters.
#[test]
fn suspended_coroutines() {
    let old = "
    function go(a, ...)
      local n = 0
      while true do n = n + 1 yield(n) end
    end";
    let many: String = (0..40).map(|i| format!("local v{i} = {i} ")).collect();
    let second = old.replace("while", "local x while");
    let third = format!(
        "
    function go(a, ...)
      local y, n = nil, 0
      while true do {many} n = n + 1 yield(n + v39, a, ...) end
    end"
    );
    let script = "
        local one, two = wrap(go), wrap(go)
        one('a', 'b', 'c') two('d', 'e')
        swap() swap()
        collect()
        local n, a, b, c = one()
        local m, d, e, f = two()
        local k = two()
        one, two = nil, nil
        collect()
        return n, a, b, c, m, d, e, f, k";
    moves(old, &[&second, &third], script, "41 a b c 41 d e nil 42", 2);
}

/// An inner loop takes the outer one along; the main chunk's gets a new
/// top-level local, which is a cell.
#[test]
fn nested_loops_of_a_main_chunk() {
    let new = "
    local n, log = 0, ''
    local count = {10}
    local function show(x) log = log .. x .. ' ' count[1] = count[1] + 1 end
    for i = 1, 2 do
      local row = i * 10
      for _, j in next, {1, 2, 3} do
        local k = row + j
        n = n + 1
        show(k)
      end
    end
    function result() return n, log, count[1] end";
    let old = "
    local n, log = 0, ''
    local function show(x) log = log .. x .. ' ' end
    for i = 1, 2 do
      local row = i * 10
      for _, j in next, {1, 2, 3} do
        n = n + 1
        if n == 2 then swap() end
        show(-n)
      end
    end";
    moves(old, &[new], "return result()", "6 -1 -2 13 21 22 23  15", 1);
}

/// What the new code makes itself: constants, a table, arithmetic on an argument; and
/// loops with other limits. Asked for after two patches that moved nothing.
#[test]
fn made_values_and_other_limits() {
    let old = "
    function go(p)
      for i = 1, 3 do yield('old', i) end
    end
    function walk(x)
      for y = x, 9 do yield('old', y) end
    end
    function plain(t) while true do yield('old') end end";
    let new = "
    function go(p)
      local t, text, none = {}, 'new'
      local twice = -(p * 2) // 1 | 1
      for i = 1, twice + 20, 2 do t[1] = i yield(text, i, twice, t[1], not none) end
      return 'end'
    end
    function walk(x)
      local limit = x + 2
      for y = x, limit do yield('new', y) end
      return 'end'
    end
    function plain(t) local m = t + 1 while true do yield('new', m) end end";
    let between = old.replace("'old'", "'between'");
    let machine = swapping(old, &[&between, new], &Policy::default());
    let script = "
        a, b, c, d = wrap(go), wrap(go), wrap(walk), wrap(plain)
        a(5) b(5) b() c(1.5) d({})
        swap() swap() collect()";
    assert_eq!(run(&machine, script), "");
    let report = machine.with(|cx| cx.hot_migrate(None)).expect("asked");
    assert_eq!(report.to_string(), "4 of 4 activations move");
    let script = "
        local w, i, t, x, n = a()
        collect()
        local e, j = b()
        local f, y = c()
        local g, z = c()
        return w, i, t, x, n, e, j, f, y, g, z, a(), b(), c(), d()";
    assert_eq!(
        run(&machine, script),
        "new 3 -9 3 true new 4 new 2.5 new 3.5 new new end old"
    );
    // What is no number stays.
    let stale = machine.with(|cx| cx.hot_frames(None));
    let why = stale.iter().filter_map(|f| f.migration.as_deref());
    let why: Vec<&str> = why.collect();
    assert_eq!(
        why,
        ["the loop at line 8: the values there did not allow it"]
    );
    assert_eq!(machine.with(|cx| cx.hot_migrated()), 3);
}

/// Activations are found while the collector sweeps, and those of dead coroutines are
/// not.
#[test]
fn looks_while_the_heap_is_swept() {
    let old = "
    function go() local n = 0 while true do n = n + 1 yield(n) end end";
    let new = old.replace("n + 1", "n + 10");
    let machine = swapping(old, &[&new], &Policy::default());
    let script = format!(
        "kept = {{}}
        for i = 1, {} do
          local co = wrap(go)
          co()
          if i == 2 or i == 5 then kept[i] = co end
        end
        for i = 1, 40 do step() end
        kept[1] = wrap(go) kept[1]()
        swap()",
        sized(60, 8)
    );
    assert_eq!(run(&machine, &script), "");
    for _ in 0..3 {
        let report = machine.with(|cx| cx.hot_migrate(None)).expect("asked");
        assert!(report.moving().count() >= 3 && report.staying().count() == 0);
        assert_eq!(run(&machine, "step() step()"), "");
    }
    assert_eq!(
        run(&machine, "collect() return kept[1](), kept[2](), kept[5]()"),
        "11 11 11"
    );
    let report = machine.with(|cx| cx.hot_migrate(None)).expect("asked");
    assert_eq!(report.to_string(), "nothing runs old code");
}
