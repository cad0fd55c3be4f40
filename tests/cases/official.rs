//! The official Lua 5.4.8 suite, as `lua-tests/official.toml` states it: a file
//! that should pass must, and a skipped one that passes must be listed so.
//!
//! The suite is fetched by `lua-tests/fetch-official.sh`, never by a test.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use moonswap_harness::{Cases, Verdict};

use crate::support::{
    Outcome, STRESS, Section, TempFolder, clean_environment, files, moonswap, root, run_group,
    sections,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Pass,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    File,
    User,
    Full,
    Coroutine,
    Memory,
}

#[derive(Debug)]
struct Entry {
    name: String,
    file: String,
    status: Option<Status>,
    mode: Mode,
    reason: String,
    run: bool,
    timeout: u64,
    attempts: u32,
    limit: String,
    weighty: bool,
}

/// What `official.toml` says.
fn entries() -> Vec<Entry> {
    let read = |section: Section| {
        let mut entry = Entry {
            file: format!("{}.lua", section.name),
            name: section.name,
            status: None,
            mode: Mode::File,
            reason: String::new(),
            run: true,
            timeout: 120,
            attempts: 1,
            limit: String::new(),
            weighty: true,
        };
        for (key, value, at) in section.entries {
            match (key.as_str(), value.as_str()) {
                ("status", "pass") => entry.status = Some(Status::Pass),
                ("status", "skip") => entry.status = Some(Status::Skip),
                ("mode", "file") => entry.mode = Mode::File,
                ("mode", "user") => entry.mode = Mode::User,
                ("mode", "full") => entry.mode = Mode::Full,
                ("mode", "coroutine") => entry.mode = Mode::Coroutine,
                ("mode", "memory") => entry.mode = Mode::Memory,
                ("limit", _) => entry.limit = value,
                ("attempts", number) => entry.attempts = number.parse().expect("a number"),
                ("weighty", flag) => entry.weighty = flag == "true",
                ("file", _) => entry.file = value,
                ("reason", _) => entry.reason = value,
                ("run", flag) => entry.run = flag == "true",
                ("timeout", seconds) => entry.timeout = seconds.parse().expect("seconds"),
                _ => panic!("{at}"),
            }
        }
        entry
    };
    sections("lua-tests/official.toml")
        .into_iter()
        .map(read)
        .collect()
}

/// The suite has been fetched.
pub(crate) fn is_there() -> bool {
    root().join("lua-tests/official/all.lua").exists()
}

/// Names of the runs that should pass.
pub(crate) fn names_to_pass() -> Vec<String> {
    let entries = entries().into_iter();
    let pass = entries.filter(|entry| entry.status == Some(Status::Pass));
    pass.map(|entry| entry.name).collect()
}

/// The file of a run that should pass.
pub(crate) fn file_of(name: &str) -> String {
    to_pass(name).file
}

/// Runs a file that should pass, under stress.
pub(crate) fn attempt_stressed(name: &str, stress: &str, limit: Duration) -> Result<(), String> {
    attempt(&to_pass(name), Some(stress), limit)
}

/// The entry of a file that should pass.
fn to_pass(name: &str) -> Entry {
    entries()
        .into_iter()
        .find(|entry| entry.name == name && entry.status == Some(Status::Pass))
        .unwrap_or_else(|| panic!("{name} is not to pass in official.toml"))
}

/// Runs one entry as often as it may take, all together at most twice as long as
/// one run may take; `Err` says how it went wrong.
fn passes(entry: &Entry, limit: Duration) -> Result<(), String> {
    let start = Instant::now();
    let mut outcome = Ok(());
    for _ in 0..entry.attempts {
        let left = (limit * 2).saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        outcome = attempt(entry, None, limit.min(left));
        match &outcome {
            Ok(()) => break,
            Err(why) => eprintln!("{}: one attempt failed: {why}", entry.name),
        }
    }
    outcome
}

/// The command that runs an entry.
fn command(entry: &Entry, program: &Path) -> Command {
    match entry.mode {
        Mode::Full => {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", "ulimit -S -s 1100; exec \"$0\" -W \"$1\""])
                .arg(program)
                .arg(&entry.file);
            shell
        }
        Mode::Memory => {
            let mut limited = Command::new(program);
            limited
                .args(["run", "--mem", &entry.limit])
                .arg(&entry.file);
            limited
        }
        mode => {
            let mut plain = Command::new(program);
            plain.arg("-W");
            match mode {
                Mode::User => {
                    plain.args(["-e", "_U=true"]).arg(&entry.file);
                }
                Mode::Coroutine => {
                    let file = &entry.file;
                    plain.arg("-e").arg(format!(
                        "local f = coroutine.wrap(assert(loadfile'{file}')); \
                         assert(f() == 'b'); assert(f() == 'a')"
                    ));
                }
                _ => {
                    plain.arg(&entry.file);
                }
            }
            plain
        }
    }
}

