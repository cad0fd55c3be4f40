//! `patched PROGRAM COUNTS [-e CODE]… [FILE]`: runs as `moonswap -W` does while
//! another thread patches every loaded chunk all the time, with equivalent code
//! that swaps every function. PROGRAM is what `arg[-1]` says; the file COUNTS
//! tells how many patches there were.
#![forbid(unsafe_code)]

mod equivalent;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use moonswap::{Error, Lua, Patch, Patcher, Policy, Result};

use equivalent::Shapes;

/// How long a patch may take to meet a safe point.
const PATIENCE: Duration = Duration::from_secs(2);
/// Chunks whose patches are kept compiled.
const KEPT: usize = 400;

/// What the thread has done.
#[derive(Default)]
struct Counts {
    rounds: u64,
    applied: u64,
    swapped: u64,
    /// By what the error says first.
    refused: BTreeMap<String, u64>,
}

impl Counts {
    fn text(&self) -> String {
        let mut text = format!(
            "rounds {}\napplied {}\nswapped {}\n",
            self.rounds, self.applied, self.swapped
        );
        for (why, n) in &self.refused {
            let _ = writeln!(text, "refused {n} {why}");
        }
        text
    }
}

/// The text that a chunk was loaded from, if its name tells.
fn source_of(chunk: &str) -> Option<Vec<u8>> {
    match chunk.strip_prefix('@') {
        Some(path) => std::fs::read(path).ok(),
        // Named otherwise.
        None if chunk.starts_with('=') || chunk.is_empty() => None,
        None => Some(chunk.as_bytes().to_vec()),
    }
}

/// Patches everything, until the VM is gone.
fn patch_all(patcher: &Patcher, counts_file: &PathBuf) {
    let mut counts = Counts::default();
    let mut known: HashMap<String, Option<Shapes>> = HashMap::new();
    let mut written = Instant::now();
    loop {
        if patcher.is_gone() {
            return;
        }
        let chunks = patcher.chunks(PATIENCE).unwrap_or_default();
        if chunks.is_empty() {
            // Nothing is loaded yet.
            std::thread::sleep(Duration::from_millis(1));
        }
        for chunk in chunks {
            if known.len() > KEPT {
                known.clear();
            }
            let shapes = known
                .entry(chunk.clone())
                .or_insert_with(|| source_of(&chunk).map(Shapes::new));
            let Some(shapes) = shapes else { continue };
            // A chunk that came in binary form may have a name that is no text.
            let Ok(patch) = Patch::compile(&chunk, &shapes.next()) else {
                known.insert(chunk, None);
                continue;
            };
            let start = Instant::now();
            let ticket = patcher.submit(patch, Policy::default());
            match ticket.wait(Some(PATIENCE)) {
                Ok(report) => {
                    shapes.keep();
                    counts.applied += 1;
                    counts.swapped += report.functions.len() as u64;
                }
                Err(error) => {
                    shapes.skip();
                    let text = error.to_string();
                    let why = text.split('\'').next().unwrap_or_default();
                    let why = why.lines().next().unwrap_or_default().to_owned();
                    *counts.refused.entry(why).or_default() += 1;
                }
            }
            // The program is to get somewhere as well.
            std::thread::sleep(2 * start.elapsed());
            if written.elapsed() > Duration::from_millis(50) {
                let _ = std::fs::write(counts_file, counts.text());
                written = Instant::now();
            }
        }
        counts.rounds += 1;
    }
}

/// How long a program runs in slow motion, so that a short one meets patches too.
const SLOW: Duration = Duration::from_secs(2);
/// At most so many safe points are looked at: a look takes time too.
const MOST: u64 = 100_000;

/// Lets other threads come up at safe points: at all of the first ones, less
/// often later.
fn slow_motion(lua: &Lua) {
    let (mut n, mut slept) = (0u64, Duration::ZERO);
    let hook = move |cx: &mut moonswap_vm::Context<'_>| {
        n += 1;
        if slept > SLOW || n > MOST {
            cx.end_safe_point_hook();
        } else if n.is_multiple_of(1 + n / 1000) {
            let start = Instant::now();
            std::thread::sleep(Duration::from_micros(100));
            slept += start.elapsed();
        }
    };
    lua.machine().set_safe_point_hook(Some(Box::new(hook)));
}

fn run(lua: &Lua, program: &str, rest: &[String]) -> Result<()> {
    let arg = lua.create_table()?;
    arg.raw_set(-1, program)?;
    lua.load("warn '@on'").transient().exec()?;
    let mut i = 0;
    while let Some(argument) = rest.get(i) {
        if argument == "-e" {
            let code = rest.get(i + 1).cloned().unwrap_or_default();
            lua.load(code).set_name("=(command line)").exec()?;
            i += 2;
            continue;
        }
        arg.raw_set(0, argument.as_str())?;
        lua.globals().raw_set("arg", &arg)?;
        let source = std::fs::read(argument).map_err(Error::runtime)?;
        let text = match source.strip_prefix(b"#") {
            Some(rest) => {
                let line = rest.iter().position(|&b| b == b'\n');
                rest[line.unwrap_or(rest.len())..].to_vec()
            }
            None => source,
        };
        lua.load(text).set_name(format!("@{argument}")).exec()?;
        i += 1;
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, counts, rest @ ..] = &arguments[..] else {
        eprintln!("usage: patched PROGRAM COUNTS [-e CODE]… [FILE]");
        return ExitCode::from(2);
    };
    let lua = Lua::builder().error_texts(true).build();
    let patcher = lua.hot().patcher();
    let counts = PathBuf::from(counts);
    std::thread::spawn(move || patch_all(&patcher, &counts));
    slow_motion(&lua);
    let outcome = run(&lua, program, rest);
    lua.flush();
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    };
    lua.close();
    code
}
