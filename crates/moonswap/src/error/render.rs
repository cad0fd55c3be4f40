//! Messages with the source line and a caret, in rustc's manner.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Whether terminal colours are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderStyle {
    /// Text only.
    #[default]
    Plain,
    /// With terminal colours.
    Coloured,
}

/// An error message that shows `source[span]`, with an optional remedy. Takes
/// any bytes and any span: what is out of range is moved into it.
pub fn render_diagnostic(
    style: RenderStyle,
    file: &str,
    source: &[u8],
    span: (usize, usize),
    message: &str,
    help: Option<&str>,
) -> String {
    render(style, (Level::ERROR, message), file, source, span, help)
}

/// The same as a warning.
pub fn render_warning(
    style: RenderStyle,
    file: &str,
    source: &[u8],
    span: (usize, usize),
    message: &str,
) -> String {
    render(style, (Level::WARNING, message), file, source, span, None)
}

fn render(
    style: RenderStyle,
    (level, message): (Level<'_>, &str),
    file: &str,
    source: &[u8],
    span: (usize, usize),
    help: Option<&str>,
) -> String {
    // Only the lines around the place are handed on: a message about a file of
    // many megabytes must not scan all of it.
    let start = span.0.min(source.len());
    let end = span.1.clamp(start, source.len());
    let line_start = source[..start]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |at| at + 1);
    let line_end = source[end..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(source.len(), |at| end + at);
    let first_line = 1 + source[..line_start].iter().filter(|&&b| b == b'\n').count();
    // A replacement character differs in length from the byte it stands for:
    // the parts are converted one by one so that the span fits the result.
    let before = clean(&source[line_start..start]);
    let inside = clean(&source[start..end]);
    let after = clean(&source[end..line_end]);
    let from = before.len();
    let mut to = from + inside.len();
    let text = format!("{before}{inside}{after}\n");
    if to == from {
        to = text[from..]
            .chars()
            .next()
            .map_or(from, |c| from + c.len_utf8());
    }
    let snippet = Snippet::source(text.as_str())
        .line_start(first_line)
        .path(file)
        .annotation(AnnotationKind::Primary.span(from..to));
    let mut group = level.primary_title(message).element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = match style {
        RenderStyle::Plain => Renderer::plain(),
        RenderStyle::Coloured => Renderer::styled(),
    };
    renderer.render(&[group])
}

/// Text without control characters that would move the terminal's cursor.
fn clean(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}
