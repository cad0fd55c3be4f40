//! The official suite while another thread patches every loaded chunk with
//! equivalent code all the time (`tests/bin/patched`).
//!
//! A choice of files; all of them with `PATCHED_ALL=1` (`just patched-suite`).

use std::process::Command;
use std::time::{Duration, Instant};

use crate::official;
use crate::support::{TempFolder, clean_environment, in_parallel, moonswap, root, run_group};

/// What is always run: calls, closures, coroutines, errors, metamethods, the
/// debug library; each some seconds.
const CHOICE: &[&str] = &[
    "calls",
    "closure",
    "coroutine",
    "db",
    "events",
    "goto",
    "nextvar",
    "vararg",
];

/// Files that are not run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("all", "has gc.lua in it; the others are run by themselves"),
    (
        "gc",
        "compares memory before and after, while replaced code leaves the history",
    ),
    (
        "all-full",
        "all files again, each of which is run by itself",
    ),
    (
        "heavy",
        "ends when there is no memory, which patches need as well",
    ),
    (
        "literals",
        "compares addresses of equal long strings of one chunk; new versions have new ones",
    ),
    ("main", "runs the command line, in other processes"),
];

struct Outcome {
    failure: Option<String>,
    swapped: u64,
    line: String,
}

fn run(name: &&str) -> Outcome {
    let suite = root().join("lua-tests/official");
    let folder = TempFolder::copy_of(&format!("patched-{name}"), &suite);
    let counts = folder.path().join("patched-counts");
    let mut command = Command::new(env!("CARGO_BIN_EXE_patched"));
    command.arg(moonswap()).arg(&counts);
    match *name {
        "big" => command.args([
            "-e",
            "local f = coroutine.wrap(assert(loadfile'big.lua')); \
             assert(f() == 'b'); assert(f() == 'a')",
        ]),
        "all" => command.args(["-e", "_U = true", "all.lua"]),
        name => command.arg(format!("{name}.lua")),
    };
    command.current_dir(folder.path());
    clean_environment(&mut command);
    let start = Instant::now();
    let outcome = run_group(&mut command, b"", Duration::from_secs(900));
    let counts = std::fs::read_to_string(&counts).unwrap_or_default();
    let number = |key: &str| {
        let line = counts.lines().find_map(|l| l.strip_prefix(key));
        line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    Outcome {
        failure: (outcome.code != Some(0)).then(|| format!("{name}: {}", outcome.tail())),
        swapped: number("swapped "),
        line: format!(
            "{name:10} {:6.1} s  {:6} patches  {:7} functions swapped",
            start.elapsed().as_secs_f64(),
            number("applied "),
            number("swapped ")
        ),
    }
}

#[test]
fn official_suite_while_it_is_patched() {
    if !official::is_there() {
        println!("SKIPPED: no official suite; fetch it with lua-tests/fetch-official.sh");
        return;
    }
    let only = std::env::var("PATCHED").unwrap_or_default();
    let whole = std::env::var_os("PATCHED_ALL").is_some();
    let names = official::names_to_pass();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (name, why) in NOT_RUN {
        assert!(names.contains(name), "{name} is not in official.toml");
        names.retain(|n| n != name);
        println!("not run: {name}: {why}");
    }
    names.retain(|name| (whole || CHOICE.contains(name)) && name.contains(&only));
    let outcomes = in_parallel(&names, run);
    for outcome in &outcomes {
        println!("{}", outcome.line);
    }
    let failures: Vec<&String> = outcomes.iter().filter_map(|o| o.failure.as_ref()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let swapped: u64 = outcomes.iter().map(|o| o.swapped).sum();
    assert!(
        swapped > 100 || !only.is_empty(),
        "only {swapped} functions swapped"
    );
}
