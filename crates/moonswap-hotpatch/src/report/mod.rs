//! `Report`: what was done, with versions and times; prints as one line,
//! serialises to JSON.

#[cfg(feature = "json")]
mod plan_json;
mod plan_text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashSet;

use crate::model::change::Merged;
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::model::migration::{Migrated, Staying, reasons, write_moving};
use crate::model::not_run::NotRun;
use crate::model::plan::ChunkPlan;
use crate::refusal::Refusal;
use crate::refusal::activation::Activation;

/// How long a patch took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Times {
    /// Compiling and planning, off the VM's thread.
    #[cfg_attr(
        feature = "json",
        serde(serialize_with = "crate::encoding::json::seconds")
    )]
    pub prepare: Duration,
    /// Until the safe point.
    #[cfg_attr(
        feature = "json",
        serde(serialize_with = "crate::encoding::json::seconds")
    )]
    pub wait: Duration,
    /// The part of `prepare` that the VM's thread does: loading the versions
    /// into its heap, running new initialisers and definitions.
    #[cfg_attr(
        feature = "json",
        serde(serialize_with = "crate::encoding::json::seconds")
    )]
    pub load: Duration,
    /// The commit itself, from its first store until Lua may go on.
    #[cfg_attr(
        feature = "json",
        serde(serialize_with = "crate::encoding::json::seconds")
    )]
    pub pause: Duration,
}

/// One function of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct ReportedFunction {
    /// Chunk as shown to people.
    pub chunk: Arc<str>,
    /// Its path without the chunk, e.g. `M.damage / local roll`.
    pub id: String,
    /// What happened to it.
    pub class: ChangeClass,
    /// Version before, if it was there.
    pub old: Option<u32>,
    /// Version after, if it is there.
    pub new: Option<u32>,
}

