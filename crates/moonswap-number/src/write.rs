//! Number to text, as `tostring` and concatenation write it: integers in
//! decimal, floats as C's `%.14g` with ".0" added where the text would
//! otherwise read as an integer.
//!
//! Floats take the shortest digits that read back as the same value. If there
//! are at most 14 they are the answer; if more, rounding them to 14 gives the
//! same as rounding the value itself, except when what is cut off is exactly
//! one digit 5 (the value may lie on either side). That case, and subnormals,
//! go through the exact conversion.

use std::fmt::{self, Write as _};

use crate::Number;

/// Significant digits of `%.14g`.
const DIGITS: usize = 14;

static PAIRS: [u8; 200] = {
    let mut table = [0; 200];
    let mut i = 0;
    while i < 100 {
        table[2 * i] = b'0' + (i / 10) as u8;
        table[2 * i + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    table
};

/// A place for the text of one number, so that it can be made without a heap
/// allocation.
#[derive(Clone, Copy, Debug)]
pub struct NumberBuffer([u8; 48]);

impl Default for NumberBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl NumberBuffer {
    /// An empty buffer.
    #[inline]
    pub const fn new() -> Self {
        NumberBuffer([0; 48])
    }

    /// The text of a number, as `tostring` gives it.
    #[inline]
    pub fn format(&mut self, number: Number) -> &[u8] {
        match number {
            Number::Int(i) => self.format_int(i),
            Number::Float(f) => self.format_float(f),
        }
    }

    /// The text of an integer.
    #[inline]
    pub fn format_int(&mut self, value: i64) -> &[u8] {
        let start = self.put_unsigned(value.unsigned_abs());
        let start = if value < 0 {
            self.put_before(start, b'-')
        } else {
            start
        };
        &self.0[start..]
    }

    /// The text of a float.
    pub fn format_float(&mut self, x: f64) -> &[u8] {
        if !x.is_finite() {
            return match (x.is_nan(), x.is_sign_negative()) {
                (true, false) => b"nan",
                (true, true) => b"-nan",
                (false, false) => b"inf",
                (false, true) => b"-inf",
            };
        }
        let magnitude = x.abs();
        if magnitude < 1e14 && magnitude.trunc() == magnitude {
            // Up to 14 digits: the integer's text and ".0".
            let start = self.put_unsigned_before(46, magnitude as u64);
            self.0[46] = b'.';
            self.0[47] = b'0';
            let start = if x.is_sign_negative() {
                self.put_before(start, b'-')
            } else {
                start
            };
            return &self.0[start..];
        }
        let decimal = Decimal::of(magnitude);
        let end = decimal.layout(x.is_sign_negative(), &mut self.0);
        &self.0[..end]
    }

    fn put_before(&mut self, start: usize, c: u8) -> usize {
        let start = start.saturating_sub(1);
        self.0[start] = c;
        start
    }

    #[inline]
    fn put_unsigned(&mut self, value: u64) -> usize {
        self.put_unsigned_before(48, value)
    }

    /// Writes decimal digits that end before `end`; returns where they start.
    #[inline]
    fn put_unsigned_before(&mut self, end: usize, mut value: u64) -> usize {
        let mut at = end;
        while value >= 100 {
            let pair = (value % 100) as usize * 2;
            value /= 100;
            at -= 2;
            self.0[at] = PAIRS[pair];
            self.0[at + 1] = PAIRS[pair + 1];
        }
        if value >= 10 {
            let pair = value as usize * 2;
            at -= 2;
            self.0[at] = PAIRS[pair];
            self.0[at + 1] = PAIRS[pair + 1];
        } else {
            at -= 1;
            self.0[at] = b'0' + value as u8;
        }
        at
    }
}

/// Appends an integer's text.
#[inline]
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(NumberBuffer::new().format_int(value));
}

/// Appends a float's text.
#[inline]
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(NumberBuffer::new().format_float(value));
}

/// Appends a number's text.
#[inline]
pub fn write_number(value: Number, out: &mut Vec<u8>) {
    out.extend_from_slice(NumberBuffer::new().format(value));
}

/// A value rounded to 14 significant digits: `d.ddd * 10^exponent`, without
/// trailing zeros, at least one digit.
struct Decimal {
    digits: [u8; 17],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// Of a finite value above zero.
    fn of(magnitude: f64) -> Self {
        let mut text = Text::new();
        if magnitude.is_normal() {
            // Writing into the buffer cannot fail: 17 digits, a point and an
            // exponent always fit.
            let _ = write!(text, "{magnitude:e}");
            let mut decimal = Self::read(text.as_bytes());
            if decimal.len <= DIGITS {
                return decimal;
            }
            if !(decimal.len == DIGITS + 1 && decimal.digits[DIGITS] == b'5') {
                decimal.round();
                return decimal;
            }
            text = Text::new();
        }
        let _ = write!(text, "{magnitude:.prec$e}", prec = DIGITS - 1);
        let mut decimal = Self::read(text.as_bytes());
        decimal.trim();
        decimal
    }

    /// Reads what core's `{:e}` writes: `d[.ddd]e[-]x`.
    fn read(text: &[u8]) -> Self {
        let mut decimal = Decimal {
            digits: [b'0'; 17],
            len: 0,
            exponent: 0,
        };
        let mut rest = text.iter();
        for &c in rest.by_ref() {
            match c {
                b'0'..=b'9' if decimal.len < 17 => {
                    decimal.digits[decimal.len] = c;
                    decimal.len += 1;
                }
                b'e' => break,
                _ => {}
            }
        }
        let mut negative = false;
        for &c in rest {
            match c {
                b'-' => negative = true,
                _ => decimal.exponent = decimal.exponent * 10 + i32::from(c.wrapping_sub(b'0')),
            }
        }
        if negative {
            decimal.exponent = -decimal.exponent;
        }
        decimal
    }

