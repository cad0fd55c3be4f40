//! `tonumber`, with and without a base.

use moonswap_number::{Number, is_space, parse};
use moonswap_vm::context::{Context, Outcome, View};

/// `tonumber (e [, base])`
pub(super) fn tonumber(cx: &mut Context<'_>) -> Outcome<usize> {
    if cx.at(1).is_nil() {
        match cx.at(0) {
            number @ (View::Integer(_) | View::Float(_)) => return cx.ret(number),
            View::String(s) => {
                match parse(s.as_bytes()) {
                    Some(Number::Int(i)) => cx.push_int(i),
                    Some(Number::Float(f)) => cx.push_num(f),
                    None => cx.push_nil(),
                }
                return Ok(1);
            }
            _ => cx.check_any(0)?,
        }
    } else {
        let base = cx.check_int(1)?;
        let View::String(s) = cx.at(0) else {
            return Err(cx.type_error(0, "string"));
        };
        if !(2..=36).contains(&base) {
            return Err(cx.arg_error(1, "base out of range"));
        }
        if let Some(n) = in_base(s.as_bytes(), base as u32) {
            return cx.ret_int(n);
        }
    }
    cx.push_nil();
    Ok(1)
}

/// Value of a numeral in `base`, which wraps around as integers do.
fn in_base(text: &[u8], base: u32) -> Option<i64> {
    let text = trim(text);
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n = 0u64;
    for &c in digits {
        let digit = char::from(c).to_digit(36).filter(|&d| d < base)?;
        n = n.wrapping_mul(base.into()).wrapping_add(digit.into());
    }
    Some(if negative { n.wrapping_neg() } else { n } as i64)
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::in_base;

    #[test]
    fn numerals_in_bases() {
        assert_eq!(in_base(b"  -ff ", 16), Some(-255));
        assert_eq!(in_base(b"zz", 36), Some(1295));
        assert_eq!(in_base(b"+10", 2), Some(2));
        assert_eq!(in_base(b"ffffffffffffffff", 16), Some(-1));
        for bad in [&b""[..], b" ", b"-", b"12", b"1 1", b"1\0", b"\xff"] {
            assert_eq!(in_base(bad, 2), None);
        }
    }
}
