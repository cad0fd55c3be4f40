//! The base library: `print`, `pairs`, `setmetatable`, `error` and their like.
//! Functions that compile code are in `load`.

mod load;
mod numeral;

use moonswap_vm::context::{Context, NativeFn, NativeKind, Outcome, View};

pub(crate) use load::load_file;
pub use load::{LoadedFrom, listen_to_loads, note_loaded};

/// Functions that need neither an upvalue nor the interpreter's own handling.
const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("assert", assert),
    ("collectgarbage", collectgarbage),
    ("dofile", load::dofile),
    ("getmetatable", getmetatable),
    ("load", load::load),
    ("loadfile", load::loadfile),
    ("print", print),
    ("rawequal", rawequal),
    ("rawget", rawget),
    ("rawlen", rawlen),
    ("rawset", rawset),
    ("select", select),
    ("setmetatable", setmetatable),
    ("tonumber", numeral::tonumber),
    ("tostring", tostring),
    ("type", type_),
    ("warn", warn),
];

/// Opens the base library: its functions become globals.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    let globals = cx.height();
    cx.push_globals();
    crate::library::set_functions(cx, globals, FUNCTIONS)?;
    // run by the interpreter itself, so that the called function may yield
    cx.push_native_with("pcall", NativeKind::Pcall, pcall, 0);
    cx.raw_set_field(globals, "pcall")?;
    cx.push_native_with("xpcall", NativeKind::Xpcall, xpcall, 0);
    cx.raw_set_field(globals, "xpcall")?;
    cx.push_native_with("error", NativeKind::Plain, error, 0);
    cx.raw_set_field(globals, "error")?;
    // `pairs` and `ipairs` hold the function they return, so that it is the
    // same one each time and no call allocates
    let next_index = cx.height();
    cx.push_native_with("next", NativeKind::Next, next, 0);
    cx.push_at(next_index);
    cx.raw_set_field(globals, "next")?;
    cx.push_native_with("pairs", NativeKind::Plain, pairs, 1);
    cx.raw_set_field(globals, "pairs")?;
    cx.push_native_with("ipairs_aux", NativeKind::IpairsStep, ipairs_step, 0);
    cx.push_native_with("ipairs", NativeKind::Plain, ipairs, 1);
    cx.raw_set_field(globals, "ipairs")?;
    cx.push_bytes(b"Lua 5.4");
    cx.raw_set_field(globals, "_VERSION")?;
    cx.push_at(globals);
    cx.raw_set_field(globals, "_G")?;
    crate::library::registry_table(cx, crate::library::LOADED)?;
    let loaded = cx.height() - 1;
    cx.push_at(globals);
    cx.raw_set_field(loaded, "_G")?;
    // §4.3: the registry holds the main thread and the globals by number
    cx.push_registry();
    cx.push_running();
    cx.raw_set_int(loaded + 1, 1)?;
    cx.push_at(globals);
    cx.raw_set_int(loaded + 1, 2)?;
    cx.set_height(globals);
    Ok(())
}

fn print(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    let base = cx.height();
    for i in 0..n {
        // `__tostring`, which strings may have too, may run Lua code, which may
        // itself print
        cx.push_tostring(i)?;
        if i > 0 {
            crate::io::print(cx, b"\t");
        }
        if let View::String(s) = cx.at(base) {
            crate::io::print(cx, s.as_bytes());
        }
        cx.set_height(base);
    }
    crate::io::print_line(cx);
    Ok(0)
}

fn warn(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    cx.check_str(0)?;
    // all are checked first: an error must not leave a warning half emitted
    for i in 1..n {
        cx.check_str(i)?;
    }
    for i in 0..n {
        let piece = cx.check_str(i)?;
        cx.warn(piece.as_bytes(), i + 1 < n);
    }
    Ok(0)
}

fn type_(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    cx.push_bytes(cx.at(0).type_name().as_bytes());
    Ok(1)
}

fn tostring(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    cx.push_tostring(0)?;
    Ok(1)
}

fn next(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(0)?;
    cx.set_height(2);
    if cx.next(0)? {
        Ok(2)
    } else {
        cx.push_nil();
        Ok(1)
    }
}

fn pairs(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    let handler = cx.metafield(0, "__pairs");
    if handler.is_nil() {
        cx.push(cx.upvalue(0));
        cx.push_at(0);
        cx.push_nil();
        return Ok(3);
    }
    cx.push(handler);
    cx.push_at(0);
    cx.tail_call(1, true)
}

fn ipairs(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    cx.push(cx.upvalue(0));
    cx.push_at(0);
    cx.push_int(0);
    Ok(3)
}

fn ipairs_step(cx: &mut Context<'_>) -> Outcome<usize> {
    let i = cx.check_int(1)?.wrapping_add(1);
    let base = cx.height();
    cx.push_int(i);
    cx.index_int(0, i)?;
    Ok(if cx.at(base + 1).is_nil() { 1 } else { 2 })
}

fn rawequal(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    cx.check_any(1)?;
    cx.ret_bool(cx.raw_equal(0, 1))
}

