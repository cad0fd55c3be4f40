//! What `debug.getinfo` tells about a function or an activation.
//!
//! A frame is described by the version it pins, a function by its current one.
//!
//! Invariants: F1, F2 (`frame.rs`), V1.

use std::collections::BTreeSet;

use moonswap_compiler::chunk_display;

use super::{names, position, walk};
use crate::frame::Frame;
use crate::object::{Coroutine, Table, Version};
use crate::table;
use crate::value::{Value, tag};
use crate::vm::Vm;

pub(crate) use super::local::{local, parameter_name, set_local};
pub(crate) use super::upvalue::{set_upvalue, upvalue, upvalue_id, upvalue_join};

/// What is asked about.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// An activation.
    Frame(Frame),
    /// A function value.
    Function(Value),
}

/// The answer; fields as in `lua_Debug`. -1 stands for "no such line".
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) source: Vec<u8>,
    pub(crate) short_source: Vec<u8>,
    pub(crate) what: &'static str,
    pub(crate) line_defined: i64,
    pub(crate) last_line_defined: i64,
    pub(crate) current_line: i64,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) name_what: &'static str,
    pub(crate) n_upvalues: usize,
    pub(crate) n_params: usize,
    pub(crate) is_vararg: bool,
    pub(crate) is_tail_call: bool,
    pub(crate) function: Value,
    /// Values a hook sees passed or returned: first local and count.
    pub(crate) transfer: (usize, usize),
    /// Only if asked for, and not for natives.
    pub(crate) active_lines: Option<BTreeSet<u32>>,
}

/// The activation at a level of a coroutine (`None`: the running one); 0 is its
/// topmost frame.
pub(crate) fn frame_at_level(vm: &Vm, co: Option<*mut Coroutine>, level: usize) -> Option<Frame> {
    walk::levels(vm, co).nth(level).map(|(frame, _)| frame)
}

/// Describes a function or an activation. Names and active lines are only
/// looked for if `what` asks for them (`n`, `L`).
pub(crate) fn describe(vm: &Vm, target: Target, what: &[u8]) -> Info {
    // SAFETY: F1, F2, V1.
    unsafe {
        let (function, version) = match target {
            Target::Frame(frame) => (frame.function(), walk::version(frame)),
            Target::Function(f) => (f, walk::current_version(f)),
        };
        let mut info = match version {
            Some(version) => of_lua(version, function),
            None => of_native(function),
        };
        if let Target::Frame(frame) = target {
            if vm.hook.interrupted == Some(frame.base.offset_from(vm.stack_base) as usize) {
                info.transfer = vm.hook.transfer;
            }
            info.is_tail_call = frame.is_tail_call();
            info.current_line = walk::line_of(frame).map_or(-1, i64::from);
            if what.contains(&b'n')
                && let Some((kind, name)) = names::function_name(vm, frame)
            {
                info.name_what = kind;
                info.name = Some(name);
            }
        }
        if what.contains(&b'L') {
            info.active_lines = version.map(|version| Version::record(version).lines().collect());
        }
        info
    }
}

/// # Safety
/// V1; a live version, and the function of its frame.
unsafe fn of_lua(version: *mut Version, function: Value) -> Info {
    // SAFETY: V1: a Lua frame's function is a closure, its version is live.
    let (source, own, of, record) = unsafe {
        let own = (*function.as_closure()).header.word as usize;
        let record = Version::record(version);
        (position::source(version, &record), own, &*version, record)
    };
    // A patch may have given it more than it was made with.
    let n_upvalues = own.max(usize::from(of.n_upvalues));
    Info {
        source: source.to_vec(),
        short_source: chunk_display(source),
        what: if of.is_main { "main" } else { "Lua" },
        line_defined: i64::from(record.line_defined),
        last_line_defined: i64::from(record.last_line_defined),
        current_line: -1,
        name: None,
        name_what: "",
        n_upvalues,
        n_params: usize::from(of.n_params),
        is_vararg: of.is_vararg,
        is_tail_call: false,
        function,
        transfer: (0, 0),
        active_lines: None,
    }
}

/// # Safety
/// V1: a live native function.
unsafe fn of_native(function: Value) -> Info {
    let n_upvalues = if function.tag == tag::NATIVE {
        // SAFETY: V1.
        unsafe { (&(*function.as_native()).upvalues).len() }
    } else {
        0
    };
    Info {
        source: b"=[C]".to_vec(),
        short_source: b"[C]".to_vec(),
        what: "C",
        line_defined: -1,
        last_line_defined: -1,
        current_line: -1,
        name: None,
        name_what: "",
        n_upvalues,
        n_params: 0,
        is_vararg: true,
        is_tail_call: false,
        function,
        transfer: (0, 0),
        active_lines: None,
    }
}

/// The table `debug.getinfo` answers, with the fields `what` asks for.
pub(crate) fn info_table(vm: &mut Vm, info: &Info, what: &[u8]) -> *mut Table {
    let t = vm.heap.new_table(0, 12);
    let asked = |option: u8| what.contains(&option);
    if asked(b'S') {
        put_text(vm, t, "source", &info.source);
        put_text(vm, t, "short_src", &info.short_source);
        put_text(vm, t, "what", info.what.as_bytes());
        put(vm, t, "linedefined", Value::integer(info.line_defined));
        put(
            vm,
            t,
            "lastlinedefined",
            Value::integer(info.last_line_defined),
        );
    }
    if asked(b'l') {
        put(vm, t, "currentline", Value::integer(info.current_line));
    }
    if asked(b'u') {
        put(vm, t, "nups", Value::integer(info.n_upvalues as i64));
        put(vm, t, "nparams", Value::integer(info.n_params as i64));
        put(vm, t, "isvararg", Value::boolean(info.is_vararg));
    }
    if asked(b'n') {
        if let Some(name) = &info.name {
            put_text(vm, t, "name", name);
        }
        put_text(vm, t, "namewhat", info.name_what.as_bytes());
    }
    if asked(b'r') {
        // Only hooks of calls and returns transfer values.
        let (first, n) = info.transfer;
        put(vm, t, "ftransfer", Value::integer(first as i64));
        put(vm, t, "ntransfer", Value::integer(n as i64));
    }
    if asked(b't') {
        put(vm, t, "istailcall", Value::boolean(info.is_tail_call));
    }
    if let Some(lines) = info.active_lines.as_ref().filter(|_| asked(b'L')) {
        let set = vm.heap.new_table(0, lines.len());
        for &line in lines {
            // SAFETY: a table just made.
            let _ = unsafe {
                table::set(
                    &mut vm.heap,
                    set,
                    Value::integer(i64::from(line)),
                    Value::boolean(true),
                )
            };
        }
        put(vm, t, "activelines", Value::table(set));
    }
    if asked(b'f') {
        put(vm, t, "func", info.function);
    }
    t
}

fn put_text(vm: &mut Vm, t: *mut Table, key: &str, text: &[u8]) {
    let value = vm.string_value(text);
    put(vm, t, key, value);
}

fn put(vm: &mut Vm, t: *mut Table, key: &str, value: Value) {
    let key = vm.string_value(key.as_bytes());
    // SAFETY: `t` is the fresh table of `info_table`; allocation collects
    // nothing (H1). Out of memory leaves the field away.
    let _ = unsafe { table::set(&mut vm.heap, t, key, value) };
}
