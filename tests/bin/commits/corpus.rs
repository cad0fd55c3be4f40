//! The releases that `lua-tests/commits/fetch.py` put into a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All texts of one release, by path.
pub(crate) type Texts = BTreeMap<String, Vec<u8>>;

/// One package and its releases, oldest first.
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Version and texts.
    pub(crate) releases: Vec<(String, Texts)>,
    /// Calls that register something, as rules of `rerun`.
    pub(crate) rerun: Vec<String>,
    /// Its texts are scripts that are called again and again.
    pub(crate) per_call: bool,
}

/// Package folders, in order.
pub(crate) fn packages(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("versions").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Package {
    /// Reads the newest `limit` releases of a package.
    pub(crate) fn read(folder: &Path, limit: usize) -> std::io::Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let listed = std::fs::read_to_string(folder.join("versions"))?;
        let versions: Vec<&str> = listed.split_whitespace().collect();
        let mut releases = Vec::new();
        for version in &versions[versions.len().saturating_sub(limit)..] {
            let mut texts = Texts::new();
            let home = folder.join(version);
            read_into(&home, &home, &mut texts)?;
            releases.push(((*version).to_owned(), texts));
        }
        let rules = std::fs::read_to_string(folder.join("rerun")).unwrap_or_default();
        Ok(Self {
            name: name.replace('+', "/"),
            releases,
            per_call: folder.join("per_call").is_file(),
            rerun: rules.lines().map(str::to_owned).collect(),
        })
    }
}

fn read_into(home: &Path, folder: &Path, texts: &mut Texts) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_into(home, &path, texts)?;
        } else {
            let name = path.strip_prefix(home).unwrap_or(&path);
            let mut text = std::fs::read(&path)?;
            if text.first() == Some(&b'#') {
                let end = text.iter().position(|&b| b == b'\n');
                text.drain(..end.unwrap_or(text.len()));
            }
            texts.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    Ok(())
}
