//! Runs a target many times from a seed, catches what goes wrong, and makes the
//! bytes that did it small.
//!
//! An abort of the process is found again through the state file: it holds the
//! seed and number of the execution that was under way. A watchdog ends the
//! process when an execution does not come back.

use std::cell::RefCell;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Target;
use crate::data::row;

/// CPU time of one execution above which it is a finding, if nothing else is
/// wanted: under a sanitizer a megabyte of text takes longer.
pub const SLOW: Duration = Duration::from_secs(2);
/// Time without an end after which the process ends, if it worked for half of it:
/// on a busy machine it may not have been let to.
const HANG: Duration = Duration::from_secs(60);
/// Time without an end after which the process ends in any case.
const STUCK: Duration = Duration::from_secs(1200);
/// Memory of the process above which an execution is a finding, bytes.
const BIG: u64 = 3 << 30;
/// Most executions spent on making one finding small.
const SHRINK_STEPS: usize = 600;
/// Stack of a worker, bytes; as much as a main thread has.
const STACK: usize = 8 << 20;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Executions.
    pub execs: u64,
    /// Where rows come from.
    pub seed: u64,
    /// Number of the first row.
    pub first: u64,
    /// Threads.
    pub jobs: u64,
    /// CPU time of one execution above which it is a finding.
    pub slow: Duration,
    /// Where the execution under way is written down, if anywhere.
    pub state: Option<PathBuf>,
    /// Write progress to standard error.
    pub progress: bool,
}

/// Something that does not hold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Number of the row.
    pub number: u64,
    /// The panic's message, or what else is wrong.
    pub message: String,
    /// The bytes, made small.
    pub bytes: Vec<u8>,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Executions done.
    pub execs: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The longest one, CPU time, and its number.
    pub slowest: (Duration, u64),
    /// CPU time of all executions.
    pub cpu: Duration,
    /// Time taken.
    pub time: Duration,
}

thread_local! {
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// CPU time of this thread, or of the whole process.
fn cpu_time(of_process: bool) -> Duration {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        let now = clock_gettime(if of_process {
            ClockId::ProcessCPUTime
        } else {
            ClockId::ThreadCPUTime
        });
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
    #[cfg(not(unix))]
    {
        let _ = of_process;
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// Memory of the process in bytes, where it can be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = status.split(' ').nth(1).and_then(|n| n.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// Runs a row; what is wrong with it.
///
/// A panic is caught here and nowhere else, so the worker goes on.
pub fn execute(target: Target, bytes: &[u8], slow: Duration) -> (Option<String>, Duration) {
    let start = cpu_time(false);
    let result = std::panic::catch_unwind(|| (target.run)(bytes));
    let time = cpu_time(false).saturating_sub(start);
    let message = match result {
        Err(_) => {
            let message = MESSAGE.with(|m| m.borrow_mut().take());
            Some(message.unwrap_or_else(|| "panic".to_owned()))
        }
        Ok(()) if time > slow => Some(format!("took {time:?} of CPU time")),
        Ok(()) => None,
    };
    (message, time)
}

/// Keeps messages of panics with their places, in place of printing them.
fn collect_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.to_string();
        MESSAGE.with(|m| *m.borrow_mut() = Some(message));
    }));
}

/// Runs a target.
///
/// # Panics
/// If threads cannot be made.
pub fn run(target: Target, options: &Options) -> Summary {
    collect_panics();
    let start = Instant::now();
    let jobs = options.jobs.max(1);
    let done = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..jobs)
        .map(|job| {
            let (options, done) = (options.clone(), Arc::clone(&done));
            std::thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || work(target, &options, job, jobs, &done))
                .expect("a thread")
        })
        .collect();
    let mut summary = Summary::default();
    for worker in workers {
        let part = worker.join().expect("workers catch panics");
        summary.execs += part.execs;
        summary.cpu += part.cpu;
        summary.findings.extend(part.findings);
        summary.slowest = summary.slowest.max(part.slowest);
    }
    let _ = std::panic::take_hook();
    summary.time = start.elapsed();
    summary
}

