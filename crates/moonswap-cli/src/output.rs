//! Messages to people: standard error, colours only on terminals.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::Path;

use moonswap::{Error, Refused, RenderStyle};
use moonswap_hotpatch::to_json;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

/// What `-v` and the prompt show.
pub(crate) const VERSION: &str = concat!(
    "Lua 5.4 (moonswap ",
    env!("CARGO_PKG_VERSION"),
    ")  after the reference by Lua.org, PUC-Rio\n"
);

/// Colours if standard error is a terminal and NO_COLOR is not set.
pub(crate) fn style() -> RenderStyle {
    let wanted =
        stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted {
        RenderStyle::Coloured
    } else {
        RenderStyle::Plain
    }
}

/// Writes a line to standard error. A closed stream is not an error worth
/// dying for.
pub(crate) fn complain(text: impl AsRef<[u8]>) {
    let mut line = text.as_ref().to_vec();
    line.push(b'\n');
    let mut stream = stderr().lock();
    let _ = stream.write_all(&line).and_then(|()| stream.flush());
}

/// Writes to standard output.
pub(crate) fn say(text: impl AsRef<[u8]>) {
    let mut stream = stdout().lock();
    let _ = stream
        .write_all(text.as_ref())
        .and_then(|()| stream.flush());
}

/// An error as `lua` prints it: message, traceback.
pub(crate) fn report(program: Option<&str>, error: &Error) {
    let mut text = Vec::new();
    if let Some(program) = program {
        text.extend_from_slice(program.as_bytes());
        text.extend_from_slice(b": ");
    }
    text.extend_from_slice(error.message_bytes());
    if let Some(traceback) = error.traceback() {
        text.push(b'\n');
        text.extend_from_slice(traceback.text.as_bytes());
    }
    complain(text);
}

/// Reads a file; the message is the reference's.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut file = std::fs::File::open(path).map_err(|error| cannot("open", path, &error))?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes)
        .map_err(|error| cannot("read", path, &error))?;
    Ok(bytes)
}

/// `cannot open x.lua: No such file or directory`, as C programs say it.
pub(crate) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    let mut reason = error.to_string();
    if let Some(at) = reason.find(" (os error") {
        reason.truncate(at);
    }
    format!("cannot {what} {}: {reason}", path.display())
}

/// One JSON object on a line of its own.
pub(crate) fn say_json(value: &impl Serialize) {
    say(format!("{}\n", to_json(value)));
}

/// The entries of a JSON object, in its order.
pub(crate) fn entries(json: &str) -> Vec<(String, Box<RawValue>)> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = map.next_entry()? {
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_map(InOrder).unwrap_or_default()
}

/// Tells of a refusal, as JSON on standard output or as text on standard
/// error; the exit code.
pub(crate) fn refused(refused: &Refused, json: bool) -> u8 {
    if json {
        #[derive(serde::Serialize)]
        struct Told<'a> {
            refusals: &'a Refused,
        }
        say_json(&Told { refusals: refused });
    } else {
        complain(refused.to_string());
    }
    crate::refusal_code(refused)
}
