//! `string.pack`, `packsize` and `unpack`.

use moonswap_vm::context::{Context, Outcome, Raised};

use crate::library::tick;

use super::buffer::{append, buffer, grow, push_buffer, start_position};
use super::pack::{self, Format, Kind, MAX_SIZE, PackError};

#[cold]
fn raise(cx: &Context<'_>, error: PackError) -> Raised {
    if error.blames_format() {
        cx.arg_error(0, error.message())
    } else {
        cx.error(error.message())
    }
}

pub(super) fn pack(cx: &mut Context<'_>) -> Outcome<usize> {
    let cx = &*cx;
    let mut format = Format::new(cx.check_str(0)?.as_bytes());
    let mut out = buffer(cx);
    let n_args = cx.n_args();
    let mut arg = 0;
    let mut turns = 0;
    while let Some(item) = format.next(out.len()).map_err(|error| raise(cx, error))? {
        tick(cx, &mut turns)?;
        let size = item.size;
        grow(cx, &mut out, item.padding.saturating_add(size))?;
        let padded = out.len() + item.padding;
        out.resize(padded, 0);
        if !matches!(item.kind, Kind::Padding | Kind::Align | Kind::Nop) {
            arg += 1;
            if arg >= n_args {
                let wanted = match item.kind {
                    Kind::Char | Kind::Str | Kind::Zstr => "string",
                    _ => "number",
                };
                // What the reference finds behind its arguments is a nil.
                return Err(cx.arg_error(arg, format!("{wanted} expected, got nil")));
            }
        }
        match item.kind {
            Kind::Int => {
                let value = cx.check_int(arg)?;
                if !pack::int_fits(value, size) {
                    return Err(cx.arg_error(arg, "integer overflow"));
                }
                pack::write_int(&mut out, value as u64, format.little(), size, value < 0);
            }
            Kind::Uint => {
                let value = cx.check_int(arg)? as u64;
                if !pack::uint_fits(value, size) {
                    return Err(cx.arg_error(arg, "unsigned overflow"));
                }
                pack::write_int(&mut out, value, format.little(), size, false);
            }
            Kind::Single | Kind::Double => {
                let value = cx.check_num(arg)?;
                pack::write_float(&mut out, value, format.little(), item.kind == Kind::Single);
            }
            Kind::Char => {
                let text = cx.check_str(arg)?.as_bytes();
                if text.len() > size {
                    return Err(cx.arg_error(arg, "string longer than given size"));
                }
                let end = out.len() + size;
                out.extend_from_slice(text);
                out.resize(end, 0);
            }
            Kind::Str => {
                let text = cx.check_str(arg)?.as_bytes();
                if !pack::uint_fits(text.len() as u64, size) {
                    return Err(cx.arg_error(arg, "string length does not fit in given size"));
                }
                pack::write_int(&mut out, text.len() as u64, format.little(), size, false);
                append(cx, &mut out, text)?;
            }
            Kind::Zstr => {
                let text = cx.check_str(arg)?.as_bytes();
                if memchr::memchr(0, text).is_some() {
                    return Err(cx.arg_error(arg, "string contains zeros"));
                }
                append(cx, &mut out, text)?;
                append(cx, &mut out, b"\0")?;
            }
            Kind::Padding => out.push(0),
            Kind::Align | Kind::Nop => {}
        }
    }
    push_buffer(cx, out);
    Ok(1)
}

pub(super) fn packsize(cx: &mut Context<'_>) -> Outcome<usize> {
    let mut format = Format::new(cx.check_str(0)?.as_bytes());
    let mut total: usize = 0;
    let mut turns = 0;
    while let Some(item) = format.next(total).map_err(|error| raise(cx, error))? {
        tick(cx, &mut turns)?;
        if matches!(item.kind, Kind::Str | Kind::Zstr) {
            return Err(cx.arg_error(0, "variable-length format"));
        }
        match total.checked_add(item.padding + item.size) {
            Some(sum) if sum <= MAX_SIZE => total = sum,
            _ => return Err(cx.arg_error(0, "format result too large")),
        }
    }
    cx.ret_int(total as i64)
}

pub(super) fn unpack(cx: &mut Context<'_>) -> Outcome<usize> {
    let cx = &*cx;
    let mut format = Format::new(cx.check_str(0)?.as_bytes());
    let data = cx.check_str(1)?.as_bytes();
    let mut at = start_position(cx.opt_int(2, 1)?, data.len()) - 1;
    if at > data.len() {
        return Err(cx.arg_error(2, "initial position out of string"));
    }
    let too_short = || cx.arg_error(1, "data string too short");
    let mut count = 0;
    let mut turns = 0;
    while let Some(item) = format.next(at).map_err(|error| raise(cx, error))? {
        tick(cx, &mut turns)?;
        let rest = data
            .get(at..)
            .and_then(|rest| rest.get(item.padding..))
            .ok_or_else(too_short)?;
        let field = rest.get(..item.size).ok_or_else(too_short)?;
        at += item.padding + item.size;
        cx.ensure_stack(2, "too many results")?;
        match item.kind {
            Kind::Int | Kind::Uint => {
                let value = pack::read_int(field, format.little(), item.kind == Kind::Int);
                cx.push_int(value.map_err(|error| raise(cx, error))?);
            }
            Kind::Single | Kind::Double => cx.push_num(pack::read_float(field, format.little())),
            Kind::Char => cx.push_bytes(field),
            Kind::Str => {
                let len = pack::read_int(field, format.little(), false)
                    .map_err(|error| raise(cx, error))?;
                let text = usize::try_from(len as u64)
                    .ok()
                    .and_then(|len| rest.get(item.size..)?.get(..len));
                let text = text.ok_or_else(too_short)?;
                cx.push_bytes(text);
                at += text.len();
            }
            Kind::Zstr => {
                let Some(len) = memchr::memchr(0, rest) else {
                    return Err(cx.arg_error(1, "unfinished string for format 'z'"));
                };
                cx.push_bytes(&rest[..len]);
                at += len + 1;
            }
            Kind::Padding | Kind::Align | Kind::Nop => continue,
        }
        count += 1;
    }
    cx.push_int(at as i64 + 1);
    Ok(count + 1)
}
