//! What was patched, told in lines: `applied N`, `swapped N`, `others N` (chunks that
//! are no files), `short N` (patches that swapped fewer functions than changed),
//! `chunk NAME FUNCTIONS SWAPPED TIMES` for each file, `missing NAME LINES`,
//! `kept NAME FUNCTIONS` (what a short patch did not swap), `refused N WHY`, `again N WHAT` (texts that the program had loaded again).

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use moonswap::{ChangeClass, Report};

use crate::equivalent::Shapes;

/// The functions of one file.
#[derive(Default)]
struct Chunk {
    n_functions: usize,
    /// Lines of those that were never swapped.
    missing: Vec<usize>,
    /// How often each of the others was at least.
    least: usize,
}

/// What the thread has done.
#[derive(Default)]
pub(crate) struct Counts {
    applied: u64,
    swapped: u64,
    short: u64,
    /// What short patches did instead.
    kept: Vec<String>,
    files: BTreeMap<String, Chunk>,
    /// Other chunks that were patched.
    others: HashSet<String>,
    /// By what the error says first.
    refused: BTreeMap<String, u64>,
    /// How often a chunk had been loaded again.
    again: BTreeMap<String, u64>,
}

impl Counts {
    /// A patch that changed `n_changed` functions was applied.
    pub(crate) fn applied(
        &mut self,
        name: &str,
        shapes: &Shapes,
        n_changed: usize,
        report: &Report,
    ) {
        let swapped = report.functions.iter();
        let swapped = swapped.filter(|f| f.class == ChangeClass::Swapped).count();
        self.applied += 1;
        self.swapped += swapped as u64;
        if swapped < n_changed {
            self.short += 1;
            self.kept.push(kept(name, report));
        }
        if name.starts_with('@') {
            let chunk = self.files.entry(name.to_owned()).or_default();
            chunk.n_functions = shapes.n_functions();
            chunk.missing = shapes.missing();
            chunk.least = shapes.least();
        } else {
            self.others.insert(name.to_owned());
        }
    }

    /// It is not the text that was put there last.
    pub(crate) fn again(&mut self, name: &str) {
        let what = if name.starts_with('@') {
            name
        } else {
            "strings"
        };
        *self.again.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn refused(&mut self, error: &impl std::fmt::Display) {
        let text = error.to_string();
        let why = text.split('\'').next().unwrap_or_default();
        let why = why.lines().take(2).collect::<Vec<_>>().join(" ");
        *self.refused.entry(why).or_default() += 1;
    }

    pub(crate) fn is_young(&self) -> bool {
        self.applied < 5
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "applied {}\nswapped {}\nshort {}\nothers {}\n",
            self.applied,
            self.swapped,
            self.short,
            self.others.len()
        );
        for (name, chunk) in &self.files {
            let n = chunk.n_functions;
            let swapped = n - chunk.missing.len();
            let _ = writeln!(text, "chunk {name} {n} {swapped} {}", chunk.least);
            if !chunk.missing.is_empty() {
                let _ = writeln!(text, "missing {name} {:?}", chunk.missing);
            }
        }
        for kept in &self.kept {
            let _ = writeln!(text, "kept {kept}");
        }
        for (what, n) in &self.again {
            let _ = writeln!(text, "again {n} {what}");
        }
        for (why, n) in &self.refused {
            let _ = writeln!(text, "refused {n} {why}");
        }
        text
    }
}

/// The functions of a patch that are neither unchanged nor swapped.
fn kept(name: &str, report: &Report) -> String {
    let mut text = name.lines().next().unwrap_or_default().to_owned();
    for function in &report.functions {
        let class = function.class;
        if !matches!(class, ChangeClass::Swapped | ChangeClass::Unchanged) {
            let _ = write!(text, "; {} {class:?}", function.id);
        }
    }
    text
}
