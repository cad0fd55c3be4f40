//! A plan as text: one line per literal, and as one line.

use std::fmt;

use super::{Mention, write_diverged, write_line};
use crate::model::change::DataChange;
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::model::not_run::NotRun;
use crate::model::plan::{ChunkPlan, Plan};
use crate::patch::shown;
use crate::refusal::Refused;

impl Plan {
    /// `shop.lua: price v1 → v2, 1 function`; several chunks one after the
    /// other.
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self.chunks.iter().map(|c| self.headline(c)).collect();
        parts.join("; ")
    }

    fn headline(&self, chunk: &ChunkPlan) -> String {
        let name = shown(&chunk.chunk);
        match self.refusals.iter().filter(|r| r.chunk == name).count() {
            0 => chunk.summary(),
            1 => format!("{name}: refused, 1 reason"),
            n => format!("{name}: refused, {n} reasons"),
        }
    }

    /// The refusals as an error, if there are any.
    pub fn refused(&self) -> Option<Refused> {
        self.is_refused().then(|| self.refusals.clone().into())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, chunk) in self.chunks.iter().enumerate() {
            let line_end = if i > 0 { "\n" } else { "" };
            write!(f, "{line_end}{}", self.headline(chunk))?;
            chunk.write_details(f)?;
        }
        for activation in &self.activations {
            write!(f, "\n  {activation}")?;
        }
        for one in &self.migrated {
            write!(f, "\n  {one}")?;
        }
        if self.migrated.is_empty() && !self.staying.is_empty() {
            write!(f, "\n  warning: {}", self.staying.warning())?;
        }
        for refusal in &self.refusals {
            write!(f, "\n  refusal: {refusal}")?;
        }
        Ok(())
    }
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line, text, why, ..
        } = self;
        write!(f, "line {line}: {text} ({why})")?;
        match &self.option {
            Some(option) => write!(f, "; to apply it: {option}"),
            None => Ok(()),
        }
    }
}

impl ChunkPlan {
    /// The changes of data it makes where nobody has changed them.
    pub fn data_changes(&self) -> impl Iterator<Item = &DataChange> {
        self.data.iter().filter(|change| change.is_data())
    }

    fn summary(&self) -> String {
        let mut out = format!("{}: ", shown(&self.chunk));
        let names: Vec<String> = self.touched().map(LiteralChange::name).collect();
        let touched = self.touched().zip(&names);
        let mentions: Vec<Mention<'_>> = touched
            .map(|(c, name)| Mention {
                id: name,
                class: c.class,
                old: c.old_version,
                new: c.new_version(),
            })
            .collect();
        let written = write_line(&mut out, &mentions);
        let n = self.diverged.as_ref().map_or(0, |d| d.functions.len());
        let written = written.and_then(|()| write_diverged(&mut out, n));
        debug_assert!(written.is_ok());
        out
    }

    fn write_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.touched() {
            write!(f, "\n  {:10} {}", change.class, change.name())?;
            match (change.class, change.old_version, change.new_version()) {
                (ChangeClass::Swapped, Some(old), Some(new)) => write!(f, " v{old} → v{new}")?,
                (ChangeClass::Added | ChangeClass::Removed | ChangeClass::Refused, ..) => {}
                (_, Some(old), _) => write!(f, " v{old}")?,
                _ => {}
            }
            if change.class == ChangeClass::Moved
                && let Some(old) = &change.old
                && change.old != change.new
            {
                write!(f, ", was {old}")?;
            }
            write!(f, " (line {})", change.line)?;
        }
        write!(f, "\n  {} unchanged", self.n_unchanged)?;
        for (name, declaration) in &self.new_cells {
            if *declaration != crate::manifest::ENVIRONMENT_CELL {
                write!(f, "\n  new local: {name}")?;
            }
        }
        for statement in &self.runs {
            write!(
                f,
                "\n  runs: line {}: {} ({})",
                statement.line, statement.text, statement.why
            )?;
        }
        for change in self.data_changes() {
            write!(
                f,
                "\n  data: line {}: {}: {} → {}",
                change.line, change.path, change.before, change.after
            )?;
        }
        for statement in &self.not_run {
            write!(f, "\n  not run: {statement}")?;
        }
        for left in self.diverged.iter().flat_map(|d| &d.functions) {
            write!(f, "\n  diverged: {}", left.refusal)?;
        }
        for warning in self.all_warnings() {
            write!(f, "\n  warning: {warning}")?;
        }
        Ok(())
    }
}
