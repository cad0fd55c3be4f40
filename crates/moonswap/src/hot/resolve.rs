//! From the names people use (modules, files) to chunk names.

use std::path::{Component, Path, PathBuf};

use moonswap_vm::{Context, Outcome, View};

/// The loaded chunk that `name` names: its chunk name, or that without `@`.
pub(crate) fn chunk_named(chunks: &[String], name: &str) -> Option<String> {
    let same = |chunk: &&String| **chunk == name || chunk.strip_prefix(['@', '=']) == Some(name);
    chunks.iter().find(same).cloned()
}

/// The chunk that was loaded from a file, however its path was written.
pub(crate) fn chunk_of_file(chunks: &[String], path: &str) -> String {
    let exact = format!("@{path}");
    if chunks.contains(&exact) {
        return exact;
    }
    let wanted = identity(path);
    let same = |chunk: &&String| {
        chunk
            .strip_prefix('@')
            .is_some_and(|file| identity(file) == wanted)
    };
    chunks.iter().find(same).cloned().unwrap_or(exact)
}

fn identity(path: &str) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| {
        let named = |part: &Component<'_>| *part != Component::CurDir;
        Path::new(path).components().filter(named).collect()
    })
}

/// The file of a module, as `require` looks for it.
pub(crate) fn module_file(cx: &mut Context<'_>, module: &str) -> Outcome<Result<String, String>> {
    let base = cx.height();
    cx.push_registry();
    cx.push(cx.raw_get_field(base, moonswap_stdlib::LOADED));
    if !matches!(cx.at(base + 1), View::Table(_)) {
        cx.set_height(base);
        return Ok(Err("no table of loaded modules".into()));
    }
    cx.push(cx.raw_get_field(base + 1, "package"));
    if !matches!(cx.at(base + 2), View::Table(_)) {
        cx.set_height(base);
        return Ok(Err("no package library".into()));
    }
    cx.push(cx.raw_get_field(base + 2, "searchpath"));
    cx.push_bytes(module.as_bytes());
    cx.push(cx.raw_get_field(base + 2, "path"));
    let outcome = match cx.pcall(2, Some(2))? {
        Ok(_) => match (cx.at(base + 3), cx.at(base + 4)) {
            (View::String(path), _) => Ok(String::from_utf8_lossy(path.as_bytes()).into_owned()),
            (_, View::String(why)) => Err(format!(
                "module '{module}' not found:\n\t{}",
                String::from_utf8_lossy(why.as_bytes())
            )),
            _ => Err(format!("module '{module}' not found")),
        },
        Err(()) => Err(format!("module '{module}' not found")),
    };
    cx.set_height(base);
    Ok(outcome)
}

/// The loaded chunk that people mean by a name: as it was loaded, without the sign of
/// its kind, or as the path of a file. A name that means none stays as it is.
pub(crate) fn loaded_name(loaded: &[String], name: &str) -> String {
    if let Some(exact) = loaded.iter().find(|one| *one == name) {
        return exact.clone();
    }
    if let Some(known) = chunk_named(loaded, name) {
        return known;
    }
    let file = chunk_of_file(loaded, name.strip_prefix('@').unwrap_or(name));
    match loaded.contains(&file) {
        true => file,
        false => name.to_owned(),
    }
}
