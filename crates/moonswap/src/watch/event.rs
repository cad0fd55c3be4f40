//! What a watcher tells.

use std::path::Path;

use moonswap_compiler::CompileError;
use moonswap_hotpatch::{Refused, Report};

use crate::{HotError, HotEvent};

pub(super) type Listener = Box<dyn FnMut(&WatchEvent<'_>) + Send>;

/// What became of some files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchEvent<'a> {
    /// What it is.
    pub kind: WatchKind<'a>,
    /// The files it is about.
    pub files: Vec<WatchedFile<'a>>,
    /// Paths of other files of which an older text runs than was saved.
    pub differing: Vec<String>,
}

/// A file that was tried.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WatchedFile<'a> {
    /// Its path, as it was loaded.
    pub path: &'a Path,
    /// The name of its chunk.
    pub chunk: &'a str,
    /// The text that was tried.
    pub source: &'a [u8],
}

/// The kinds of a [`WatchEvent`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchKind<'a> {
    /// It runs now.
    Swapped(&'a Report),
    /// These texts are no Lua; the old code keeps running.
    Syntax(&'a [CompileError]),
    /// The patch was refused; the old code keeps running.
    Refused(&'a Refused),
    /// The VM has not come to the moment for it; for this, if it has looked.
    Waiting(Option<String>),
    /// What was waiting is as it runs again.
    TakenBack,
    /// A rollback, which may have been the VM's own.
    Undone(&'a HotEvent, &'a Report),
    /// Something else that the VM tells: a probation passed, or a rollback that failed.
    Heard(&'a HotEvent),
    /// Out of quarantine, and tried again; see [`release_request`](super::release_request).
    Released,
    /// Its release was asked for, and it is not in quarantine.
    NotReleased,
    /// The file is no longer there; its code keeps running.
    Missing,
    /// The attempt failed otherwise.
    Failed(&'a HotError),
    /// No events come from this folder, for this reason: changes are found by the clock.
    NotWatched(&'a Path, String),
}
