//! The official suite while another thread patches every loaded chunk with
//! equivalent code all the time (`tests/bin/patched`); what is special about a
//! file is in `lua-tests/patched.toml`.
//!
//! A choice of files; all of them with `PATCHED_ALL=1` (`just patched-suite`).

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use moonswap_harness::{Cases, Verdict};

use crate::official;
use crate::support::{TempFolder, sections};

/// What is always run: calls, closures, coroutines, errors, metamethods, the
/// debug library, the collector, no memory, other processes; each some seconds.
const CHOICE: &[&str] = &[
    "calls",
    "closure",
    "coroutine",
    "db",
    "events",
    "gc",
    "goto",
    "heavy",
    "literals",
    "main",
    "nextvar",
    "vararg",
];

/// The longest that one run may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Functions swapped, in all files.
static SWAPPED: AtomicU64 = AtomicU64::new(0);

/// A file to run.
struct Entry {
    name: String,
    hold: String,
    single: String,
    attempts: u32,
    /// Functions of the file that need not be swapped; `None`: all of them.
    untouched: Option<usize>,
}

/// All that should pass, with what `patched.toml` says of them.
fn entries() -> Vec<Entry> {
    let plain = |name: String| Entry {
        name,
        hold: String::new(),
        single: String::new(),
        attempts: 1,
        untouched: Some(0),
    };
    let mut all: Vec<Entry> = official::names_to_pass().into_iter().map(plain).collect();
    for section in sections("lua-tests/patched.toml") {
        let entry = all.iter_mut().find(|entry| entry.name == section.name);
        let entry = entry.unwrap_or_else(|| panic!("{} is not to pass", section.name));
        let mut has_reason = false;
        for (key, value, at) in section.entries {
            let number = || value.parse().unwrap_or_else(|_| panic!("{at}"));
            match key.as_str() {
                "attempts" => entry.attempts = number(),
                "untouched" if value == "all" => entry.untouched = None,
                "untouched" => entry.untouched = Some(number() as usize),
                "reason" => has_reason = !value.is_empty(),
                "hold" => entry.hold = value,
                "single" => entry.single = value,
                _ => panic!("{at}"),
            }
        }
        assert!(has_reason, "{}: no reason", section.name);
    }
    all
}

/// What the processes of one run have counted.
#[derive(Default)]
struct Counts {
    processes: usize,
    /// Those in which something was patched.
    patched: usize,
    applied: u64,
    swapped: u64,
    /// Patches that swapped fewer functions than they changed.
    short: u64,
    /// Chunks that are no files.
    others: u64,
    /// Name, functions, those that were swapped, how often the least of them.
    chunks: Vec<(String, usize, usize, u64)>,
    /// What could not be: refusals, lines of functions.
    remarks: Vec<String>,
}

impl Counts {
    fn of(folder: &Path) -> Counts {
        let mut counts = Counts::default();
        for file in std::fs::read_dir(folder).expect("counts").flatten() {
            if file.path().extension().is_some() {
                continue;
            }
            let before = counts.applied;
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            for line in text.lines() {
                counts.add(line);
            }
            counts.processes += 1;
            counts.patched += usize::from(counts.applied > before);
        }
        counts
    }

    fn add(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|n| n.parse::<u64>().ok());
        match words[0] {
            "applied" => self.applied += number(1).unwrap_or(0),
            "swapped" => self.swapped += number(1).unwrap_or(0),
            "short" => self.short += number(1).unwrap_or(0),
            "others" => self.others += number(1).unwrap_or(0),
            "chunk" => {
                let n = |at| number(at).unwrap_or_else(|| panic!("{line}"));
                let name = words[1].trim_start_matches('@').to_owned();
                self.chunks.push((name, n(2) as usize, n(3) as usize, n(4)));
            }
            _ => self.remarks.push(line.to_owned()),
        }
    }
}

struct Done {
    failure: Option<String>,
    swapped: u64,
    text: String,
}

fn run(entry: &Entry) -> Done {
    let start = Instant::now();
    let mut failure = None;
    let mut counts = Counts::default();
    for _ in 0..entry.attempts {
        let folder = TempFolder::new(&format!("patched-{}", entry.name));
        let mut environment = vec![("MOONSWAP_PATCHED_COUNTS", folder.path().as_os_str())];
        environment.push(("MOONSWAP_PATCHED_HOLD", OsStr::new(&entry.hold)));
        environment.push(("MOONSWAP_PATCHED_SINGLE", OsStr::new(&entry.single)));
        let program = Path::new(env!("CARGO_BIN_EXE_patched"));
        let outcome = official::attempt_by(program, &entry.name, &environment, LIMIT);
        counts = Counts::of(folder.path());
        failure = outcome.err();
        match &failure {
            None => break,
            Some(why) => eprintln!("{}: one attempt failed: {why}", entry.name),
        }
    }
    let file = official::file_of(&entry.name);
    let own = counts.chunks.iter().find(|chunk| chunk.0 == file);
    let missing = own.map(|(_, all, swapped, _)| all.saturating_sub(*swapped));
    if failure.is_none()
        && let Some(most) = entry.untouched
    {
        failure = match missing {
            None => Some(format!("nothing of {file} was patched")),
            Some(n) if n > most => Some(format!("{n} functions of {file} were never swapped")),
            Some(_) => None,
        };
    }
    if failure.is_none() && counts.short > 0 {
        let n = counts.short;
        failure = Some(format!("{n} patches did not swap what they changed"));
    }
    let mut text = format!(
        "{:10} {:6.1} s  {:6} patches  {:7} swaps  {:4} chunks that are no files",
        entry.name,
        start.elapsed().as_secs_f64(),
        counts.applied,
        counts.swapped,
        counts.others,
    );
    if counts.processes > 1 {
        let (all, patched) = (counts.processes, counts.patched);
        text.push_str(&format!("  {patched} of {all} processes patched"));
    }
    for (name, all, swapped, least) in counts.chunks.iter().filter(|c| !c.0.starts_with('/')) {
        text.push_str(&format!(
            "\n    {name}: {swapped} of {all} functions swapped, each {least} times or more"
        ));
    }
    if std::env::var_os("PATCHED_REMARKS").is_some() {
        for remark in &counts.remarks {
            text.push_str(&format!("\n    {remark}"));
        }
    }
    Done {
        failure: failure.map(|why| format!("{}: {why}", entry.name)),
        swapped: counts.swapped,
        text,
    }
}

pub(crate) fn add(cases: &mut Cases) {
    let whole = std::env::var_os("PATCHED_ALL").is_some();
    let mut entries = entries();
    entries.retain(|entry| whole || CHOICE.contains(&entry.name.as_str()));
    for entry in entries {
        let name = format!("official-while-patched/{}", entry.name);
        cases.add_skippable(name, move || {
            if !official::is_there() {
                return Ok(official::without_suite());
            }
            let done = run(&entry);
            println!("{}", done.text);
            SWAPPED.fetch_add(done.swapped, Relaxed);
            done.failure.map_or(Ok(Verdict::Passed), Err)
        });
    }
    cases.at_end(|| match SWAPPED.load(Relaxed) {
        0..=100 => Err("next to no functions of the official suite were swapped".to_owned()),
        _ => Ok(()),
    });
}
