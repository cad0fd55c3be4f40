//! Real programs: every `lua-tests/packages/NAME.lua` uses a Lua package of
//! Debian's, and must print the same and end the same under `moonswap` and under
//! `lua5.4`; and once more while all of the package's modules are replaced by
//! equivalent code again and again (`lib/patched.lua`).
//!
//! The first line of a script names the modules it needs. A script whose modules
//! are not installed is skipped, and so are all without `lua5.4`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use moonswap_harness::{Cases, Verdict};

use crate::language::stem;
use crate::support::{
    Outcome, TempFolder, clean_environment, files, is_installed, moonswap, root, run,
};

/// Where Debian puts Lua files: the newest version of a package first.
const FOLDERS: [&str; 4] = [
    "/usr/share/lua/5.4",
    "/usr/share/lua/5.3",
    "/usr/share/lua/5.2",
    "/usr/share/lua/5.1",
];

fn installed(module: &str) -> bool {
    let file = module.replace('.', "/");
    FOLDERS.iter().any(|folder| {
        Path::new(&format!("{folder}/{file}.lua")).exists()
            || Path::new(&format!("{folder}/{file}/init.lua")).exists()
    })
}

pub(crate) fn has_reference() -> bool {
    is_installed("lua5.4", "-v")
}

pub(crate) fn without_reference() -> Verdict {
    Verdict::skipped("lua5.4", "run .ci/setup or install the package lua5.4")
}

fn run_script(program: &Path, arguments: &[&str], log: Option<&Path>) -> Outcome {
    let mut command = Command::new(program);
    clean_environment(&mut command);
    let mut path = "./lib/?.lua".to_owned();
    for folder in FOLDERS {
        path.push_str(&format!(";{folder}/?.lua;{folder}/?/init.lua"));
    }
    command
        .current_dir(root().join("lua-tests/packages"))
        .env("LUA_PATH", path)
        // what needs C is left out on both sides
        .env("LUA_CPATH", "")
        .args(arguments);
    if let Some(log) = log {
        command.env("PATCHED_LOG", log).env("PATCHED_EVERY", "200");
    }
    run(&mut command, b"", Duration::from_secs(120))
}

/// The first line that differs, or nothing.
fn difference(want: &Outcome, got: &Outcome) -> Option<String> {
    if want.code.is_some() && want.code == got.code && want.stdout == got.stdout {
        return None;
    }
    let (expected, printed) = (want.out(), got.out());
    let mut lines = printed.lines();
    for (number, line) in expected.lines().enumerate() {
        let other = lines.next().unwrap_or("(end of output)");
        if line != other {
            return Some(format!(
                "line {}:\n  expected {line}\n  printed  {other}\n{}",
                number + 1,
                got.tail()
            ));
        }
    }
    Some(format!("{}\nexpected exit {:?}", got.tail(), want.code))
}

/// Compares a script's outputs.
fn check(script: &Path) -> Result<Verdict, String> {
    if !has_reference() {
        return Ok(without_reference());
    }
    let name = script.file_name().expect("name").to_string_lossy();
    let text = std::fs::read_to_string(script).expect("readable");
    let needs = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("-- needs: "))
        .ok_or_else(|| format!("{name}: the first line must be `-- needs: MODULES`"))?;
    if let Some(missing) = needs.split_whitespace().find(|module| !installed(module)) {
        return Ok(Verdict::skipped(
            format!("the Lua module {missing}"),
            "run .ci/setup, which installs Debian's packages of Lua modules",
        ));
    }
    let want = run_script(Path::new("lua5.4"), &[&name], None);
    let got = run_script(moonswap(), &[&name], None);
    if let Some(what) = difference(&want, &got) {
        return Err(format!("{name}: {what}"));
    }
    let folder = TempFolder::new("packages");
    let log = folder.path().join("log");
    let got = run_script(moonswap(), &["lib/patched.lua", &name], Some(&log));
    if let Some(what) = difference(&want, &got) {
        return Err(format!("{name} while it is patched: {what}"));
    }
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    if !log.lines().any(|line| !line.contains(" done=0 ")) {
        return Err(format!("{name}: no patch was done:\n{log}"));
    }
    Ok(Verdict::Passed)
}

pub(crate) fn add(cases: &mut Cases) {
    let folder = root().join("lua-tests/packages");
    let scripts: Vec<_> = files(&folder, "lua")
        .into_iter()
        .filter(|script| script.parent() == Some(&*folder))
        .collect();
    assert!(scripts.len() >= 14, "too few scripts");
    for script in scripts {
        let name = format!("packages/{}", stem(&script));
        cases.add_skippable(name, move || check(&script));
    }
}
