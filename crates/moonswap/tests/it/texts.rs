//! Texts of chunks that were not loaded as modules: kept for patches, once for
//! equal ones, on the account of the memory limit; and names in them that nobody
//! defines.

use moonswap::prelude::*;
use moonswap::{FileChunk, PatchFile, Result, TextDigest};

fn run(lua: &Lua, script: &str) -> Result<()> {
    lua.load(script).set_name("@test.lua").exec()
}

#[test]
fn a_patch_file_with_a_base_fits_a_loaded_string() -> Result<()> {
    let (old, new) = ("function f() return 1 end", "function f() return 2 end");
    let lua = Lua::new();
    run(&lua, "load('function f() return 1 end', '=s')()")?;
    let file = |base: &str| {
        let chunk = FileChunk {
            name: "=s".into(),
            base: Some(TextDigest::of(base.as_bytes())),
            changes: vec![],
            source: new.into(),
        };
        PatchFile::new(vec![chunk], Policy::default())
    };
    assert!(lua.hot().patch(&file("other")).apply().is_err());
    lua.hot().patch(&file(old)).apply()?;
    assert_eq!(lua.load("return f()").eval::<i64>()?, 2);
    Ok(())
}

#[test]
fn texts_without_a_name_are_chunks_of_their_own() -> Result<()> {
    run(
        &Lua::new(),
        r#"
        local hot = require "moonswap"
        local function text(k, name) return "local K = " .. k .. " function " .. name .. "() return K end" end
        load(text(1, "a"))()
        load(text(1, "b"))()
        assert(hot.swapstring(text(1, "a"), text(2, "a")))
        assert(a() == 2 and b() == 1)
        local _, why = hot.swapstring(text(1, "c"), text(2, "c"))
        assert(tostring(why):find("no chunk named"), why)
        "#,
    )
}

/// Loads `n` chunks of which `text(i)` gives text and name, and keeps them.
fn load_many(lua: &Lua, n: usize, text: &str) -> Result<()> {
    let script =
        format!("kept = kept or {{}} for i = 1, {n} do kept[#kept + 1] = assert(load({text})) end");
    lua.load(script).exec()
}

#[test]
fn equal_texts_are_kept_once() -> Result<()> {
    // Comments: the compiled code is small.
    const BIG: &str = "'return ' .. (N) .. ' --' .. ('x'):rep(100000), '=p' .. i";
    let equal = BIG.replace('N', "1");
    let different = BIG.replace('N', "i");
    let lua = Lua::new();
    lua.set_memory_limit(24 << 20).expect("limited");
    // Texts of 50 MB, if each were kept.
    load_many(&lua, 500, &equal)?;
    let error = load_many(&lua, 500, &different).expect_err("too much");
    assert!(error.to_string().contains("not enough memory"), "{error}");
    // They go with the last chunk that has them.
    for _ in 0..5 {
        lua.load("kept = nil collectgarbage() collectgarbage()")
            .exec()?;
        load_many(&lua, 100, &different)?;
    }
    Ok(())
}

#[test]
fn short_texts_cost_no_more_than_their_length() -> Result<()> {
    fn bytes(lua: &Lua) -> f64 {
        let text = "collectgarbage() collectgarbage() return collectgarbage('count') * 1024";
        lua.load(text).eval().expect("counts")
    }
    let cost = |text: &str| -> Result<f64> {
        let lua = Lua::new();
        lua.load("kept = {} for i = 1, 2000 do kept[i] = false end")
            .exec()?;
        let before = bytes(&lua);
        lua.load(format!("for i = 1, 2000 do kept[i] = {text} end"))
            .exec()?;
        Ok((bytes(&lua) - before) / 2000.0)
    };
    // Text of 30 bytes, and of 30 more.
    let named = cost("load(('return function() return %5d end'):format(i), '=f')()")?;
    let longer = cost(
        "load(('return function() return %5d end -- 456789 123456789 1234567'):format(i), '=f')()",
    )?;
    let unnamed = cost("load(('return function() return %5d end'):format(i))()")?;
    println!("named {named}, longer {longer}, unnamed {unnamed} bytes a chunk");
    assert!(longer <= named + 30.0 + 16.0, "{longer}, named {named}");
    // The name of an unnamed chunk is its text, which is kept once.
    assert!(unnamed <= named, "{unnamed}, named {named}");
    // All that such a chunk of two functions takes.
    assert!(named <= 600.0, "{named}");
    Ok(())
}

