//! Source → listing snapshots: `listing/NAME.lua` and `listing/NAME.lst`.
//!
//! `UPDATE=1 cargo test -p moonswap-compiler --test listing` rewrites the
//! snapshots; read the difference before you commit it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use moonswap_harness::{Cases, snapshot};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/listing");
    let entries = std::fs::read_dir(&folder).expect("the folder of snapshots");
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "lua"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 7, "scripts are missing");
    let mut cases = Cases::default();
    for script in scripts {
        let name = script.file_stem().unwrap_or_default().to_string_lossy();
        cases.add(format!("listing/{name}"), move || check(&script));
    }
    cases.run()
}

fn check(script: &Path) -> Result<(), String> {
    let source = std::fs::read(script).expect("a readable script");
    let name = script.file_name().expect("a file name").to_string_lossy();
    let prototype = moonswap_compiler::compile(&format!("@{name}"), &source).expect("it compiles");
    moonswap_bytecode::verify(&prototype).expect("it verifies");
    let text = moonswap_bytecode::listing(&prototype);
    snapshot(&script.with_extension("lst"), &text)
}
