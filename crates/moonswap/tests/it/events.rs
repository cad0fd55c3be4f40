//! Events of all sources, error budgets and quarantine through the facade.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use moonswap::prelude::*;
use moonswap::{EventKind, HotError, Origin, PatchSource, Result};

const OLD: &str = "function f() return 1 end";
const NEW: &str = "function f() return 2 end";

fn loaded(lua: &Lua) -> Result<()> {
    lua.load(OLD).set_name("@f.lua").exec()
}

/// A VM with a log of `attempt kind source [more]`.
fn heard() -> (Lua, Rc<RefCell<Vec<String>>>) {
    let lua = Lua::new();
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let into = Rc::clone(&log);
    lua.hot().on_event(move |_, event| {
        let more = match &event.outcome {
            None => event
                .chunks
                .iter()
                .map(|c| c.name.to_string())
                .collect::<Vec<_>>()
                .join(","),
            Some(Ok(report)) => format!("id {}", report.id()),
            Some(Err(error)) => error.kind().to_owned(),
        };
        into.borrow_mut().push(format!(
            "{} {} {} {more}",
            event.attempt, event.kind, event.source
        ));
    });
    (lua, log)
}

#[test]
fn every_attempt_of_every_door_is_heard() -> Result<()> {
    let (lua, log) = heard();
    loaded(&lua)?;
    let take = || std::mem::take(&mut *log.borrow_mut()).join("; ");
    let hot = lua.hot();
    let report = hot.apply_source("@f.lua", NEW)?;
    assert_eq!(take(), "1 before rust @f.lua; 1 after rust id 1");
    // Plans are no attempts.
    hot.plan(&Patch::compile("@f.lua", OLD.as_bytes())?)?;
    hot.patch(("@f.lua", OLD))
        .policy(Policy::new().dry(true))
        .apply()?;
    assert_eq!(take(), "");
    hot.rollback(report.id())?;
    assert_eq!(take(), "2 before rust @f.lua; 2 rollback rust id 2");
    assert!(hot.rollback(99).is_err());
    assert_eq!(take(), "3 before rust ; 3 refused rust unknown-patch");
    assert!(hot.apply_source("@f.lua", "function (").is_err());
    assert_eq!(take(), "4 before rust @f.lua; 4 refused rust compile");
    assert!(hot.apply_source("@other.lua", "x = 1").is_err());
    assert_eq!(
        take(),
        "5 before rust @other.lua; 5 refused rust not-loaded"
    );

    lua.globals().set("new", NEW)?;
    lua.load(
        r#"
        local hot = require "moonswap"
        assert(hot.swapstring("f.lua", new))
        assert(not hot.swapstring("f.lua", "function ("))
        assert(not hot.transaction { ["f.lua"] = "function (" })
        assert(hot.rollback())
        "#,
    )
    .exec()?;
    assert_eq!(
        take(),
        "6 before lua @f.lua; 6 after lua id 3; \
         7 before lua @f.lua; 7 refused lua compile; \
         8 before lua @f.lua; 8 refused lua compile; \
         9 before lua @f.lua; 9 rollback lua id 4"
    );

    let patcher = hot.patcher();
    let worker = std::thread::spawn(move || {
        let wait = Some(Duration::from_secs(60));
        let policy = || Policy::new().signed_off("ann", "test");
        let good = patcher.submit_source("@f.lua", NEW.as_bytes(), policy());
        assert!(good.wait(wait).is_ok());
        let bad = patcher.submit_source("@f.lua", b"function (", policy());
        assert!(matches!(bad.wait(wait), Err(HotError::Compile(_))));
        let refused = Policy::new().base(77).source(PatchSource::Watch);
        let refused = patcher.submit_source("@f.lua", OLD.as_bytes(), refused);
        assert!(matches!(refused.wait(wait), Err(HotError::Refused(_))));
        let unknown = patcher.submit_source("@no.lua", b"", Policy::new());
        assert!(matches!(
            unknown.wait(wait),
            Err(HotError::NotLoaded { .. })
        ));
    });
    while !worker.is_finished() {
        lua.poll();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(worker.join().is_ok());
    lua.poll();
    assert_eq!(
        take(),
        "10 before thread @f.lua; 10 after thread id 5; \
         11 before thread @f.lua; 11 refused thread compile; \
         12 before watch @f.lua; 12 refused watch refused; \
         13 before thread @no.lua; 13 refused thread not-loaded"
    );
    Ok(())
}

#[test]
fn a_withdrawn_patch_is_heard() -> Result<()> {
    let (lua, log) = heard();
    loaded(&lua)?;
    let patch = Patch::compile("@f.lua", NEW.as_bytes())?;
    // Nobody polls meanwhile.
    let ticket = lua.hot().patcher().submit(patch, Policy::new());
    let outcome = ticket.wait(Some(Duration::from_millis(20)));
    assert!(matches!(outcome, Err(HotError::TimedOut)));
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while log.borrow().len() < 2 && std::time::Instant::now() < end {
        lua.poll();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(
        log.borrow().join("; "),
        "1 before thread @f.lua; 1 refused thread timed-out"
    );
    Ok(())
}

#[test]
fn listeners_use_the_vm_and_cannot_break_it() -> Result<()> {
    let lua = Lua::new();
    loaded(&lua)?;
    let hot = lua.hot();
    let order: Rc<RefCell<Vec<String>>> = Rc::default();
    let log = Rc::clone(&order);
    let panics = hot.on_event(|_, _| panic!("a listener"));
    hot.on_event(move |lua, event| {
        log.borrow_mut()
            .push(format!("{} {}", event.kind, lua.hot().generation()));
        let f: Function = lua.globals().get("f").expect("f");
        log.borrow_mut()
            .push(f.call::<i64>(()).expect("runs").to_string());
        match event.kind {
            // Busy: nothing happens, and it is heard afterwards.
            EventKind::Before if event.attempt == 1 => {
                assert!(
                    lua.hot()
                        .apply_source("@f.lua", "function f() end")
                        .is_err()
                );
            }
            EventKind::After => {
                lua.hot()
                    .rollback_by(None, &Origin::default())
                    .expect("rollback");
            }
            _ => {}
        }
    });
    hot.apply_source("@f.lua", NEW)?;
    assert_eq!(
        order.borrow().join(" "),
        // The attempt inside the first event is told of when that is over.
        "before 1 1 before 1 1 refused 1 1 after 2 2 before 3 1 rollback 3 1"
    );
    assert_eq!(lua.load("return f()").eval::<i64>()?, 1);
    assert!(hot.off(panics) && !hot.off(panics));
    Ok(())
}

#[test]
fn listeners_that_never_stop_are_stopped() -> Result<()> {
    let lua = Lua::new();
    loaded(&lua)?;
    let n = Rc::new(RefCell::new(0));
    let count = Rc::clone(&n);
    lua.hot().on_event(move |lua, _| {
        *count.borrow_mut() += 1;
        let _ = lua.hot().rollback(99);
    });
    lua.hot().apply_source("@f.lua", NEW)?;
    assert!(*n.borrow() < 1000, "{}", n.borrow());
    Ok(())
}

#[test]
fn an_error_budget_undoes_and_quarantines() -> Result<()> {
    let (lua, log) = heard();
    loaded(&lua)?;
    let hot = lua.hot();
    let f: Function = lua.globals().get("f")?;
    let bad = Patch::compile("@f.lua", b"function f() return nil + 1 end")?;
    let policy = Policy::new().guard(2, Duration::from_secs(600));
    hot.patch(&bad).policy(&policy).apply()?;
    log.borrow_mut().clear();
    for _ in 0..3 {
        assert!(f.call::<i64>(()).is_err(), "the call itself fails");
    }
    // The host's next call runs the restored code already.
    assert_eq!(f.call::<i64>(())?, 1);
    assert_eq!(
        log.borrow().join("; "),
        "2 before guard @f.lua; 2 rollback guard id 2"
    );
    let known = hot.quarantine();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].patch, known[0].errors), (1, 3));
    assert_eq!(known[0].hash, bad.hash());

    let refused = hot
        .patch(&bad)
        .policy(&policy)
        .apply()
        .expect_err("quarantined");
    let refusals = &refused.refused().expect("refusals").refusals;
    assert_eq!(refusals[0].code.text(), "P040");
    assert!(hot.plan(&bad)?.is_refused(), "the plan says so as well");
    // From another thread too.
    let ticket = hot.patcher().submit(bad.clone(), Policy::new());
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let outcome = loop {
        lua.poll();
        if let Some(outcome) = ticket.try_take() {
            break outcome;
        }
        assert!(std::time::Instant::now() < end, "no answer");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(matches!(outcome, Err(HotError::Refused(_))), "{outcome:?}");

    assert!(hot.release(bad.hash()) && !hot.release(bad.hash()));
    hot.apply(&bad)?;
    assert!(f.call::<i64>(()).is_err());
    Ok(())
}

