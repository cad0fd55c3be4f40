//! The debug library.

use moonswap_vm::context::{Context, CoroutineRef, Keep, NativeFn, Outcome, View};

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("debug", debug),
    ("gethook", gethook),
    ("getinfo", getinfo),
    ("getlocal", getlocal),
    ("getmetatable", getmetatable),
    ("getregistry", getregistry),
    ("getupvalue", getupvalue),
    ("getuservalue", getuservalue),
    ("setcstacklimit", setcstacklimit),
    ("sethook", sethook),
    ("setlocal", setlocal),
    ("setmetatable", setmetatable),
    ("setupvalue", setupvalue),
    ("setuservalue", setuservalue),
    ("traceback", traceback),
    ("upvalueid", upvalueid),
    ("upvaluejoin", upvaluejoin),
];

/// Opens the library as the global `debug`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "debug", FUNCTIONS)?;
    cx.pop(1);
    Ok(())
}

/// The coroutine given as an optional first argument, and how many arguments
/// it takes (0 or 1).
fn coroutine<'a>(cx: &'a Context<'_>) -> (Option<CoroutineRef<'a>>, usize) {
    match cx.at(0) {
        View::Coroutine(c) => (Some(c), 1),
        _ => (None, 0),
    }
}

fn is_function(cx: &Context<'_>, i: usize) -> bool {
    matches!(cx.at(i), View::Function(_))
}

/// Argument that C takes as an `int`.
fn check_c_int(cx: &Context<'_>, i: usize) -> Outcome<i64> {
    Ok(i64::from(cx.check_int(i)? as i32))
}

fn getinfo(cx: &mut Context<'_>) -> Outcome<usize> {
    let (of, shift) = coroutine(cx);
    let what = cx
        .opt_str(shift + 1)?
        .map_or(&b"flnSrtu"[..], |s| s.as_bytes());
    if what.first() == Some(&b'>') {
        return Err(cx.arg_error(shift + 1, "invalid option '>'"));
    }
    let function = is_function(cx, shift);
    let level = if function { 0 } else { check_c_int(cx, shift)? };
    let base = cx.height();
    let invalid = what.iter().any(|c| !b"SlnrutLf".contains(c));
    if function {
        if invalid {
            return Err(cx.arg_error(shift + 1, "invalid option"));
        }
        cx.push_info_function(shift, what)?;
    } else {
        // a level that does not exist is answered before options are looked at
        let known =
            level >= 0 && cx.push_info_level(of, level, if invalid { b"" } else { what })?;
        if !known {
            cx.set_height(base);
            cx.push_nil();
            return Ok(1);
        }
        if invalid {
            return Err(cx.arg_error(shift + 1, "invalid option"));
        }
    }
    Ok(1)
}

/// Checks that a level exists.
fn check_level(cx: &Context<'_>, of: Option<CoroutineRef<'_>>, arg: usize) -> Outcome<i64> {
    let level = check_c_int(cx, arg)?;
    let base = cx.height();
    let known = level >= 0 && cx.push_info_level(of, level, b"")?;
    cx.set_height(base);
    if known {
        Ok(level)
    } else {
        Err(cx.arg_error(arg, "level out of range"))
    }
}

fn push_name(cx: &Context<'_>, name: Option<Vec<u8>>) {
    match name {
        Some(name) => cx.push_bytes(&name),
        None => cx.push_nil(),
    }
}

fn getlocal(cx: &mut Context<'_>) -> Outcome<usize> {
    let (of, shift) = coroutine(cx);
    let n = check_c_int(cx, shift + 1)?;
    if is_function(cx, shift) {
        push_name(cx, cx.parameter_name(shift, n));
        return Ok(1);
    }
    let level = check_level(cx, of, shift)?;
    let base = cx.height();
    match cx.push_local(of, level, n)? {
        Some(name) => {
            cx.push_bytes(&name);
            cx.insert(base);
            Ok(2)
        }
        None => {
            cx.set_height(base);
            cx.push_nil();
            Ok(1)
        }
    }
}

fn setlocal(cx: &mut Context<'_>) -> Outcome<usize> {
    let (of, shift) = coroutine(cx);
    check_c_int(cx, shift)?;
    let n = check_c_int(cx, shift + 1)?;
    let level = check_level(cx, of, shift)?;
    cx.check_any(shift + 2)?;
    cx.set_height(shift + 3);
    let name = cx.set_local(of, level, n)?;
    push_name(cx, name);
    Ok(1)
}

fn getupvalue(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = check_c_int(cx, 1)?;
    cx.check_function(0)?;
    let base = cx.height();
    match cx.push_upvalue_of(0, n) {
        Some(name) => {
            cx.push_bytes(&name);
            cx.insert(base);
            Ok(2)
        }
        None => Ok(0),
    }
}

fn setupvalue(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(2)?;
    let n = check_c_int(cx, 1)?;
    cx.check_function(0)?;
    cx.set_height(3);
    match cx.set_upvalue_of(0, n) {
        Some(name) => cx.ret_bytes(&name),
        None => Ok(0),
    }
}

