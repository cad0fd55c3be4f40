//! Source → listing snapshots: `listing/NAME.lua` and `listing/NAME.lst`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p moonswap-compiler --test listing` rewrites
//! the snapshots; read the difference before committing it.

use std::path::Path;

#[test]
fn listings_match_their_snapshots() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/listing");
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of snapshots") {
        let path = entry.expect("an entry of the folder").path();
        if path.extension().is_none_or(|e| e != "lua") {
            continue;
        }
        seen += 1;
        let source = std::fs::read(&path).expect("a readable script");
        let name = path
            .file_name()
            .expect("a file name")
            .to_string_lossy()
            .into_owned();
        let prototype =
            moonswap_compiler::compile(&format!("@{name}"), &source).expect("it compiles");
        moonswap_bytecode::verify(&prototype).expect("it verifies");
        let text = moonswap_bytecode::listing(&prototype);
        let snapshot = path.with_extension("lst");
        if update {
            std::fs::write(&snapshot, &text).expect("a writable snapshot");
            continue;
        }
        let expected = std::fs::read_to_string(&snapshot).unwrap_or_default();
        if text != expected {
            let line = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
            wrong.push(format!(
                "{name}: first difference in line {:?}",
                line.map(|l| l + 1)
            ));
        }
    }
    assert!(seen > 0, "no scripts in {}", folder.display());
    assert!(wrong.is_empty(), "listings changed:\n{}", wrong.join("\n"));
}
