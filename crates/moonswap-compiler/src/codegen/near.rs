//! The token after a place of the text: errors found after parsing still name
//! the token and the line at which the reference notices them.

use crate::codegen::function::Reached;
use crate::error::Span;

/// Where the token that follows byte `offset`, which is on `line`, begins, and on
/// which line.
pub(crate) fn token_start(source: &[u8], offset: u32, line: u32) -> (usize, u32) {
    let mut at = (offset as usize).min(source.len());
    let mut line = line;
    loop {
        match source.get(at) {
            Some(first @ (b'\n' | b'\r')) => {
                line += 1;
                let second = source.get(at + 1).filter(|c| matches!(c, b'\n' | b'\r'));
                at += 1 + usize::from(second.is_some_and(|second| second != first));
            }
            Some(c) if c.is_ascii_whitespace() || *c == 0x0B => at += 1,
            Some(b'-') if source.get(at + 1) == Some(&b'-') => {
                let end = comment_end(source, at + 2);
                line += count_lines(&source[at..end]);
                at = end;
            }
            Some(_) | None => return (at, line),
        }
    }
}

/// The token that follows byte `offset`, which is on `line`: its text as
/// messages quote it, and its place. Takes as long as its line, for the column.
pub(crate) fn following(source: &[u8], offset: u32, line: u32) -> (String, Span) {
    let (at, line) = token_start(source, offset, line);
    let end = token_end(source, at);
    let text = if at >= source.len() {
        "<eof>".to_owned()
    } else {
        format!("'{}'", String::from_utf8_lossy(&source[at..end]))
    };
    let line_start = source[..at]
        .iter()
        .rposition(|c| matches!(c, b'\n' | b'\r'))
        .map_or(0, |p| p + 1);
    let span = Span {
        start: at as u32,
        end: end as u32,
        line,
        column: (at - line_start) as u32 + 1,
    };
    (text, span)
}

/// The token that the reference looks at. Behind the end of the text there is none:
/// that place is behind all others.
pub(crate) fn token_at(source: &[u8], reached: Reached) -> (String, Span) {
    let before = source.get(..reached.offset as usize).unwrap_or(source);
    let mut found = following(source, reached.offset, 1 + count_lines(before));
    for _ in 0..reached.skip {
        if found.1.start as usize >= source.len() {
            found.1.start = u32::MAX;
            break;
        }
        let inside = &source[found.1.start as usize..found.1.end as usize];
        found = following(source, found.1.end, found.1.line + count_lines(inside));
    }
    if reached.offset == u32::MAX {
        found.1.start = u32::MAX;
    }
    found
}

/// Length of the opening of a long bracket at the start of the text.
fn long_bracket(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'[') {
        return None;
    }
    let level = text[1..].iter().take_while(|c| **c == b'=').count();
    (text.get(level + 1) == Some(&b'[')).then_some(level + 2)
}

/// Where a long bracket that begins at `at` ends.
fn long_bracket_end(source: &[u8], at: usize, opening: usize) -> usize {
    let mut close = vec![b']'];
    close.resize(opening - 1, b'=');
    close.push(b']');
    let body = at + opening;
    memchr::memmem::find(&source[body..], &close).map_or(source.len(), |p| body + p + close.len())
}

fn comment_end(source: &[u8], at: usize) -> usize {
    let rest = &source[at.min(source.len())..];
    if let Some(opening) = long_bracket(rest) {
        return long_bracket_end(source, at, opening);
    }
    rest.iter()
        .position(|c| matches!(c, b'\n' | b'\r'))
        .map_or(source.len(), |p| at + p)
}

/// Number of line breaks in a text.
pub(super) fn count_lines(text: &[u8]) -> u32 {
    let mut lines = 0;
    let mut at = 0;
    while at < text.len() {
        if matches!(text[at], b'\n' | b'\r') {
            lines += 1;
            if at + 1 < text.len()
                && matches!(text[at + 1], b'\n' | b'\r')
                && text[at + 1] != text[at]
            {
                at += 1;
            }
        }
        at += 1;
    }
    lines
}

fn token_end(source: &[u8], at: usize) -> usize {
    let rest = &source[at..];
    let length = match rest.first() {
        None => 0,
        Some(c) if c.is_ascii_alphanumeric() || *c == b'_' => {
            let number = c.is_ascii_digit();
            rest.iter()
                .take_while(|c| c.is_ascii_alphanumeric() || **c == b'_' || number && **c == b'.')
                .count()
        }
        Some(quote @ (b'"' | b'\'')) => {
            let mut end = 1;
            while end < rest.len() && rest[end] != *quote && rest[end] != b'\n' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            (end + 1).min(rest.len())
        }
        Some(b'[') if long_bracket(rest).is_some() => {
            let opening = long_bracket(rest).unwrap_or(1);
            long_bracket_end(source, at, opening) - at
        }
        Some(_) => {
            const LONG: [&[u8]; 11] = [
                b"...", b"..", b"==", b"~=", b"<=", b">=", b"//", b"<<", b">>", b"::", b"->",
            ];
            LONG.iter()
                .find(|t| rest.starts_with(t))
                .map_or(1, |t| t.len())
        }
    };
    at + length
}
