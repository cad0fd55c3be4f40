//! What the policy names: statements to `run`, and names that fit nothing here. They may
//! fit in another chunk of the patch.

use moonswap_compiler::Span;
use moonswap_compiler::syntax::ast::Statement;

use super::comparison::Comparison;
use super::outcome::{Action, TopLevel};
use crate::compare::undefined::similar;
use crate::manifest::Progress;
use crate::patch::entries::Taker;
use crate::patch::statements::runs_alone;
use crate::policy::RunSelector;
use crate::refusal::{Code, Unmatched, UnmatchedSetting};

impl Comparison<'_> {
    /// `run`, and the names in `reset` that fit nothing.
    pub(super) fn selected(&self, top: &mut TopLevel) {
        let (body, source) = (self.body(), self.source());
        for selector in &self.policy.run {
            let fits = |s: &Statement| match selector {
                RunSelector::Line(line) => s.span.line == *line,
                RunSelector::Text(text) => {
                    let own = source
                        .get(s.span.start as usize..s.span.end as usize)
                        .unwrap_or_default();
                    String::from_utf8_lossy(own).trim() == text.trim()
                }
            };
            let found: Vec<usize> = (0..body.len()).filter(|at| fits(&body[*at])).collect();
            let is_in = |at: usize| {
                self.manifest.main_running && top.progress == Progress::Statement(at as u32)
            };
            match found[..] {
                [at] if is_in(at) => {
                    let line = self.statement_line(at);
                    let reason = format!(
                        "run = line {line}: the main chunk is in this statement, and would begin it once more"
                    );
                    let remedy = "stale = \"migrate\" moves it to the new code";
                    self.refuse(top, Code::RunNotFound, body[at].span, reason, remedy);
                }
                [at] if runs_alone(&body[at].kind) => {
                    self.run_instead(at, top);
                }
                _ => {
                    let what = match selector {
                        RunSelector::Line(line) => format!("line {line}"),
                        RunSelector::Text(text) => format!("`{text}`"),
                    };
                    let n = found.len();
                    let reason = format!(
                        "run = {what}: {n} top-level statements fit, and exactly one that can run alone has to"
                    );
                    let remedy = "name one statement that is no declaration, label or return";
                    self.refuse(top, Code::RunNotFound, BEGINNING, reason, remedy);
                    if found.is_empty() {
                        add_unmatched_setting(top, format!("run {what}"));
                    }
                }
            }
        }
        for name in &self.policy.reset {
            if !top.variables.iter().any(|v| *v.name == **name) {
                let reason = format!("reset of \"{name}\": there is no such top-level local");
                let remedy = "name a top-level local of the new source";
                self.refuse(top, Code::ResetNotFound, BEGINNING, reason, remedy);
                add_unmatched_setting(top, format!("reset {name}"));
            }
        }
        self.selected_data(top);
        self.selected_calls(top);
    }

    /// The paths in `data` that the text gives no constant.
    fn selected_data(&self, top: &mut TopLevel) {
        let asked = &self.policy.data.by_path;
        if asked.is_empty() {
            return;
        }
        let mut given: Vec<String> = Vec::new();
        for text in [Some(self.new), self.old].into_iter().flatten() {
            let taker = Taker {
                ast: text.ast(),
                constants: &text.facts().constants,
            };
            let entries = taker.entries(&|_| true).into_iter();
            given.extend(entries.map(|entry| entry.path.to_string()));
        }
        for path in asked.keys().filter(|path| !given.contains(path)) {
            let meant = similar(path, given.iter().map(String::as_str));
            let warning = format!(
                "data = {path}: the text gives it no value{}",
                did_you_mean(meant)
            );
            warn_unmatched(top, format!("data {path}"), warning);
        }
    }

    /// The rules in `rerun` that fit no call statement.
    fn selected_calls(&self, top: &mut TopLevel) {
        if self.policy.rerun.is_empty() {
            return;
        }
        let callees: Vec<String> = (0..self.body().len())
            .filter_map(|at| self.callee(at))
            .collect();
        for rule in &self.policy.rerun {
            if !callees.iter().any(|callee| rule.fits(callee)) {
                let meant = similar(&rule.callee, callees.iter().map(String::as_str));
                let rule = rule.rule();
                let warning = format!(
                    "rerun = {rule}: no statement calls that{}",
                    did_you_mean(meant)
                );
                warn_unmatched(top, format!("rerun {rule}"), warning);
            }
        }
    }

    /// A statement runs as it stands, and no change is made for it.
    fn run_instead(&self, at: usize, top: &mut TopLevel) {
        let (line, text) = (self.statement_line(at), self.statement_text(at));
        top.not_run.retain(|n| n.line != line || n.text != text);
        top.actions.insert(at, Action::Run);
    }
}

const BEGINNING: Span = Span {
    line: 1,
    column: 1,
    start: 0,
    end: 0,
};

/// The last refusal holds only if the name fits in no other chunk either.
fn add_unmatched_setting(top: &mut TopLevel, name: String) {
    if let Some(refusal) = top.refusals.pop() {
        top.unmatched_settings.push(UnmatchedSetting {
            name,
            effect: Unmatched::Refuses(refusal),
        });
    }
}

fn warn_unmatched(top: &mut TopLevel, name: String, warning: String) {
    top.unmatched_settings.push(UnmatchedSetting {
        name,
        effect: Unmatched::Warns(warning),
    });
}

fn did_you_mean(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
