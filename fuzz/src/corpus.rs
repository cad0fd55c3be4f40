//! Real sources: the scripts of `lua-tests` and of the benchmarks, read once.

use std::path::Path;
use std::sync::OnceLock;

/// Folders below the repository's top with scripts to start from.
const FOLDERS: [&str; 4] = [
    "lua-tests/badinput",
    "lua-tests/language",
    "lua-tests/stdlib",
    "benches/scripts",
];

/// All scripts, in order of their paths.
///
/// # Panics
/// If the folders are not there.
pub(crate) fn sources() -> &'static [Vec<u8>] {
    static SOURCES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut paths = Vec::new();
        for folder in FOLDERS {
            let entries = std::fs::read_dir(top.join(folder)).expect("the repository's scripts");
            paths.extend(entries.flatten().map(|entry| entry.path()));
        }
        paths.retain(|path| path.extension().is_some_and(|e| e == "lua"));
        paths.sort();
        let read = |path| std::fs::read(path).expect("a readable script");
        paths.iter().map(read).collect()
    })
}