impl ReportedFunction {
    /// What a plan says of one literal of the chunk `shown`.
    pub fn of(shown: &Arc<str>, change: &LiteralChange) -> Self {
        Self {
            chunk: Arc::clone(shown),
            id: change.name(),
            class: change.class,
            old: change.old_version,
            new: change.new_version(),
        }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Report {
    /// Number of the patch, to roll back to before; 0 if nothing was committed,
    /// because nothing changed or it was only planned.
    pub id: u64,
    /// The VM's generation after it.
    pub generation: u64,
    /// Chunks as shown to people, in the order of the patch.
    pub chunks: Vec<Arc<str>>,
    /// All functions that are not unchanged.
    pub functions: Vec<ReportedFunction>,
    /// How many functions are unchanged.
    pub unchanged: usize,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Top-level statements that changed and did not run.
    pub not_run: Vec<NotRun>,
    /// Top-level statements that the patch ran, or tried: why says which.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "<[NotRun]>::is_empty"))]
    pub runs: Box<[NotRun]>,
    /// What became of data that the text gives as constants and that changed.
    pub data: Vec<Merged>,
    /// Why functions do not run what the text says, and stay on older code.
    pub diverged: Vec<Refusal>,
    /// Coroutines that were suspended in changed code and were closed.
    pub closed: Vec<Activation>,
    /// Activations of older versions of what changed, if the policy moves them.
    pub migrated: Vec<Migrated>,
    /// How many activations of what changed stay on older code.
    pub staying: Box<Staying>,
    /// Times.
    pub times: Times,
}

impl Report {
    /// What the plans for all live instances of a patch's chunks come to,
    /// instances of one chunk next to each other. Number, generation and times
    /// are filled in by who commits: the rest can be made on any thread.
    pub fn of<'a>(plans: impl Iterator<Item = &'a ChunkPlan> + Clone) -> Self {
        let mut report = Self {
            id: 0,
            generation: 0,
            chunks: Vec::new(),
            functions: Vec::new(),
            unchanged: 0,
            warnings: Vec::new(),
            not_run: Vec::new(),
            runs: Box::default(),
            data: Vec::new(),
            diverged: Vec::new(),
            closed: Vec::new(),
            migrated: Vec::new(),
            staying: Box::default(),
            times: Times::default(),
        };
        let mut runs = Vec::new();
        for plan in plans.clone() {
            report.warn(plan);
            for left in plan.diverged.iter().flat_map(|d| &d.functions) {
                if !report.diverged.contains(&left.refusal) {
                    report.diverged.push(left.refusal.clone());
                }
            }
            let shown: Arc<str> = plan.shown_chunk().into();
            if report.chunks.contains(&shown) {
                report.add_instance(&shown, plan);
                continue;
            }
            report.unchanged += plan.n_unchanged;
            report.not_run.extend_from_slice(&plan.not_run);
            runs.extend_from_slice(&plan.runs);
            let functions = plan.touched();
            report
                .functions
                .extend(functions.map(|change| ReportedFunction::of(&shown, change)));
            let n = plans.clone().filter(|p| p.chunk == plan.chunk).count();
            if n > 1 {
                let warning = format!("{n} live instances of {shown} were patched");
                report.warnings.push(warning);
            }
            report.chunks.push(shown);
        }
        report.runs = runs.into();
        report
    }

    /// Takes over what a plan warns of, unless it is here already.
    pub fn warn(&mut self, plan: &ChunkPlan) {
        for warning in plan.all_warnings() {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// A further instance of a chunk: most often what is said of the first holds
    /// for it, but another text may have been running in it.
    fn add_instance(&mut self, shown: &Arc<str>, plan: &ChunkPlan) {
        let known: HashSet<&str> = self
            .functions
            .iter()
            .filter(|f| f.chunk == *shown)
            .map(|f| &*f.id)
            .collect();
        let more: Vec<ReportedFunction> = plan
            .touched()
            .filter(|change| !known.contains(&*change.name()))
            .map(|change| ReportedFunction::of(shown, change))
            .collect();
        let counted = more.iter().filter(|f| f.old.is_some() && f.new.is_some());
        self.unchanged = self.unchanged.saturating_sub(counted.count());
        self.functions.extend(more);
        for statement in &plan.not_run {
            if !self.not_run.contains(statement) {
                self.not_run.push(statement.clone());
            }
        }
    }

    /// What the policy moves, and why the rest stays.
    pub fn set_migrated(&mut self, migrated: Vec<Migrated>) {
        *self.staying = Staying::of(&migrated);
        self.warnings.extend(reasons(&migrated));
        self.migrated = migrated;
    }

    /// What stays, since the policy moves nothing.
    pub fn set_staying(&mut self, staying: Staying) {
        if !staying.is_empty() {
            self.warnings.push(staying.warning());
        }
        *self.staying = staying;
    }

    /// Number of the patch.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// As one JSON object, times in seconds.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        crate::encoding::json::to_json(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        write_pause(f, self.times.pause)
    }
}

/// The end of the one-line form.
pub fn write_pause(f: &mut impl fmt::Write, pause: Duration) -> fmt::Result {
    let nanos = pause.as_nanos();
    match nanos {
        0..1_000 => write!(f, ", {nanos} ns"),
        1_000..1_000_000 => write!(f, ", {} µs", nanos / 1_000),
        _ => write!(f, ", {} ms", nanos / 1_000_000),
    }
}

impl Report {
    /// The one-line form without the time.
    pub fn head(&self) -> String {
        let mut head = String::new();
        let _ = self.write_head(&mut head);
        head
    }

    fn write_head(&self, f: &mut impl fmt::Write) -> fmt::Result {
        for (i, chunk) in self.chunks.iter().enumerate() {
            let mentions: Vec<Mention<'_>> = self
                .functions
                .iter()
                .filter(|function| function.chunk == *chunk)
                .map(|function| Mention {
                    id: &function.id,
                    class: function.class,
                    old: function.old,
                    new: function.new,
                })
                .collect();
            write!(f, "{}{chunk}: ", if i > 0 { "; " } else { "" })?;
            match mentions.is_empty() && !self.runs.is_empty() {
                true => write_runs(f, &self.runs)?,
                false => write_line(f, &mentions)?,
            }
            let diverged = self.diverged.iter().filter(|r| r.chunk == *chunk);
            write_diverged(f, diverged.count())?;
        }
        let n_left = self.data.iter().filter(|d| d.overridden.is_some()).count();
        match (self.data.len() - n_left, n_left) {
            (0, 0) => {}
            (n, 0) => write!(f, ", data: {n} changed")?,
            (n, left) => write!(f, ", data: {n} changed, {left} overridden")?,
        }
        if !self.migrated.is_empty() {
            f.write_str(", ")?;
            write_moving(f, &self.migrated)?;
        } else if !self.staying.is_empty() {
            write!(f, ", {}", self.staying.line())?;
        }
        Ok(())
    }
}

/// What is said where statements ran and no function changed.
fn write_runs(f: &mut impl fmt::Write, runs: &[NotRun]) -> fmt::Result {
    write!(f, "ran ")?;
    for (i, ran) in runs.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        write!(f, "{comma}line {}: {}", ran.line, ran.text)?;
    }
    Ok(())
}

/// How many functions do not run what the text says.
pub(crate) fn write_diverged(f: &mut impl fmt::Write, n: usize) -> fmt::Result {
    match n {
        0 => Ok(()),
        n => write!(f, ", {n} diverged"),
    }
}

/// What the one-line form says of one function.
pub(crate) struct Mention<'a> {
    pub(crate) id: &'a str,
    pub(crate) class: ChangeClass,
    pub(crate) old: Option<u32>,
    pub(crate) new: Option<u32>,
}

