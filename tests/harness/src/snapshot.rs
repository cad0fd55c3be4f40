//! Files with the expected output.

use std::path::Path;

/// Compares a text with a file. With `UPDATE=1` in the environment the file is
/// rewritten instead; read the difference before you commit it.
///
/// # Errors
///
/// The first line that differs, or why the file cannot be read or written.
pub fn snapshot(path: &Path, text: &str) -> Result<(), String> {
    let at = |what: &str| format!("{}: {what}", path.display());
    let expected = std::fs::read_to_string(path);
    if expected.as_ref().is_ok_and(|expected| expected == text) {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(path, text).map_err(|e| at(&e.to_string()));
    }
    let expected = expected.map_err(|e| at(&e.to_string()))?;
    let mut pairs = Lines::of(&expected).zip(Lines::of(text)).enumerate();
    let (line, (want, got)) = pairs
        .find(|(_, (want, got))| want != got)
        .unwrap_or((0, ("", "")));
    Err(at(&format!(
        "line {}: expected\n  {want}\ngot\n  {got}\n(UPDATE=1 rewrites it)",
        line + 1
    )))
}

/// The lines of a text with their ends, and then the end of it for ever.
struct Lines;

impl Lines {
    fn of(text: &str) -> impl Iterator<Item = &str> {
        let lines = text.split_inclusive('\n');
        lines.chain(std::iter::repeat("(end of text)"))
    }
}
