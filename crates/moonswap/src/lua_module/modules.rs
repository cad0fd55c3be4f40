//! The other meaning: running a module again. `reload`, and what survives it:
//! `keep`, `protect`.

use moonswap_vm::{Context, Keep, Outcome, View};

use super::stack::{failure, push_field, push_registry_table, text};
use crate::hot::resolve;
use crate::loader::shown;

const KEPT: &str = "moonswap.kept";
const PROTECTED: &str = "moonswap.protected";

/// `reload(modname)`: runs the module's file again. If it is a table now as
/// before, the old table stays and takes the new fields; fields that are gone in
/// the new one stay as well. Answers `package.loaded[modname]`.
pub(super) fn reload(cx: &mut Context<'_>) -> Outcome<usize> {
    let module = text(cx, 0)?;
    cx.set_height(1);
    let found = match resolve::module(cx, &module)? {
        Ok(found) => found,
        Err(message) => return failure(cx, message),
    };
    // 1: package.loaded, 2: the module as it is
    cx.push_registry();
    cx.push(cx.raw_get_field(1, moonswap_stdlib::LOADED));
    cx.remove(1);
    if !matches!(cx.at(1), View::Table(_)) {
        return failure(cx, "no table of loaded modules");
    }
    cx.push(cx.raw_get_field(1, &module));
    if cx.at(2).is_nil() {
        return failure(cx, format!("'{module}' is not loaded"));
    }
    if is_protected(cx, 2)? {
        return failure(cx, format!("module '{module}' is protected"));
    }
    // 3: the module as it is going to be
    if !cx.load(&found.text, found.chunk.as_bytes(), "bt", Keep::Module)? {
        return failure_on_top(cx);
    }
    cx.push_at(0);
    cx.push_bytes(shown(&found.chunk).as_bytes());
    if cx.pcall(2, Some(1))?.is_err() {
        return failure_on_top(cx);
    }
    match (cx.at(2), cx.at(3)) {
        (View::Table(_), View::Table(_)) => {
            merge(cx)?;
            cx.set_height(3);
        }
        // As `require`: a module that answers nothing is what it was, or true.
        (_, View::Nil) => cx.set_height(3),
        _ => {
            cx.push_at(3);
            cx.raw_set_field(1, &module)?;
            cx.remove(2);
        }
    }
    cx.set_height(3);
    Ok(1)
}

/// `nil, message` of the error value on top.
fn failure_on_top(cx: &mut Context<'_>) -> Outcome<usize> {
    let at = cx.height() - 1;
    cx.push_nil();
    cx.push_tostring(at)?;
    Ok(2)
}

/// The fields of the table at 3 into that at 2, and its metatable.
fn merge(cx: &mut Context<'_>) -> Outcome<()> {
    let key = cx.height();
    cx.push_nil();
    while cx.next(3)? {
        // What stands there may be protected.
        push_field(cx, 2, key);
        let protected = is_protected(cx, key + 2)?;
        cx.set_height(key + 2);
        if !protected {
            cx.push_at(key);
            cx.push_at(key + 1);
            cx.raw_set(2)?;
        }
        cx.set_height(key + 1);
    }
    cx.set_height(key);
    if cx.push_metatable(3) {
        cx.set_metatable(2);
    }
    cx.set_height(key);
    Ok(())
}

/// `keep(name, init)`: the value of that name, made by the first call: `init`,
/// or what it returns if it is a function.
pub(super) fn keep(cx: &mut Context<'_>) -> Outcome<usize> {
    text(cx, 0)?;
    cx.set_height(2);
    push_registry_table(cx, KEPT, false)?;
    push_field(cx, 2, 0);
    if !cx.at(3).is_nil() {
        return Ok(1);
    }
    cx.set_height(3);
    cx.push_at(1);
    if matches!(cx.at(1), View::Function(_)) {
        cx.call(0, Some(1))?;
    }
    if !cx.at(3).is_nil() {
        cx.push_at(0);
        cx.push_at(3);
        cx.raw_set(2)?;
    }
    cx.set_height(4);
    Ok(1)
}

/// `protect(v)`: patches of a protected function are refused; `reload` leaves
/// protected functions and tables where they are. Answers `v`.
pub(super) fn protect(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.set_height(1);
    match cx.at(0) {
        View::Function(_) => _ = cx.hot_protect(0),
        View::Table(_) => {}
        _ => return Err(cx.arg_error(0, "function or table expected")),
    }
    push_registry_table(cx, PROTECTED, true)?;
    cx.push_at(0);
    cx.push_bool(true);
    cx.raw_set(1)?;
    cx.set_height(1);
    Ok(1)
}

/// Whether the value at an index is protected.
fn is_protected(cx: &Context<'_>, i: usize) -> Outcome<bool> {
    if !matches!(cx.at(i), View::Function(_) | View::Table(_)) {
        return Ok(false);
    }
    let table = cx.height();
    push_registry_table(cx, PROTECTED, true)?;
    push_field(cx, table, i);
    let protected = cx.at(table + 1).truthy();
    cx.set_height(table);
    Ok(protected)
}