fn upvalueid(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = check_c_int(cx, 1)?;
    cx.check_function(0)?;
    match cx.upvalue_id(0, n) {
        Some(id) => cx.push(View::Light(id)),
        None => cx.push_nil(),
    }
    Ok(1)
}

fn upvaluejoin(cx: &mut Context<'_>) -> Outcome<usize> {
    let check = |function: usize| {
        let n = check_c_int(cx, function + 1)?;
        cx.check_function(function)?;
        match cx.upvalue_id(function, n) {
            Some(_) => Ok(n),
            None => Err(cx.arg_error(function + 1, "invalid upvalue index")),
        }
    };
    let n1 = check(0)?;
    let n2 = check(2)?;
    cx.upvalue_join(0, n1, 2, n2)?;
    Ok(0)
}

fn getmetatable(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    if !cx.push_metatable(0) {
        cx.push_nil();
    }
    Ok(1)
}

fn setmetatable(cx: &mut Context<'_>) -> Outcome<usize> {
    if !(cx.has(1) && matches!(cx.at(1), View::Nil | View::Table(_))) {
        return Err(cx.type_error(1, "nil or table"));
    }
    cx.set_height(2);
    cx.set_metatable(0);
    Ok(1)
}

fn getregistry(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.push_registry();
    Ok(1)
}

/// No userdata of this VM has user values.
fn getuservalue(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.opt_int(1, 1)?;
    cx.push_nil();
    Ok(1)
}

/// Fails for any userdata, as in [`getuservalue`].
fn setuservalue(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.opt_int(2, 1)?;
    if !matches!(cx.at(0), View::UserData(_)) {
        return Err(cx.type_error(0, "userdata"));
    }
    cx.check_any(1)?;
    cx.push_nil();
    Ok(1)
}

fn gethook(cx: &mut Context<'_>) -> Outcome<usize> {
    let (of, _) = coroutine(cx);
    match cx.push_hook(of) {
        Some((mask, count)) => {
            cx.push_bytes(&mask);
            cx.push_int(count.into());
            Ok(3)
        }
        None => {
            cx.push_nil();
            Ok(1)
        }
    }
}

fn sethook(cx: &mut Context<'_>) -> Outcome<usize> {
    let (_, shift) = coroutine(cx);
    if cx.at(shift).is_nil() {
        let (of, _) = coroutine(cx);
        cx.push_nil();
        cx.set_hook(of, b"", 0);
        return Ok(0);
    }
    let mask = cx.check_str(shift + 1)?.as_bytes();
    cx.check_function(shift)?;
    let count = cx.opt_int(shift + 2, 0)? as i32;
    // Programs find this table, with the hooked coroutines as its weak keys,
    // in the registry of the reference.
    let base = cx.height();
    crate::library::registry_table(cx, "_HOOKKEY")?;
    if !cx.push_metatable(base) {
        cx.push_table(0, 1);
        cx.push_bytes(b"k");
        cx.raw_set_field(base + 1, "__mode")?;
        cx.set_metatable(base);
    }
    cx.set_height(base);
    let (of, _) = coroutine(cx);
    cx.push_at(shift);
    cx.set_hook(of, mask, count);
    Ok(0)
}

/// The limit of nested native calls is fixed; this answers what it is.
fn setcstacklimit(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_int(0)?;
    cx.ret_int(200)
}

fn traceback(cx: &mut Context<'_>) -> Outcome<usize> {
    let (of, shift) = coroutine(cx);
    let message = match cx.at(shift) {
        View::Nil => None,
        View::String(_) | View::Integer(_) | View::Float(_) => {
            Some(cx.check_str(shift)?.as_bytes())
        }
        // error values that are no strings pass through
        other => return cx.ret(other),
    };
    // the running coroutine's level 0 is this function
    let own = of.is_none_or(|c| cx.coroutine_status(c) == "running");
    let level = cx.opt_int(shift + 1, i64::from(own))?;
    // a negative level is the current function itself
    let level = usize::try_from(level).unwrap_or(0);
    cx.push_vec(cx.traceback(of, message, level));
    Ok(1)
}

/// Reads and runs lines until `cont` or the end of standard input.
fn debug(cx: &mut Context<'_>) -> Outcome<usize> {
    loop {
        crate::io::print_error(b"lua_debug> ");
        let line = crate::io::read_stdin_line(cx);
        if line.is_empty() || line == b"cont\n" {
            return Ok(0);
        }
        let base = cx.height();
        let ok = cx.load(&line, b"=(debug command)", "t", Keep::Captured)?
            && cx.pcall(0, Some(0))?.is_ok();
        if !ok {
            cx.push_tostring(cx.height() - 1)?;
            if let View::String(s) = cx.at(cx.height() - 1) {
                crate::io::print_error(s.as_bytes());
                crate::io::print_error(b"\n");
            }
        }
        cx.set_height(base);
    }
}
