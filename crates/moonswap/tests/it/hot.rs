//! Hot patching through the facade and the Lua module.

use moonswap::Result;
use moonswap::prelude::*;

const OLD: &str = "local n = 0\nfunction count() n = n + 1 return n end";
const NEW: &str = "local n = 0\nfunction count() n = n + 10 return n end";

#[test]
fn state_and_handles_survive() -> Result<()> {
    let lua = Lua::new();
    lua.load(OLD).set_name("@c.lua").exec()?;
    let count: Function = lua.globals().get("count")?;
    assert_eq!(count.call::<i64>(())?, 1);
    let report = lua.hot().apply_source("@c.lua", NEW)?;
    assert_eq!(count.call::<i64>(())?, 11);
    assert_eq!(count.info().version, Some(2));
    lua.hot().rollback(report.id())?;
    assert_eq!(count.call::<i64>(())?, 12);
    Ok(())
}

#[test]
fn a_plan_changes_nothing() -> Result<()> {
    let lua = Lua::new();
    lua.load(OLD).set_name("@c.lua").exec()?;
    let plan = lua.hot().plan(&Patch::compile("@c.lua", NEW.as_bytes())?)?;
    assert!(!plan.is_refused());
    assert_eq!(lua.load("count()").eval::<i64>()?, 1);
    Ok(())
}

#[test]
fn refusals_and_syntax_errors_change_nothing() -> Result<()> {
    let lua = Lua::new();
    lua.load("function outer(a) return function() return 0 end end f = outer(1)")
        .set_name("@r.lua")
        .exec()?;
    let error = lua
        .hot()
        .apply_source(
            "@r.lua",
            "function outer(a) return function() return a end end f = outer(1)",
        )
        .expect_err("a capture that old closures do not have");
    assert!(
        error
            .refused()
            .is_some_and(|refused| !refused.refusals.is_empty()),
        "{error}"
    );
    assert!(matches!(
        lua.hot()
            .apply_source("@r.lua", "function (")
            .expect_err("no Lua")
            .kind(),
        ErrorKind::Syntax
    ));
    assert_eq!(lua.load("f()").eval::<i64>()?, 0);
    Ok(())
}