    /// Rounds more than 14 digits to 14.
    fn round(&mut self) {
        let up = self.digits[DIGITS] >= b'5';
        self.len = DIGITS;
        if up {
            let mut at = DIGITS;
            loop {
                if at == 0 {
                    // All nines: one digit more.
                    self.digits[0] = b'1';
                    self.len = 1;
                    self.exponent += 1;
                    return;
                }
                at -= 1;
                if self.digits[at] == b'9' {
                    self.digits[at] = b'0';
                } else {
                    self.digits[at] += 1;
                    break;
                }
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.len > 1 && self.digits[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }

    /// Lays the text out at the start of `out`; returns its length.
    fn layout(&self, negative: bool, out: &mut [u8; 48]) -> usize {
        let mut cursor = Cursor { out, at: 0 };
        let digits = &self.digits[..self.len];
        if negative {
            cursor.push(b'-');
        }
        let exponent = self.exponent;
        if exponent < -4 || exponent >= DIGITS as i32 {
            cursor.push(digits[0]);
            if digits.len() > 1 {
                cursor.push(b'.');
                cursor.extend(&digits[1..]);
            }
            cursor.push(b'e');
            cursor.push(if exponent < 0 { b'-' } else { b'+' });
            let size = exponent.unsigned_abs() as usize;
            if size >= 100 {
                cursor.push(b'0' + (size / 100 % 10) as u8);
            }
            let pair = size % 100 * 2;
            cursor.extend(&PAIRS[pair..pair + 2]);
        } else if exponent < 0 {
            cursor.extend(&b"0.000"[..1 + exponent.unsigned_abs() as usize]);
            cursor.extend(digits);
        } else {
            let whole = exponent as usize + 1;
            if digits.len() > whole {
                cursor.extend(&digits[..whole]);
                cursor.push(b'.');
                cursor.extend(&digits[whole..]);
            } else {
                cursor.extend(digits);
                for _ in digits.len()..whole {
                    cursor.push(b'0');
                }
                cursor.extend(b".0");
            }
        }
        cursor.at
    }
}

struct Cursor<'a> {
    out: &'a mut [u8; 48],
    at: usize,
}

impl Cursor<'_> {
    fn push(&mut self, c: u8) {
        self.extend(&[c]);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(place) = self.out.get_mut(self.at..end) {
            place.copy_from_slice(bytes);
            self.at = end;
        }
    }
}

/// A small place for core's formatting to write to.
struct Text {
    bytes: [u8; 32],
    len: usize,
}

impl Text {
    fn new() -> Self {
        Text {
            bytes: [0; 32],
            len: 0,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.len + s.len();
        self.bytes
            .get_mut(self.len..end)
            .ok_or(fmt::Error)?
            .copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(i: i64) -> String {
        let mut out = Vec::new();
        write_int(i, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn float(x: f64) -> String {
        let mut out = Vec::new();
        write_float(x, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers() {
        for i in [
            0,
            1,
            -1,
            9,
            10,
            99,
            100,
            101,
            12345,
            -123456,
            i64::MAX,
            i64::MIN,
        ] {
            assert_eq!(int(i), i.to_string());
        }
    }

    #[test]
    fn floats() {
        for (x, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-12.0, "-12.0"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.33333333333333"),
            (2.0 / 3.0, "0.66666666666667"),
            (99999999999999.0, "99999999999999.0"),
            (99999999999999.5, "1e+14"),
            (1e14, "1e+14"),
            (1e15, "1e+15"),
            (123456789012345.0, "1.2345678901234e+14"),
            (12345678901234.5, "12345678901234.0"),
            (1e100, "1e+100"),
            (1e-5, "1e-05"),
            (1e-4, "0.0001"),
            (0.00012345, "0.00012345"),
            (1.5e300, "1.5e+300"),
            (f64::MAX, "1.7976931348623e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072e-308"),
            (5e-324, "4.9406564584125e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::from_bits(0x7ff8_0000_0000_0000), "nan"),
            (f64::from_bits(0xfff8_0000_0000_0000), "-nan"),
            (9.99999999999999e22, "1e+23"),
            (std::f64::consts::PI, "3.1415926535898"),
        ] {
            assert_eq!(float(x), text, "{x:e}");
        }
    }

    /// The quick way must agree with the exact one.
    #[test]
    fn quick_is_exact() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Half of them with few bits, which have short decimal forms.
            let bits = if round % 2 == 0 {
                state
            } else {
                state & 0xffff_fff0_0000_0000
            };
            let x = f64::from_bits(bits).abs();
            if !x.is_finite() || x == 0.0 {
                continue;
            }
            let mut text = Text::new();
            write!(text, "{x:.13e}").unwrap();
            let mut exact = Decimal::read(text.as_bytes());
            exact.trim();
            let quick = Decimal::of(x);
            assert_eq!(quick.exponent, exact.exponent, "{x:e}");
            assert_eq!(
                quick.digits[..quick.len],
                exact.digits[..exact.len],
                "{x:e}"
            );
        }
    }
}
