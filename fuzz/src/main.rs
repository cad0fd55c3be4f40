//! Runs fuzz targets from a seed: `moonswap-fuzz TARGET --execs N --seed S`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moonswap_fuzz::runner::{self, Options};
use moonswap_fuzz::{TARGETS, Target, patch, undump};

const USAGE: &str = "\
moonswap-fuzz TARGET [options]
  TARGET       compile, undump, run, patch or file
  --execs N    executions (default 10000)
  --seed S     where they come from (default 1)
  --first I    number of the first one (default 0)
  --jobs J     threads (default 1)
  --slow S     seconds of CPU time above which an execution is a finding (default 2)
  --state FILE where the execution under way is written down, to find aborts again
  --bytes HEX  one execution of these bytes
  --show       print what the executions run, and do not run it
";

struct Command {
    target: Target,
    options: Options,
    bytes: Option<Vec<u8>>,
    show: bool,
}

fn command() -> Option<Command> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next()?;
    let target = TARGETS.into_iter().find(|t| t.name == name)?;
    let mut command = Command {
        target,
        options: Options {
            execs: 10_000,
            seed: 1,
            first: 0,
            jobs: 1,
            slow: runner::SLOW,
            state: None,
            progress: true,
        },
        bytes: None,
        show: false,
    };
    while let Some(option) = arguments.next() {
        let options = &mut command.options;
        match option.as_str() {
            "--execs" => options.execs = arguments.next()?.parse().ok()?,
            "--seed" => options.seed = arguments.next()?.parse().ok()?,
            "--first" => options.first = arguments.next()?.parse().ok()?,
            "--jobs" => options.jobs = arguments.next()?.parse().ok()?,
            "--slow" => options.slow = Duration::from_secs(arguments.next()?.parse().ok()?),
            "--state" => options.state = Some(PathBuf::from(arguments.next()?)),
            "--bytes" => command.bytes = Some(from_hex(&arguments.next()?)?),
            "--show" => command.show = true,
            _ => return None,
        }
    }
    Some(command)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

fn main() -> ExitCode {
    let Some(command) = command() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let (target, options) = (command.target, &command.options);
    if command.show {
        let rows = match command.bytes {
            Some(bytes) => vec![bytes],
            None => (options.first..options.first + options.execs)
                .map(|number| moonswap_fuzz::data::row(options.seed, number))
                .collect(),
        };
        for bytes in rows {
            println!("{}", (target.show)(&bytes));
        }
        return ExitCode::SUCCESS;
    }
    if let Some(bytes) = command.bytes {
        // Panics are shown as usual, with their backtraces.
        (target.run)(&bytes);
        return ExitCode::SUCCESS;
    }
    let summary = runner::run(target, options);
    println!(
        "{}: {} executions in {:.1} s ({:.0}/s; {:.0} per second of CPU time), seed {}, {} findings; slowest {:?} (number {})",
        target.name,
        summary.execs,
        summary.time.as_secs_f64(),
        summary.execs as f64 / summary.time.as_secs_f64(),
        summary.execs as f64 / summary.cpu.as_secs_f64(),
        options.seed,
        summary.findings.len(),
        summary.slowest.0,
        summary.slowest.1
    );
    println!(
        "  damaged chunks that ran: {}; patches committed: {}, refused: {}",
        undump::ACCEPTED.load(Ordering::Relaxed),
        patch::COMMITTED.load(Ordering::Relaxed),
        patch::REFUSED.load(Ordering::Relaxed)
    );
    if summary.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