#[test]
fn probation_ends_with_the_place_in_the_history() -> Result<()> {
    let lua = Lua::new();
    loaded(&lua)?;
    lua.load("function g() return 0 end")
        .set_name("@g.lua")
        .exec()?;
    let hot = lua.hot();
    let policy = Policy::new().guard(0, Duration::from_secs(600));
    hot.patch(("@f.lua", "function f() error('new') end"))
        .policy(&policy)
        .apply()?;
    let mut warned = 0;
    for n in 1..40 {
        let report = hot.apply_source("@g.lua", format!("function g() return {n} end"))?;
        warned += report
            .warnings
            .iter()
            .filter(|w| w.contains("patch 1 fell out of the history"))
            .count();
        lua.gc_collect()?;
    }
    assert_eq!(warned, 1);
    for _ in 0..3 {
        assert!(lua.load("f()").exec().is_err());
    }
    assert_eq!((hot.generation(), hot.quarantine().len()), (41, 0));
    Ok(())
}

#[test]
fn traces_name_the_version_that_runs() -> Result<()> {
    let lua = Lua::new();
    lua.load("function f(g) g() return 1 end function fail() error('x') end")
        .set_name("@f.lua")
        .exec()?;
    lua.load("function main(g) f(g) return 2 end")
        .set_name("@main.lua")
        .exec()?;
    // Patched while it runs: the activation stays on its version.
    lua.load(
        r#"
        local hot = require "moonswap"
        function change()
          assert(hot.swapstring("f.lua",
            "function f(g) g() return 3 end function fail() error('y') end"))
          fail()
        end
        "#,
    )
    .set_name("@change.lua")
    .exec()?;
    let error = lua.load("main(change)").exec().expect_err("fails");
    let trace = error.traceback().expect("a trace");
    let of = |name: &str| {
        let frame = trace
            .frames
            .iter()
            .find(|f| f.function.as_deref() == Some(name));
        frame.unwrap_or_else(|| panic!("{name}: {trace:?}")).version
    };
    assert_eq!(of("fail"), Some(2));
    assert_eq!(of("f"), Some(1), "not the current one");
    assert_eq!(of("main"), None, "never patched: nothing to tell");
    assert!(trace.text.contains("'f' [v1]") && trace.text.contains("'fail' [v2]"));
    assert!(
        trace.text.contains("in function 'main'\n"),
        "{}",
        trace.text
    );
    Ok(())
}
