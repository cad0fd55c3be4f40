//! `require` and the table `package`. Modules are Lua files or functions in
//! `package.preload`; there are no C modules, but the searchers for them keep
//! their places and messages.

use moonswap_vm::context::{Context, Keep, NativeFn, NativeKind, Outcome, View};

use crate::failure;

const FUNCTIONS: &[(&str, NativeFn)] = &[("loadlib", loadlib), ("searchpath", searchpath)];

/// Searchers, in the order they are tried.
const SEARCHERS: &[(&str, NativeFn)] = &[
    ("searcher_preload", search_preload),
    ("searcher_Lua", search_lua),
    ("searcher_C", search_native),
    ("searcher_Croot", search_native_root),
];

/// Where the reference looks, with the directories of Debian's packages.
pub const DEFAULT_PATH: &str = "/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;\
    /usr/local/lib/lua/5.4/?.lua;/usr/local/lib/lua/5.4/?/init.lua;\
    /usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua;./?.lua;./?/init.lua";
/// The same for C libraries.
pub const DEFAULT_CPATH: &str = "/usr/local/lib/lua/5.4/?.so;/usr/lib/lua/5.4/?.so;\
    /usr/local/lib/lua/5.4/loadall.so;./?.so";

const SEPARATOR: u8 = std::path::MAIN_SEPARATOR as u8;
const NO_DYNAMIC: &str = "dynamic libraries not enabled; check your Lua installation";

/// Opens the library as the global `package`, and `require`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "package", FUNCTIONS)?;
    let table = cx.height() - 1;
    // the functions hold the table, for a program may clear the global
    let searchers = cx.height();
    cx.push_table(SEARCHERS.len(), 0);
    for (i, &(name, function)) in SEARCHERS.iter().enumerate() {
        cx.push_at(table);
        cx.push_native_with(name, NativeKind::Plain, function, 1);
        cx.raw_set_int(searchers, i as i64 + 1)?;
    }
    cx.raw_set_field(table, "searchers")?;
    set_path(cx, table, "path", "LUA_PATH", DEFAULT_PATH)?;
    set_path(cx, table, "cpath", "LUA_CPATH", DEFAULT_CPATH)?;
    cx.push_bytes(&[
        SEPARATOR, b'\n', b';', b'\n', b'?', b'\n', b'!', b'\n', b'-', b'\n',
    ]);
    cx.raw_set_field(table, "config")?;
    crate::library::registry_table(cx, crate::library::LOADED)?;
    cx.raw_set_field(table, "loaded")?;
    crate::library::registry_table(cx, crate::library::PRELOAD)?;
    cx.raw_set_field(table, "preload")?;
    let globals = cx.height();
    cx.push_globals();
    cx.push_at(table);
    cx.push_native_with("require", NativeKind::Plain, require, 1);
    // A module's main chunk may be the server's loop: patches go on.
    cx.mark_transparent();
    cx.raw_set_field(globals, "require")?;
    cx.set_height(table);
    Ok(())
}

/// Where the searchers of a VM without the library `package` are kept.
const HIDDEN: &str = "moonswap.searchers";

/// Makes the native on top of the stack the one that finds modules of Lua text, in place
/// of the search along `package.path`. A VM without the library gets a `require` that
/// knows it and `package.preload`.
pub fn set_searcher(cx: &mut Context<'_>) -> Outcome<()> {
    let searcher = cx.height() - 1;
    crate::library::registry_table(cx, crate::library::LOADED)?;
    let package = cx.height();
    cx.push(cx.raw_get_field(searcher + 1, "package"));
    if matches!(cx.at(package), View::Table(_)) {
        cx.push(cx.raw_get_field(package, "searchers"));
    } else {
        push_hidden_searchers(cx)?;
    }
    if !matches!(cx.at(package + 1), View::Table(_)) {
        return Err(cx.error("'package.searchers' must be a table"));
    }
    cx.push_at(searcher);
    cx.raw_set_int(package + 1, 2)?;
    cx.set_height(searcher);
    Ok(())
}

