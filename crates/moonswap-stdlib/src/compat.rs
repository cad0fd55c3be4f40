//! What older code expects and Lua 5.4 no longer has: an opt-in set of globals,
//! opened after the standard libraries. Nothing here changes what 5.4 defines.
//!
//! | name | of | here |
//! | --- | --- | --- |
//! | `loadstring` | 5.1 | `load` |
//! | `unpack` | 5.1 | `table.unpack` |
//! | `package.loaders` | 5.1 | `package.searchers` |
//! | `table.getn`, `table.maxn` | 5.1 | raw length, largest positive key |
//! | `setfenv`, `getfenv` | 5.1 | the upvalue `_ENV` of a Lua function |
//! | `bit32` | 5.2 | `bit32.rs` |
//! | `math.atan2 cosh frexp ldexp log10 pow sinh tanh` | 5.2 | as they were |
//!
//! A reference built with `LUA_COMPAT_5_3`, as `lua5.4` of distributions is, has
//! the last line of the table, and takes `not (b < a)` for `a <= b` where there
//! is no `__le`, which is not here.
//!
//! A function that uses no globals has no `_ENV`: asking for its environment is
//! an error, and so is the environment of a thread (level 0 of `setfenv`).

use moonswap_vm::context::{Context, Keep, NativeFn, Outcome, View};

const TABLE: &[(&str, NativeFn)] = &[("getn", getn), ("maxn", maxn)];

const MATH: &[(&str, NativeFn)] = &[
    ("atan2", |cx| {
        cx.ret_num(cx.check_num(0)?.atan2(cx.opt_num(1, 1.0)?))
    }),
    ("cosh", |cx| cx.ret_num(cx.check_num(0)?.cosh())),
    ("frexp", frexp),
    ("ldexp", ldexp),
    ("log10", |cx| cx.ret_num(cx.check_num(0)?.log10())),
    ("pow", |cx| {
        cx.ret_num(cx.check_num(0)?.powf(cx.check_num(1)?))
    }),
    ("sinh", |cx| cx.ret_num(cx.check_num(0)?.sinh())),
    ("tanh", |cx| cx.ret_num(cx.check_num(0)?.tanh())),
];

const GLOBALS: &[(&str, NativeFn)] = &[("getfenv", getfenv), ("setfenv", setfenv)];

/// Adds the older names to the globals, to `table` and to `math`, which must be
/// open.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    let globals = cx.height();
    cx.push_globals();
    crate::library::set_functions(cx, globals, GLOBALS)?;
    cx.push(cx.raw_get_field(globals, "load"));
    cx.raw_set_field(globals, "loadstring")?;
    crate::bit32::open(cx)?;
    for (library, functions) in [("package", &[][..]), ("table", TABLE), ("math", MATH)] {
        let at = cx.height();
        cx.push(cx.raw_get_field(globals, library));
        if !matches!(cx.at(at), View::Table(_)) {
            // The profile lacks it.
            cx.set_height(at);
            continue;
        }
        crate::library::set_functions(cx, at, functions)?;
        if library == "package" {
            cx.push(cx.raw_get_field(at, "searchers"));
            cx.raw_set_field(at, "loaders")?;
        }
        if library == "table" {
            cx.push(cx.raw_get_field(at, "unpack"));
            cx.raw_set_field(globals, "unpack")?;
        }
        cx.set_height(at);
    }
    cx.set_height(globals);
    Ok(())
}

fn getn(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.check_table(0)?.len();
    cx.ret_int(n)
}

fn maxn(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(0)?;
    cx.set_height(1);
    cx.push_nil();
    let mut largest = View::Integer(0);
    while cx.next(0)? {
        largest = match (cx.at(1), largest) {
            (View::Integer(key), View::Integer(old)) => View::Integer(old.max(key)),
            (View::Integer(key), View::Float(old)) if key as f64 > old => View::Integer(key),
            (View::Float(key), View::Integer(old)) if key > old as f64 => View::Float(key),
            (View::Float(key), View::Float(old)) => View::Float(old.max(key)),
            (_, old) => old,
        };
        cx.set_height(2);
        cx.charge(1)?;
    }
    cx.push(largest);
    Ok(1)
}

/// The fraction in [0.5, 1) and the exponent of 2.
fn frexp(cx: &mut Context<'_>) -> Outcome<usize> {
    let x = cx.check_num(0)?;
    let (fraction, exponent) = split(x);
    cx.push_num(fraction);
    cx.push_int(exponent);
    Ok(2)
}

