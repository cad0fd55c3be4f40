//! Text to number. Accepts exactly what the reference's conversion accepts:
//! optional surrounding white space, a sign, decimal or hexadecimal integers
//! and floats; refuses `inf` and `nan`. Results are correctly rounded.

use crate::Number;

/// Whether `c` is white space in Lua's lexical sense (the "C" locale).
#[inline]
pub const fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// The value of `c` as a digit in bases up to 36 (letters of either case
/// count from ten), or `None`.
#[inline]
pub const fn digit_value(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'z' => Some(c - b'a' + 10),
        b'A'..=b'Z' => Some(c - b'A' + 10),
        _ => None,
    }
}

/// Converts a numeral to a number as `tonumber(s)` does: hexadecimal integers
/// wrap around, decimal integers that do not fit become floats.
pub fn parse(bytes: &[u8]) -> Option<Number> {
    let text = trim(bytes);
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if let [b'0', b'x' | b'X', hex @ ..] = digits {
        return parse_hex(hex, negative);
    }
    if let Some(int) = decimal_int(digits, negative) {
        return Some(Number::Int(int));
    }
    if !is_decimal_float(digits) {
        return None;
    }
    let value: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Number::Float(if negative { -value } else { value }))
}

fn trim(mut s: &[u8]) -> &[u8] {
    while let [c, rest @ ..] = s
        && is_space(*c)
    {
        s = rest;
    }
    while let [rest @ .., c] = s
        && is_space(*c)
    {
        s = rest;
    }
    s
}

fn decimal_int(digits: &[u8], negative: bool) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &c in digits {
        let digit = c.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    // The magnitude of the most negative integer is one above the largest.
    if value > i64::MAX as u64 + u64::from(negative) {
        return None;
    }
    Some(if negative {
        (value as i64).wrapping_neg()
    } else {
        value as i64
    })
}

/// Checks the grammar here, because the standard parser also takes words such
/// as "inf" and "infinity".
fn is_decimal_float(s: &[u8]) -> bool {
    let (whole, rest) = split_while(s, u8::is_ascii_digit);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_while(rest, u8::is_ascii_digit),
        _ => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return false;
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            !exponent.is_empty() && exponent.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn split_while(s: &[u8], test: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = s.iter().position(|c| !test(c)).unwrap_or(s.len());
    s.split_at(end)
}

/// The part after `0x`: an integer if it has digits only, else a float.
fn parse_hex(s: &[u8], negative: bool) -> Option<Number> {
    let (whole, rest) = split_while(s, u8::is_ascii_hexdigit);
    if rest.is_empty() {
        if whole.is_empty() {
            return None;
        }
        let mut value: u64 = 0;
        for &c in whole {
            value = value.wrapping_shl(4) | u64::from(digit_value(c)?);
        }
        return Some(Number::Int(if negative {
            value.wrapping_neg()
        } else {
            value
        } as i64));
    }
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_while(rest, u8::is_ascii_hexdigit),
        _ => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa = HexMantissa::default();
    for &c in whole {
        mantissa.push(digit_value(c)?);
    }
    for &c in fraction {
        mantissa.push(digit_value(c)?);
        mantissa.exponent -= 4;
    }
    let exponent = match rest {
        [] => 0,
        [b'p' | b'P', b'-', digits @ ..] => -decimal_exponent(digits)?,
        [b'p' | b'P', b'+', digits @ ..] | [b'p' | b'P', digits @ ..] => decimal_exponent(digits)?,
        _ => return None,
    };
    let value = mantissa.scaled(exponent);
    Some(Number::Float(if negative { -value } else { value }))
}

/// A binary exponent; saturates far outside of what any mantissa that fits in
/// memory could bring back into range.
fn decimal_exponent(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for &c in digits {
        if !c.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(c - b'0')).min(1 << 55);
    }
    Some(value)
}

