//! `release FILE`: lets a watcher try a text again that the VM undid and refuses
//! since (`P040`).
//!
//! The request is an empty file beside it, `FILE.release`. The watcher, which hears
//! of the directory, answers by removing it.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use moonswap::watch::release_request;

use crate::output::complain;
use crate::{LUA_ERROR, USAGE};

/// How long to wait for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Asks the watcher that runs a file; answers the exit code.
pub(crate) fn main(file: &Path) -> u8 {
    if !file.is_file() {
        complain(format!("moonswap: {}: no such file", file.display()));
        return USAGE;
    }
    let request = release_request(file);
    if let Err(error) = File::create(&request) {
        complain(format!(
            "moonswap: cannot write {}: {error}",
            request.display()
        ));
        return LUA_ERROR;
    }
    let end = Instant::now() + PATIENCE;
    while request.exists() {
        if Instant::now() >= end {
            let _ = std::fs::remove_file(&request);
            complain(format!(
                "moonswap: {}: no watcher has answered; one that has loaded it must be running \
                 (moonswap run --watch)",
                file.display()
            ));
            return LUA_ERROR;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    0
}
