//! Literals of two texts and which of them were found to be the same.

use std::sync::Arc;

use super::likeness::Sketches;
use crate::patch::outline::{LiteralIndex, Outline};
use crate::refusal::{Code, Refusal, UnmatchedSetting};

/// The result of matching two outlines.
#[derive(Debug)]
pub(crate) struct Matching {
    /// The old literal of each new one.
    pub(crate) old_of: Vec<Option<LiteralIndex>>,
    /// The new literal of each old one.
    pub(crate) new_of: Vec<Option<LiteralIndex>>,
    /// New literals found under another path.
    pub(crate) moved: Vec<bool>,
    /// New literals whose match could not be decided.
    pub(crate) refused: Vec<bool>,
    pub(crate) refusals: Vec<Refusal>,
    /// Names in `rename` that occur nowhere here.
    pub(crate) unmatched_settings: Vec<UnmatchedSetting>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) struct Matcher<'a> {
    pub(super) chunk: Arc<str>,
    pub(crate) old: &'a Outline,
    pub(crate) new: &'a Outline,
    /// Both have texts, whose surroundings can be compared.
    pub(crate) with_text: bool,
    pub(crate) sketches: Sketches,
    /// New literals whose children were compared.
    pub(crate) seen: Vec<bool>,
    /// Old and new functions at one place that have too little in common.
    pub(crate) unlike: Vec<(LiteralIndex, LiteralIndex)>,
    pub(crate) result: Matching,
}

impl Matcher<'_> {
    pub(crate) fn pair(&mut self, was: LiteralIndex, is: LiteralIndex) {
        self.result.old_of[is] = Some(was);
        self.result.new_of[was] = Some(is);
    }

    pub(crate) fn refuse(&mut self, code: Code, at: LiteralIndex, reason: String, remedy: &str) {
        self.result.refused[at] = true;
        let literal = self.new.get(at);
        self.result.refusals.push(Refusal {
            code,
            chunk: self.chunk.clone(),
            line: literal.line,
            column: literal.column,
            function: self.new.name(at),
            reason,
            remedy: remedy.to_owned(),
        });
    }
}
