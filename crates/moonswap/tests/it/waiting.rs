//! Patches that have to wait, through the facade and the Lua module.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use moonswap::prelude::*;
use moonswap::{Applied, Result, SuspendedPolicy, Timing};

fn game(source: &str) -> Result<Lua> {
    let lua = Lua::new();
    lua.load(source).set_name("@shop.lua").exec()?;
    Ok(lua)
}

fn run(lua: &Lua, script: &str) -> Result<()> {
    lua.load(script).set_name("@test.lua").exec()
}

#[test]
fn a_comparator_gets_a_report_that_is_queued() -> Result<()> {
    let lua = game("function price(x) return x end")?;
    run(
        &lua,
        r##"
        local hot = require "moonswap"
        local queued
        table.sort({ 3, 1, 2 }, function(a, b)
          if not queued then
            queued = assert(hot.swapstring("shop.lua", "function price(x) return 2 * x end"))
            assert(queued.queued and queued.chunk == "shop.lua" and tostring(queued) == "queued: shop.lua")
            local state, why = queued:state()
            assert(state == "queued" and why == "the native function 'sort', which is calling back", why)
          end
          assert(price(1) == 1)
          assert(hot.stats().queued == 1)
          return a < b
        end)
        assert(price(1) == 2 and hot.stats().queued == 0)
        local state, report = queued:state()
        assert(state == "applied" and report.id == 1 and tostring(report):find("shop.lua: price v1 → v2", 1, true))
        assert(select(2, queued:state()).id == 1)
        assert(hot.rollback(report) and price(1) == 1)
        "##,
    )
}