/// What is wrong with how an entry ended.
fn verdict(entry: &Entry, outcome: &Outcome) -> Result<(), String> {
    if outcome.code != Some(0) {
        return Err(outcome.tail());
    }
    if matches!(entry.mode, Mode::User | Mode::Full) && !outcome.out().contains("final OK !!!") {
        return Err(format!("no final OK\n{}", outcome.tail()));
    }
    if entry.mode == Mode::Memory && !outcome.out().contains("not enough memory") {
        return Err(format!("never out of memory\n{}", outcome.tail()));
    }
    Ok(())
}

/// Runs an entry that should pass by another program, once.
pub(crate) fn attempt_by(
    program: &Path,
    name: &str,
    environment: &[(&str, &OsStr)],
    limit: Duration,
) -> Result<(), String> {
    let entry = to_pass(name);
    let suite = root().join("lua-tests/official");
    let folder = TempFolder::copy_of(&entry.name, &suite);
    let mut command = command(&entry, program);
    command.current_dir(folder.path());
    clean_environment(&mut command);
    command.envs(environment.iter().copied());
    verdict(&entry, &run_group(&mut command, b"", limit))
}

/// Runs one entry; `Err` says how it went wrong.
fn attempt(entry: &Entry, stress: Option<&str>, limit: Duration) -> Result<(), String> {
    let suite = root().join("lua-tests/official");
    let folder = TempFolder::copy_of(&entry.name, &suite);
    let mut command = command(entry, moonswap());
    command.current_dir(folder.path());
    clean_environment(&mut command);
    if let Some(stress) = stress {
        command.env(STRESS, stress);
    }
    // What the file leaves running in the background ends with it.
    let outcome = run_group(&mut command, b"", limit);
    verdict(entry, &outcome)
}

pub(crate) fn add(cases: &mut Cases) {
    let list = entries();
    let weighty = list.iter().filter(|entry| entry.weighty).count();
    assert_eq!(weighty, 28, "the suite has 28 files that carry weight");
    for entry in list {
        let is_run = entry.status == Some(Status::Pass) || entry.run;
        if is_run {
            let name = format!("official/{}", entry.name);
            cases.add_skippable(name, move || check(&entry));
        }
    }
    cases.add("official-list-is-complete", || {
        official_list_is_complete();
        Ok(())
    });
}

/// What a case is without the suite.
pub(crate) fn without_suite() -> Verdict {
    Verdict::skipped("the official suite", "run lua-tests/fetch-official.sh")
}

/// Runs an entry: it passes, or it is skipped for a reason that still holds.
fn check(entry: &Entry) -> Result<Verdict, String> {
    if !is_there() {
        return Ok(without_suite());
    }
    let name = &entry.name;
    if entry.status == Some(Status::Pass) {
        passes(entry, Duration::from_secs(entry.timeout))
            .map_err(|why| format!("{name} should pass: {why}"))?;
        return Ok(Verdict::Passed);
    }
    // Long enough to notice that a file has begun to pass, not longer.
    match attempt(entry, None, Duration::from_secs(entry.timeout.min(30))) {
        Ok(()) => Err(format!("{name} passes now: say so in official.toml")),
        Err(_) => Ok(Verdict::Passed),
    }
}

fn official_list_is_complete() {
    let list = entries();
    for entry in &list {
        let status = entry
            .status
            .unwrap_or_else(|| panic!("{}: no status", entry.name));
        assert!(
            status == Status::Pass || !entry.reason.is_empty(),
            "{} is skipped without a reason",
            entry.name
        );
    }
    let listed: BTreeSet<&str> = list.iter().map(|entry| entry.file.as_str()).collect();
    assert_eq!(listed.len(), 33, "the suite has 33 files");
    let suite = root().join("lua-tests/official");
    for file in files(&suite, "lua") {
        let name = file.file_name().expect("name").to_str().expect("UTF-8");
        let ours = name == "lib2-v2.lua" || file.parent() != Some(&*suite);
        assert!(ours || listed.contains(name), "{name} is not listed");
    }
}
