//! The scripts of `lua-tests` and the official suite under stress, as
//! `lua-tests/stress.toml` says: the outputs must be the same as without.
//!
//! Each in two of the modes by default; `MOONSWAP_STRESS_ALL=1` runs every script
//! in every mode (minutes on two processors). A case is `under-stress/SCRIPT/MODE`.

use std::sync::OnceLock;
use std::time::Duration;

use moonswap_harness::{Cases, Verdict};

use crate::language::stem;
use crate::support::{SCRIPT_LIMIT, Section, TempFolder, root, run_stressed, sections};
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

fn run(name: &str, stress: &str, limit: Duration) -> Result<(), String> {
    let (folder, stem) = name.split_once('/').expect("FOLDER/NAME");
    let path = root().join("lua-tests").join(format!("{name}.lua"));
    let failure = match folder {
        "official" => official::attempt_stressed(stem, stress, limit).err(),
        "badinput" => badinput::check(&path, Some(stress), limit),
        _ => language::check(&path, Some(stress), limit),
    };
    failure.map_or(Ok(()), |why| Err(format!("{name} under {stress}: {why}")))
}

/// The program was built so that it can be put under stress.
fn stress_works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let folder = TempFolder::new("stress");
        let outcome = run_stressed(
            folder.path(),
            &["-e", "return 1"],
            b"",
            Some("?"),
            SCRIPT_LIMIT,
        );
        outcome.code != Some(0)
    })
}

pub(crate) fn add(cases: &mut Cases) {
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
            let name = format!("{folder}/{}", stem(&path));
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
    all.append(&mut special);
    let whole = std::env::var_os("MOONSWAP_STRESS_ALL").is_some();
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
            let stress = thinned(&modes[m].stress, script.thin, m);
            let (name, limit) = (script.name.clone(), Duration::from_secs(script.seconds));
            let title = format!("under-stress/{name}/{}", modes[m].name);
            cases.add_skippable(title, move || check(&name, &stress, limit));
        }
    }
}

fn check(name: &str, stress: &str, limit: Duration) -> Result<Verdict, String> {
    if !stress_works() {
        // A debug build must be able to, or nothing here tests anything.
        if cfg!(debug_assertions) {
            return Err("MOONSWAP_STRESS has no effect".to_owned());
        }
        return Ok(Verdict::skipped(
            "a program that can be put under stress",
            "build it with the feature `stress`",
        ));
    }
    if name.starts_with("official/") && !official::is_there() {
        return Ok(official::without_suite());
    }
    run(name, stress, limit).map(|()| Verdict::Passed)
}
