//! `Status`: who runs what, as a value, as text and as JSON.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moonswap_hotpatch::{Refusal, optional_seconds, seconds, to_json};
use moonswap_vm::hotpatch::{HistoryEntry, OnProbation, Quarantined, StaleFrame, VersionInfo};
use serde::{Serialize, Serializer};

/// What runs in a VM; see [`Hot::status`](crate::Hot::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// 1, and one more with each commit.
    pub generation: u64,
    /// Version of each function of each loaded chunk.
    pub versions: Vec<VersionInfo>,
    /// Activations, in suspended coroutines too, that run an older version.
    pub stale: Vec<StaleFrame>,
    /// Functions that do not run what the text of their chunk says, and why.
    pub diverged: Vec<Refusal>,
    /// The patches that can be rolled back, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Patches on probation, oldest first.
    pub probation: Vec<OnProbation>,
    /// Patches that are refused since they were undone for what their code did.
    pub quarantine: Vec<Quarantined>,
    /// How many patches are queued or wait for their moment.
    pub queued: usize,
}

impl Status {
    /// Activations of older versions that have not ended.
    pub fn unfinished(&self) -> usize {
        self.stale.len()
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = View {
            generation: self.generation,
            unfinished: self.unfinished(),
            queued: self.queued,
            versions: self.versions.iter().map(VersionView::from).collect(),
            stale: self.stale.iter().map(StaleView::from).collect(),
            diverged: &self.diverged,
            history: self.history.iter().map(HistoryView::from).collect(),
            probation: self.probation.iter().map(ProbationView::from).collect(),
            quarantine: self.quarantine.iter().map(QuarantineView::from).collect(),
        };
        view.serialize(serializer)
    }
}

#[derive(Serialize)]
struct View<'a> {
    generation: u64,
    unfinished: usize,
    queued: usize,
    versions: Vec<VersionView<'a>>,
    stale: Vec<StaleView<'a>>,
    diverged: &'a [Refusal],
    history: Vec<HistoryView<'a>>,
    probation: Vec<ProbationView>,
    quarantine: Vec<QuarantineView<'a>>,
}

#[derive(Serialize)]
struct VersionView<'a> {
    id: &'a str,
    version: u32,
    frames: usize,
    stale: usize,
    diverged: Option<&'a Refusal>,
}

impl<'a> From<&'a VersionInfo> for VersionView<'a> {
    fn from(v: &'a VersionInfo) -> Self {
        Self {
            id: &v.id,
            version: v.version,
            frames: v.frames,
            stale: v.stale,
            diverged: v.diverged.as_ref(),
        }
    }
}

#[derive(Serialize)]
struct StaleView<'a> {
    id: &'a str,
    version: u32,
    current: u32,
    line: Option<u32>,
    thread: &'a str,
    overdue: bool,
    migration: Option<&'a str>,
    stack: &'a str,
}

impl<'a> From<&'a StaleFrame> for StaleView<'a> {
    fn from(f: &'a StaleFrame) -> Self {
        Self {
            id: &f.id,
            version: f.version,
            current: f.current,
            line: f.line,
            thread: &f.thread,
            overdue: f.overdue,
            migration: f.migration.as_deref(),
            stack: &f.stack,
        }
    }
}

#[derive(Serialize)]
struct HistoryView<'a> {
    id: u64,
    rollback: bool,
    in_force: bool,
    generation: u64,
    chunks: &'a [Arc<str>],
    line: &'a str,
    author: Option<&'a str>,
    reason: Option<&'a str>,
}

impl<'a> From<&'a HistoryEntry> for HistoryView<'a> {
    fn from(h: &'a HistoryEntry) -> Self {
        Self {
            id: h.id,
            rollback: h.is_rollback,
            in_force: h.is_in_force,
            generation: h.generation,
            chunks: &h.chunks,
            line: &h.line,
            author: h.author.as_deref(),
            reason: h.reason.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct ProbationView {
    patch: u64,
    errors: u32,
    left: u32,
    #[serde(serialize_with = "optional_seconds")]
    slow: Option<Duration>,
    #[serde(serialize_with = "seconds")]
    rest: Duration,
}

impl From<&OnProbation> for ProbationView {
    fn from(p: &OnProbation) -> Self {
        Self {
            patch: p.patch,
            errors: p.errors,
            left: p.left,
            slow: p.slow,
            rest: p.rest,
        }
    }
}

#[derive(Serialize)]
struct QuarantineView<'a> {
    hash: String,
    patch: u64,
    errors: u32,
    cause: &'static str,
    deed: &'a str,
    chunks: &'a [Arc<str>],
}

impl<'a> From<&'a Quarantined> for QuarantineView<'a> {
    fn from(q: &'a Quarantined) -> Self {
        Self {
            hash: q.hash.to_string(),
            patch: q.patch,
            errors: q.errors,
            cause: q.cause.text(),
            deed: &q.deed,
            chunks: &q.chunks,
        }
    }
}

/// Functions that were never patched and have no old activation are counted, not
/// listed.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let n = self.unfinished();
        writeln!(
            f,
            "generation {}, {} function{}, {n} unfinished old activation{}",
            self.generation,
            self.versions.len(),
            plural(self.versions.len()),
            plural(n)
        )?;
        if self.queued > 0 {
            writeln!(
                f,
                "{} patch{} waiting",
                self.queued,
                if self.queued == 1 { "" } else { "es" }
            )?;
        }
        for v in self
            .versions
            .iter()
            .filter(|v| v.version > 1 || v.stale > 0)
        {
            write!(f, "  {} v{}", v.id, v.version)?;
            if v.frames > 0 {
                write!(f, ", {} running", v.frames)?;
            }
            if v.stale > 0 {
                write!(f, ", {} of them on an older version", v.stale)?;
            }
            f.write_str("\n")?;
        }
        for frame in &self.stale {
            write!(
                f,
                "stale: {} v{} (now v{})",
                frame.id, frame.version, frame.current
            )?;
            if let Some(line) = frame.line {
                write!(f, " at line {line}")?;
            }
            write!(f, " in {}", frame.thread)?;
            if frame.overdue {
                f.write_str(", overdue")?;
            }
            match &frame.migration {
                Some(migration) => writeln!(f, ": {migration}")?,
                None => f.write_str("\n")?,
            }
            for line in frame.stack.lines() {
                writeln!(f, "  {line}")?;
            }
        }
        for refusal in &self.diverged {
            writeln!(f, "diverged: {refusal}")?;
        }
        for h in &self.history {
            let what = if h.is_rollback { "rollback" } else { "patch" };
            write!(f, "{what} {}: {}", h.id, h.line)?;
            if let Some(author) = &h.author {
                write!(f, ", by {author}")?;
            }
            if let Some(reason) = &h.reason {
                write!(f, ": {reason}")?;
            }
            f.write_str("\n")?;
        }
        for p in &self.probation {
            writeln!(
                f,
                "on probation: patch {}, {} error{}, {} more allowed, {:.0} s left",
                p.patch,
                p.errors,
                plural(p.errors as usize),
                p.left,
                p.rest.as_secs_f64().ceil()
            )?;
        }
        for q in &self.quarantine {
            writeln!(f, "quarantined: patch {} {} ({})", q.patch, q.deed, q.hash)?;
        }
        Ok(())
    }
}