fn split(x: f64) -> (f64, i64) {
    const BIAS: i64 = 1022;
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as i64;
    if exponent == 0 {
        // A subnormal number: 54 more bits make it a normal one.
        let (fraction, exponent) = split(x * 2f64.powi(54));
        return (fraction, exponent - 54);
    }
    let fraction = (bits & !(0x7FF << 52)) | ((BIAS as u64) << 52);
    (f64::from_bits(fraction), exponent - BIAS)
}

fn ldexp(cx: &mut Context<'_>) -> Outcome<usize> {
    let (x, exponent) = (cx.check_num(0)?, cx.check_int(1)?);
    cx.ret_num(scale(x, exponent.clamp(-3000, 3000) as i32))
}

/// `x * 2^exponent`, rounded once: only the last step may be inexact.
fn scale(x: f64, exponent: i32) -> f64 {
    let (fraction, own) = split(x);
    if fraction == 0.0 || !fraction.is_finite() {
        return x;
    }
    let sum = own as i32 + exponent;
    if sum > 1024 {
        return fraction * f64::INFINITY;
    }
    if sum >= -1021 {
        return fraction * 2.0 * 2f64.powi(sum - 1);
    }
    fraction * 2f64.powi((sum + 1000).max(-1021)) * 2f64.powi(-1000)
}

/// Pushes the function that argument 0 names: itself, or a level of the stack.
fn push_function(cx: &mut Context<'_>, default: Option<i64>) -> Outcome<()> {
    if let View::Function(_) = cx.at(0) {
        cx.push_at(0);
        return Ok(());
    }
    let level = match default {
        Some(level) => cx.opt_int(0, level)?,
        None => cx.check_int(0)?,
    };
    if level < 0 {
        return Err(cx.arg_error(0, "level must be non-negative"));
    }
    let at = cx.height();
    if !cx.push_info_level(None, level, b"f")? {
        return Err(cx.arg_error(0, "invalid level"));
    }
    cx.push(cx.raw_get_field(at, "func"));
    cx.remove(at);
    Ok(())
}

/// Index of the upvalue `_ENV` of the function at stack index `at`.
fn environment_of(cx: &Context<'_>, at: usize) -> Option<i64> {
    let height = cx.height();
    let mut n = 1;
    while let Some(name) = cx.push_upvalue_of(at, n) {
        cx.set_height(height);
        if name == b"_ENV" {
            return Some(n);
        }
        n += 1;
    }
    None
}

fn no_environment(cx: &Context<'_>, name: &str) -> moonswap_vm::Raised {
    cx.error(format!(
        "'{name}' cannot reach the environment of a function without an _ENV upvalue"
    ))
}

/// `getfenv ([f])`
fn getfenv(cx: &mut Context<'_>) -> Outcome<usize> {
    if matches!(cx.at(0), View::Integer(0)) {
        cx.push_globals();
        return Ok(1);
    }
    let at = cx.height();
    push_function(cx, Some(1))?;
    if cx.at(at).is_native() {
        cx.push_globals();
        return Ok(1);
    }
    match environment_of(cx, at) {
        Some(n) => {
            cx.push_upvalue_of(at, n);
            Ok(1)
        }
        None => Err(no_environment(cx, "getfenv")),
    }
}

/// `setfenv (f, table)`: the function gets an `_ENV` of its own, which functions
/// that it makes from then on share; those made before keep theirs.
fn setfenv(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(1)?;
    if matches!(cx.at(0), View::Integer(0)) {
        return Err(cx.error("'setfenv' cannot change the environment of a thread"));
    }
    let at = cx.height();
    push_function(cx, None)?;
    if cx.at(at).is_native() {
        return Err(cx.error("'setfenv' cannot change environment of given object"));
    }
    let Some(n) = environment_of(cx, at) else {
        return Err(no_environment(cx, "setfenv"));
    };
    // A chunk that has a variable to share: its environment.
    if !cx.load(b"", b"=setfenv", "t", Keep::Captured)? {
        return Err(cx.raise_top());
    }
    cx.push_at(1);
    cx.set_first_upvalue(at + 1);
    cx.upvalue_join(at, n, at + 1, 1)?;
    cx.set_height(at + 1);
    Ok(1)
}
