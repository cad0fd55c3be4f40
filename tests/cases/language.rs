//! Script → output: every `lua-tests/{language,stdlib,stress}/NAME.lua` must print
//! what `NAME.out` beside it says, and end with exit code 0.
//!
//! The expected outputs come from the reference interpreter; see
//! `lua-tests/README.md` for how to make them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use moonswap_harness::Cases;

use crate::support::{SCRIPT_LIMIT, TempFolder, files, root, run_stressed};

/// The scripts of a folder of `lua-tests`.
pub(crate) fn scripts(name: &str) -> Vec<PathBuf> {
    let folder = root().join("lua-tests").join(name);
    let mut scripts = files(&folder, "lua");
    scripts.retain(|script| script.parent() == Some(&*folder));
    assert!(scripts.len() >= 10, "too few scripts in {name}");
    scripts
}

pub(crate) fn add(cases: &mut Cases) {
    for folder in ["language", "stdlib", "stress"] {
        for script in scripts(folder) {
            let name = format!("{folder}/{}", stem(&script));
            cases.add(name, move || {
                check(&script, None, SCRIPT_LIMIT).map_or(Ok(()), Err)
            });
        }
    }
}

/// The name of a file without its ending.
pub(crate) fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// Runs a script, under stress if wanted; what went wrong, if anything.
pub(crate) fn check(script: &Path, stress: Option<&str>, limit: Duration) -> Option<String> {
    let name = script.file_name()?.to_str()?;
    let expected = match std::fs::read(script.with_extension("out")) {
        Ok(expected) => expected,
        Err(error) => return Some(format!("{name}: no expected output: {error}")),
    };
    // Scripts write files, and one script may run several times at once.
    let folder = TempFolder::copy_of("script", script.parent()?);
    let outcome = run_stressed(folder.path(), &[name], b"", stress, limit);
    if outcome.code == Some(0) && outcome.stdout == expected {
        return None;
    }
    if outcome.timed_out {
        return Some(format!("{name}: time ran out"));
    }
    let expected = String::from_utf8_lossy(&expected).into_owned();
    let printed = outcome.out();
    let difference = expected
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(printed.lines().map(Some).chain(std::iter::repeat(None)))
        .enumerate()
        .take_while(|(_, pair)| *pair != (None, None))
        .find(|(_, (want, got))| want != got);
    let difference = match difference {
        Some((line, (want, got))) => {
            let want = want.unwrap_or("(end of output)");
            let got = got.unwrap_or("(end of output)");
            format!(
                "\n  line {}:\n    expected {want}\n    printed  {got}",
                line + 1
            )
        }
        None => String::new(),
    };
    let error = outcome.err();
    Some(format!(
        "{name}: exit code {:?}{difference}\n  {}",
        outcome.code,
        error.lines().take(6).collect::<Vec<_>>().join("\n  ")
    ))
}
