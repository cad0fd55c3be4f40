//! The scripts of `lua-tests` and the official suite under stress, as
//! `lua-tests/stress.toml` says: the outputs must be the same as without.
//!
//! Each in two of the modes by default; `MOONSWAP_STRESS_ALL=1` runs every script
//! in every mode (minutes on two processors), `STRESS_SCRIPT=part-of-a-name` and
//! `STRESS_MODE=name` pick some of them.

use std::time::{Duration, Instant};

use crate::support::{Section, TempFolder, in_parallel, run_stressed, sections};
use crate::{badinput, language, official};

/// Seconds for one run that says nothing else, in the whole matrix. The choice
/// made by default has the same, so that a busy machine fails nobody.
const SECONDS: u64 = 300;

#[derive(Debug)]
struct Mode {
    name: String,
    stress: String,
}

/// How one script differs from the rule.
#[derive(Debug)]
struct Script {
    name: String,
    thin: u32,
    seconds: u64,
    /// Modes it is not run in.
    skip: String,
    reason: String,
}

impl Script {
    fn named(name: &str) -> Script {
        Script {
            name: name.to_owned(),
            thin: 1,
            seconds: SECONDS,
            skip: String::new(),
            reason: String::new(),
        }
    }
}

fn read() -> (Vec<Mode>, Vec<Script>) {
    let (mut modes, mut scripts) = (Vec::new(), Vec::new());
    for Section { name, entries } in sections("lua-tests/stress.toml") {
        if let Some(mode) = name.strip_prefix("mode ") {
            let [(key, stress, _)] = &entries[..] else {
                panic!("mode {mode}: one line wanted");
            };
            assert_eq!(key, "stress", "mode {mode}");
            modes.push(Mode {
                name: mode.to_owned(),
                stress: stress.clone(),
            });
            continue;
        }
        let mut script = Script::named(&name);
        for (key, value, at) in entries {
            match key.as_str() {
                "thin" => script.thin = value.parse().expect("a number"),
                "seconds" => script.seconds = value.parse().expect("a number"),
                "skip" => script.skip = value,
                "reason" => script.reason = value,
                _ => panic!("{at}"),
            }
        }
        scripts.push(script);
    }
    (modes, scripts)
}

/// All periods `thin` times as long, beginning at another place in each mode.
fn thinned(stress: &str, thin: u32, index: usize) -> String {
    if thin <= 1 {
        return stress.to_owned();
    }
    let part = |part: &str| {
        let (name, every) = part.split_once('/').unwrap_or((part, "1"));
        if matches!(name, "cells" | "keep") {
            return part.to_owned();
        }
        let period = every.split_once('+').map_or(every, |(period, _)| period);
        let period = period.parse::<u32>().expect("a period") * thin;
        format!("{name}/{period}+{}", index as u32 * 7 % period)
    };
    stress.split(',').map(part).collect::<Vec<_>>().join(",")
}

/// What to run: script, mode, the words for the program.
type Job<'a> = (&'a Script, &'a Mode, String);

fn run(job: &Job<'_>) -> (Duration, Option<String>) {
    let (script, mode, stress) = job;
    let (folder, name) = script.name.split_once('/').expect("FOLDER/NAME");
    let limit = Duration::from_secs(script.seconds);
    let path = crate::support::root()
        .join("lua-tests")
        .join(format!("{}.lua", script.name));
    let start = Instant::now();
    let failure = match folder {
        "official" => official::attempt_stressed(name, stress, limit).err(),
        "badinput" => badinput::check(&path, Some(stress), limit),
        _ => language::check(&path, Some(stress), limit),
    };
    let failure =
        failure.map(|why| format!("{} under {} ({stress}): {why}", script.name, mode.name));
    (start.elapsed(), failure)
}

/// The program was built so that it can be put under stress.
fn stress_works() -> bool {
    let folder = TempFolder::new("stress");
    let limit = Duration::from_secs(60);
    let outcome = run_stressed(folder.path(), &["-e", "return 1"], b"", Some("?"), limit);
    outcome.code != Some(0)
}

#[test]
fn everything_holds_under_stress() {
    if !stress_works() {
        // A debug build must be able to, or nothing here tests anything.
        if cfg!(debug_assertions) {
            panic!("MOONSWAP_STRESS has no effect");
        }
        println!("SKIPPED: the program is built without the feature `stress`");
        return;
    }
    let (modes, mut special) = read();
    for script in &special {
        assert!(
            (script.thin == 1 && script.skip.is_empty()) || !script.reason.is_empty(),
            "{}: no reason",
            script.name
        );
    }
    let mut all = Vec::new();
    for folder in ["language", "stdlib", "stress", "badinput"] {
        for path in language::scripts(folder) {
            let stem = path.file_stem().expect("name").to_string_lossy();
            let name = format!("{folder}/{stem}");
            let found = special.iter().position(|script| script.name == name);
            all.push(found.map_or_else(|| Script::named(&name), |at| special.swap_remove(at)));
        }
    }
    for script in &special {
        assert!(
            script.name.starts_with("official/"),
            "{} is not there",
            script.name
        );
    }
    if official::is_there() {
        all.append(&mut special);
    } else {
        println!("SKIPPED: no official suite; fetch it with lua-tests/fetch-official.sh");
    }
    let whole = std::env::var_os("MOONSWAP_STRESS_ALL").is_some();
    let wanted = |variable: &str, name: &str| {
        std::env::var(variable).map_or(true, |part| name.contains(&part))
    };
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (at, script) in all.iter().enumerate() {
        let mut allowed: Vec<usize> = (0..modes.len()).collect();
        allowed.retain(|&m| !script.skip.split(' ').any(|name| name == modes[m].name));
        if !whole {
            // Neighbours differ, so that all modes meet all kinds of scripts.
            let n = allowed.len();
            let (first, second) = (allowed[at % n], allowed[(at + n / 2) % n]);
            allowed = if first == second {
                vec![first]
            } else {
                vec![first, second]
            };
        }
        for m in allowed {
            if wanted("STRESS_SCRIPT", &script.name) && wanted("STRESS_MODE", &modes[m].name) {
                let stress = thinned(&modes[m].stress, script.thin, m);
                jobs.push((script, &modes[m], stress));
            }
        }
    }
    let results = in_parallel(&jobs, run);
    let mut times: Vec<_> = jobs.iter().zip(&results).collect();
    times.sort_by_key(|(_, (time, _))| std::cmp::Reverse(*time));
    println!("{} runs under stress; the longest:", jobs.len());
    for ((script, mode, _), (time, _)) in times.iter().take(if whole { 40 } else { 8 }) {
        println!(
            "  {:6.1} s {} {}",
            time.as_secs_f64(),
            script.name,
            mode.name
        );
    }
    let failures: Vec<String> = results.into_iter().filter_map(|(_, why)| why).collect();
    assert!(
        failures.is_empty(),
        "{} of {} fail:\n{}",
        failures.len(),
        jobs.len(),
        failures.join("\n\n")
    );
}