#[test]
fn names_that_nobody_defines() -> Result<()> {
    let lua = Lua::new();
    run(
        &lua,
        r#"
        local hot = require "moonswap"
        by_program = 1
        load("function f() return before() end", "=n")()
        local new = [[
          function f() return before() + by_program + later() + by_prgram end
          function later() return string, by_other end
          local value = now_known
        ]]
        local wanted = {
          "line 1: f: the global by_prgram is not defined; did you mean by_program?",
          "line 2: later: the global by_other is not defined",
        }
        local function check(warnings)
          local found = {}
          for _, warning in ipairs(warnings) do
            if warning:find("not defined") then found[#found + 1] = warning end
          end
          assert(table.concat(found, "|") == table.concat(wanted, "|"), table.concat(found, "|"))
        end
        now_known = 1
        check(assert(hot.swapstring("=n", new, { dry = true })).warnings)
        check(assert(hot.swapstring("=n", new)).warnings)
        -- They are told once.
        wanted = {}
        check(assert(hot.swapstring("=n", (new:gsub("by_other", "by_other, 1")))).warnings)
        "#,
    )?;
    // Planned on another thread: the program is asked when it is committed.
    let patcher = lua.hot().patcher();
    for n in 1..4 {
        let text = format!("function f() return by_program + missing{n} end");
        let patch = Patch::compile("=n", text.as_bytes()).expect("compiles");
        let ticket = patcher.submit(patch, Policy::default());
        let report = loop {
            lua.machine().poll();
            if let Some(report) = ticket.try_take() {
                break report.expect("applied");
            }
            std::thread::yield_now();
        };
        let found: Vec<&String> = report
            .warnings
            .iter()
            .filter(|w| w.contains("not defined"))
            .collect();
        let wanted = format!("line 1: f: the global missing{n} is not defined");
        assert!(
            found.len() == 1 && found[0].starts_with(&wanted),
            "{:?}",
            report.warnings
        );
    }
    Ok(())
}

/// A host may have a name for each request: those that leave no code are forgotten.
#[test]
fn names_without_code_are_dropped() -> moonswap::Result<()> {
    let lua = Lua::new();
    let name = |i: usize| format!("=request {i}");
    lua.load("kept = function() return 1 end")
        .set_name("@kept.lua")
        .exec()?;
    let run = |from: usize, to: usize| -> moonswap::Result<usize> {
        for i in from..to {
            lua.load("local x = 1 return { x }")
                .set_name(name(i))
                .exec()?;
        }
        lua.gc_collect()?;
        lua.gc_collect()?;
        Ok(lua.used_memory())
    };
    let before = run(0, 2000)?;
    let after = run(2000, 6000)?;
    assert!(after < before + before / 10, "{before} {after}");
    // What has code, and what is new, can be patched.
    lua.hot()
        .apply_source("@kept.lua", "kept = function() return 2 end")?;
    assert_eq!(lua.load("return kept()").eval::<i64>()?, 2);
    lua.load("limit = 10").set_name("@config.lua").exec()?;
    run(6000, 6100)?;
    lua.hot().apply_source("@config.lua", "limit = 20")?;
    assert_eq!(lua.globals().get::<i64>("limit")?, 20);
    assert!(lua.hot().apply_source(&name(0), "return 2").is_err());
    Ok(())
}
