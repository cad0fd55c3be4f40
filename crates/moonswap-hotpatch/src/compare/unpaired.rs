//! Top-level statements that look as before, but contain a function that is none of
//! the old text, or call a changed one where it stands: what they did stays as it is,
//! so they are listed.

use foldhash::HashMap;
use moonswap_compiler::syntax::ast::StatementKind;

use super::toplevel::comparison::Comparison;
use super::toplevel::outcome::TopLevel;
use crate::model::not_run::NotRun;
use crate::patch::ChunkPatch;
use crate::patch::outline::{LiteralIndex, statement_literals};
use crate::patch::statements::statements;

impl Comparison<'_> {
    pub(crate) fn unpaired(&self, top: &mut TopLevel) {
        let Some(old) = self.old.filter(|_| !self.is_called_again()) else {
            return;
        };
        let reasons = self.reasons();
        let children = &self.new.facts().outline.get(0).children;
        let before: Vec<LiteralIndex> = children
            .iter()
            .filter_map(|at| self.matching.old_of[*at])
            .collect();
        let homes = match before.is_sorted() {
            true if reasons.is_empty() => return,
            true => HashMap::default(),
            false => homes(old),
        };
        // The farthest place in the old text of a call so far.
        let mut farthest = 0;
        let mut literals = self.new.facts().outline.get(0).children.iter();
        for (at, statement) in self.body().iter().enumerate() {
            let n = statement_literals(self.new.ast(), &statement.kind).len();
            let own: Vec<_> = literals.by_ref().take(n).collect();
            let mut why = own.iter().find_map(|at| reasons.get(*at).copied());
            if matches!(statement.kind, StatementKind::Call(_)) {
                let old_of = |at: &&usize| homes.get(&self.matching.old_of[**at]?).copied();
                let before = own.iter().filter_map(old_of).max();
                if before.is_some_and(|before| before < farthest) {
                    why = why.or(Some("it stands behind others than before"));
                }
                farthest = farthest.max(before.unwrap_or(0));
            }
            let (Some(why), false) = (why, top.actions.contains_key(&at)) else {
                continue;
            };
            let (line, text) = (self.statement_line(at), self.statement_text(at));
            if !top.not_run.iter().any(|n| n.line == line && n.text == text) {
                top.not_run.push(NotRun {
                    line,
                    text,
                    why: why.to_owned(),
                    option: self.run_option(at),
                });
            }
        }
        top.not_run.sort_by_key(|n| n.line);
    }

    /// Why statements with these literals of the main chunk are to be listed.
    fn reasons(&self) -> HashMap<LiteralIndex, &'static str> {
        let mut found = HashMap::default();
        let (matching, new) = (self.matching, &self.new.facts().outline);
        let Some(old) = self.old.map(|text| &text.facts().outline) else {
            return found;
        };
        // Called once, as part of the main chunk: by the outermost function it is in.
        let mut once: HashMap<LiteralIndex, LiteralIndex> = HashMap::default();
        for (at, literal) in new.literals.iter().enumerate().skip(1) {
            let Some(parent) = literal.parent else {
                continue;
            };
            let was = matching.old_of[at].filter(|_| !matching.refused[at]);
            if parent == 0 && was.is_none() && !matching.refused[at] {
                found.insert(at, "a function in it is new");
            }
            let is_called = literal.site.is_some_and(|site| site.called);
            let outermost = match parent {
                0 => Some(at),
                _ => once.get(&parent).copied(),
            };
            let (Some(outermost), true) = (outermost, is_called) else {
                continue;
            };
            once.insert(at, outermost);
            if was.is_none_or(|was| old.get(was).prototype.own_hash != literal.prototype.own_hash) {
                let why = "a function that it calls at once has changed";
                found.entry(outermost).or_insert(why);
            }
        }
        found
    }
}

/// The statements in which the literals of a main chunk stand.
fn homes(text: &ChunkPatch) -> HashMap<LiteralIndex, usize> {
    let mut literals = text.facts().outline.get(0).children.iter();
    let mut found = HashMap::default();
    for (at, statement) in statements(text.ast()).iter().enumerate() {
        let n = statement_literals(text.ast(), &statement.kind).len();
        found.extend(literals.by_ref().take(n).map(|literal| (*literal, at)));
    }
    found
}
