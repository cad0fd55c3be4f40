//! `patched ARGUMENTS…`: the program `moonswap`, while another thread patches
//! every loaded chunk all the time, with equivalent code that swaps every function.
//! Programs that a script starts by its `arg[-1]` are this one again.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `MOONSWAP_PATCHED_COUNTS` | a folder: each process leaves a file there that tells what was patched |
//! | `MOONSWAP_PATCHED_HOLD` | `FILE:FROM-TO FILE:FROM-TO …`: no patch comes from a call of `collectgarbage` in these lines to the next one behind them; `start:0-0`: nor from the start |
//! | `MOONSWAP_PATCHED_SINGLE` | `FILE FILE …`: in these one function at a time is changed |
#![forbid(unsafe_code)]

mod counts;
mod equivalent;
mod gate;
mod patching;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use moonswap::Lua;

use gate::Gate;
use patching::Progress;

/// How long a program waits at safe points in all, until all its functions have
/// been swapped; half of it again with each file that it loads.
const SLOW: Duration = Duration::from_secs(60);
/// The same for programs that a patched program starts.
const SLOW_CHILD: Duration = Duration::from_millis(200);
/// How long it waits for a patch at one of them.
const WAIT: Duration = Duration::from_millis(20);

/// Slow motion, so that short programs meet many patches: waits for the next patch
/// at some safe points, the later, the fewer; patches need some in between.
fn slow_motion(lua: &Lua, limit: Duration, gate: Arc<Gate>, progress: Arc<Progress>) {
    let (mut n, mut next, mut seen) = (0, 1, 0);
    let mut files = 0;
    let mut waited = Duration::ZERO;
    let hook = move |_: &mut moonswap_vm::Context<'_>| {
        n += 1;
        if files < progress.files.load(Relaxed) {
            // Another file: from the beginning.
            files = progress.files.load(Relaxed);
            (n, next) = (0, 0);
            waited = waited.saturating_sub(limit / 2);
        }
        if n >= next && waited < limit && !progress.is_done.load(Relaxed) && !gate.is_closed() {
            let start = Instant::now();
            while progress.attempts.load(Relaxed) == seen && start.elapsed() < WAIT {
                std::thread::sleep(Duration::from_micros(50));
            }
            waited += start.elapsed();
            seen = progress.attempts.load(Relaxed);
            next = n + 2 + n / 1000;
        }
    };
    lua.machine().set_safe_point_hook(Some(Box::new(hook)));
}

/// Another patched program has left its counts, or may not leave any.
fn is_child(counts: Option<&Path>) -> bool {
    let entries = counts.and_then(|folder| std::fs::read_dir(folder).ok());
    entries.is_none_or(|mut entries| entries.next().is_some())
}

fn show(lua: &Lua) {
    let folder = std::env::var_os("MOONSWAP_PATCHED_COUNTS").map(PathBuf::from);
    let is_child = is_child(folder.as_deref());
    let file = folder.map(|folder| folder.join(std::process::id().to_string()));
    if let Some(file) = &file {
        // Now, so that whoever comes later knows of this one.
        let _ = std::fs::write(file, "");
    }
    let gate = Arc::new(Gate::default());
    let lines = std::env::var("MOONSWAP_PATCHED_HOLD").unwrap_or_default();
    if !lines.is_empty() && !is_child {
        gate::hold(lua, &gate, &lines);
    }
    let patcher = lua.hot().patcher();
    let progress = Arc::new(Progress::default());
    let limit = if is_child { SLOW_CHILD } else { SLOW };
    slow_motion(lua, limit, Arc::clone(&gate), Arc::clone(&progress));
    std::thread::spawn(move || patching::patch_all(&patcher, &gate, &progress, file.as_deref()));
}

fn main() -> ExitCode {
    moonswap_cli::main(std::env::args_os().collect(), show)
}
