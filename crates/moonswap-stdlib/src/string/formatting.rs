//! `string.format`: takes the arguments that the directives ask for.

use moonswap_number::{format_float, format_int, write_float, write_int};
use moonswap_vm::context::{Buffer, Context, Outcome, Raised, View};

use crate::library::tick;

use super::buffer::{PIECE, append, buffer, bytes, grow, push_buffer};
use super::format::{self, Directive, FormatError, Kind};

/// Room for any number: width and precision have two digits, and the largest
/// float has 309 before the point.
const MAX_ITEM: usize = 512;

pub(super) fn format(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_str(0)?;
    let n_args = cx.n_args();
    let mut out = buffer(cx);
    let mut at = 0;
    let mut arg = 0;
    let mut turns = 0;
    loop {
        tick(cx, &mut turns)?;
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
        let directive = match format::parse(rest) {
            Ok(directive) => directive,
            Err(error) => return Err(refuse(cx, &error, arg)),
        };
        at += skip + 1 + directive.len;
        if !add_item(cx, &mut out, &directive, arg)? {
            add_converted(cx, &mut out, &directive, arg)?;
        }
    }
    push_buffer(cx, out);
    Ok(1)
}

/// The error for a directive that is none. Most conversions look at their
/// argument before they look at flags and digits, as in the reference.
#[cold]
fn refuse(cx: &mut Context<'_>, error: &FormatError, arg: usize) -> Raised {
    if let FormatError::InvalidSpecification(form) = error {
        let checked = match form.last() {
            Some(b'd' | b'i' | b'u' | b'o' | b'x' | b'X') => cx.check_int(arg).map(drop),
            Some(b'e' | b'E' | b'f' | b'g' | b'G') => cx.check_num(arg).map(drop),
            Some(b's') => check_text(cx, arg),
            _ => Ok(()),
        };
        if let Err(raised) = checked {
            return raised;
        }
    }
    cx.error(error.message())
}

fn check_text(cx: &mut Context<'_>, arg: usize) -> Outcome<()> {
    let top = cx.height();
    cx.push_tostring(arg)?;
    let has_zeros = memchr::memchr(0, bytes(cx, top)).is_some();
    cx.set_height(top);
    if has_zeros {
        return Err(cx.arg_error(arg, "string contains zeros"));
    }
    Ok(())
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
                grow(cx, out, text.len().saturating_add(2))?;
                out.push(b'"');
                let mut rest = text;
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(rest.len().min(PIECE));
                    // At worst each byte becomes an escape of four; one for the
                    // closing quote.
                    grow(cx, out, piece.len() * 4 + 1)?;
                    format::write_quoted(out, piece, after.first().copied());
                    cx.charge(piece.len())?;
                    rest = after;
                }
                out.push(b'"');
            }
            View::Integer(value) => format::write_quoted_int(out, value),
            View::Float(value) => format::write_quoted_float(out, value),
            View::Nil => out.extend_from_slice(b"nil"),
            View::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            _ => return Err(cx.arg_error(arg, "value has no literal form")),
        },
        Kind::Str if cx.has_tostring(arg) => return Ok(false),
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
