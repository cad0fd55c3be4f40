//! The library `bit32` of 5.2 (5.3 has it with `LUA_COMPAT_5_2`), for
//! `compat`: operations on the low 32 bits of integers, with the checks of 5.3.

use moonswap_vm::context::{Context, NativeFn, Outcome};

const BITS: i64 = 32;

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("arshift", arshift),
    ("band", |cx| {
        let all = all_of(cx, u32::MAX, |a, b| a & b)?;
        cx.ret_int(all.into())
    }),
    ("bnot", |cx| cx.ret_int((!word(cx, 0)?).into())),
    ("bor", |cx| {
        let any = all_of(cx, 0, |a, b| a | b)?;
        cx.ret_int(any.into())
    }),
    ("btest", |cx| {
        cx.push_bool(all_of(cx, u32::MAX, |a, b| a & b)? != 0);
        Ok(1)
    }),
    ("bxor", |cx| {
        let odd = all_of(cx, 0, |a, b| a ^ b)?;
        cx.ret_int(odd.into())
    }),
    ("extract", extract),
    ("lrotate", |cx| {
        let (bits, by) = (word(cx, 0)?, cx.check_int(1)?);
        cx.ret_int(bits.rotate_left(by.rem_euclid(BITS) as u32).into())
    }),
    ("lshift", |cx| {
        let (bits, by) = (word(cx, 0)?, cx.check_int(1)?);
        cx.ret_int(shifted(bits, by).into())
    }),
    ("replace", replace),
    ("rrotate", |cx| {
        let (bits, by) = (word(cx, 0)?, cx.check_int(1)?);
        cx.ret_int(bits.rotate_right(by.rem_euclid(BITS) as u32).into())
    }),
    ("rshift", |cx| {
        let (bits, by) = (word(cx, 0)?, cx.check_int(1)?);
        cx.ret_int(shifted(bits, by.wrapping_neg()).into())
    }),
];

/// Opens the library as the global `bit32`.
pub(crate) fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "bit32", FUNCTIONS)?;
    cx.pop(1);
    Ok(())
}

/// The low 32 bits of an integer argument.
fn word(cx: &Context<'_>, i: usize) -> Outcome<u32> {
    Ok(cx.check_int(i)? as u32)
}

fn all_of(cx: &Context<'_>, first: u32, operation: fn(u32, u32) -> u32) -> Outcome<u32> {
    (0..cx.height()).try_fold(first, |bits, i| Ok(operation(bits, word(cx, i)?)))
}

/// To the left by so many bits, to the right by negative ones.
fn shifted(bits: u32, by: i64) -> u32 {
    let far = u32::try_from(by.unsigned_abs()).unwrap_or(u32::MAX);
    let moved = match by < 0 {
        true => bits.checked_shr(far),
        false => bits.checked_shl(far),
    };
    moved.unwrap_or(0)
}

/// A shift to the right that brings in copies of the highest bit.
fn arshift(cx: &mut Context<'_>) -> Outcome<usize> {
    let (bits, by) = (word(cx, 0)?, cx.check_int(1)?);
    let result = match by < 0 {
        true => shifted(bits, by.wrapping_neg()),
        false => ((bits as i32) >> by.min(BITS - 1)) as u32,
    };
    cx.ret_int(result.into())
}

/// Position and mask of the field that arguments `at` and `at + 1` name.
fn field(cx: &Context<'_>, at: usize) -> Outcome<(u32, u32)> {
    let (first, width) = (cx.check_int(at)?, cx.opt_int(at + 1, 1)?);
    if first < 0 {
        return Err(cx.arg_error(at, "field cannot be negative"));
    }
    if width <= 0 {
        return Err(cx.arg_error(at + 1, "width must be positive"));
    }
    if first.saturating_add(width) > BITS {
        return Err(cx.error("trying to access non-existent bits"));
    }
    Ok((first as u32, u32::MAX >> (BITS - width)))
}

fn extract(cx: &mut Context<'_>) -> Outcome<usize> {
    let bits = word(cx, 0)?;
    let (first, mask) = field(cx, 1)?;
    cx.ret_int(((bits >> first) & mask).into())
}

fn replace(cx: &mut Context<'_>) -> Outcome<usize> {
    let (bits, new) = (word(cx, 0)?, word(cx, 1)?);
    let (first, mask) = field(cx, 2)?;
    cx.ret_int(((bits & !(mask << first)) | ((new & mask) << first)).into())
}