/// `price v1 → v2, 1 function`: the first few functions and their number.
/// Literals of which only lines moved are counted, not named.
pub(crate) fn write_line(f: &mut impl fmt::Write, functions: &[Mention<'_>]) -> fmt::Result {
    const NAMED: usize = 4;
    let real: Vec<&Mention<'_>> = functions
        .iter()
        .filter(|m| !matches!(m.class, ChangeClass::DebugOnly | ChangeClass::Diverged))
        .collect();
    let is_moved = |m: &&Mention<'_>| m.class == ChangeClass::DebugOnly;
    let n_lines = functions.iter().filter(is_moved).count();
    // The main chunk is not run again: it is named only when nothing else is.
    let (mut named, rest): (Vec<&Mention<'_>>, Vec<&Mention<'_>>) =
        real.into_iter().partition(|m| m.id != "main chunk");
    if named.is_empty() {
        named = rest;
    }

    if named.is_empty() {
        return match n_lines {
            0 => f.write_str("nothing changed"),
            1 => f.write_str("only lines moved, 1 function"),
            n => write!(f, "only lines moved, {n} functions"),
        };
    }
    for mention in named.iter().take(NAMED) {
        match (mention.class, mention.old, mention.new) {
            (_, Some(old), Some(new)) if old != new => {
                write!(f, "{} v{old} → v{new}, ", mention.id)?
            }
            (class, ..) => write!(f, "{} {class}, ", mention.id)?,
        }
    }
    if named.len() > NAMED {
        f.write_str("…, ")?;
    }
    write!(
        f,
        "{} function{}",
        named.len(),
        if named.len() == 1 { "" } else { "s" }
    )
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_json() {
        let serve = Activation {
            chunk: "shop.lua".into(),
            function: "serve".into(),
            version: 1,
            line: Some(7),
            thread: "thread: 0x1".into(),
            suspended: true,
        };
        let report = Report {
            id: 3,
            generation: 4,
            chunks: vec!["shop.lua".into()],
            functions: vec![ReportedFunction {
                chunk: "shop.lua".into(),
                id: "price".into(),
                class: ChangeClass::Swapped,
                old: Some(1),
                new: Some(2),
            }],
            unchanged: 1,
            warnings: vec!["a \"b\"\n".into()],
            not_run: vec![],
            runs: Box::default(),
            data: vec![Merged {
                chunk: "shop.lua".into(),
                line: 2,
                path: "M.max".into(),
                before: "1".into(),
                after: "2".into(),
                overridden: None,
            }],
            diverged: vec![],
            migrated: vec![Migrated::stays(serve.clone(), "it is in no loop")],
            staying: Box::new(Staying {
                activations: 1,
                coroutines: 1,
                in_main: false,
                functions: vec![("serve".into(), 1)],
                looked_at: None,
            }),
            closed: vec![serve],
            times: Times {
                pause: Duration::from_micros(38),
                ..Times::default()
            },
        };
        assert_eq!(
            report.to_string(),
            "shop.lua: price v1 → v2, 1 function, data: 1 changed, 0 of 1 activations move, 38 µs"
        );
        assert_eq!(
            report.to_json(),
            "{\"id\":3,\"generation\":4,\"chunks\":[\"shop.lua\"],\"functions\":[{\"chunk\":\"shop.lua\",\"id\":\"price\",\"class\":\"swapped\",\
             \"old\":1,\"new\":2}],\"unchanged\":1,\"warnings\":[\"a \\\"b\\\"\\n\"],\"not_run\":[],\"data\":[{\"chunk\":\"shop.lua\",\"line\":2,\"path\":\"M.max\",\
             \"before\":\"1\",\"after\":\"2\",\"overridden\":null}],\"diverged\":[],\"closed\":[{\"chunk\":\"shop.lua\",\"id\":\"serve\",\"version\":1,\
             \"line\":7,\"thread\":\"thread: 0x1\",\"suspended\":true}],\
             \"migrated\":[{\"chunk\":\"shop.lua\",\"id\":\"serve\",\"version\":1,\"line\":7,\"thread\":\"thread: 0x1\",\
             \"suspended\":true,\"turn\":null,\"reason\":\"it is in no loop\"}],\
             \"staying\":{\"activations\":1,\"coroutines\":1,\"in_main\":false,\"at_least\":false},\
             \"times\":{\"prepare\":0,\"wait\":0,\"load\":0,\"pause\":0.000038}}"
        );
    }
}