#[test]
fn every_way_to_swap_waits_for_a_checkpoint() -> Result<()> {
    let lua = game("function price(x) return x end")?;
    run(
        &lua,
        r##"
        local hot = require "moonswap"
        local at = { timing = "checkpoint" }
        local first = assert(hot.swapstring("shop.lua", "function price(x) return 2 * x end", at))
        assert(first.queued and price(1) == 1)
        hot.sleep(0)
        assert(price(1) == 2 and first:state() == "applied")
        local second = assert(hot.transaction({ ["shop.lua"] = "function price(x) return 3 * x end" }, at))
        assert(second.queued and #second.chunks == 1 and price(1) == 2)
        -- An older text does not replace a newer one.
        assert(hot.swapstring("shop.lua", "function price(x) return 4 * x end").id == 2)
        local state, message = second:state()
        assert(state == "refused" and message:find("shop.lua:1: P034", 1, true), message)
        hot.sleep(0)
        assert(price(1) == 4)
        -- What can never be is told at once.
        local none, why = hot.swapstring("shop.lua", "function price(", at)
        assert(none == nil and why:find("shop.lua:1:", 1, true), why)
        none, why = hot.swapstring("nowhere.lua", "", at)
        assert(none == nil and why:find("nowhere.lua", 1, true), why)
        "##,
    )
}

#[test]
fn quiescent_from_lua() -> Result<()> {
    let lua = game(
        r##"
        local hot = require "moonswap"
        local function nothing() end
        function step(text)
          local queued = text and hot.swapstring("shop.lua", text, { timing = "quiescent" })
          nothing()
          return "old", queued
        end
        "##,
    )?;
    run(
        &lua,
        r##"
        local text = "local hot = require 'moonswap'\nlocal function nothing() end\nfunction step() return 'new' end"
        local which, queued = step(text)
        assert(which == "old" and queued.queued)
        local _, why = queued:state()
        assert(step() == "new" and queued:state() == "applied", why)
        "##,
    )
}

#[test]
fn initialisers_and_hooks_queue() -> Result<()> {
    let lua = game("function price(x) return x end")?;
    run(
        &lua,
        r##"
        hot = require "moonswap"
        third = "function price(x) return 3 * x end"
        local report = assert(hot.swapstring("shop.lua", [[
          local queued = hot.swapstring("shop.lua", third)
          function price(x) return queued.queued end]]))
        assert(report.id == 1 and not report.queued)
        assert(price(1) == 3 and hot.history()[2].id == 2)
        local queued
        debug.sethook(function()
          queued = queued or hot.swapstring("shop.lua", "function price(x) return 4 * x end")
        end, "l")
        local x = 1
        debug.sethook()
        assert(queued.queued and price(1) == 4)
        "##,
    )
}

#[test]
fn coroutines_that_are_closed_are_listed() -> Result<()> {
    let lua = game("function serve() coroutine.yield() end")?;
    run(
        &lua,
        r##"
        local hot = require "moonswap"
        local co = coroutine.create(serve)
        coroutine.resume(co)
        local new = "function serve() end"
        local plan = assert(hot.swapstring("shop.lua", new, { dry = true }))
        assert(#plan.active == 1 and plan.active[1].suspended and plan.active[1].id == "serve")
        assert(plan.plan:find("coroutine " .. tostring(co) .. " suspended in serve v1 at line 1", 1, true), plan.plan)
        local none, why = hot.swapstring("shop.lua", new, { suspended = "refuse" })
        assert(none == nil and why:find("shop.lua:1: P031 serve: coroutine " .. tostring(co), 1, true), why)
        local report = assert(hot.swapstring("shop.lua", new, { suspended = "close" }))
        assert(#report.closed == 1 and report.closed[1].thread == tostring(co) and report.closed[1].line == 1)
        assert(coroutine.status(co) == "dead")
        "##,
    )
}

#[test]
fn rust_gets_a_ticket_or_all_the_reasons() -> Result<()> {
    let lua =
        game("function serve() coroutine.yield() return 1 end co = coroutine.wrap(serve) co()")?;
    let patch = Patch::compile("@shop.lua", b"function serve() return 2 end")?;
    let policy = Policy::new().timing(Timing::Quiescent);
    let error = lua
        .hot()
        .patch(&patch)
        .policy(&policy)
        .apply()
        .expect_err("suspended");
    let activations = error.refused().map(|r| r.activations.clone());
    assert!(
        matches!(activations.as_deref(), Some([a]) if a.function == "serve" && a.suspended),
        "{error}"
    );
    let Applied::Queued(ticket) = lua.hot().patch(&patch).policy(&policy).queue()? else {
        panic!("applied");
    };
    assert_eq!(lua.hot().queued(), 1);
    let waits = ticket.waits_for().unwrap_or_default();
    assert!(waits.contains("suspended in serve v1 at line 1"), "{waits}");
    run(&lua, "assert(co() == 1)")?;
    lua.poll();
    let report = ticket.try_take().expect("an outcome");
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(lua.load("serve()").eval::<i64>()?, 2);
    // Nobody is in the way: at once.
    let patch = Patch::compile("@shop.lua", b"function serve() return 3 end")?;
    let policy = policy.suspended(SuspendedPolicy::Refuse);
    let applied = lua.hot().patch(&patch).policy(&policy).queue()?;
    assert!(matches!(applied, Applied::Now(_)), "{applied:?}");
    let ticket = lua
        .hot()
        .patch(Patch::compile(
            "@shop.lua",
            b"function serve() return 4 end",
        )?)
        .policy(Policy::new().timing(Timing::Checkpoint))
        .submit()?;
    assert_eq!(lua.load("serve()").eval::<i64>()?, 3);
    lua.poll();
    assert_eq!(lua.load("serve()").eval::<i64>()?, 4);
    assert!(matches!(ticket.try_take(), Some(Ok(_))));
    Ok(())
}

#[test]
fn a_rust_callback_in_a_sort_is_told_to_wait() -> Result<()> {
    let lua = game("function price(x) return x end")?;
    let swap = lua.create_function(|lua, ()| {
        let patch = Patch::compile("@shop.lua", b"function price(x) return 2 * x end")?;
        let error = lua.hot().apply(&patch).expect_err("inside sort");
        let code = error.refused().map(|r| r.refusals[0].code.to_string());
        drop(lua.hot().patch(patch).submit()?);
        Ok(code)
    })?;
    lua.globals().set("swap", swap)?;
    run(
        &lua,
        "local code
        table.sort({ 2, 1 }, function(a, b) code = code or swap() assert(price(1) == 1) return a < b end)
        assert(code == 'P032' and price(1) == 2)",
    )
}

/// A task whose waker panics takes neither its report nor the VM with it.
#[test]
fn a_waker_may_panic() -> Result<()> {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the waker");
        }
    }
    let lua = game("function price(x) return x end")?;
    let text = b"function price(x) return 2 * x end";
    let patcher = lua.hot().patcher();
    let mut ticket = pin!(patcher.submit_source("@shop.lua", text, Policy::default()));
    let waker = Waker::from(Arc::new(Panics));
    let mut context = Context::from_waker(&waker);
    for _ in 0..1000 {
        if let Poll::Ready(report) = ticket.as_mut().poll(&mut context) {
            assert_eq!(report.expect("applied").id, 1);
            return run(&lua, "assert(price(1) == 2)");
        }
        run(&lua, "for _ = 1, 10 do price(1) end")?;
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no report");
}
