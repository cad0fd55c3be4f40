//! Tracebacks in the reference's format (`luaL_traceback`). Functions that were
//! patched show the version a frame runs, e.g. " [v2]"; all else looks stock.
//!
//! Invariants: F1, F2 (`frame.rs`), V1.

use super::{info, names, walk};
use crate::frame::Frame;
use crate::object::{Coroutine, PrototypeSlot, StringObject, Table, Version};
use crate::table;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Levels shown at the top and at the bottom of a long traceback.
const FIRST: usize = 10;
const LAST: usize = 11;

/// Registry entry that is `package.loaded`.
const LOADED: &[u8] = b"_LOADED";

/// Prefix of what is found in the table of globals.
const GLOBALS: &[u8] = b"_G.";

/// Entries of a table whose keys are strings.
///
/// # Safety
/// A live table, which nothing changes or collects while the answer is used.
unsafe fn fields(t: *const Table) -> impl Iterator<Item = (&'static [u8], Value)> {
    let mut cursor = Some(0);
    std::iter::from_fn(move || {
        loop {
            // SAFETY: V1; nothing changes the table or collects meanwhile.
            unsafe {
                let (next, key, value) = table::next_at(t, cursor?)?;
                cursor = Some(next);
                if key.tag == tag::STRING {
                    return Some((StringObject::bytes(key.as_string()), value));
                }
            }
        }
    })
}

/// The field of a table, by text.
///
/// # Safety
/// A live table.
unsafe fn field(t: *const Table, name: &[u8]) -> Option<Value> {
    // SAFETY: V1.
    unsafe {
        fields(t)
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// Name of a function found in `package.loaded` ("string.format", "print").
///
/// # Safety
/// `function` is a live value.
pub(crate) unsafe fn global_name(vm: &Vm, function: Value) -> Option<Vec<u8>> {
    // SAFETY: V1.
    unsafe {
        if function.is_nil() {
            return None;
        }
        let is_it = |v: Value| v.tag == function.tag && v.payload == function.payload;
        let loaded = field(vm.registry, LOADED)
            .filter(|v| v.tag == tag::TABLE)?
            .as_table();
        let mut found: Option<Vec<u8>> = None;
        for (module, value) in fields(loaded) {
            if is_it(value) {
                found.get_or_insert_with(|| module.to_vec());
            }
            if value.tag != tag::TABLE {
                continue;
            }
            let Some((name, _)) = fields(value.as_table()).find(|(_, v)| is_it(*v)) else {
                continue;
            };
            if module == &GLOBALS[..GLOBALS.len() - 1] {
                return Some(name.to_vec());
            }
            found.get_or_insert_with(|| [module, b".", name].concat());
        }
        found
    }
}

/// # Safety
/// F1, F2: a frame of a live coroutine.
unsafe fn write_function(out: &mut Vec<u8>, vm: &Vm, frame: Frame, about: &info::Info) {
    // SAFETY: F1, F2.
    unsafe {
        if let Some(name) = global_name(vm, about.function) {
            out.extend_from_slice(b"function '");
            out.extend_from_slice(&name);
            out.push(b'\'');
        } else if let Some(name) = &about.name {
            out.extend_from_slice(about.name_what.as_bytes());
            out.extend_from_slice(b" '");
            out.extend_from_slice(name);
            out.push(b'\'');
        } else if about.what == "main" {
            out.extend_from_slice(b"main chunk");
        } else if about.what != "C" {
            out.extend_from_slice(b"function <");
            out.extend_from_slice(&about.short_source);
            out.extend_from_slice(format!(":{}>", about.line_defined).as_bytes());
        } else if let Some(name) = names::embedder_name(about.function) {
            out.extend_from_slice(format!("function '{name}'").as_bytes());
        } else {
            out.push(b'?');
        }
        let version = frame.version();
        if !version.is_null() && PrototypeSlot::number((*version).slot) > 1 {
            out.extend_from_slice(format!(" [v{}]", Version::number(version)).as_bytes());
        }
    }
}

/// Traceback of the running coroutine (`None`) or of another one, from `level`
/// on, below `message`.
pub(crate) fn traceback(
    vm: &Vm,
    co: Option<*mut Coroutine>,
    message: Option<&[u8]>,
    level: usize,
) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(message) = message {
        out.extend_from_slice(message);
        out.push(b'\n');
    }
    out.extend_from_slice(b"stack traceback:");
    let shown = walk::levels(vm, co).count().saturating_sub(level);
    // The reference counts the line that says so as one of the levels it skips.
    let skipped = if shown > FIRST + LAST + 1 {
        shown - FIRST - LAST
    } else {
        0
    };
    for (k, (frame, _)) in walk::levels(vm, co).skip(level).enumerate() {
        if skipped > 0 && k >= FIRST && k < FIRST + skipped {
            if k == FIRST {
                out.extend_from_slice(
                    format!("\n\t...\t(skipping {} levels)", skipped - 1).as_bytes(),
                );
            }
            continue;
        }
        let about = info::describe(vm, info::Target::Frame(frame), b"Slnt");
        out.extend_from_slice(b"\n\t");
        out.extend_from_slice(&about.short_source);
        if about.current_line > 0 {
            out.extend_from_slice(format!(":{}", about.current_line).as_bytes());
        }
        out.extend_from_slice(b": in ");
        // SAFETY: F1: a frame just walked.
        unsafe { write_function(&mut out, vm, frame, &about) };
        if about.is_tail_call {
            out.extend_from_slice(b"\n\t(...tail calls...)");
        }
    }
    out
}
