//! From the names people use (modules, files) to chunk names.

use std::path::{Component, Path, PathBuf};

use moonswap_vm::{Context, Outcome, View};

use crate::Lua;
use crate::loader::{Found, shown};

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

/// The text of a file, as `loadfile` takes it.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(moonswap_compiler::skip_shebang(&bytes).to_vec()),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

/// A module's chunk and its text, where `require` would find them now: the host's
/// loader, or else a file along `package.path`.
pub(crate) fn module(cx: &mut Context<'_>, name: &str) -> Outcome<Result<Found, String>> {
    if let Some(found) = Lua::find_module(cx, name)? {
        return Ok(found.map(|found| Found {
            text: moonswap_compiler::skip_shebang(&found.text).to_vec(),
            ..found
        }));
    }
    let path = match module_file(cx, name)? {
        Ok(path) => path,
        Err(message) => return Ok(Err(message)),
    };
    let chunk = chunk_of_file(&cx.hot_chunks(), &path);
    Ok(read_file(&path).map(|text| Found { chunk, text }))
}

/// The text of a loaded chunk as it is now: the host's loader has it, or else the file
/// of its name.
pub(crate) fn text_of(cx: &mut Context<'_>, chunk: &str) -> Outcome<Result<Vec<u8>, String>> {
    if let Some(read) = Lua::read_chunk(cx, chunk)? {
        return Ok(read.map(|text| moonswap_compiler::skip_shebang(&text).to_vec()));
    }
    Ok(match chunk.strip_prefix('@') {
        Some(path) => read_file(path),
        None => Err(format!("'{}' was not loaded from a file", shown(chunk))),
    })
}

/// The file of a module, as `require` looks for it.
fn module_file(cx: &mut Context<'_>, module: &str) -> Outcome<Result<String, String>> {
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
