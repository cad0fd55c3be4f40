//! The memory limit, seen from outside: programs that want all the memory there
//! is get a Lua error they can catch, the process stays within the limit, and
//! the VM goes on; also when the system itself refuses memory.
//!
//! Each program of `lua-tests/memory` runs in a process of its own, whose peak
//! (`VmHWM` of `/proc`) is compared with that of an empty program.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{clean_environment, files, in_parallel, moonswap, root, run};

const LIMIT_KIB: u64 = 64 << 10;
/// What a program under the limit may take beyond it and the empty process.
const SLACK_KIB: u64 = LIMIT_KIB / 20;

/// What is no program that wants all the memory there is.
const OTHERS: [&str; 3] = ["driver.lua", "empty.lua", "count.lua"];

fn folder() -> PathBuf {
    root().join("lua-tests/memory")
}

fn greedy_programs() -> Vec<PathBuf> {
    let mut programs = files(&folder(), "lua");
    // Those in folders of their own are for other tests.
    programs.retain(|p| p.parent() == Some(&*folder()));
    programs.retain(|p| !OTHERS.iter().any(|name| p.ends_with(name)));
    assert!(programs.len() >= 35, "{programs:?}");
    programs
}

/// Runs `driver.lua PROGRAM`; answers what it printed and its peak in KiB.
fn drive(program: &Path, limited: bool) -> Result<(String, u64), String> {
    let mut command = Command::new(moonswap());
    command.current_dir(folder());
    command.arg("run");
    if limited {
        command.args(["--mem", "64M"]);
    }
    command.arg("driver.lua").arg(program);
    clean_environment(&mut command);
    let outcome = run(&mut command, b"", Duration::from_secs(120));
    if outcome.code != Some(0) {
        return Err(outcome.tail());
    }
    let text = outcome.out();
    let peak = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("peak "))
        .and_then(|kib| kib.trim().parse().ok())
        .ok_or_else(|| outcome.tail())?;
    Ok((text, peak))
}

#[test]
fn programs_stay_within_the_memory_limit() {
    let programs = greedy_programs();
    let (_, base) = drive(Path::new("empty.lua"), true).expect("an empty program");
    let results = in_parallel(&programs, |program| drive(program, true));
    let mut offenders = Vec::new();
    for (program, result) in programs.iter().zip(results) {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        match result {
            Err(tail) => offenders.push(format!("{name}: {tail}")),
            Ok((_, peak)) => {
                println!("{name}: {} KiB above the empty process", peak - base);
                if peak - base > LIMIT_KIB + SLACK_KIB {
                    offenders.push(format!("{name}: {} KiB", peak - base));
                }
            }
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
}

/// Under `ulimit -v` it is the system that refuses.
#[test]
fn refusals_of_the_system_are_errors() {
    let mut programs = greedy_programs();
    // See "The memory limit" in docs/limitations.md (finalizers); the others take too long.
    let left_out = ["finalizers.lua", "gsub-table.lua", "string-keys.lua"];
    programs.retain(|p| !left_out.iter().any(|name| p.ends_with(name)));
    let results = in_parallel(&programs, |program| {
        let mut command = Command::new("sh");
        command.current_dir(folder());
        command
            .args(["-c", "ulimit -v 200000; exec \"$@\"", "sh"])
            .arg(moonswap())
            .args(["run", "driver.lua"])
            .arg(program);
        clean_environment(&mut command);
        run(&mut command, b"", Duration::from_secs(120))
    });
    let offenders: Vec<String> = programs
        .iter()
        .zip(&results)
        .filter(|(_, outcome)| outcome.code != Some(0))
        .map(|(program, outcome)| format!("{}: {}", program.display(), outcome.tail()))
        .collect();
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
}

/// Programs that make much garbage and keep little stay small. Each says in its
/// first line how much it may take above an empty process (`-- at most N MiB`).
#[test]
fn garbage_does_not_pile_up() {
    let programs = files(&folder().join("bounded"), "lua");
    assert!(programs.len() >= 18, "{programs:?}");
    let peak_of = |program: &Path| -> Result<u64, String> {
        let mut command = Command::new("sh");
        command.current_dir(folder());
        command
            .args(["-c", "ulimit -n 200; exec \"$@\"", "sh"])
            .arg(moonswap())
            .args(["run", "bounded/peak.lua.txt"])
            .arg(program);
        clean_environment(&mut command);
        let outcome = run(&mut command, b"", Duration::from_secs(240));
        let text = outcome.out();
        let peak = text.lines().find_map(|line| line.strip_prefix("peak "));
        peak.and_then(|kib| kib.trim().parse().ok())
            .ok_or_else(|| outcome.tail())
    };
    let base = peak_of(Path::new("empty.lua")).expect("an empty program");
    let results = in_parallel(&programs, |program| peak_of(program));
    let mut offenders = Vec::new();
    for (program, result) in programs.iter().zip(results) {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(program).expect("readable");
        let most: u64 = text
            .strip_prefix("-- at most ")
            .and_then(|rest| rest.split_once(" MiB")?.0.parse().ok())
            .unwrap_or_else(|| panic!("{name} does not say how much it may take"));
        match result {
            Err(tail) => offenders.push(format!("{name}: {tail}")),
            Ok(peak) => {
                let taken = peak.saturating_sub(base);
                println!("{name}: {} MiB of {most}", taken >> 10);
                if taken > most << 10 {
                    offenders.push(format!("{name}: {} MiB of {most}", taken >> 10));
                }
            }
        }
    }
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
}

/// Every library function where there is next to no memory left: it does its work
/// or raises, and the process stays within 5 % and a MiB of the limit.
#[test]
fn library_functions_at_the_edge_of_the_limit() {
    const LIMIT: u64 = 32 << 10;
    let libraries = [
        "base",
        "string",
        "table",
        "utf8",
        "io",
        "file",
        "os",
        "coroutine",
        "debug",
        "package",
        "moonswap",
    ];
    let results = in_parallel(&libraries, |library| {
        let mut command = Command::new(moonswap());
        command.current_dir(folder());
        command.args(["run", "--mem", "32M", "edge/driver.lua", library]);
        clean_environment(&mut command);
        let outcome = run(&mut command, b"", Duration::from_secs(400));
        let text = outcome.out();
        let number = |what: &str| -> Option<u64> {
            let line = text.lines().rev().find_map(|line| line.strip_prefix(what));
            line?.trim().parse().ok()
        };
        match (outcome.code, number("start "), number("peak ")) {
            (Some(0), Some(start), Some(peak)) if peak - start <= LIMIT + LIMIT / 20 + 1024 => {
                println!("{library}: {} KiB", peak - start);
                None
            }
            _ => Some(format!("{library}: {text}{}", outcome.tail())),
        }
    });
    let offenders: Vec<String> = results.into_iter().flatten().collect();
    assert!(offenders.is_empty(), "{}", offenders.join("\n"));
}

/// What `collectgarbage "count"` says is near what the process really has.
#[test]
fn the_count_is_the_truth() {
    let (text, _) = drive(Path::new("count.lua"), false).expect("count.lua");
    let mut seen = 0;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("count ") else {
            continue;
        };
        let mut words = rest.split_whitespace();
        let what = words.next().unwrap_or_default();
        let mut number = || -> f64 { words.next().and_then(|w| w.parse().ok()).unwrap_or(0.0) };
        let (count, real) = (number(), number());
        assert!(
            count > real * 0.75 && count < real * 1.35,
            "{what}: counted {count} KiB, resident {real} KiB"
        );
        seen += 1;
    }
    assert!(seen >= 4, "{text}");
}
