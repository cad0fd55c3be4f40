//! Tracebacks: their text, and what it says.

use std::fmt;

/// How a traceback begins.
const HEAD: &str = "stack traceback:";
/// A traceback that says nothing.
pub(crate) const EMPTY: &str = HEAD;

/// One activation of a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceFrame {
    /// Name of the function as far as known, e.g. `function 'f'`'s `f`.
    pub function: Option<String>,
    /// Chunk as messages show it; `[C]` for native functions.
    pub source: String,
    /// Line, if known.
    pub line: Option<u32>,
    /// Version it runs, if the function was ever patched.
    pub version: Option<u32>,
}

/// Where an error came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traceback {
    /// As standard Lua prints it, from `stack traceback:` on.
    pub text: String,
    /// Innermost first.
    pub frames: Vec<TraceFrame>,
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Traceback {
    /// What a text says that standard Lua or this library wrote.
    pub(crate) fn parse(text: &str) -> Self {
        let frames = text.lines().skip(1).filter_map(frame).collect();
        Self {
            text: text.to_owned(),
            frames,
        }
    }
}

/// The message and the traceback of an error's text.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.rfind("\nstack traceback:") {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None if text.starts_with(HEAD) => ("", Some(text)),
        None => (text, None),
    }
}

/// `\tsource:line: in function 'name' [v2]`.
fn frame(line: &str) -> Option<TraceFrame> {
    let line = line.strip_prefix('\t')?;
    let (place, what) = line.split_once(": in ")?;
    let (source, number) = match place.rsplit_once(':') {
        Some((source, number)) if number.bytes().all(|b| b.is_ascii_digit()) => {
            (source, number.parse().ok())
        }
        _ => (place, None),
    };
    let (what, version) = match what.strip_suffix(']').and_then(|w| w.rsplit_once(" [v")) {
        Some((what, version)) => (what, version.parse().ok()),
        None => (what, None),
    };
    let name = what.split_once('\'').map(|(_, rest)| rest);
    let function = name.and_then(|name| name.strip_suffix('\''));
    Some(TraceFrame {
        function: function.map(str::to_owned),
        source: source.to_owned(),
        line: number,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_text() {
        let text = "stack traceback:\n\t[C]: in function 'error'\n\tshop.lua:3: in upvalue 'price' [v2]\n\t[string \"a: in b\"]:7: in main chunk\n\t...\t(skipping 3 levels)\n\t(...tail calls...)";
        let frames = Traceback::parse(text).frames;
        let said: Vec<_> = frames
            .iter()
            .map(|f| (f.source.as_str(), f.line, f.function.as_deref(), f.version))
            .collect();
        assert_eq!(
            said[..2],
            [
                ("[C]", None, Some("error"), None),
                ("shop.lua", Some(3), Some("price"), Some(2)),
            ]
        );
        assert_eq!(said.len(), 3);
        assert_eq!(split("a\nstack traceback:\n\tx").0, "a");
        assert_eq!(split("stack traceback:"), ("", Some("stack traceback:")));
    }
}