#[test]
fn the_lua_module() -> Result<()> {
    let lua = Lua::new();
    lua.load(OLD).set_name("@c.lua").exec()?;
    lua.globals().set("new", NEW)?;
    lua.load(
        r##"
        local hot = require "moonswap"
        assert(count() == 1)
        local plan = assert(hot.swapstring("c.lua", new, { dry = true }))
        assert(plan.dry and count() == 2)
        local report = assert(hot.swapstring("c.lua", new))
        assert(count() == 12 and hot.version(count) == 2)
        assert(type(report.id) == "number" and type(report.generation) == "number")
        assert(#report.functions >= 1 and report.times.pause >= 0)
        assert(tostring(report):find("c.lua", 1, true) and not tostring(report):find("\n"))
        assert(#hot.versions("c.lua") >= 1 and #hot.frames() == 0 and #hot.history() >= 1)
        assert(hot.rollback(report.id))
        assert(count() == 13)
        local ok, message = hot.swapstring("c.lua", "function (")
        assert(ok == nil and message:find("c.lua:1:", 1, true), message)
        assert(select("#", hot.swapfile("no/such/file.lua")) == 2)
        assert(not pcall(hot.swapstring, "c.lua", new, { drry = true }))
        hot.sleep(0.001)
        "##,
    )
    .set_name("@test.lua")
    .exec()
}

#[test]
fn patches_come_from_other_threads() -> Result<()> {
    let lua = Lua::new();
    lua.load("function f() return 1 end")
        .set_name("@f.lua")
        .exec()?;
    let patcher = lua.hot().patcher();
    let thread = std::thread::spawn(move || {
        let patch = Patch::compile("@f.lua", b"function f() return 2 end").expect("it is Lua");
        patcher
            .submit(patch, Policy::default())
            .wait(Some(std::time::Duration::from_secs(20)))
            .map(|report| report.id())
    });
    lua.load("while f() == 1 do end")
        .set_name("@loop.lua")
        .exec()?;
    assert!(thread.join().expect("no panic").is_ok());
    Ok(())
}

/// Functions that call nothing and do not loop pass no safe point of their own:
/// the host's call is one.
#[test]
fn calls_from_the_host_are_safe_points() -> Result<()> {
    let lua = Lua::new();
    lua.load(OLD).set_name("@c.lua").exec()?;
    let count: Function = lua.globals().get("count")?;
    let patcher = lua.hot().patcher();
    let patch = Patch::compile("@c.lua", NEW.as_bytes())?;
    let ticket = std::thread::spawn(move || patcher.submit(patch, Policy::default()).wait(None));
    let start = std::time::Instant::now();
    while !ticket.is_finished() {
        count.call::<i64>(())?;
        assert!(start.elapsed().as_secs() < 60, "no safe point");
    }
    assert!(ticket.join().is_ok_and(|outcome| outcome.is_ok()));
    let before: i64 = count.call(())?;
    assert_eq!(count.call::<i64>(())?, before + 10);

    // Garbage is collected there as well, also if the function begins with an
    // allocation.
    lua.load("function waste() return {{}, {}} end").exec()?;
    let waste: Function = lua.globals().get("waste")?;
    let mut used = 0;
    for _ in 0..3_000_000 {
        waste.call::<()>(())?;
        let now = lua.used_memory();
        if now < used {
            return Ok(());
        }
        used = now;
    }
    panic!("nothing was collected: {used} bytes");
}

/// All that a host needs to write settings and read answers is in the facade.
#[test]
fn settings_and_answers_have_names_here() -> Result<()> {
    use moonswap::{
        CapturePolicy, Captures, ChangeClass, Guard, NotRun, RefusalCode, ReportedFunction,
        RunSelector, StalePolicy, SuspendedPolicy, Times, Timing,
    };
    let policy = Policy {
        captures: CapturePolicy::default(),
        guard: Some(Guard {
            errors: 3,
            within: std::time::Duration::from_secs(60),
            slow: None,
        }),
        ..Policy::new()
            .captures(Captures::Nil)
            .stale(StalePolicy::Migrate)
            .run(RunSelector::Line(3))
            .timing(Timing::Immediate)
            .suspended(SuspendedPolicy::Finish)
    };
    let lua = Lua::new();
    lua.load("local t = {}\nlocal function f() return t end\nt.x = 1\ng = f")
        .set_name("@s.lua")
        .exec()?;
    let patch = Patch::compile(
        "@s.lua",
        b"local t = {}\nlocal function f() return t, 2 end\nt.x = 2\nt.y = os.tmpname()\ng = f",
    )?;
    let report = lua.hot().patch(&patch).policy(&policy).apply()?;
    let functions: &[ReportedFunction] = &report.functions;
    let not_run: &[NotRun] = &report.not_run;
    let times: Times = report.times;
    assert_eq!(functions[0].class, ChangeClass::Swapped, "{report}");
    assert_eq!(not_run[0].line, 4, "{report:?}");
    assert!(times.pause > std::time::Duration::ZERO);
    assert_eq!(lua.load("local t = g() return t.x").eval::<i64>()?, 2);

    let refused = lua
        .hot()
        .patch(&patch)
        .policy(Policy::new().base(99))
        .apply()
        .expect_err("of another generation");
    let codes: Vec<RefusalCode> = refused
        .refused()
        .expect("refused")
        .refusals
        .iter()
        .map(|refusal| refusal.code)
        .collect();
    assert_eq!(codes, [RefusalCode::BaseMismatch]);
    Ok(())
}

/// A function has one name, whoever tells of it.
#[test]
fn patches_rollbacks_and_activations_call_a_function_the_same() -> Result<()> {
    let lua = Lua::new();
    let text = "local function wait() coroutine.yield(1) end\nw = wait";
    lua.load(text).set_name("@n.lua").exec()?;
    let applied = lua
        .hot()
        .apply_source("@n.lua", text.replace("(1)", "(2)"))?;
    let undone = lua.hot().rollback(applied.id())?;
    assert_eq!(applied.functions[0].id, "wait");
    assert_eq!(undone.functions[0].id, "wait");

    lua.load("co = coroutine.wrap(w) co()").exec()?;
    let refused = lua
        .hot()
        .patch(&Patch::compile(
            "@n.lua",
            text.replace("(1)", "(3)").as_bytes(),
        )?)
        .policy(Policy::new().suspended(moonswap::SuspendedPolicy::Refuse))
        .apply();
    let refused = refused.expect_err("suspended in it");
    let refused = refused.refused().expect("refused");
    assert_eq!(refused.activations[0].function, "wait");
    assert_eq!(refused.refusals[0].function, "wait");
    Ok(())
}

#[test]
fn an_if_of_very_many_arms_is_listed() -> Result<()> {
    let lua = Lua::new();
    let arms: String = (0..20_000)
        .map(|i| format!("elseif X == {i} then "))
        .collect();
    let text = |n, x| format!("function f() return {n} end if X == {x} then {arms} end");
    lua.load(text(1, -1)).set_name("@arms.lua").exec()?;
    let report = lua.hot().apply_source("@arms.lua", text(2, -2))?;
    assert_eq!(report.not_run.len(), 1);
    assert_eq!(lua.load("return f()").eval::<i64>()?, 2);
    Ok(())
}
