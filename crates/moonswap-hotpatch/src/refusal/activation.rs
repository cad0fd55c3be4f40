//! `Activation`: a running or suspended activation of a function that a patch
//! changes: what a commit has to wait for, what refused it, what was closed.

use std::fmt;
use std::sync::Arc;

/// One activation of a function that a patch changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Activation {
    /// Chunk as shown to people.
    pub chunk: Arc<str>,
    /// Path of the function without the chunk.
    #[cfg_attr(feature = "json", serde(rename = "id"))]
    pub function: String,
    /// The version it runs.
    pub version: u32,
    /// Line it is at, in its own version's text.
    pub line: Option<u32>,
    /// "main", or the address of the coroutine: `thread: 0x…`.
    pub thread: String,
    /// In a suspended coroutine.
    pub suspended: bool,
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            function, version, ..
        } = self;
        if self.suspended {
            write!(
                f,
                "coroutine {} suspended in {function} v{version}",
                self.thread
            )?;
        } else {
            write!(f, "{function} v{version} active in {}", self.thread)?;
        }
        match self.line {
            Some(line) => write!(f, " at line {line}"),
            None => Ok(()),
        }
    }
}