/// Pushes the searchers of a VM without `package`; the first time it gets `require`.
fn push_hidden_searchers(cx: &mut Context<'_>) -> Outcome<()> {
    let registry = cx.height();
    cx.push_registry();
    cx.push(cx.raw_get_field(registry, HIDDEN));
    if !matches!(cx.at(registry + 1), View::Table(_)) {
        cx.pop(1);
        let searchers = cx.height();
        cx.push_table(2, 0);
        cx.push_native("searcher_preload", search_preload);
        cx.raw_set_int(searchers, 1)?;
        cx.push_at(searchers);
        cx.raw_set_field(registry, HIDDEN)?;
        cx.push_globals();
        cx.push_table(0, 1);
        cx.push_at(searchers);
        cx.raw_set_field(searchers + 2, "searchers")?;
        cx.push_native_with("require", NativeKind::Plain, require, 1);
        cx.mark_transparent();
        cx.raw_set_field(searchers + 1, "require")?;
        cx.set_height(searchers + 1);
    }
    cx.remove(registry);
    Ok(())
}

/// Sets a path field from the environment or the default; `;;` in a variable
/// stands for the default.
fn set_path(
    cx: &Context<'_>,
    table: usize,
    field: &str,
    variable: &str,
    default: &str,
) -> Outcome<()> {
    let registry = cx.height();
    cx.push_registry();
    let ignore = cx.raw_get_field(registry, "LUA_NOENV").truthy();
    cx.set_height(registry);
    let value = failure::environment(format!("{variable}_5_4").as_bytes())
        .or_else(|| failure::environment(variable.as_bytes()))
        .filter(|_| !ignore);
    match value {
        None => cx.push_bytes(default.as_bytes()),
        Some(value) => match value.windows(2).position(|w| w == b";;") {
            None => cx.push_bytes(&value),
            Some(mark) => {
                let mut path = Vec::new();
                if mark > 0 {
                    path.extend_from_slice(&value[..=mark]);
                }
                path.extend_from_slice(default.as_bytes());
                if mark + 2 < value.len() {
                    path.push(b';');
                    path.extend_from_slice(&value[mark + 2..]);
                }
                cx.push_bytes(&path);
            }
        },
    }
    cx.raw_set_field(table, field)
}

fn loadlib(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_str(0)?;
    cx.check_str(1)?;
    cx.push_nil();
    cx.push_bytes(NO_DYNAMIC.as_bytes());
    cx.push_bytes(b"absent");
    Ok(3)
}

/// `text` with every occurrence of `from` replaced.
fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    if !from.is_empty() {
        while let Some(at) = memchr::memmem::find(rest, from) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to);
            rest = &rest[at + from.len()..];
        }
    }
    out.extend_from_slice(rest);
    out
}

/// What stands before the name of a file that was tried.
const TRIED: &[u8] = b"'\n\tno file '";

/// Bytes that [`search`] is going to take: names and paths multiply each other.
fn search_bytes(name: &[u8], path: &[u8], separator: &[u8], directory: &[u8]) -> usize {
    let count = |text: &[u8], part: &[u8]| match part {
        [] => 0,
        _ => memchr::memmem::find_iter(text, part).count(),
    };
    let parts = count(name, separator);
    let places = count(path, b"?");
    let replaced = name
        .len()
        .saturating_add(parts.saturating_mul(directory.len()));
    let files = path.len().saturating_add(places.saturating_mul(replaced));
    let ends_of_name =
        count(name, b";").saturating_add(parts.saturating_mul(count(directory, b";")));
    let ends = count(path, b";").saturating_add(places.saturating_mul(ends_of_name));
    let message = files.saturating_add(ends.saturating_mul(TRIED.len()));
    // The message is a string afterwards.
    replaced
        .saturating_add(files)
        .saturating_add(message.saturating_mul(2))
}

