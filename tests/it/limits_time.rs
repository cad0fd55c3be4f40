//! Limits of time: programs that never end (`lua-tests/limits/endless.lua`) are
//! ended soon after their deadline, whatever they try to catch it with, and the
//! VM works afterwards.
//!
//! Times are the best of some attempts, for the machine may be busy; the longest
//! overrun is printed.

use std::time::{Duration, Instant};

use moonswap::{Error, ErrorKind, Lua};

/// How long a program runs before its deadline.
const TIME: Duration = Duration::from_millis(60);
/// How much later than that it may end, in an optimised build.
const OVERRUN: Duration = if cfg!(debug_assertions) {
    Duration::from_millis(200)
} else {
    Duration::from_millis(50)
};
const ATTEMPTS: usize = 5;
/// Keeps what makes ever larger objects from filling the machine.
const MEMORY: usize = 1 << 30;

fn cases() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(crate::support::root().join("lua-tests/limits/endless.lua"))
        .expect("cases");
    let cases: Vec<_> = text
        .split("\n----- ")
        .skip(1)
        .filter_map(|case| case.split_once('\n'))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    assert!(cases.len() > 100, "{}", cases.len());
    cases
}

fn is_ok_afterwards(lua: &Lua, name: &str) {
    lua.set_deadline(None);
    let text = "debug.sethook() local n = 0
        for i = 1, 1000 do n = n + select('#', pcall(error, i)) end
        local co = coroutine.wrap(function(a) local b = coroutine.yield(a) return b end)
        return n + co(1) + co(2), coroutine.isyieldable()";
    let result = lua.load(text).eval::<(i64, bool)>();
    assert!(matches!(result, Ok((2003, false))), "{name}: {result:?}");
}

/// Runs a program for [`TIME`]; how much longer it took.
fn overrun(name: &str, text: &str) -> Duration {
    let lua = Lua::new();
    lua.set_memory_limit(Some(MEMORY));
    let program = lua.load(text).into_function().expect(name);
    let start = Instant::now();
    lua.set_deadline(Some(start + TIME));
    let result = program.call::<()>(());
    let took = start.elapsed();
    let error = result.expect_err(name);
    assert!(
        matches!(error.kind(), ErrorKind::Deadline),
        "{name}: {error:?}"
    );
    // Until it is lifted, every call ends by it, at once.
    let again = lua.load("while true do end").exec();
    let again = again.map_err(|e| e.kind().clone());
    assert!(
        matches!(again, Err(ErrorKind::Deadline)),
        "{name}: {again:?}"
    );
    is_ok_afterwards(&lua, name);
    took.saturating_sub(TIME)
}

#[test]
fn endless_programs_end_at_their_deadline() {
    let _alone = crate::support::alone();
    let only = std::env::var("MOONSWAP_CASE").unwrap_or_default();
    let mut late = Vec::new();
    let mut longest = (Duration::ZERO, String::new());
    for (name, text) in cases().into_iter().filter(|(name, _)| name.contains(&only)) {
        let mut best = Duration::MAX;
        for _ in 0..ATTEMPTS {
            best = best.min(overrun(&name, &text));
            if best < OVERRUN {
                break;
            }
        }
        if best >= OVERRUN {
            late.push(format!("{name}: {best:?}"));
        }
        longest = longest.max((best, name));
    }
    println!("longest overrun: {longest:?}");
    assert!(late.is_empty(), "late:\n{}", late.join("\n"));
}