/// One thread: every `jobs`-th row.
fn work(target: Target, options: &Options, job: u64, jobs: u64, done: &AtomicU64) -> Summary {
    let mut summary = Summary::default();
    let mut state = options.state.as_ref().and_then(|path| {
        let path = path.with_extension(format!("{job}.state"));
        std::fs::File::create(path).ok()
    });
    let watched = Arc::new(AtomicU64::new(u64::MAX));
    watchdog(target, options.seed, Arc::clone(&watched));
    let begin = Instant::now();
    let mut last_report = begin;
    for number in (options.first + job..options.first + options.execs).step_by(jobs as usize) {
        if let Some(file) = &mut state {
            let line = format!(
                "{} --seed {} --first {number:<20}\n",
                target.name, options.seed
            );
            let _ = file.rewind().and_then(|()| file.write_all(line.as_bytes()));
        }
        watched.store(number, Ordering::Relaxed);
        let bytes = row(options.seed, number);
        let (mut message, time) = execute(target, &bytes, options.slow);
        summary.execs += 1;
        summary.cpu += time;
        summary.slowest = summary.slowest.max((time, number));
        let all = done.fetch_add(1, Ordering::Relaxed) + 1;
        if number % 1024 == 0 && resident() > BIG {
            message = message.or_else(|| Some(format!("{} bytes are in use", resident())));
        }
        if let Some(message) = message {
            let bytes = shrink(target, bytes, options.slow);
            if options.progress {
                report(target, options.seed, number, &message, &bytes);
            }
            summary.findings.push(Finding {
                number,
                message,
                bytes,
            });
        }
        if options.progress && job == 0 && last_report.elapsed() > Duration::from_secs(10) {
            last_report = Instant::now();
            let rate = all as f64 / begin.elapsed().as_secs_f64();
            eprintln!(
                "{}: {all} of {} executions, {rate:.0}/s, {} findings, slowest {:?}, {} MiB",
                target.name,
                options.execs,
                summary.findings.len(),
                summary.slowest.0,
                resident() >> 20
            );
        }
    }
    watched.store(u64::MAX - 1, Ordering::Relaxed);
    summary
}

/// Says what was found and how to find it again.
pub fn report(target: Target, seed: u64, number: u64, message: &str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    eprintln!(
        "FINDING in {}: {message}\n  again: {} --seed {seed} --first {number} --execs 1\n  \
         small: {} --bytes {hex}",
        target.name, target.name, target.name
    );
}

/// Ends the process when the row under way stays the same for too long.
fn watchdog(target: Target, seed: u64, watched: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let (mut last, mut since, mut cpu) = (u64::MAX, Instant::now(), Duration::ZERO);
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = watched.load(Ordering::Relaxed);
            if now == u64::MAX - 1 {
                return;
            }
            if now != last {
                (last, since, cpu) = (now, Instant::now(), cpu_time(true));
                continue;
            }
            let worked = cpu_time(true).saturating_sub(cpu) > HANG / 2;
            let limit = if worked { HANG } else { STUCK };
            if now != u64::MAX && since.elapsed() > limit {
                eprintln!(
                    "FINDING in {}: no end after {limit:?}\n  again: {} --seed {seed} --first {now} --execs 1",
                    target.name, target.name
                );
                std::process::exit(3);
            }
        }
    });
}

/// Smaller bytes that still fail: pieces go, bytes become 0 or smaller.
fn shrink(target: Target, bytes: Vec<u8>, slow: Duration) -> Vec<u8> {
    let mut best = bytes;
    let mut steps = SHRINK_STEPS;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut fails = |bytes: &[u8]| {
        if steps == 0 || Instant::now() > deadline {
            return false;
        }
        steps -= 1;
        execute(target, bytes, slow).0.is_some()
    };
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut shorter = best.clone();
            shorter.drain(at..(at + size).min(best.len()));
            if fails(&shorter) {
                best = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    for at in 0..best.len() {
        let was = best[at];
        for smaller in [0, was / 2, was.saturating_sub(1)] {
            if smaller < best[at] {
                let mut simpler = best.clone();
                simpler[at] = smaller;
                if fails(&simpler) {
                    best = simpler;
                    break;
                }
            }
        }
    }
    best
}