/// The first readable file of a path, or the message that lists those tried. What
/// it takes ([`search_bytes`]) was asked for.
fn search(
    name: &[u8],
    path: &[u8],
    separator: &[u8],
    directory: &[u8],
) -> Result<Vec<u8>, Vec<u8>> {
    let name = replace(name, separator, directory);
    let files = replace(path, b"?", &name);
    let mut names = files.split(|&c| c == b';');
    // an empty path has no names, not one empty name
    let found =
        names.find(|file| !files.is_empty() && std::fs::File::open(failure::path(file)).is_ok());
    match found {
        Some(file) => Ok(file.to_vec()),
        None => {
            let mut message = b"no file '".to_vec();
            message.extend_from_slice(&replace(&files, b";", TRIED));
            message.push(b'\'');
            Err(message)
        }
    }
}

fn searchpath(cx: &mut Context<'_>) -> Outcome<usize> {
    // The reference checks the last argument first.
    let directory = cx.opt_str(3)?.map_or(&[SEPARATOR][..], |s| s.as_bytes());
    let separator = cx.opt_str(2)?.map_or(&b"."[..], |s| s.as_bytes());
    let path = cx.check_str(1)?.as_bytes();
    let name = cx.check_str(0)?.as_bytes();
    cx.check_size(search_bytes(name, path, separator, directory))?;
    match search(name, path, separator, directory) {
        Ok(file) => cx.ret_bytes(&file),
        Err(message) => {
            cx.push_nil();
            cx.push_bytes(&message);
            Ok(2)
        }
    }
}

/// Looks for a module along `package[field]`.
fn find_file(cx: &mut Context<'_>, name: &[u8], field: &str) -> Outcome<Result<Vec<u8>, Vec<u8>>> {
    let base = cx.height();
    cx.push(cx.upvalue(0));
    cx.index_field(base, field)?;
    let path = match cx.at(base + 1) {
        View::String(s) => s.as_bytes().to_vec(),
        View::Integer(_) | View::Float(_) => cx.check_str(base + 1)?.as_bytes().to_vec(),
        _ => return Err(cx.error(format!("'package.{field}' must be a string"))),
    };
    cx.set_height(base);
    cx.check_size(search_bytes(name, &path, b".", &[SEPARATOR]))?;
    Ok(search(name, &path, b".", &[SEPARATOR]))
}

fn search_preload(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes().to_vec();
    let base = cx.height();
    crate::library::registry_table(cx, crate::library::PRELOAD)?;
    cx.push_bytes(&name);
    cx.index(base, base + 1)?;
    if !cx.at(base + 2).is_nil() {
        cx.push_bytes(b":preload:");
        return Ok(2);
    }
    let mut message = b"no field package.preload['".to_vec();
    message.extend_from_slice(&name);
    message.extend_from_slice(b"']");
    cx.ret_bytes(&message)
}

fn load_error(cx: &Context<'_>, name: &[u8], file: &[u8], problem: &[u8]) -> Outcome<usize> {
    let message = [
        b"error loading module '",
        name,
        b"' from file '",
        file,
        b"':\n\t",
        problem,
    ]
    .concat();
    Err(cx.error(message))
}

fn search_lua(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes().to_vec();
    match find_file(cx, &name, "path")? {
        Err(message) => cx.ret_bytes(&message),
        Ok(file) => {
            if crate::base::load_file(cx, Some(&file), "bt", Keep::Module)? {
                cx.push_bytes(&file);
                return Ok(2);
            }
            let problem = match cx.at(cx.height() - 1) {
                View::String(s) => s.as_bytes(),
                _ => b"?",
            };
            load_error(cx, &name, &file, problem)
        }
    }
}

fn search_native(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes().to_vec();
    match find_file(cx, &name, "cpath")? {
        Err(message) => cx.ret_bytes(&message),
        Ok(file) => load_error(cx, &name, &file, NO_DYNAMIC.as_bytes()),
    }
}

