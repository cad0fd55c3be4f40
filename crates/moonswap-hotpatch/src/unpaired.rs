//! Top-level statements that look as before but contain a function that is none of
//! the old text: what they did stays with the older function, so they are listed.

use crate::outline::statement_literals;
use crate::plan::NotRun;
use crate::toplevel::{Comparison, TopLevel};

impl Comparison<'_> {
    pub(crate) fn unpaired(&self, top: &mut TopLevel) {
        let children = &self.new.facts().outline.get(0).children;
        let is_new =
            |at: &usize| self.matching.old_of[*at].is_none() && !self.matching.refused[*at];
        if self.old.is_none() || !children.iter().any(is_new) {
            return;
        }
        let mut literals = children.iter();
        for (at, statement) in self.body().iter().enumerate() {
            let n = statement_literals(self.new.ast(), &statement.kind).len();
            let has_new = literals.by_ref().take(n).filter(|at| is_new(at)).count() > 0;
            if !has_new || top.actions.contains_key(&at) {
                continue;
            }
            let line = statement.span.line;
            let text = self.text(self.new.source(), statement.span);
            if !top.not_run.iter().any(|n| n.line == line && n.text == text) {
                let why = "a function in it is new".to_owned();
                top.not_run.push(NotRun { line, text, why });
            }
        }
        top.not_run.sort_by_key(|n| n.line);
    }
}
