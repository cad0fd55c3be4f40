//! Bad input: a clear message on stderr, a non-zero exit code, never a panic.
//!
//! Sources with odd bytes are made here; those that are plain text lie in
//! `lua-tests/badinput/`, each with the expected part of the message in its
//! first line: `-- expect: TEXT`.

use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::time::Duration;

use moonswap_harness::Cases;
#[cfg(unix)]
use moonswap_harness::Verdict;

use crate::language::stem;
use crate::support::{Outcome, SCRIPT_LIMIT, TempFolder, files, root, run_moonswap, run_stressed};
#[cfg(unix)]
use crate::support::{clean_environment, is_installed, moonswap, run};

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

/// A complaint is what a case fails with.
fn verdict(complaint: Option<String>) -> Result<(), String> {
    complaint.map_or(Ok(()), Err)
}

pub(crate) fn add(cases: &mut Cases) {
    let scripts = files(&root().join("lua-tests/badinput"), "lua");
    assert!(scripts.len() >= 20, "too few scripts");
    for script in scripts {
        cases.add(format!("badinput/{}", stem(&script)), move || {
            verdict(check(&script, None, SCRIPT_LIMIT))
        });
    }
    odd_sources(cases);
    odd_files(cases);
    #[cfg(unix)]
    cases.add_skippable("badinput/unreadable-folder", unreadable_folder);
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

fn odd_sources(cases: &mut Cases) {
    let deep = |open: &str, middle: &str, close: &str| {
        format!("{}{middle}{}", open.repeat(260), close.repeat(260)).into_bytes()
    };
    let many_locals: String = (0..201).map(|i| format!("local a{i}\n")).collect();
    let sources: Vec<(&str, Vec<u8>, &str)> = vec![
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
    for (name, source, expected) in sources {
        cases.add(format!("badinput/odd-source/{name}"), move || {
            let folder = TempFolder::new("odd");
            let file = format!("{name}.lua");
            folder.write(&file, source);
            let run = complaint(name, &run_moonswap(folder.path(), &[&file], b""), expected);
            // `check` may word it differently, but must neither accept nor panic.
            let check = run_moonswap(folder.path(), &["check", &file], b"");
            verdict(run.or_else(|| complaint(&format!("check {name}"), &check, "")))
        });
    }
}

fn odd_files(cases: &mut Cases) {
    let lines: Vec<(Vec<&str>, &str)> = vec![
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
    for (args, expected) in lines {
        cases.add(format!("badinput/odd-file/{}", args.join(" ")), move || {
            let folder = TempFolder::new("files");
            std::fs::create_dir(folder.path().join("folder.lua")).expect("folder");
            folder.write("good.lua", "return 1\n");
            let outcome = run_moonswap(folder.path(), &args, b"");
            verdict(complaint(&format!("{args:?}"), &outcome, expected))
        });
    }
}

/// The superuser may read every folder: there the program runs without the
/// capabilities for that.
#[cfg(unix)]
fn unreadable_folder() -> Result<Verdict, String> {
    use std::os::unix::fs::PermissionsExt;
    const WITHOUT: &str = "--bounding-set=-dac_override,-dac_read_search";
    let folder = TempFolder::new("unreadable");
    let inner = folder.path().join("closed");
    std::fs::create_dir(&inner).expect("folder");
    std::fs::write(inner.join("x.lua"), "print 'read'").expect("file");
    let set = |mode| {
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(mode)).expect("mode");
    };
    set(0o000);
    let is_superuser = std::fs::read(inner.join("x.lua")).is_ok();
    if is_superuser && !is_installed("setpriv", "--version") {
        set(0o755);
        return Ok(Verdict::skipped(
            "setpriv (this user may read every folder)",
            "install the package util-linux, or run the tests as another user",
        ));
    }
    let mut complaints = Vec::new();
    for args in [
        vec!["closed/x.lua"],
        vec!["run", "closed/x.lua"],
        vec!["run", "--watch", "closed/x.lua"],
        vec!["-e", "package.path = 'closed/?.lua'; require 'x'"],
    ] {
        let mut command = if is_superuser {
            let mut command = Command::new("setpriv");
            command.arg(WITHOUT).arg(moonswap());
            command
        } else {
            Command::new(moonswap())
        };
        command.current_dir(folder.path()).args(&args);
        clean_environment(&mut command);
        let outcome = run(&mut command, b"", SCRIPT_LIMIT);
        complaints.extend(complaint(&format!("{args:?}"), &outcome, "x"));
    }
    set(0o755);
    if complaints.is_empty() {
        return Ok(Verdict::Passed);
    }
    Err(complaints.join("\n\n"))
}
