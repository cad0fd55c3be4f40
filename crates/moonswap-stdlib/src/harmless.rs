//! Library functions that write nothing but their arguments and otherwise only
//! answer and call back: top-level statements that a patch tries may call them.

use moonswap_vm::{Context, Outcome, View};

/// Functions of the base library.
const BASE: &[&str] = &[
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "xpcall",
];

/// Libraries, and functions of theirs that change something hidden.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("string", &[]),
    ("table", &[]),
    ("utf8", &[]),
    ("math", &["random", "randomseed"]),
];

pub(crate) fn mark(cx: &Context<'_>) -> Outcome<()> {
    let base = cx.height();
    cx.push_globals();
    for name in BASE {
        if let View::Function(function) = cx.raw_get_field(base, name) {
            cx.mark_harmless(function);
        }
    }
    for (library, except) in LIBRARIES {
        let View::Table(table) = cx.raw_get_field(base, library) else {
            continue;
        };
        let at = cx.height();
        cx.push(table.into());
        cx.push_nil();
        while cx.next(at)? {
            let is_excepted = match cx.at(at + 1) {
                View::String(name) => except.iter().any(|e| e.as_bytes() == name.as_bytes()),
                _ => true,
            };
            if let (View::Function(function), false) = (cx.at(at + 2), is_excepted) {
                cx.mark_harmless(function);
            }
            cx.set_height(at + 2);
        }
        cx.set_height(base + 1);
    }
    cx.set_height(base);
    Ok(())
}