fn search_native_root(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes().to_vec();
    let Some(dot) = name.iter().position(|&c| c == b'.') else {
        return Ok(0);
    };
    match find_file(cx, &name[..dot], "cpath")? {
        Err(message) => cx.ret_bytes(&message),
        Ok(file) => load_error(cx, &name, &file, NO_DYNAMIC.as_bytes()),
    }
}

/// Pushes the loader of a module and the loader's data.
fn find_loader(cx: &mut Context<'_>, name: &[u8]) -> Outcome<()> {
    let base = cx.height();
    cx.push(cx.upvalue(0));
    cx.index_field(base, "searchers")?;
    let searchers = base + 1;
    if !matches!(cx.at(searchers), View::Table(_)) {
        return Err(cx.error("'package.searchers' must be a table"));
    }
    let mut tried = Vec::new();
    let first = cx.height();
    for i in 1.. {
        let searcher = match cx.at(searchers) {
            View::Table(t) => t.get_int(i),
            _ => View::Nil,
        };
        if searcher.is_nil() {
            break;
        }
        cx.push(searcher);
        cx.push_bytes(name);
        cx.call(1, Some(2))?;
        match cx.at(first) {
            View::Function(_) => return Ok(()),
            View::String(_) | View::Integer(_) | View::Float(_) => {
                tried.extend_from_slice(b"\n\t");
                tried.extend_from_slice(cx.check_str(first)?.as_bytes());
            }
            _ => {}
        }
        cx.set_height(first);
    }
    let message = [b"module '", name, b"' not found:", &tried].concat();
    Err(cx.error(message))
}

fn require(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes().to_vec();
    cx.set_height(1);
    crate::library::registry_table(cx, crate::library::LOADED)?;
    let loaded = 1;
    cx.push_bytes(&name);
    let key = 2;
    cx.index(loaded, key)?;
    if cx.at(3).truthy() {
        return Ok(1);
    }
    cx.set_height(3);
    find_loader(cx, &name)?;
    let data = cx.height() - 1;
    let loader = data - 1;
    // Whichever searcher loaded it, and however.
    cx.keep_as_module(loader);
    cx.push_at(loader);
    cx.push_at(0);
    cx.push_at(data);
    cx.call(2, Some(1))?;
    let result = data + 1;
    if !cx.at(result).is_nil() {
        cx.push_at(key);
        cx.push_at(result);
        cx.set_index(loaded)?;
    }
    cx.set_height(result);
    cx.index(loaded, key)?;
    if cx.at(result).is_nil() {
        // neither returned nor stored anything
        cx.set_height(result);
        cx.push_bool(true);
        cx.push_at(key);
        cx.push_bool(true);
        cx.set_index(loaded)?;
    }
    cx.push_at(data);
    Ok(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_search_takes_is_known_before() {
        for (name, path, separator, directory) in [
            (&b"a.b.c"[..], &b"?;./?/?;x"[..], &b"."[..], &b"/"[..]),
            (b"a;b", b"no;?;?", b";", b"no;such;"),
            (b"", b"", b"", b""),
        ] {
            let message = search(name, path, separator, directory).expect_err("no file");
            assert!(message.len() * 2 <= search_bytes(name, path, separator, directory) + 40);
        }
        let long = vec![b'?'; 1 << 20];
        assert!(search_bytes(&long, &long, b".", b"/") > 1 << 40);
    }

    #[test]
    fn failed_searches_list_what_was_tried() {
        let message = search(b"a.b", b"./no-such/?.lua;?/x", b".", b"/").expect_err("no file");
        assert_eq!(message, b"no file './no-such/a/b.lua'\n\tno file 'a/b/x'");
        assert_eq!(
            search(b"x", b"", b".", b"/").expect_err("no file"),
            b"no file ''"
        );
    }
}
