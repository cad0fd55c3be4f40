//! `Activation`: a running or suspended activation of a function that a patch
//! changes: what a commit has to wait for, what refused it, what was closed.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::refusal::{Code, Refusal};
use crate::report::json_string;

/// One activation of a function that a patch changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Chunk as shown to people.
    pub chunk: Arc<str>,
    /// Path of the function without the chunk.
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

impl Activation {
    /// It as the reason why a patch was not committed.
    pub fn refusal(&self) -> Refusal {
        let Self {
            version, thread, ..
        } = self;
        let (code, reason, remedy) = if self.suspended {
            (
                Code::Suspended,
                format!("coroutine {thread} is suspended in version {version}"),
                "let the coroutine finish, give a longer deadline, or choose suspended = \"finish\" or \"close\"",
            )
        } else {
            (
                Code::Active,
                format!("version {version} is active in {thread}"),
                "give a longer deadline, or choose another timing",
            )
        };
        Refusal {
            code,
            chunk: Arc::clone(&self.chunk),
            line: self.line.unwrap_or(1),
            column: 1,
            function: self.function.clone(),
            reason,
            remedy: remedy.to_owned(),
        }
    }

    /// Appends it as one JSON object.
    pub(crate) fn write_json(&self, out: &mut String) {
        out.push_str("{\"chunk\":");
        json_string(out, &self.chunk);
        out.push_str(",\"id\":");
        json_string(out, &self.function);
        let _ = write!(out, ",\"version\":{},\"line\":", self.version);
        match self.line {
            Some(line) => _ = write!(out, "{line}"),
            None => out.push_str("null"),
        }
        out.push_str(",\"thread\":");
        json_string(out, &self.thread);
        let _ = write!(out, ",\"suspended\":{}}}", self.suspended);
    }
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
