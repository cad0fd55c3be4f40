//! What the watcher tells: lines for people, or one JSON object per event on
//! standard error (standard output is the script's).

use moonswap::{HotError, HotEvent, RefusalCode, RenderStyle, Report, render_diagnostic};
use moonswap_compiler::CompileError;
use moonswap_hotpatch::{Json, Refused};

use crate::check;
use crate::output::{complain, style};

/// A text that was tried.
pub(super) struct Tried<'a> {
    /// Path as Lua loaded it.
    pub(super) shown: String,
    pub(super) source: &'a [u8],
}

pub(super) enum Event<'a> {
    /// Runs now.
    Swapped(&'a Report),
    /// These texts are no Lua.
    Syntax(&'a [CompileError]),
    Refused(&'a Refused),
    /// The VM has not come to the moment for it; for this, if it has looked.
    Waiting(Option<String>),
    /// What was waiting is as it runs again.
    TakenBack,
    /// A rollback, which may have been the VM's own.
    Undone(&'a HotEvent, &'a Report),
    /// Something else that the VM tells.
    Heard(&'a HotEvent),
    /// Out of quarantine, and tried again.
    Released,
    /// The text is not in quarantine.
    NotReleased,
    Failed(&'a HotError),
}

/// Tells of what became of some files. `rest`: others that are not what runs.
pub(super) fn tell(event: &Event<'_>, files: &[Tried<'_>], rest: &[String], json: bool) {
    complain(if json {
        as_json(event, files, rest).to_string()
    } else {
        as_text(event, files, rest, style())
    });
}

fn as_json(event: &Event<'_>, files: &[Tried<'_>], rest: &[String]) -> Json {
    let (name, more) = match event {
        Event::Swapped(report) => ("swapped", Some(("report", report.json()))),
        Event::Syntax(errors) => {
            let problems = errors.iter().map(check::problem).collect();
            ("syntax", Some(("problems", Json::Array(problems))))
        }
        Event::Refused(refused) => ("refused", Some(("refusals", refused.json()))),
        Event::Waiting(why) => {
            let why = why.as_ref().map_or(Json::Null, Json::text);
            ("waiting", Some(("for", why)))
        }
        Event::TakenBack => ("taken-back", None),
        Event::Undone(_, report) => ("undone", Some(("report", report.json()))),
        Event::Heard(heard) => match heard.error() {
            Some(error) => (
                "not-undone",
                Some(("message", Json::text(error.to_string()))),
            ),
            None => ("passed", None),
        },
        Event::Released => ("released", None),
        Event::NotReleased => ("not-released", None),
        Event::Failed(error) => ("failed", Some(("message", Json::text(error.to_string())))),
    };
    let files = files.iter().map(|file| &file.shown);
    let mut entries = vec![("event", Json::text(name)), ("files", Json::texts(files))];
    if let Event::Undone(heard, _) | Event::Heard(heard) = event {
        entries.extend([
            ("patch", Json::optional_number(heard.undoes)),
            ("source", Json::text(heard.source.text())),
        ]);
        if let Some(cause) = heard.cause {
            entries.push(("cause", Json::text(cause.text())));
        }
        if let Some(reason) = &heard.reason {
            entries.push(("reason", Json::text(reason)));
        }
    }
    if !rest.is_empty() {
        entries.push(("differ", Json::texts(rest)));
    }
    Json::object(entries.into_iter().chain(more))
}

fn as_text(event: &Event<'_>, files: &[Tried<'_>], rest: &[String], style: RenderStyle) -> String {
    let mut lines = Vec::new();
    let names: Vec<&str> = files.iter().map(|file| &*file.shown).collect();
    let names = names.join(", ");
    let source_of = |chunk: &str| {
        let found = files.iter().find(|file| file.shown == chunk);
        found.map_or(&b""[..], |file| file.source)
    };
    match event {
        Event::Swapped(report) => {
            lines.push(format!("[moonswap] {report}"));
            let warnings = report.warnings.iter();
            lines.extend(warnings.map(|warning| format!("[moonswap]   warning: {warning}")));
            let staying = report.migrated.iter().filter(|m| m.turn.is_none());
            lines.extend(staying.map(|one| format!("[moonswap]   {one}")));
            lines.extend(report.not_run.iter().map(|statement| {
                let option = match &statement.option {
                    Some(option) => format!("; to apply it: {option}"),
                    None => String::new(),
                };
                format!(
                    "[moonswap]   line {}: not run: {} ({}){option}",
                    statement.line, statement.text, statement.why
                )
            }));
        }
        Event::Syntax(errors) => {
            for error in *errors {
                let span = (error.span.start as usize, error.span.end as usize);
                let source = source_of(&error.chunk);
                lines.push(render_diagnostic(
                    style,
                    &error.chunk,
                    source,
                    span,
                    &error.message,
                    None,
                ));
            }
            lines.push(format!(
                "[moonswap] {names}: not swapped, the old code keeps running"
            ));
        }
        Event::Refused(refused) => {
            for refusal in &refused.refusals {
                let source = source_of(&refusal.chunk);
                let title = format!(
                    "[{}] {}: {}",
                    refusal.code, refusal.function, refusal.reason
                );
                lines.push(render_diagnostic(
                    style,
                    &refusal.chunk,
                    source,
                    span_of(source, refusal.line, refusal.column),
                    &title,
                    Some(&refusal.remedy),
                ));
            }
            lines.push(format!(
                "[moonswap] {names}: refused, the old code keeps running"
            ));
            let mut codes = refused.refusals.iter().map(|refusal| refusal.code);
            if let (true, Some(file)) =
                (codes.any(|c| c == RefusalCode::Quarantined), files.first())
            {
                lines.push(format!(
                    "[moonswap]   to try the same code again: moonswap release {}",
                    file.shown
                ));
            }
        }
        Event::Waiting(None) => lines.push(format!(
            "[moonswap] {names}: the program reaches no safe point; still waiting for one"
        )),
        Event::Waiting(Some(why)) => {
            lines.push(format!("[moonswap] {names}: still waiting: {why}"));
        }
        Event::TakenBack => lines.push("[moonswap] taken back: nothing waits any more".to_owned()),
        Event::Undone(heard, report) => {
            let why = heard
                .reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(": {reason}"));
            lines.push(format!("[moonswap] undone by {}{why}", heard.source));
            lines.push(format!("[moonswap]   {report}"));
            let warnings = report.warnings.iter();
            lines.extend(warnings.map(|warning| format!("[moonswap]   warning: {warning}")));
            if let Some(file) = files.first() {
                lines.push(format!(
                    "[moonswap] {names}: older code runs than was saved, until other code is \
                     saved, or the same released: moonswap release {}",
                    file.shown
                ));
            }
        }
        Event::Heard(heard) => {
            let what = heard.reason.as_deref().unwrap_or_default();
            lines.push(match heard.error() {
                Some(error) => format!("[moonswap] not undone ({what}): {error}"),
                None => format!("[moonswap] passed: {what}"),
            });
        }
        Event::Released => lines.push(format!("[moonswap] {names}: released, tried again")),
        Event::NotReleased => lines.push(format!(
            "[moonswap] {names}: not in quarantine, there is nothing to release"
        )),
        Event::Failed(error) => {
            lines.push(format!("[moonswap] {names}: not swapped: {error}"));
        }
    }
    if matches!(event, Event::Swapped(_)) && !rest.is_empty() {
        let rest = rest.join(", ");
        lines.push(format!("[moonswap]   still older than saved: {rest}"));
    }
    lines.join("\n")
}

/// The word at a line and column, both from 1.
fn span_of(source: &[u8], line: u32, column: u32) -> (usize, usize) {
    let mut start = 0;
    for _ in 1..line {
        match source[start..].iter().position(|&b| b == b'\n') {
            Some(at) => start += at + 1,
            None => break,
        }
    }
    let line_end = source[start..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(source.len(), |at| start + at);
    let from = (start + (column.max(1) - 1) as usize).min(line_end);
    let length = source[from..line_end]
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':')))
        .unwrap_or(line_end - from);
    (from, (from + length.max(1)).min(line_end.max(from)))
}

#[cfg(test)]
mod tests {
    use super::span_of;

    #[test]
    fn spans_stay_inside_the_text() {
        let text = b"local a\nfunction M.f() end\n";
        assert_eq!(span_of(text, 2, 10), (17, 20));
        assert_eq!(span_of(text, 1, 1), (0, 5));
        for (line, column) in [(99, 99), (0, 0), (3, 1)] {
            let (from, to) = span_of(text, line, column);
            assert!(from <= to && to <= text.len());
        }
        assert_eq!(span_of(b"", 1, 1), (0, 0));
    }
}
