//! Files whose changes nobody tells of: reached through links that are switched,
//! in directories that were replaced, on file systems without events. They are
//! found by the clock.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often files are looked at without an event.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Device and number of the file behind all links, where there are such.
    identity: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

/// The files as they were when they were looked at last; `None`: not there.
#[derive(Debug, Default)]
pub(super) struct Stamps(HashMap<PathBuf, Option<Stamp>>);

impl Stamps {
    /// From now on [`Self::changed`] looks at this file.
    pub(super) fn note(&mut self, path: &Path) {
        self.0.insert(path.to_owned(), stamp(path));
    }

    /// Those that are not what they were when asked for last.
    pub(super) fn changed(&mut self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for (path, known) in &mut self.0 {
            let now = stamp(path);
            if *known != now {
                *known = now;
                found.push(path.clone());
            }
        }
        found
    }
}

/// What a file is now; `None`: it is not there.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some(Stamp {
        identity: identity(&about),
        length: about.len(),
        modified: about.modified().ok(),
    })
}

#[cfg(unix)]
fn identity(about: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}