fn rawlen(cx: &mut Context<'_>) -> Outcome<usize> {
    match cx.at(0) {
        View::Table(t) => cx.ret_int(t.len()),
        View::String(s) => cx.ret_int(s.as_bytes().len() as i64),
        _ => Err(cx.type_error(0, "table or string")),
    }
}

fn rawget(cx: &mut Context<'_>) -> Outcome<usize> {
    let table = cx.check_table(0)?;
    cx.check_any(1)?;
    cx.ret(table.get(cx.at(1)))
}

fn rawset(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(0)?;
    cx.check_any(1)?;
    cx.check_any(2)?;
    cx.set_height(3);
    cx.raw_set(0)?;
    Ok(1)
}

fn select(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    if let View::String(s) = cx.at(0)
        && s.as_bytes().first() == Some(&b'#')
    {
        return cx.ret_int(n as i64 - 1);
    }
    let i = cx.check_int(0)?;
    let count = n as i64;
    let start = if i < 0 {
        count.saturating_add(i)
    } else {
        i.min(count)
    };
    if start < 1 {
        return Err(cx.arg_error(0, "index out of range"));
    }
    Ok((count - start) as usize)
}

fn getmetatable(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    if !cx.push_metatable(0) {
        cx.push_nil();
        return Ok(1);
    }
    let shown = cx.metafield(0, "__metatable");
    if !shown.is_nil() {
        cx.push(shown);
    }
    Ok(1)
}

fn setmetatable(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(0)?;
    if !(cx.has(1) && matches!(cx.at(1), View::Nil | View::Table(_))) {
        return Err(cx.type_error(1, "nil or table"));
    }
    if !cx.metafield(0, "__metatable").is_nil() {
        return Err(cx.error("cannot change a protected metatable"));
    }
    cx.set_height(2);
    cx.set_metatable(0);
    Ok(1)
}

fn assert(cx: &mut Context<'_>) -> Outcome<usize> {
    if cx.at(0).truthy() {
        return Ok(cx.n_args());
    }
    cx.check_any(0)?;
    if cx.has(1) {
        cx.push_at(1);
    } else {
        cx.push_bytes(b"assertion failed!");
    }
    // As `error` with level 1 has it: the caller's position before a text.
    if let View::String(message) = cx.at(cx.height() - 1) {
        return Err(cx.error(message.as_bytes()));
    }
    Err(cx.raise_top())
}

fn error(cx: &mut Context<'_>) -> Outcome<usize> {
    let level = cx.opt_int(1, 1)?;
    if let View::String(message) = cx.at(0)
        && level > 0
    {
        let level = usize::try_from(level).unwrap_or(usize::MAX);
        return Err(cx.error_at(level, message.as_bytes()));
    }
    cx.push_at(0);
    Err(cx.raise_top())
}

/// `pcall` for callers that bypass the interpreter's own handling.
fn pcall(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    let n = cx.n_args();
    cx.push_bool(true);
    cx.insert(0);
    match cx.pcall(n - 1, None)? {
        Ok(results) => Ok(results + 1),
        Err(()) => {
            cx.push_bool(false);
            cx.insert(cx.height() - 2);
            Ok(2)
        }
    }
}

/// Only the interpreter can run a message handler where the error happens.
fn xpcall(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_function(1)?;
    Err(cx.error("'xpcall' called outside of the interpreter"))
}

/// Options of `collectgarbage`, in the order of the match below.
const GC_OPTIONS: &[&str] = &[
    "collect",
    "stop",
    "restart",
    "count",
    "step",
    "setpause",
    "setstepmul",
    "isrunning",
    "generational",
    "incremental",
];

fn collectgarbage(cx: &mut Context<'_>) -> Outcome<usize> {
    let option = cx.check_option(0, Some("collect"), GC_OPTIONS)?;
    // parameters are checked even where the call is then refused
    let first = match option {
        4..=6 | 8 | 9 => cx.opt_int(1, 0)?,
        _ => 0,
    };
    let second = if option >= 8 { cx.opt_int(2, 0)? } else { 0 };
    if option == 9 {
        cx.opt_int(3, 0)?;
    }
    if cx.gc_in_finalizer() {
        cx.push_nil();
        return Ok(1);
    }
    match option {
        0 => {
            cx.gc_collect()?;
            cx.ret_int(0)
        }
        1 => {
            cx.gc_stop();
            cx.ret_int(0)
        }
        2 => {
            cx.gc_restart();
            cx.ret_int(0)
        }
        3 => cx.ret_num(cx.gc_bytes() as f64 / 1024.0),
        4 => {
            let done = cx.gc_step(usize::try_from(first).unwrap_or(0))?;
            cx.ret_bool(done)
        }
        5 => cx.ret_int(cx.gc_set_pause(first)),
        6 => cx.ret_int(cx.gc_set_step_multiplier(first)),
        7 => cx.ret_bool(cx.gc_is_running()),
        8 => cx.ret_bytes(cx.gc_set_mode("generational").as_bytes()),
        _ => {
            // zero leaves a parameter as it is
            if first != 0 {
                cx.gc_set_pause(first);
            }
            if second != 0 {
                cx.gc_set_step_multiplier(second);
            }
            cx.ret_bytes(cx.gc_set_mode("incremental").as_bytes())
        }
    }
}
