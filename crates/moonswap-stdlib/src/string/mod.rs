//! The string library: `string.*` and the metatable of strings.
//!
//! The engines (`pattern`, `format`, `pack`, `codepoint`, `class`) know
//! nothing of the VM; `search`, `formatting`, `packing` and `arith` bind them
//! to it, and the small functions are here. Results are built in the VM's
//! reusable buffer, and its growth is checked against the memory limit.

mod arith;
pub(crate) mod buffer;
pub mod class;
pub mod codepoint;
pub mod format;
mod formatting;
mod matching;
pub mod pack;
mod packing;
pub mod pattern;
mod search;

use moonswap_vm::context::{Context, NativeFn, Outcome};

use buffer::{PIECE, buffer, bytes, end_position, grow, push_buffer, start_position};
use pack::MAX_SIZE;

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("byte", byte),
    ("char", char),
    ("dump", dump),
    ("find", search::find),
    ("format", formatting::format),
    ("gmatch", search::gmatch),
    ("gsub", search::gsub),
    ("len", len),
    ("lower", lower),
    ("match", search::match_),
    ("pack", packing::pack),
    ("packsize", packing::packsize),
    ("rep", rep),
    ("reverse", reverse),
    ("sub", sub),
    ("unpack", packing::unpack),
    ("upper", upper),
];

/// Opens the library and gives strings their metatable.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    let library = cx.height();
    crate::library::register(cx, "string", FUNCTIONS)?;
    let string = cx.height();
    cx.push_bytes(b"");
    let metatable = cx.height();
    cx.push_table(0, arith::METAMETHODS.len() + 1);
    for &(name, function) in arith::METAMETHODS {
        cx.push_native(name, function);
        cx.raw_set_field(metatable, name)?;
    }
    cx.push_at(library);
    cx.raw_set_field(metatable, "__index")?;
    // The metatable of one string is that of all strings.
    cx.set_metatable(string);
    cx.set_height(library);
    Ok(())
}

fn len(cx: &mut Context<'_>) -> Outcome<usize> {
    let len = cx.check_str(0)?.as_bytes().len();
    cx.ret_int(len as i64)
}

fn sub(cx: &mut Context<'_>) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let start = start_position(cx.check_int(1)?, text.len()) - 1;
    let end = end_position(cx.opt_int(2, -1)?, text.len());
    if start == 0 && end == text.len() {
        cx.push_at(0);
        return Ok(1);
    }
    cx.ret_bytes(text.get(start..end).unwrap_or_default())
}

fn byte(cx: &mut Context<'_>) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let first = cx.opt_int(1, 1)?;
    let start = start_position(first, text.len()) - 1;
    let end = end_position(cx.opt_int(2, first)?, text.len());
    let slice = text.get(start..end).unwrap_or_default();
    if let [c] = slice {
        return cx.ret_int(i64::from(*c));
    }
    if slice.len() >= MAX_SIZE {
        return Err(cx.error("string slice too long"));
    }
    cx.ensure_stack(slice.len(), "string slice too long")?;
    for &c in slice {
        cx.push_int(i64::from(c));
    }
    Ok(slice.len())
}

fn char(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    let code = |i| -> Outcome<u8> {
        u8::try_from(cx.check_int(i)?).map_err(|_| cx.arg_error(i, "value out of range"))
    };
    if n == 1 {
        return cx.ret_bytes(&[code(0)?]);
    }
    let mut out = buffer(cx);
    grow(cx, &mut out, n)?;
    for i in 0..n {
        out.push(code(i)?);
    }
    push_buffer(cx, out);
    Ok(1)
}

fn lower(cx: &mut Context<'_>) -> Outcome<usize> {
    mapped(cx, <[u8]>::make_ascii_lowercase)
}

fn upper(cx: &mut Context<'_>) -> Outcome<usize> {
    mapped(cx, <[u8]>::make_ascii_uppercase)
}

fn reverse(cx: &mut Context<'_>) -> Outcome<usize> {
    mapped(cx, <[u8]>::reverse)
}

fn mapped(cx: &Context<'_>, change: fn(&mut [u8])) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let mut out = buffer(cx);
    grow(cx, &mut out, text.len())?;
    for piece in text.chunks(PIECE) {
        out.extend_from_slice(piece);
        cx.charge(piece.len())?;
    }
    change(&mut out);
    push_buffer(cx, out);
    Ok(1)
}

fn rep(cx: &mut Context<'_>) -> Outcome<usize> {
    let text = cx.check_str(0)?.as_bytes();
    let count = cx.check_int(1)?;
    let separator = cx.opt_str(2)?.map_or(&b""[..], |text| text.as_bytes());
    let unit = text.len().saturating_add(separator.len());
    if count <= 0 || unit == 0 {
        return cx.ret_bytes(b"");
    }
    if unit as u64 > MAX_SIZE as u64 / count as u64 {
        return Err(cx.error("resulting string too large"));
    }
    if count == 1 {
        cx.push_at(0);
        return Ok(1);
    }
    // Fits: the product is at most MAX_SIZE.
    let total = unit * count as usize - separator.len();
    cx.make_room(total)?;
    let text = bytes(cx, 0);
    let separator = bytes(cx, 2);
    let mut out = cx.new_buffer(total)?;
    if let ([c], true) = (text, separator.is_empty()) {
        cx.charge(total / 64)?;
        out.resize(total, *c);
    } else {
        out.extend_from_slice(text);
        out.extend_from_slice(separator);
        // What is there holds whole units, so it can be doubled.
        while out.len() < total {
            let piece = out.len().min(total - out.len());
            cx.charge(piece / 64)?;
            out.extend_from_within(..piece);
        }
    }
    push_buffer(cx, out);
    Ok(1)
}

fn dump(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_function(0)?;
    match cx.dump(0, cx.at(1).truthy())? {
        Some(chunk) => {
            cx.push_vec(chunk);
            Ok(1)
        }
        None => Err(cx.error("unable to dump given function")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        assert_eq!(start_position(2, 5), 2);
        assert_eq!(start_position(0, 5), 1);
        assert_eq!(start_position(-2, 5), 4);
        assert_eq!(start_position(-9, 5), 1);
        assert_eq!(start_position(i64::MIN, 5), 1);
        assert_eq!(start_position(i64::MAX, 5), i64::MAX as usize);
        assert_eq!(end_position(9, 5), 5);
        assert_eq!(end_position(0, 5), 0);
        assert_eq!(end_position(-1, 5), 5);
        assert_eq!(end_position(-6, 5), 0);
        assert_eq!(end_position(i64::MIN, 5), 0);
    }
}
