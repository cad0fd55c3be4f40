//! The prompt's commands about what runs: `:status`, `:versions`, `:frames`,
//! `:history`, each also with `--json`.

use moonswap::{Lua, Status};
use moonswap_hotpatch::to_json;
use serde::Serialize;

use crate::output::entries;

const USAGE: &str = ":status, :versions [CHUNK], :frames or :history expected, perhaps with --json";

/// Carries out a line that begins with a colon; the text to show.
pub(crate) fn answer(lua: &Lua, line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let json = words.contains(&"--json");
    words.retain(|word| *word != "--json");
    let (command, arguments) = match words.split_first() {
        Some((command, arguments)) => (*command, arguments),
        None => ("", &[][..]),
    };
    let mut status = lua.hot().status();
    let key = match (command, arguments) {
        (":status", []) => {
            return if json {
                lines(&status)
            } else {
                status.to_string()
            };
        }
        (":versions", []) => "versions",
        (":versions", [chunk]) => {
            let wanted = lua.hot().versions_of(chunk);
            if wanted.is_empty() {
                return format!("no chunk {chunk} is loaded\n");
            }
            status.versions = wanted;
            "versions"
        }
        (":frames", []) => "stale",
        (":history", []) => "history",
        _ => return format!("{USAGE}\n"),
    };
    if json {
        let parts = entries(&status.to_json());
        let part = parts.into_iter().find(|(name, _)| name == key);
        return part.map_or_else(String::new, |(_, part)| lines(&part));
    }
    match key {
        "versions" => versions(&status),
        "stale" => {
            status.versions.clear();
            status.history.clear();
            status.quarantine.clear();
            after_first_line(&status)
        }
        _ => {
            status.versions.clear();
            status.stale.clear();
            after_first_line(&status)
        }
    }
}

fn lines(value: &impl Serialize) -> String {
    format!("{}\n", to_json(value))
}

/// All functions, also those that were never patched.
fn versions(status: &Status) -> String {
    let width = status.versions.iter().map(|v| v.id.chars().count()).max();
    let line = |v: &moonswap::VersionInfo| {
        let stale = match v.stale {
            0 => String::new(),
            n => format!(", {n} stale"),
        };
        let diverged = v.diverged.as_ref().map_or_else(String::new, |refusal| {
            format!(", diverged ({})", refusal.code)
        });
        format!(
            "{:<width$}  v{}  {} running{stale}{diverged}\n",
            v.id,
            v.version,
            v.frames,
            width = width.unwrap_or_default()
        )
    };
    status.versions.iter().map(line).collect()
}

fn after_first_line(status: &Status) -> String {
    let text = status.to_string();
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    if rest.is_empty() {
        "none\n".to_owned()
    } else {
        rest.to_owned()
    }
}