/// The leading 60 bits or so of a hexadecimal numeral; what falls off is only
/// remembered as "not zero", which is enough to round correctly.
#[derive(Default)]
struct HexMantissa {
    bits: u64,
    exponent: i64,
    sticky: bool,
}

impl HexMantissa {
    fn push(&mut self, digit: u8) {
        if self.bits >> 59 == 0 {
            self.bits = self.bits << 4 | u64::from(digit);
        } else {
            self.sticky |= digit != 0;
            self.exponent += 4;
        }
    }

    /// `bits * 2^(self.exponent + exponent)`, rounded to nearest, ties to even.
    fn scaled(&self, exponent: i64) -> f64 {
        if self.bits == 0 {
            return 0.0;
        }
        let exponent = self.exponent.saturating_add(exponent);
        // Normalise: the top bit of `bits` is then worth 2^top.
        let zeros = self.bits.leading_zeros();
        let bits = self.bits << zeros;
        let top = exponent.saturating_add(63 - i64::from(zeros));
        if top > 1023 {
            return f64::INFINITY;
        }
        if top < -1075 {
            return 0.0;
        }
        // A normal number keeps 53 bits, a subnormal one fewer.
        let keep = if top >= -1022 {
            53
        } else {
            (top + 1075) as u32
        };
        let drop = 64 - keep;
        let (kept, rest, half) = if drop == 64 {
            (0, bits, 1u64 << 63)
        } else {
            (bits >> drop, bits & ((1 << drop) - 1), 1u64 << (drop - 1))
        };
        let up = rest > half || rest == half && (self.sticky || kept & 1 == 1);
        let kept = kept + u64::from(up);
        // A carry out of the mantissa runs into the exponent field, which is
        // just the right value in every case, infinity included.
        if top >= -1022 {
            f64::from_bits(((top + 1022) as u64).wrapping_shl(52).wrapping_add(kept))
        } else {
            f64::from_bits(kept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(s: &str) -> u64 {
        match parse(s.as_bytes()) {
            Some(Number::Float(f)) => f.to_bits(),
            other => panic!("{s}: {other:?}"),
        }
    }

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", 0),
            (" \t\n\x0b\x0c\r-7 ", -7),
            ("+12", 12),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("0xffffffffffffffff", -1),
            ("0x1ffffffffffffffff", -1),
            ("-0X10", -16),
            ("007", 7),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Number::Int(value)), "{text}");
        }
    }

    #[test]
    fn floats() {
        for (text, value) in [
            ("9223372036854775808", 9223372036854775808.0),
            ("-9223372036854775809", -9223372036854775808.0),
            ("1e1", 10.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-0.0", -0.0),
            ("0x.8", 0.5),
            ("0x8.", 8.0),
            ("0xA.8p1", 21.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1p-1075", 0.0),
            ("0x1.8p-1075", f64::from_bits(1)),
            ("0x1.fffffffffffff8p1023", f64::INFINITY),
            ("0x1.fffffffffffff7p1023", f64::MAX),
            ("0x0.fffffffffffff8p-1022", f64::MIN_POSITIVE),
            ("0x1p99999999999999999999", f64::INFINITY),
            ("0x1p-99999999999999999999", 0.0),
            ("1e999", f64::INFINITY),
            ("0x20000000000001.0", 9007199254740992.0),
            ("0x20000000000003.0", 9007199254740996.0),
            ("0x20000000000001.000000000000000000001", 9007199254740994.0),
        ] {
            assert_eq!(float(text), value.to_bits(), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "", " ", "-", "+", "- 1", "--1", "0x", "0xg", "0x.", "0x.p1", "0x1p", "0x1p+", "0x1pf",
            "1e", "1e+", ".", "e1", ".e1", "inf", "nan", "-inf", "infinity", "1 2", "1\0", "\x001",
            "1e1.0", "1_0", "0b1", "1f", "0x1.2.3", "١",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
