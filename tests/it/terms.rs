//! The terms that `docs/glossary.md` replaced occur nowhere: in code, documents or
//! test data. CHANGELOG.md may quote them.

use std::path::Path;

use crate::support::{files, root};

/// A word that is gone, and what to write.
const REPLACED: &[(&str, &str)] = &[
    ("AWAKE", "SPIN"),
    ("Annexe", "extra upvalues"),
    ("annexe", "extra upvalues"),
    ("annexes", "extra upvalues"),
    ("HAS_ANNEXE", "HAS_EXTRA_UPVALUES"),
    ("Attic", "DeferredDrops"),
    ("attic", "deferred drops"),
    ("attend", "service_requests"),
    ("attend_at_entry", "poll_at_entry"),
    ("attend_to_all", "service_all"),
    ("Door", "PatchSource, Entry"),
    ("door", "source, entry"),
    ("doors", "sources, entries"),
    ("OpenDoor", "OpenEntry"),
    ("Draft", "ReportDraft"),
    ("describe_untouched", "describe_unpatched"),
    ("GetLate", "GetBackfilled"),
    ("SetLate", "SetBackfilled"),
    ("JumpIfLate", "JumpIfBackfilled"),
    ("LateValue", "BackfilledValue"),
    ("late_upvalue", "backfilled_upvalue"),
    ("go_apart", "dispatch_cold"),
    ("go_handler", "dispatch_handler"),
    ("in_short", "summary"),
    ("is_heard", "has_listeners"),
    ("is_struck", "has_tripped"),
    ("struck", "tripped"),
    ("strikes", "trips"),
    ("Journey", "InFlightError"),
    ("journey", "error in flight"),
    ("journal", "undo log"),
    ("journaled", "logged"),
    ("Landing", "OsrEntry"),
    ("landing", "OSR entry"),
    ("may_look", "may_scan"),
    ("note_look", "record_scan"),
    ("next_look", "next_scan"),
    ("look_again", "rescan"),
    ("Mixture", "Hybrid"),
    ("mixture", "hybrid"),
    ("Prospect", "SpeculativePlan"),
    ("Basis", "Preconditions"),
    ("outlook", "exit_at"),
    ("spoils", "clobbers"),
    ("spoilt", "clobbered"),
    ("sprung", "on_trap, on_osr_trap"),
    ("tell_commits", "publish_generation"),
    ("Unfit", "UnmatchedSetting"),
    ("unfit", "unmatched setting"),
    ("Vetoed", "MigrationFailed"),
];

const EXTENSIONS: &[&str] = &["lua", "md", "py", "rs", "scn", "sh", "toml", "txt"];
const EXEMPT: &[&str] = &["CHANGELOG.md", "tests/it/terms.rs"];

/// The words of a line: letters, digits and `_`.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[test]
fn replaced_terms_occur_nowhere() {
    let mut n_files = 0;
    let mut found = Vec::new();
    for path in EXTENSIONS.iter().flat_map(|e| files(root(), e)) {
        let below = path.strip_prefix(root()).expect("below the top");
        if EXEMPT.iter().any(|name| below == Path::new(name)) {
            continue;
        }
        // Some scripts hold bytes that are no text.
        let text = std::fs::read(&path).expect("a file of the checkout");
        let text = String::from_utf8_lossy(&text);
        n_files += 1;
        for (number, line) in (1..).zip(text.lines()) {
            for word in words(line) {
                if let Some((old, new)) = REPLACED.iter().find(|(old, _)| *old == word) {
                    found.push(format!(
                        "{}:{number}: `{old}`; write {new}",
                        below.display()
                    ));
                }
            }
        }
    }
    assert!(n_files > 500, "only {n_files} files found");
    assert!(found.is_empty(), "replaced terms:\n{}", found.join("\n"));
}

#[test]
fn words_are_whole() {
    let of = |line| words(line).filter(|w| !w.is_empty()).collect::<Vec<_>>();
    assert_eq!(
        of("fn in_short(door: &Door)"),
        ["fn", "in_short", "door", "Door"]
    );
    assert_eq!(of("outdoors, door's"), ["outdoors", "door", "s"]);
}
