//! Bad input: a clear message on stderr, a non-zero exit code, never a panic.
//!
//! Sources with odd bytes are made here; those that are plain text lie in
//! `lua-tests/badinput/`, each with the expected part of the message in its
//! first line: `-- expect: TEXT`.

use std::path::Path;
use std::time::Duration;

use crate::support::{
    Outcome, SCRIPT_LIMIT, TempFolder, files, in_parallel, root, run_moonswap, run_stressed,
};

fn complaint(name: &str, outcome: &Outcome, expected: &str) -> Option<String> {
    let err = outcome.err();
    let what = if outcome.timed_out {
        "does not end"
    } else if err.contains("panicked at") || outcome.out().contains("panicked at") {
        "panics"
    } else if outcome.code.is_none() {
        "dies of a signal"
    } else if outcome.code == Some(0) {
        "ends with exit code 0"
    } else if outcome.code == Some(101) {
        "ends with the exit code of a panic"
    } else if err.trim().is_empty() {
        "says nothing"
    } else if !err.contains(expected) {
        "does not say what is expected"
    } else {
        return None;
    };
    Some(format!(
        "{name} {what}; expected: {expected}\n{}",
        outcome.tail()
    ))
}

fn no_complaints(complaints: Vec<Option<String>>) {
    let complaints: Vec<String> = complaints.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn scripts() {
    let folder = root().join("lua-tests/badinput");
    let scripts = files(&folder, "lua");
    assert!(scripts.len() >= 20, "too few scripts");
    no_complaints(in_parallel(&scripts, |script| {
        check(script, None, SCRIPT_LIMIT)
    }));
}

/// Runs a script that must fail, under stress if wanted; what went wrong, if
/// anything.
pub(crate) fn check(script: &Path, stress: Option<&str>, limit: Duration) -> Option<String> {
    let name = script.file_name()?.to_str()?;
    let source = std::fs::read_to_string(script).expect("readable");
    let expected = source
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("-- expect: "))
        .unwrap_or_else(|| panic!("{name}: no expectation"));
    let outcome = run_stressed(script.parent()?, &[name], b"", stress, limit);
    complaint(name, &outcome, expected)
}

#[test]
fn odd_sources() {
    let deep = |open: &str, middle: &str, close: &str| {
        format!("{}{middle}{}", open.repeat(260), close.repeat(260)).into_bytes()
    };
    let many_locals: String = (0..201).map(|i| format!("local a{i}\n")).collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("string-at-end", b"x = 'abc".to_vec(), "unfinished string"),
        (
            "string-at-newline",
            b"x = \"abc\ny = 1".to_vec(),
            "unfinished string",
        ),
        (
            "long-string",
            b"x = [==[ abc ]=]".to_vec(),
            "unfinished long string",
        ),
        (
            "long-comment",
            b"--[[ abc".to_vec(),
            "unfinished long comment",
        ),
        ("nul", b"x = 1 \0 y = 2".to_vec(), "unexpected symbol"),
        ("nul-name", b"x\0y = 2".to_vec(), "syntax error"),
        ("high-bytes", b"x = \xff\xfe 1".to_vec(), "near '<\\255>'"),
        ("invalid-utf8-name", b"h\xc3\x28llo = 1".to_vec(), "near"),
        ("only-high-bytes", vec![0xff; 4096], "near"),
        ("bom-and-garbage", b"\xef\xbb\xbf)".to_vec(), "near ')'"),
        (
            "decimal-escape",
            b"x = '\\300'".to_vec(),
            "decimal escape too large",
        ),
        (
            "hex-escape",
            b"x = '\\xZZ'".to_vec(),
            "hexadecimal digit expected",
        ),
        (
            "utf8-escape",
            b"x = '\\u{FFFFFFFFFF}'".to_vec(),
            "UTF-8 value too large",
        ),
        ("open-escape", b"x = '\\u{12'".to_vec(), "missing '}'"),
        (
            "odd-escape",
            b"x = '\\q'".to_vec(),
            "invalid escape sequence near ''\\q'",
        ),
        ("number", b"x = 3x".to_vec(), "malformed number near '3x'"),
        (
            "hex-number",
            b"x = 0x".to_vec(),
            "malformed number near '0x'",
        ),
        ("parentheses", deep("x = (", "1", ")"), ""),
        (
            "open-parentheses",
            b"return "
                .iter()
                .copied()
                .chain(vec![b'('; 100_000])
                .collect(),
            "",
        ),
        (
            "open-braces",
            b"return "
                .iter()
                .copied()
                .chain(vec![b'{'; 100_000])
                .collect(),
            "",
        ),
        (
            "functions",
            deep("return function() ", "return 1", " end"),
            "C stack overflow",
        ),
        ("blocks", deep("do ", "", " end"), "C stack overflow"),
        (
            "loops",
            deep("while true do ", "break", " end"),
            "C stack overflow",
        ),
        (
            "unary",
            format!("return {}1", "- ".repeat(100_000)).into_bytes(),
            "C stack overflow",
        ),
        (
            "not",
            format!("return {}1", "not ".repeat(100_000)).into_bytes(),
            "C stack overflow",
        ),
        (
            "power",
            format!("return {}1", "2 ^ ".repeat(100_000)).into_bytes(),
            "C stack overflow",
        ),
        (
            "concat",
            format!("return {}1", "x .. ".repeat(100_000)).into_bytes(),
            "C stack overflow",
        ),
        ("tables", deep("x = {", "1", "}"), ""),
        (
            "calls",
            format!("return f{}", "(f".repeat(100_000)).into_bytes(),
            "",
        ),
        (
            "locals",
            many_locals.into_bytes(),
            "too many local variables",
        ),
        ("binary-header", b"\x1bLua\x54\x00".to_vec(), ""),
        (
            "binary-garbage",
            b"\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08garbage garbage".to_vec(),
            "",
        ),
        ("binary-other", b"\x1bNot Lua".to_vec(), ""),
    ];
    let folder = TempFolder::new("odd");
    no_complaints(in_parallel(&cases, |(name, source, expected)| {
        let file = format!("{name}.lua");
        folder.write(&file, source);
        let run = complaint(name, &run_moonswap(folder.path(), &[&file], b""), expected);
        // `check` may word it differently, but must neither accept nor panic.
        let check = run_moonswap(folder.path(), &["check", &file], b"");
        run.or_else(|| complaint(&format!("check {name}"), &check, ""))
    }));
}

