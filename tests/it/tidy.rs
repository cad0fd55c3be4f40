//! The rules of the house that a program can check: heads of files, `unsafe`,
//! the arrows between the crates, the length of files, paths of machines.
//!
//! Each rule's reason is in ARCHITECTURE.md; a failure names file and rule.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{files, root};

/// Files longer than [`LONG`] lines, with the reason why they are one file.
const LONG_FILES: &[(&str, &str)] = &[];
const LONG: usize = 600;

/// A crate may depend only on crates of a lower rank.
const RANKS: &[(&str, u8)] = &[
    ("moonswap-number", 0),
    ("moonswap-harness", 0),
    ("moonswap-derive", 0),
    ("moonswap-bytecode", 1),
    ("moonswap-compiler", 2),
    ("moonswap-hotpatch", 3),
    ("moonswap-vm", 4),
    ("moonswap-stdlib", 5),
    ("moonswap", 6),
    ("moonswap-cli", 7),
    ("moonswap-benches", 8),
    ("moonswap-fuzz", 8),
    ("moonswap-tests", 9),
];

fn sources() -> Vec<PathBuf> {
    let mut all = files(root(), "rs");
    all.retain(|path| !relative(path).starts_with("fuzz/corpus"));
    assert!(!all.is_empty());
    all
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .expect("below the top")
        .to_string_lossy()
        .replace('\\', "/")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn report(rule: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{rule}:\n  {}",
        offenders.join("\n  ")
    );
}

#[test]
fn files_begin_with_what_they_are() {
    let offenders: Vec<String> = sources()
        .iter()
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| relative(path))
        .collect();
    report(
        "the first line of a file says what lives there (`//!`)",
        &offenders,
    );
}

#[test]
fn files_are_short() {
    let mut offenders = Vec::new();
    for path in sources() {
        let name = relative(&path);
        let lines = read(&path).lines().count();
        let excused = LONG_FILES.iter().find(|(file, _)| *file == name);
        match excused {
            None if lines > LONG => offenders.push(format!("{name}: {lines} lines")),
            Some(_) if lines <= LONG => offenders.push(format!("{name}: needs no excuse any more")),
            Some((_, reason)) if reason.len() < 20 => offenders.push(format!("{name}: no reason")),
            _ => {}
        }
    }
    for (file, _) in LONG_FILES {
        if !root().join(file).exists() {
            offenders.push(format!("{file}: excused, but not there"));
        }
    }
    report(
        "a file above 600 lines needs a reason in LONG_FILES",
        &offenders,
    );
}

/// The paths in backquotes below the headings of ARCHITECTURE.md that speak of
/// `unsafe`: files, or folders with a slash at the end.
fn listed_as_unsafe() -> BTreeSet<String> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let mut listed = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('#') {
            inside = line.to_lowercase().contains("unsafe");
        } else if inside {
            for (index, part) in line.split('`').enumerate() {
                if index % 2 == 1 && (part.ends_with(".rs") || part.ends_with('/')) {
                    listed.insert(part.to_owned());
                }
            }
        }
    }
    listed
}

/// Whether a line of code, comments and strings left out, uses `unsafe`.
fn uses_unsafe(line: &str) -> bool {
    let mut code = String::new();
    let mut in_string = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => in_string = !in_string,
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            _ if !in_string => code.push(c),
            _ => {}
        }
    }
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word == "unsafe")
}

#[test]
fn unsafe_only_where_listed() {
    let listed = listed_as_unsafe();
    assert!(!listed.is_empty(), "ARCHITECTURE.md lists no unsafe files");
    let is_listed = |name: &str| {
        listed.iter().any(|entry| match entry.strip_suffix('/') {
            Some(folder) => name.contains(&format!("{folder}/")),
            None => name == entry || name.ends_with(&format!("/{entry}")),
        })
    };
    let offenders: Vec<String> = sources()
        .iter()
        .filter(|path| read(path).lines().any(uses_unsafe))
        .map(|path| relative(path))
        .filter(|name| !is_listed(name))
        .collect();
    report(
        "`unsafe` only in the files that ARCHITECTURE.md lists",
        &offenders,
    );
    for entry in listed.iter().filter(|entry| entry.starts_with("crates/")) {
        assert!(
            root().join(entry).exists(),
            "{entry} is listed, but not there"
        );
    }
}

/// The names below `[dependencies]` (of any target) and `[build-dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies") && !section.contains("dev-");
            if let Some((_, name)) = section.rsplit_once("dependencies.")
                && !section.contains("dev-")
            {
                names.push(name.to_owned());
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.push(name.trim_matches('"').to_owned());
        }
    }
    names
}

#[test]
fn arrows_point_one_way() {
    let rank = |name: &str| {
        RANKS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, rank)| *rank)
    };
    let mut offenders = Vec::new();
    let crates = std::fs::read_dir(root().join("crates")).expect("crates/");
    for entry in crates.flatten() {
        let manifest = entry.path().join("Cargo.toml");
        if !manifest.exists() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(own) = rank(&name) else {
            offenders.push(format!("{name}: has no rank"));
            continue;
        };
        for dependency in dependencies(&read(&manifest)) {
            if !dependency.starts_with("moonswap") {
                continue;
            }
            match rank(&dependency) {
                Some(other) if other < own => {}
                _ => offenders.push(format!("{name} → {dependency}")),
            }
        }
    }
    report("a crate depends on lower crates only", &offenders);
}

/// What a registry asks for, and what has to be in each package.
#[test]
fn every_crate_can_be_published() {
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("a folder") {
        let folder = entry.expect("readable").path();
        let manifest = read(&folder.join("Cargo.toml"));
        for key in [
            "description",
            "documentation",
            "readme",
            "keywords",
            "categories",
        ] {
            if !manifest
                .lines()
                .any(|line| line.starts_with(&format!("{key} = ")))
            {
                missing.push(format!("{}: {key}", relative(&folder)));
            }
        }
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            if !folder.join(file).is_file() {
                missing.push(format!("{}: {file}", relative(&folder)));
            }
        }
    }
    report("a crate has its metadata, README and licences", &missing);
}

#[test]
fn layers_know_only_what_is_below() {
    // What no file may know: the compiler reads no file, the planner no VM.
    let rules = [
        ("crates/moonswap-compiler/src/", "std::fs"),
        ("crates/moonswap-bytecode/src/", "std::fs"),
        ("crates/moonswap-hotpatch/src/", "std::fs"),
        ("crates/moonswap-hotpatch/src/", "moonswap_vm"),
        ("crates/moonswap-compiler/src/", "moonswap_vm"),
    ];
    let mut offenders = Vec::new();
    for path in sources() {
        let name = relative(&path);
        for (folder, word) in rules {
            if name.starts_with(folder) && read(&path).contains(word) {
                offenders.push(format!("{name}: {word}"));
            }
        }
    }
    report("layers know only what lies below them", &offenders);
}

#[test]
fn parsing_of_this_file_works() {
    assert!(uses_unsafe("    unsafe { f() }"));
    assert!(uses_unsafe("pub unsafe fn f() {}"));
    assert!(!uses_unsafe("// unsafe"));
    assert!(!uses_unsafe("#![forbid(unsafe_code)]"));
    assert!(!uses_unsafe("let s = \"unsafe \\\" unsafe\";"));
    assert_eq!(
        dependencies(
            "[dependencies]\na.workspace = true\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n[target.x.dependencies.d]\n"
        ),
        ["a", "b", "d"]
    );
}
