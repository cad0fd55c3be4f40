//! `Status`: who runs what, as a value, as text and as JSON.

use std::fmt;

use moonswap_hotpatch::{Json, Refusal};
use moonswap_vm::hotpatch::{HistoryEntry, OnProbation, Quarantined, StaleFrame, VersionInfo};

/// What runs in a VM; see [`Hot::status`](crate::Hot::status).
#[derive(Clone, Debug)]
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
        self.json().to_string()
    }

    /// [`Status::to_json`] as a value.
    pub fn json(&self) -> Json {
        let optional =
            |text: &Option<std::string::String>| text.as_ref().map_or(Json::Null, Json::text);
        let versions = self.versions.iter().map(|v| {
            Json::object([
                ("id", Json::text(&v.id)),
                ("version", Json::number(v.version)),
                ("frames", Json::number(v.frames)),
                ("stale", Json::number(v.stale)),
                (
                    "diverged",
                    v.diverged.as_ref().map_or(Json::Null, Refusal::json),
                ),
            ])
        });
        let stale = self.stale.iter().map(|f| {
            Json::object([
                ("id", Json::text(&f.id)),
                ("version", Json::number(f.version)),
                ("current", Json::number(f.current)),
                ("line", Json::optional_number(f.line)),
                ("thread", Json::text(&f.thread)),
                ("overdue", Json::Bool(f.overdue)),
                ("migration", optional(&f.migration)),
                ("stack", Json::text(&f.stack)),
            ])
        });
        let history = self.history.iter().map(|h| {
            Json::object([
                ("id", Json::number(h.id)),
                ("rollback", Json::Bool(h.is_rollback)),
                ("in_force", Json::Bool(h.is_in_force)),
                ("generation", Json::number(h.generation)),
                ("chunks", Json::texts(&h.chunks)),
                ("line", Json::text(&h.line)),
                ("author", optional(&h.author)),
                ("reason", optional(&h.reason)),
            ])
        });
        let quarantine = self.quarantine.iter().map(|q| {
            Json::object([
                ("hash", Json::text(q.hash.to_string())),
                ("patch", Json::number(q.patch)),
                ("errors", Json::number(q.errors)),
                ("cause", Json::text(q.cause.text())),
                ("deed", Json::text(&q.deed)),
                ("chunks", Json::texts(&q.chunks)),
            ])
        });
        let seconds = |time: std::time::Duration| Json::Float(time.as_secs_f64());
        let probation = self.probation.iter().map(|p| {
            Json::object([
                ("patch", Json::number(p.patch)),
                ("errors", Json::number(p.errors)),
                ("left", Json::number(p.left)),
                ("slow", p.slow.map_or(Json::Null, seconds)),
                ("rest", seconds(p.rest)),
            ])
        });
        Json::object([
            ("generation", Json::number(self.generation)),
            ("unfinished", Json::number(self.unfinished())),
            ("queued", Json::number(self.queued)),
            ("versions", Json::Array(versions.collect())),
            ("stale", Json::Array(stale.collect())),
            (
                "diverged",
                Json::Array(self.diverged.iter().map(Refusal::json).collect()),
            ),
            ("history", Json::Array(history.collect())),
            ("probation", Json::Array(probation.collect())),
            ("quarantine", Json::Array(quarantine.collect())),
        ])
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