#[test]
fn odd_files() {
    let folder = TempFolder::new("files");
    std::fs::create_dir(folder.path().join("folder.lua")).expect("folder");
    folder.write("good.lua", "return 1\n");
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["missing.lua"], "missing.lua"),
        (vec!["folder.lua"], "folder.lua"),
        (vec!["run", "missing.lua"], "missing.lua"),
        (vec!["run", "folder.lua"], "folder.lua"),
        (vec!["run", "--watch", "missing.lua"], "missing.lua"),
        (vec!["check", "missing.lua"], "missing.lua"),
        (vec!["check", "folder.lua"], "folder.lua"),
        (vec!["list", "missing.lua"], "missing.lua"),
        (vec!["list", "folder.lua"], "folder.lua"),
        (vec!["plan", "good.lua", "missing.lua"], "missing.lua"),
        (vec!["plan", "folder.lua", "good.lua"], "folder.lua"),
        (vec!["-e", "dofile 'folder.lua'"], "folder.lua"),
        (vec!["-e", "require 'folder'"], "folder"),
        (vec!["-e", "assert(io.open('nowhere/x', 'w'))"], "nowhere/x"),
        (
            vec!["-e", "assert(io.open('folder.lua')):read('a'):len()"],
            "",
        ),
        (vec!["-e"], "-e"),
        (vec!["-l"], "-l"),
    ];
    no_complaints(in_parallel(&cases, |(args, expected)| {
        let outcome = run_moonswap(folder.path(), args, b"");
        complaint(&format!("{args:?}"), &outcome, expected)
    }));
}

#[cfg(unix)]
#[test]
fn unreadable_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempFolder::new("unreadable");
    let inner = folder.path().join("closed");
    std::fs::create_dir(&inner).expect("folder");
    std::fs::write(inner.join("x.lua"), "print 'read'").expect("file");
    let set = |mode| {
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(mode)).expect("mode");
    };
    set(0o000);
    let as_root = std::fs::read(inner.join("x.lua")).is_ok();
    let mut complaints = Vec::new();
    if as_root {
        println!("SKIPPED: this user may read every folder");
    } else {
        for args in [
            vec!["closed/x.lua"],
            vec!["run", "closed/x.lua"],
            vec!["run", "--watch", "closed/x.lua"],
            vec!["-e", "package.path = 'closed/?.lua'; require 'x'"],
        ] {
            let outcome = run_moonswap(folder.path(), &args, b"");
            complaints.push(complaint(&format!("{args:?}"), &outcome, "x"));
        }
    }
    set(0o755);
    no_complaints(complaints);
}
