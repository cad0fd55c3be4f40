//! The utf8 library: `utf8.char`, `charpattern`, `codepoint`, `codes`, `len`
//! and `offset`. Coding itself is in `string::codepoint`.

use moonswap_vm::context::{Context, NativeFn, Outcome};

use crate::library::tick;
use crate::string::buffer::{buffer, grow, push_buffer};
use crate::string::codepoint::{MAX_CODE, continues_at, decode, encode};

const INVALID: &str = "invalid UTF-8 code";

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("char", char),
    ("codepoint", codepoint),
    ("codes", codes),
    ("len", len),
    ("offset", offset),
];

/// Opens the library.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    let library = cx.height();
    crate::library::register(cx, "utf8", FUNCTIONS)?;
    cx.push_bytes(b"[\0-\x7F\xC2-\xFD][\x80-\xBF]*");
    cx.raw_set_field(library, "charpattern")?;
    cx.set_height(library);
    Ok(())
}

/// Negative positions count from the end; 0 for what is before the start.
fn position(position: i64, len: usize) -> i64 {
    if position >= 0 {
        position
    } else if position.unsigned_abs() > len as u64 {
        0
    } else {
        len as i64 + position + 1
    }
}

fn len(cx: &mut Context<'_>) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let size = text.len() as i64;
    let start = position(cx.opt_int(1, 1)?, text.len()).wrapping_sub(1);
    let last = position(cx.opt_int(2, -1)?, text.len()).wrapping_sub(1);
    let strict = !cx.at(3).truthy();
    if !(0..=size).contains(&start) {
        return Err(cx.arg_error(1, "initial position out of bounds"));
    }
    if last >= size {
        return Err(cx.arg_error(2, "final position out of bounds"));
    }
    let mut at = start as usize;
    let mut count: usize = 0;
    while at as i64 <= last {
        match decode(text.get(at..).unwrap_or_default(), strict) {
            Some((_, len)) => at += len,
            None => {
                cx.push_nil();
                cx.push_int(at as i64 + 1);
                return Ok(2);
            }
        }
        tick(cx, &mut count)?;
    }
    cx.ret_int(count as i64)
}

fn codepoint(cx: &mut Context<'_>) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let start = position(cx.opt_int(1, 1)?, text.len());
    let end = position(cx.opt_int(2, start)?, text.len());
    let strict = !cx.at(3).truthy();
    if start < 1 {
        return Err(cx.arg_error(1, "out of bounds"));
    }
    if end > text.len() as i64 {
        return Err(cx.arg_error(2, "out of bounds"));
    }
    if start > end {
        return Ok(0);
    }
    if end - start >= i64::from(i32::MAX) {
        return Err(cx.error("string slice too long"));
    }
    cx.ensure_stack((end - start + 1) as usize, "string slice too long")?;
    let mut at = start as usize - 1;
    let mut count = 0;
    while at < end as usize {
        let Some((code, len)) = decode(text.get(at..).unwrap_or_default(), strict) else {
            return Err(cx.error(INVALID));
        };
        cx.push_int(i64::from(code));
        at += len;
        count += 1;
    }
    Ok(count)
}

fn char(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    let mut out = buffer(cx);
    grow(cx, &mut out, n.saturating_mul(6))?;
    for i in 0..n {
        match u32::try_from(cx.check_int(i)?) {
            Ok(code) if code <= MAX_CODE => encode(code, &mut out),
            _ => return Err(cx.arg_error(i, "value out of range")),
        }
    }
    push_buffer(cx, out);
    Ok(1)
}

fn offset(cx: &mut Context<'_>) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let mut n = cx.check_int(1)?;
    let default = if n >= 0 { 1 } else { text.len() as i64 + 1 };
    let start = position(cx.opt_int(2, default)?, text.len()).wrapping_sub(1);
    if !(0..=text.len() as i64).contains(&start) {
        return Err(cx.arg_error(2, "position out of bounds"));
    }
    let mut at = start as usize;
    let continues = |at| continues_at(text, at);
    let mut turns = 0;
    if n == 0 {
        // Back to the start of the sequence that `at` is in.
        while at > 0 && continues(at) {
            at -= 1;
            tick(cx, &mut turns)?;
        }
        return cx.ret_int(at as i64 + 1);
    }
    if continues(at) {
        return Err(cx.error("initial position is a continuation byte"));
    }
    if n < 0 {
        while n < 0 && at > 0 {
            at -= 1;
            while at > 0 && continues(at) {
                at -= 1;
                tick(cx, &mut turns)?;
            }
            n += 1;
            tick(cx, &mut turns)?;
        }
    } else {
        n -= 1;
        while n > 0 && at < text.len() {
            at += 1;
            while continues(at) {
                at += 1;
                tick(cx, &mut turns)?;
            }
            n -= 1;
            tick(cx, &mut turns)?;
        }
    }
    if n == 0 {
        cx.ret_int(at as i64 + 1)
    } else {
        cx.push_nil();
        Ok(1)
    }
}

fn codes(cx: &mut Context<'_>) -> Outcome<usize> {
    let lax = cx.at(1).truthy();
    let text = cx.check_str(0)?.as_bytes();
    if continues_at(text, 0) {
        return Err(cx.arg_error(0, INVALID));
    }
    cx.push_native("codes_iterator", if lax { next_lax } else { next_strict });
    cx.push_at(0);
    cx.push_int(0);
    Ok(3)
}

fn next_strict(cx: &mut Context<'_>) -> Outcome<usize> {
    next(cx, true)
}

fn next_lax(cx: &mut Context<'_>) -> Outcome<usize> {
    next(cx, false)
}

fn next(cx: &Context<'_>, strict: bool) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    // The position of the last character is the offset of the byte after its
    // first; a negative one is beyond any end.
    let previous = cx.at(1).to_integer().unwrap_or(0);
    let mut at = usize::try_from(previous).unwrap_or(usize::MAX);
    let mut turns = 0;
    while continues_at(text, at) {
        at += 1;
        tick(cx, &mut turns)?;
    }
    if at >= text.len() {
        return Ok(0);
    }
    match decode(&text[at..], strict) {
        Some((code, len)) if !continues_at(text, at + len) => {
            cx.push_int(at as i64 + 1);
            cx.push_int(i64::from(code));
            Ok(2)
        }
        _ => Err(cx.error(INVALID)),
    }
}
