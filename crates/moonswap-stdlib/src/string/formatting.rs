//! `string.format`: takes the arguments that the directives ask for.

use moonswap_number::{format_float, format_int, write_float, write_int};
use moonswap_vm::context::{Buffer, Context, Outcome, View};

use super::format::{self, Directive, Kind};
use super::{append, buffer, bytes, grow, push_buffer};

/// Room for any number: width and precision have two digits, and the largest
/// float has 309 before the point.
const MAX_ITEM: usize = 512;

pub(super) fn format(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_str(0)?;
    let n_args = cx.n_args();
    let mut out = buffer(cx);
    let mut at = 0;
    let mut arg = 0;
    loop {
        // Borrowed anew each time, for an argument may be converted by Lua
        // code; the format itself stays where it is.
        let text = bytes(cx, 0).get(at..).unwrap_or_default();
        let Some(skip) = memchr::memchr(b'%', text) else {
            append(cx, &mut out, text)?;
            break;
        };
        append(cx, &mut out, &text[..skip])?;
        let rest = &text[skip + 1..];
        if rest.first() == Some(&b'%') {
            append(cx, &mut out, b"%")?;
            at += skip + 2;
            continue;
        }
        arg += 1;
        if arg >= n_args {
            return Err(cx.arg_error(arg, "no value"));
        }
        let directive = format::parse(rest).map_err(|error| cx.error(error.message()))?;
        at += skip + 1 + directive.len;
        if !add_item(cx, &mut out, &directive, arg)? {
            add_converted(cx, &mut out, &directive, arg)?;
        }
    }
    push_buffer(cx, out);
    Ok(1)
}

/// Appends an argument; false if Lua code may have to convert it first.
#[inline]
fn add_item(
    cx: &Context<'_>,
    out: &mut Buffer,
    directive: &Directive,
    arg: usize,
) -> Outcome<bool> {
    let spec = &directive.spec;
    let simple = directive.len == 1;
    if directive.kind != Kind::Str {
        grow(cx, out, MAX_ITEM)?;
    }
    match directive.kind {
        Kind::Int => {
            let value = cx.check_int(arg)?;
            if simple && matches!(spec.conversion, b'd' | b'i') {
                write_int(value, out);
            } else {
                format_int(out, spec, value);
            }
        }
        Kind::Char => format_int(out, spec, cx.check_int(arg)?),
        Kind::Float => format_float(out, spec, cx.check_num(arg)?),
        Kind::Pointer => {
            let address = match cx.at(arg) {
                View::Light(address) => address,
                value => value.address(),
            };
            format::write_pointer(out, spec, if address == 0 { None } else { Some(address) });
        }
        Kind::Quoted => match cx.at(arg) {
            View::String(text) => {
                let text = text.as_bytes();
                // At worst each byte becomes an escape of four.
                grow(cx, out, text.len().saturating_mul(4).saturating_add(2))?;
                format::write_quoted(out, text);
            }
            View::Integer(value) => format::write_quoted_int(out, value),
            View::Float(value) => format::write_quoted_float(out, value),
            View::Nil => out.extend_from_slice(b"nil"),
            View::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            _ => return Err(cx.arg_error(arg, "value has no literal form")),
        },
        Kind::Str => match cx.at(arg) {
            View::String(text) => add_str(cx, out, directive, arg, text.as_bytes())?,
            View::Integer(value) if simple => {
                grow(cx, out, MAX_ITEM)?;
                write_int(value, out);
            }
            View::Float(value) if simple => {
                grow(cx, out, MAX_ITEM)?;
                write_float(value, out);
            }
            _ => return Ok(false),
        },
    }
    Ok(true)
}

fn add_str(
    cx: &Context<'_>,
    out: &mut Buffer,
    directive: &Directive,
    arg: usize,
    text: &[u8],
) -> Outcome<()> {
    if directive.len == 1 {
        return append(cx, out, text);
    }
    if format::refuses_zeros(&directive.spec, text) {
        return Err(cx.arg_error(arg, "string contains zeros"));
    }
    grow(cx, out, text.len().saturating_add(MAX_ITEM))?;
    format::write_str(out, &directive.spec, text);
    Ok(())
}

/// Appends an argument for `%s` that is converted as `tostring` does.
fn add_converted(
    cx: &mut Context<'_>,
    out: &mut Buffer,
    directive: &Directive,
    arg: usize,
) -> Outcome<()> {
    let top = cx.height();
    cx.push_tostring(arg)?;
    add_str(cx, out, directive, arg, bytes(cx, top))?;
    cx.set_height(top);
    Ok(())
}
