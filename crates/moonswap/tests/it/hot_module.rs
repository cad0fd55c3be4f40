//! The Lua module `moonswap`: one function alone, events, reload and what
//! survives it.

use moonswap::Result;
use moonswap::prelude::*;

fn run(script: &str) -> Result<()> {
    Lua::new().load(script).set_name("@test.lua").exec()
}

#[test]
fn one_function_alone() -> Result<()> {
    let lua = Lua::new();
    lua.load(
        "local n = 0\nM = { k = 1 }\nfunction M.count() n = n + 1 return n end\n\
         function M:get(x) return self.k + x end\nlocal function hidden() return n end\n\
         M.hidden = hidden\nM.list = { function() return 'a' end }\n\
         function make(k) return function(x) return k * x end end\nM.twice = make(2)",
    )
    .set_name("@m.lua")
    .exec()?;
    lua.load(
        r#"
        local hot = require "moonswap"
        local count = M.count
        assert(count() == 1)
        local report = assert(hot.patch(M.count, "function() n = n + 10 return n end"))
        local swapped = {}
        for _, f in ipairs(report.functions) do
          if f.class == "swapped" then swapped[#swapped + 1] = f.id end
        end
        assert(#swapped == 1 and swapped[1] == "M.count")
        assert(count == M.count and count() == 11)
        assert(hot.patch(M.get, "function(self, x, y) return self.k + x * y end"))
        assert(M:get(2, 3) == 7)
        assert(hot.patch(M.hidden, "function() return -n end"))
        assert(M.hidden() == -11)
        assert(hot.patch(M.list[1], "function(...) return select('#', ...) end"))
        assert(M.list[1](1, 2) == 2)
        assert(hot.patch(M.twice, "function(x) return k * x + 1 end"))
        assert(M.twice(4) == 9 and make(3)(2) == 7)
        -- one after the other: the text is the current one
        assert(hot.patch(M.count, "function() return 'again', n end"))
        assert(M:get(2, 3) == 7 and M.count() == "again")
        assert(hot.patch(M.count, "function() return 0 end", { dry = true }).dry)
        assert(M.count() == "again")

        local function refused(f, source, ...)
          local ok, message = hot.patch(f, source)
          assert(ok == nil, "patched")
          for _, word in ipairs { ... } do assert(message:find(word, 1, true), message) end
        end
        refused(M.count, "5", "function expression")
        refused(M.count, "function(", "patch:1:")
        refused(M.count, "function() end, 2", "function expression")
        refused(M.get, "function(x) end", "first parameter has to be self")
        refused(M.hidden, "function() return nothing end end", "patch:1:")
        refused(print, "function() end", "native functions")
        refused(M.twice, "function(x) local y <const> = 1; y = 2 end", "y")
        local binary = load(string.dump(load "return function() end"))()
        refused(binary, "function() return 1 end", "loaded from binary")
        assert(not pcall(hot.patch, 5, "function() end"))
        assert(hot.rollback())
        local made = load "return function() end"()
        assert(hot.patch(made, "function() return 1 end"))
        assert(made() == 1)
        "#,
    )
    .set_name("@test.lua")
    .exec()
}

#[test]
fn events_in_lua() -> Result<()> {
    run(r##"
        local hot = require "moonswap"
        assert(load("function f() return 1 end", "@f.lua"))()
        local log = {}
        local function note(about)
          log[#log + 1] = about.event .. " " .. about.attempt .. " " .. about.source
          last = about
        end
        local offs = {}
        for _, event in ipairs { "before", "after", "refused", "rollback" } do
          offs[event] = assert(hot.on(event, note))
          -- Registered twice, as by a main chunk that runs again: heard once.
          local again, why = hot.on(event, note)
          assert(again == nil and why:find("already"))
        end
        local function took(expected)
          assert(table.concat(log, "; ") == expected, table.concat(log, "; "))
          log = {}
        end
        local new = "function f() return 2 end"
        local report = assert(hot.swapstring("f.lua", new, { author = "ann", reason = "why" }))
        took "before 1 lua; after 1 lua"
        assert(last.author == "ann" and last.reason == "why" and last.chunk == "f.lua")
        assert(last.report.id == report.id and tostring(last.report):find("f v1"))
        assert(hot.rollback(report))
        took "before 2 lua; rollback 2 lua"
        assert(last.patch == report.id and last.report.generation == 3)
        assert(not hot.swapstring("f.lua", "function f( end"))
        took "before 3 lua; refused 3 lua"
        assert(last.kind == "compile" and last.message:find("f.lua:1:", 1, true))
        assert(not hot.swapstring("f.lua", new, { base = 77 }))
        took "before 4 lua; refused 4 lua"
        assert(last.kind == "refused" and last.codes[1] == "P013")
        assert(offs.before() == true and offs.before() == false)
        assert(hot.swapstring("f.lua", new))
        took "after 5 lua"
        assert(hot.on("before", note), "again")
        -- An error of a listener hurts nobody.
        hot.on("after", function() error("listener") end)
        hot.on("after", function() error({}) end)
        assert(hot.swapstring("f.lua", "function f() return 3 end"))
        took "before 6 lua; after 6 lua"
        assert(f() == 3)
        assert(not pcall(hot.on, "whenever", note) and not pcall(hot.on, "after", 5))
        -- The collector does not take what hears.
        offs, note = nil, nil
        collectgarbage() collectgarbage()
        assert(hot.rollback())
        took "before 7 lua; rollback 7 lua"
    "##)
}

#[test]
fn listeners_may_undo_patches() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        assert(load("function f() return 1 end", "@f.lua"))()
        hot.on("after", function(about)
          if f() ~= 1 then assert(hot.rollback(about.report)) end
        end)
        assert(hot.swapstring("f.lua", "function f() return 2 end"))
        assert(f() == 1)
        -- Inside a loop of Lua code, at the safe point of a call.
        for i = 1, 10 do assert(f() == 1) end
    "#)
}

#[test]
fn protected_functions() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        assert(load("function f() return 1 end function g() return 1 end", "@f.lua"))()
        assert(hot.protect(f) == f)
        local both = "function f() return 2 end function g() return 2 end"
        local ok, message = hot.swapstring("f.lua", both)
        assert(ok == nil and message:find("f.lua:1: P041 f: the function is protected", 1, true),
          message)
        assert(f() == 1 and g() == 1)
        ok, message = hot.swapstring("f.lua", both, { dry = true })
        assert(ok == nil and message:find("P041"))
        -- Moved lines and changes around it are no change of it.
        assert(hot.swapstring("f.lua", "\n\nfunction f() return 1 end function g() return 2 end"))
        assert(f() == 1 and g() == 2)
        assert(not hot.patch(f, "function() return 5 end"))
        assert(hot.swapstring("f.lua", "function g() return 3 end"))
        assert(f() == 1)
        assert(not pcall(hot.protect, 5))
        assert(hot.protect(print) == print)
    "#)
}

#[test]
fn reload_runs_again_and_merges() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("moonswap-reload-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let lua = Lua::new();
    lua.globals()
        .set("folder", folder.to_string_lossy().into_owned())?;
    let outcome = lua
        .load(
            r#"
        local hot = require "moonswap"
        package.path = folder .. "/?.lua"
        local function write(text)
          local file = assert(io.open(folder .. "/m.lua", "w"))
          file:write(text)
          file:close()
        end
        write [[
          local hot = require "moonswap"
          local M = { n = 1, gone = true }
          runs = (runs or 0) + 1
          M.state = hot.keep("m.state", function() return { made = runs } end)
          M.tag = hot.keep("m.tag", "first")
          M.secret = hot.protect(function() return 1 end)
          function M.f() return "one" end
          return setmetatable(M, { __call = function() return "call one" end })
        ]]
        local m = require "m"
        local f, state, secret = m.f, m.state, m.secret
        state.value = 5
        m.own = "set by others"
        write [[
          local hot = require "moonswap"
          local M = { n = 2 }
          runs = (runs or 0) + 1
          M.state = hot.keep("m.state", function() return { made = runs } end)
          M.tag = hot.keep("m.tag", "second")
          M.secret = function() return 2 end
          function M.f() return "two" end
          return setmetatable(M, { __call = function() return "call two" end })
        ]]
        assert(hot.reload "m" == m and require "m" == m and package.loaded.m == m)
        assert(runs == 2 and m.n == 2 and m.f() == "two" and m() == "call two")
        assert(m.state == state and state.value == 5 and state.made == 1 and m.tag == "first")
        assert(m.gone and m.own == "set by others", "fields stay")
        assert(m.secret == secret, "protected fields stay")
        assert(f() == "one", "what holds the function itself keeps it: this is no patch")

        local function fails(text, word)
          write(text)
          local ok, message = hot.reload "m"
          assert(ok == nil and message:find(word, 1, true), message)
          assert(package.loaded.m == m and m.n == 2 and m.f() == "two")
        end
        fails("return {", "m.lua:1:")
        fails("local M = { n = 3 } error('in the middle') return M", "in the middle")
        write "return 42"
        assert(hot.reload "m" == 42 and package.loaded.m == 42)
        package.loaded.m = m
        hot.protect(m)
        fails("return { n = 4 }", "protected")
        local ok, message = hot.reload "no.such.module"
        assert(ok == nil and message:find("not found"))
        package.loaded.m = nil
        ok, message = hot.reload "m"
        assert(ok == nil and message:find("is not loaded"))
        assert(not pcall(hot.reload) and not pcall(hot.keep))
        assert(hot.keep("nothing") == nil and hot.keep("nothing", 5) == 5)
        ok, message = pcall(hot.keep, "bad", function() error("init", 0) end)
        assert(not ok and message == "init")
        assert(hot.keep("bad", false) == false and hot.keep("bad", 1) == false)
        "#,
        )
        .set_name("@test.lua")
        .exec();
    std::fs::remove_dir_all(&folder)?;
    outcome
}

#[test]
fn what_a_refused_patch_asked_of_the_module_is_undone() -> Result<()> {
    let lua = Lua::new();
    let text = |failing: &str| {
        format!(
            "function f() return 1 end\nfunction hear(about) heard = (heard or 0) + 1 end\n\
             local hot = require 'moonswap'\n\
             local asked = (function()\n\
               warn '@on'\n\
               assert(hot.on('after', hear))\n\
               if off then off() end\n\
               hot.protect(f)\n\
               hot.keep('counter', {{ n = 5 }})\n\
               {failing}\n\
               return 'asked'\n\
             end)()\n\
             function g() return asked end\n"
        )
    };
    lua.load(
        "function f() return 1 end\nfunction hear(about) heard = (heard or 0) + 1 end\n\
         off = require('moonswap').on('before', function() before = (before or 0) + 1 end)",
    )
    .set_name("@m.lua")
    .exec()?;
    let failed = lua
        .hot()
        .apply_source("@m.lua", text("error('no', 0)"))
        .expect_err("an initialiser fails");
    assert!(failed.to_string().contains("no"), "{failed}");
    lua.load(
        "local hot = require 'moonswap'\n\
         assert(heard == nil and before == 1)\n\
         -- it does not hear yet, so it may be added, once\n\
         local off = assert(hot.on('after', hear)) assert(not hot.on('after', hear)) off()\n\
         assert(hot.keep('counter', { n = 7 }).n == 7)",
    )
    .exec()?;
    // f is not protected, and the listener that was let go hears again.
    lua.hot().apply_source(
        "@m.lua",
        "function f() return 2 end\nfunction hear(about) heard = (heard or 0) + 1 end\n\
         off = require('moonswap').on('before', function() before = (before or 0) + 1 end)",
    )?;
    lua.load("assert(f() == 2 and before == 2 and heard == nil)")
        .exec()?;
    lua.hot()
        .apply_source("@m.lua", text("").replace("return 1", "return 2"))?;
    lua.load("assert(g() == 'asked' and heard == 1 and before == 3)")
        .exec()?;
    let refused = lua
        .hot()
        .apply_source("@m.lua", text("").replace("return 1", "return 3"))
        .expect_err("f is protected");
    assert!(refused.to_string().contains("P041"), "{refused}");
    Ok(())
}

/// What is no moment for a commit is none for a rollback either.
#[test]
fn rollbacks_wait_for_their_moment() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        local function text(n) return "function v() return " .. n .. " end function cmp(a, b) return a < b end" end
        assert(load(text(1), "@m.lua"))()
        local asked
        local function ask()
          asked = assert(hot.rollback())
          assert(asked.queued and tostring(asked) == "queued: m.lua", tostring(asked))
        end
        local function done()
          local state, report = asked.state()
          assert(state == "applied" and report.functions[1].id == "v" and v() == 1)
        end
        -- called back by a native
        assert(hot.swapstring("m.lua", text(2)))
        local once
        table.sort({ 3, 1, 2 }, function(a, b)
          if not once then once = true ask() end
          assert(v() == 2 and asked.state() == "queued")
          return cmp(a, b)
        end)
        done()
        -- a metamethod, a hook, a finalizer
        assert(hot.swapstring("m.lua", text(3)))
        local _ = setmetatable({}, { __index = function() ask() end }).field
        v() done()
        assert(hot.swapstring("m.lua", text(4)))
        debug.sethook(function() debug.sethook() ask() end, "l")
        local x = 1
        v() done()
        assert(hot.swapstring("m.lua", text(5)))
        setmetatable({}, { __gc = function() ask() end })
        collectgarbage()
        v() done()
        -- what is not there is said at once
        _ = setmetatable({}, { __index = function()
          local report, message = hot.rollback()
          assert(not report and message:find("no patch in force", 1, true), message)
          report, message = hot.rollback(99)
          assert(not report and message:find("patch 99", 1, true), message)
        end }).field
    "#)
}

/// A `__close` method of a coroutine that a patch closes undoes the patch: its
/// probation is not that of the rollback.
#[test]
fn undone_by_what_it_closes() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        local text = [[
        function worker()
          local guard <close> = setmetatable({}, { __close = function() UNDO() end })
          coroutine.yield(1)
        end]]
        local asked
        function UNDO() asked = hot.rollback() end
        assert(load(text, "@m.lua"))()
        local co = coroutine.create(worker)
        coroutine.resume(co)
        local report = assert(hot.swapstring("m.lua", (text:gsub("yield%(1%)", "yield(2)")),
          { suspended = "close", guard = { errors = 0, within = 60 } }))
        assert(#report.closed == 1 and report.closed[1].id == "worker")
        for _, warning in ipairs(report.warnings) do
          assert(not warning:find("probation"), warning)
        end
        assert(asked.queued)
        local state, undone = asked.state()
        assert(state == "applied" and undone.id == report.id + 1, state)
        assert(hot.version(worker) == 1 and hot.stats().quarantined == 0)
    "#)
}

/// A patch tells how many stay on old code; asked for later, they move.
#[test]
fn activations_move_on_request() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        local text = [[
        function loops() while true do coroutine.yield(1) end end
        function waits() coroutine.yield(1) end]]
        assert(load(text, "@m.lua"))()
        local a, b = coroutine.wrap(loops), coroutine.wrap(waits)
        a() b()
        local new = text:gsub("yield%(1%)", "yield(2)")
        local plan = assert(hot.swapstring("m.lua", new, { dry = true }))
        assert(plan.staying.activations == 2 and plan.staying.coroutines == 2)
        assert(plan.plan:find("warning: 2 activations in 2 coroutines stay on old code", 1, true))
        local report = assert(hot.swapstring("m.lua", new))
        assert(report.staying.activations == 2 and not report.staying.at_least)
        assert(tostring(report):find(", 2 activations in 2 coroutines stay on old code", 1, true))
        assert(report.warnings[#report.warnings]:find("hot.migrate()", 1, true))
        local moves = assert(hot.migrate("m.lua"))
        assert(moves.moving == 1 and moves.staying.activations == 1 and #moves.migrated == 2)
        assert(tostring(moves) == "1 of 2 activations move, 1 activation in 1 coroutine stays on old code")
        assert(a() == 2)
        local none, message = hot.migrate("nowhere")
        assert(none == nil and message:find("not loaded", 1, true))
    "#)
}

/// From another thread.
#[test]
fn activations_move_for_other_threads() -> Result<()> {
    let lua = moonswap::Lua::new();
    let old = "function loops() while true do coroutine.yield(1) end end";
    lua.load(old).set_name("@m.lua").exec()?;
    lua.load("a = coroutine.wrap(loops) a()").exec()?;
    lua.hot()
        .apply_source("@m.lua", old.replace("(1)", "(2)"))?;
    let patcher = lua.hot().patcher();
    let asked = std::thread::spawn(move || {
        patcher.migrate(Some("m.lua"), std::time::Duration::from_secs(60))
    });
    while !asked.is_finished() {
        lua.load("local function f() end f()").exec()?;
    }
    let report = asked.join().expect("no panic").expect("asked");
    assert_eq!(report.to_string(), "1 of 1 activations move");
    assert_eq!(lua.load("return a()").eval::<i64>()?, 2);
    Ok(())
}

/// Reports say what becomes of old activations, and what happened in which
/// instance.
#[test]
fn reports_tell_the_whole() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        local text = [[
        function loops() while true do coroutine.yield(1) end end
        function waits() coroutine.yield(1) end]]
        assert(load(text, "@m.lua"))()
        local a, b = coroutine.wrap(loops), coroutine.wrap(waits)
        a() b()
        local report = assert(hot.swapstring("m.lua", (text:gsub("yield%(1%)", "yield(2)")),
          { stale = "migrate" }))
        assert(#report.migrated == 2)
        for _, one in ipairs(report.migrated) do
          assert(one.chunk == "m.lua" and one.version == 1 and one.suspended)
          if one.id == "loops" then assert(one.turn == 1 and not one.reason)
          else assert(one.id == "waits" and one.reason == "it is in no loop" and not one.turn) end
        end
        local frames = hot.frames()
        assert(#frames == 2)
        for _, frame in ipairs(frames) do assert(frame.migration) end
        -- a rollback says of what moved only that it moved
        report = assert(hot.swapstring("m.lua", "\n" .. text:gsub("yield%(1%)", "yield(2)")))
        assert(report.functions[1].class == "debug-only")
        report = assert(hot.rollback())
        for _, f in ipairs(report.functions) do assert(f.class == "debug-only", f.class) end
        assert(tostring(report):find("only lines moved", 1, true))

        -- one instance runs the new text already, the other does not
        local one = "KEEP = KEEP or {} KEEP[#KEEP + 1] = function() return 1 end"
        local two = "KEEP = KEEP or {} KEEP[#KEEP + 1] = function() return 2 end"
        assert(load(one, "@k.lua"))()
        assert(hot.swapstring("k.lua", two))
        assert(load(one, "@k.lua"))()
        assert(load(two, "@k.lua"))()
        local plan = assert(hot.swapstring("k.lua", two, { dry = true }))
        assert(#plan.functions == 1 and plan.functions[1].class == "swapped")
        report = assert(hot.swapstring("k.lua", two))
        assert(#report.functions == 1 and report.functions[1].class == "swapped")
        assert(tostring(report):find("v1 → v2", 1, true), tostring(report))
        assert(KEEP[1]() == 2 and KEEP[2]() == 2)
        -- refused for an older instance only: the plan says so
        assert(load("function make(x) OLD = function() return x end end make(1)", "@r.lua"))()
        local new = "function make(x, y) OLD = function() return x + y end end make(1, 2)"
        assert(load(new, "@r.lua"))()
        local ok, message = hot.swapstring("r.lua", new .. " -- again", { dry = true })
        assert(not ok and message:find("P003", 1, true), message)
    "#)
}

#[test]
fn refusals_of_options_and_names_say_what_would_do() -> Result<()> {
    run(r#"
        local hot = require "moonswap"
        assert(load("function f() return 1 end", "@m.lua"))()
        local function refused(opts, ...)
          local ok, message = pcall(hot.swapstring, "m.lua", "function f() return 2 end", opts)
          assert(not ok)
          for _, part in ipairs { ... } do assert(message:find(part, 1, true), message) end
        end
        refused({ timing = "now" }, "option 'timing'", "deferred-native", "quiescent")
        refused({ suspended = "now" }, "option 'suspended'", "finish", "close")
        refused({ stale = "now" }, "option 'stale'", "migrate")
        refused({ captures = "now" }, "option 'captures'", "keep-old", "refuse", "expr")
        assert(f() == 1)

        local none, message = hot.swap("nosuch")
        assert(not none and message:find("'nosuch' not found:\n\tno file", 1, true), message)
        none, message = hot.rollback(77)
        assert(not none and message:find("patch 77 is not in the history", 1, true), message)
        assert(message:find("one that it lists", 1, true), message)
        local report = assert(hot.swapstring("m.lua", "function f() return 2 end"))
        for _, part in ipairs { "prepare", "wait", "load", "pause" } do
          assert(math.type(report.times[part]) == "float", part)
        end
    "#)
}

#[test]
fn one_refused_function_beside_the_rest() -> Result<()> {
    let lua = Lua::new();
    let old = "function make(x) return function() return 'old' end end\n\
               function other() return 1 end\nc = make(5)";
    let new = "function make(x) return function() return x end end\n\
               function other() return 2 end\nc = make(5)";
    let last = "function make(x) return function() return 'last' end end\n\
                function other() return 3 end\nc = make(5)";
    lua.load(old).set_name("@m.lua").exec()?;
    let text = |name: &str, text: &str| format!("local {name} = [==[{text}]==]\n");
    let script = text("NEW", new)
        + &text("LAST", last)
        + r#"
        local hot = require "moonswap"
        assert(not hot.swapstring("@m.lua", NEW))
        assert(not hot.swapstring("@m.lua", NEW, { refused = { other = "keep-old" } }))
        local ok, message = pcall(hot.swapstring, "@m.lua", NEW, { refused = "nil" })
        assert(not ok and message:find("option 'refused': one of refuse, keep-old expected", 1, true), message)
        local rule = { refused = { ["make / return 1"] = "keep-old" }, dry = true }
        local plan = assert(hot.swapstring("@m.lua", NEW, rule))
        assert(plan.diverged[1].code == "P003" and plan.plan:find("diverged", 1, true))
        local report = assert(hot.swapstring("@m.lua", NEW, { refused = { [""] = "keep-old" } }))
        local left = report.diverged[1]
        assert(#report.diverged == 1 and left.code == "P003" and left.id == "make / return 1")
        assert(left.chunk == "m.lua" and left.line == 1)
        assert(tostring(report):find("1 diverged", 1, true), tostring(report))
        assert(c() == "old" and other() == 2)
        assert(hot.stats().diverged == 1 and hot.diverged()[1].id == left.id)
        local told
        for _, info in ipairs(hot.versions()) do told = told or info.diverged end
        assert(told:find("P003", 1, true))
        assert(hot.swapstring("@m.lua", LAST))
        assert(hot.stats().diverged == 0 and #hot.diverged() == 0)
        assert(c() == "last" and other() == 3)
        "#;
    lua.load(&script).exec()?;
    assert!(lua.hot().diverged().is_empty());
    lua.hot().rollback_last()?;
    let status = lua.hot().status();
    assert_eq!(status.diverged.len(), 1, "{status}");
    assert!(
        status.to_string().contains("diverged: m.lua:1: P003"),
        "{status}"
    );
    assert!(status.to_json().contains("\"code\":\"P003\""));
    Ok(())
}
