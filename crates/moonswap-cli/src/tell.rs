//! What the watcher tells: lines for people, or one JSON object per event on
//! standard error (standard output is the script's).

use moonswap::watch::{WatchEvent, WatchKind, WatchedFile};
use moonswap::{PatchSource, RefusalCode, RenderStyle, Report, render_diagnostic};
use moonswap_hotpatch::{Refused, Timestamp, to_json};
use serde::Serialize;

use crate::check;
use crate::output::{complain, style};

/// Changed values that are told of one by one.
const MOST_DATA: usize = 20;

/// Tells of what became of some files.
pub(crate) fn tell(event: &WatchEvent<'_>, json: bool) {
    complain(if json {
        as_json(event)
    } else {
        as_text(event, style())
    });
}

/// An event as JSON.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    files: Vec<&'a str>,
    #[serde(flatten)]
    about: Option<About<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    differ: &'a [String],
    #[serde(flatten)]
    more: Option<More<'a>>,
    /// UTC, whole seconds.
    time: String,
}

/// The attempt that the VM reports.
#[derive(Serialize)]
struct About<'a> {
    patch: Option<u64>,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What belongs to one kind of event.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum More<'a> {
    Report(&'a Report),
    Problems(Vec<check::Problem<'a>>),
    Refusals(&'a Refused),
    For(Option<&'a str>),
    Message(String),
}

fn as_json(event: &WatchEvent<'_>) -> String {
    let shown = paths(event);
    let (name, more) = match &event.kind {
        WatchKind::Swapped(report) => ("swapped", Some(More::Report(report))),
        WatchKind::Syntax(errors) => {
            let problems = errors.iter().map(check::problem).collect();
            ("syntax", Some(More::Problems(problems)))
        }
        WatchKind::Refused(refused) => ("refused", Some(More::Refusals(refused))),
        WatchKind::Waiting(why) => ("waiting", Some(More::For(why.as_deref()))),
        WatchKind::TakenBack => ("taken-back", None),
        WatchKind::Undone(_, report) => ("undone", Some(More::Report(report))),
        WatchKind::Heard(heard) => match heard.error() {
            Some(error) => ("not-undone", Some(More::Message(error.to_string()))),
            None => ("passed", None),
        },
        WatchKind::Released => ("released", None),
        WatchKind::NotReleased => ("not-released", None),
        WatchKind::Missing => ("missing", None),
        WatchKind::Failed(error) => ("failed", Some(More::Message(error.to_string()))),
        WatchKind::NotWatched(folder, why) => {
            let message = format!("{}: {why}", folder.display());
            ("not-watched", Some(More::Message(message)))
        }
        _ => ("other", None),
    };
    let about = match &event.kind {
        WatchKind::Undone(heard, _) | WatchKind::Heard(heard) => Some(About {
            patch: heard.undoes,
            source: heard.source.text(),
            cause: heard.cause.map(|cause| cause.text()),
            reason: heard.reason.as_deref(),
        }),
        _ => None,
    };
    to_json(&Told {
        event: name,
        files: shown.iter().map(|path| &**path).collect(),
        about,
        differ: &event.differing,
        more,
        time: Timestamp::now().to_string(),
    })
}

/// Paths of the files that an event is about.
fn paths(event: &WatchEvent<'_>) -> Vec<String> {
    let files = event.files.iter();
    files.map(|file| file.path.display().to_string()).collect()
}

fn as_text(event: &WatchEvent<'_>, style: RenderStyle) -> String {
    let mut lines = Vec::new();
    let shown = paths(event);
    let names = shown.join(", ");
    let source_of = |chunk: &str| {
        let is_of = |file: &&WatchedFile<'_>| file.chunk.strip_prefix('@') == Some(chunk);
        let found = event.files.iter().find(is_of);
        found.map_or(&b""[..], |file| file.source)
    };
    match &event.kind {
        WatchKind::Swapped(report) => {
            lines.push(format!("[moonswap] {report}"));
            let warnings = report.warnings.iter();
            lines.extend(warnings.map(|warning| format!("[moonswap]   warning: {warning}")));
            lines.extend(data(report));
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
        WatchKind::Syntax(errors) => {
            for error in errors.iter() {
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
        WatchKind::Refused(refused) => {
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
                (codes.any(|c| c == RefusalCode::Quarantined), shown.first())
            {
                lines.push(format!(
                    "[moonswap]   to try the same code again: moonswap release {}",
                    file
                ));
            }
        }
        WatchKind::Waiting(None) => lines.push(format!(
            "[moonswap] {names}: the program reaches no safe point; still waiting for one"
        )),
        WatchKind::Waiting(Some(why)) => {
            lines.push(format!("[moonswap] {names}: still waiting: {why}"));
        }
        WatchKind::TakenBack => {
            lines.push("[moonswap] taken back: nothing waits any more".to_owned())
        }
        WatchKind::Undone(heard, report) => {
            let why = heard
                .reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(": {reason}"));
            lines.push(format!("[moonswap] undone by {}{why}", heard.source));
            lines.push(format!("[moonswap]   {report}"));
            let warnings = report.warnings.iter();
            lines.extend(warnings.map(|warning| format!("[moonswap]   warning: {warning}")));
            if let Some(file) = shown.first() {
                let is_quarantined = heard.source == PatchSource::Guard;
                let remedy = match is_quarantined {
                    true => "other code is saved, or the same released",
                    false => "it is saved again, or released",
                };
                lines.push(format!(
                    "[moonswap] {names}: older code runs than was saved, until {remedy}: \
                     moonswap release {file}"
                ));
            }
        }
        WatchKind::Heard(heard) => {
            let what = heard.reason.as_deref().unwrap_or_default();
            lines.push(match heard.error() {
                Some(error) => format!("[moonswap] not undone ({what}): {error}"),
                None => format!("[moonswap] passed: {what}"),
            });
        }
        WatchKind::Released => lines.push(format!("[moonswap] {names}: released, tried again")),
        WatchKind::NotReleased => lines.push(format!(
            "[moonswap] {names}: not in quarantine, there is nothing to release"
        )),
        WatchKind::Missing => lines.push(format!(
            "[moonswap] {names}: the file is gone; its code keeps running"
        )),
        WatchKind::Failed(error) => {
            lines.push(format!("[moonswap] {names}: not swapped: {error}"));
        }
        WatchKind::NotWatched(folder, why) => {
            lines.push(format!(
                "[moonswap] cannot watch {}: {why}",
                folder.display()
            ));
        }
        _ => {}
    }
    if matches!(event.kind, WatchKind::Swapped(_)) && !event.differing.is_empty() {
        let rest = event.differing.join(", ");
        lines.push(format!("[moonswap]   still older than saved: {rest}"));
    }
    lines.join("\n")
}

/// Lines for data that was changed; of many the first ones.
fn data(report: &Report) -> Vec<String> {
    let changed = report.data.iter().filter(|one| one.overridden.is_none());
    let n_left = changed.clone().count().saturating_sub(MOST_DATA);
    let first = changed.take(MOST_DATA);
    let mut lines: Vec<String> = first
        .map(|one| format!("[moonswap]   line {}: {one}", one.line))
        .collect();
    if n_left > 0 {
        lines.push(format!("[moonswap]   … and {n_left} more values"));
    }
    lines
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
