//! The numeric conversions of C's `printf`: flags, width and precision have
//! C's meaning, and floats are converted exactly at any precision.

use std::io::Write as _;

use crate::write_int;

/// One conversion specification: `%[flags][width][.precision]conversion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatSpec {
    /// `-`: pad on the right.
    pub left: bool,
    /// `+`: always write a sign.
    pub plus: bool,
    /// ` `: write a space where a plus sign would be.
    pub space: bool,
    /// `#`: the alternative form.
    pub alternate: bool,
    /// `0`: pad with zeros after the sign.
    pub zero: bool,
    /// Smallest number of bytes to write.
    pub width: u16,
    /// Precision, if one was given.
    pub precision: Option<u16>,
    /// The conversion letter.
    pub conversion: u8,
}

impl FormatSpec {
    /// A specification with a conversion letter and nothing else.
    pub const fn new(conversion: u8) -> Self {
        FormatSpec {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: 0,
            precision: None,
            conversion,
        }
    }

    fn sign(&self, negative: bool) -> &'static [u8] {
        if negative {
            b"-"
        } else if self.plus {
            b"+"
        } else if self.space {
            b" "
        } else {
            b""
        }
    }
}

/// Pads what `out` holds from `start` on with spaces to the width.
pub fn pad(out: &mut Vec<u8>, start: usize, spec: &FormatSpec) {
    pad_with(out, start, 0, false, spec);
}

/// Pads the text from `start` on; with zeros, they go after its first
/// `prefix` bytes (sign and base).
fn pad_with(out: &mut Vec<u8>, start: usize, prefix: usize, zeros: bool, spec: &FormatSpec) {
    let len = out.len().saturating_sub(start);
    let missing = usize::from(spec.width).saturating_sub(len);
    if missing == 0 {
        return;
    }
    let fill = if zeros && !spec.left { b'0' } else { b' ' };
    out.resize(out.len() + missing, fill);
    if spec.left {
        return;
    }
    let from = if fill == b'0' { start + prefix } else { start };
    if let Some(text) = out.get_mut(from..) {
        text.rotate_right(missing);
    }
}

/// Appends an integer converted by `d`, `i`, `u`, `x`, `X`, `o` or `c`.
/// Any other letter counts as `d`.
pub fn format_int(out: &mut Vec<u8>, spec: &FormatSpec, value: i64) {
    let start = out.len();
    let prefix: &[u8];
    let digits_start;
    match spec.conversion {
        b'c' => {
            out.push(value as u8);
            return pad(out, start, spec);
        }
        b'x' | b'X' | b'o' | b'u' => {
            prefix = match spec.conversion {
                b'x' if spec.alternate && value != 0 => b"0x",
                b'X' if spec.alternate && value != 0 => b"0X",
                _ => b"",
            };
            out.extend_from_slice(prefix);
            digits_start = out.len();
            write_unsigned(out, spec.conversion, value as u64);
        }
        _ => {
            prefix = spec.sign(value < 0);
            out.extend_from_slice(prefix);
            digits_start = out.len();
            if value < 0 {
                // The sign is there already; this also writes the magnitude
                // of the smallest integer.
                write_unsigned(out, b'u', value.unsigned_abs());
            } else {
                write_int(value, out);
            }
        }
    }
    if let Some(precision) = spec.precision {
        if precision == 0 && value == 0 {
            out.truncate(digits_start);
        }
        let digits = out.len() - digits_start;
        let missing = usize::from(precision).saturating_sub(digits);
        if missing > 0 {
            out.resize(out.len() + missing, b'0');
            out[digits_start..].rotate_right(missing);
        }
    }
    if spec.conversion == b'o' && spec.alternate && out.get(digits_start) != Some(&b'0') {
        out.insert(digits_start, b'0');
    }
    // An explicit precision cancels padding with zeros.
    pad_with(
        out,
        start,
        prefix.len(),
        spec.zero && spec.precision.is_none(),
        spec,
    );
}

fn write_unsigned(out: &mut Vec<u8>, conversion: u8, mut value: u64) {
    let (base, letters): (u64, &[u8; 16]) = match conversion {
        b'x' => (16, b"0123456789abcdef"),
        b'X' => (16, b"0123456789ABCDEF"),
        b'o' => (8, b"0123456789abcdef"),
        _ => (10, b"0123456789abcdef"),
    };
    let mut buffer = [0; 24];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = letters[(value % base) as usize];
        value /= base;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Appends a float converted by `e`, `f`, `g`, `a` or their capital forms.
/// Any other letter counts as `g`.
pub fn format_float(out: &mut Vec<u8>, spec: &FormatSpec, x: f64) {
    let start = out.len();
    let sign = spec.sign(x.is_sign_negative());
    out.extend_from_slice(sign);
    let body = out.len();
    let mut prefix = sign.len();
    if x.is_finite() {
        let magnitude = x.abs();
        let precision = usize::from(spec.precision.unwrap_or(6));
        match spec.conversion {
            b'e' | b'E' => {
                let exponent = digits_and_exponent(out, magnitude, precision);
                if spec.alternate && precision == 0 {
                    out.push(b'.');
                }
                write_exponent(out, b'e', exponent, 2);
            }
            b'f' | b'F' => {
                // Writing to a vector cannot fail.
                let _ = write!(out, "{magnitude:.precision$}");
                if spec.alternate && precision == 0 {
                    out.push(b'.');
                }
            }
            b'a' | b'A' => {
                prefix += 2;
                write_hex(out, spec, magnitude);
            }
            _ => write_general(out, spec, magnitude, precision),
        }
    } else {
        out.extend_from_slice(if x.is_nan() { b"nan" } else { b"inf" });
    }
    if spec.conversion.is_ascii_uppercase() {
        out[body..].make_ascii_uppercase();
    }
    pad_with(out, start, prefix, spec.zero && x.is_finite(), spec);
}

/// Writes `d.ddd` with `precision` digits after the point; returns the
/// decimal exponent.
fn digits_and_exponent(out: &mut Vec<u8>, magnitude: f64, precision: usize) -> i32 {
    let start = out.len();
    let _ = write!(out, "{magnitude:.precision$e}");
    let mut exponent: i32 = 0;
    if let Some(at) = out[start..].iter().position(|&c| c == b'e') {
        let tail = &out[start + at + 1..];
        let negative = tail.first() == Some(&b'-');
        for &c in tail {
            if c.is_ascii_digit() {
                exponent = exponent * 10 + i32::from(c - b'0');
            }
        }
        if negative {
            exponent = -exponent;
        }
        out.truncate(start + at);
    }
    exponent
}

fn write_exponent(out: &mut Vec<u8>, letter: u8, exponent: i32, min_digits: usize) {
    out.push(letter);
    out.push(if exponent < 0 { b'-' } else { b'+' });
    if min_digits == 2 && exponent.unsigned_abs() < 10 {
        out.push(b'0');
    }
    write_unsigned(out, b'u', u64::from(exponent.unsigned_abs()));
}

fn write_general(out: &mut Vec<u8>, spec: &FormatSpec, magnitude: f64, precision: usize) {
    let significant = precision.max(1);
    let start = out.len();
    let exponent = digits_and_exponent(out, magnitude, significant - 1);
    if exponent < -4 || exponent >= significant as i32 {
        if significant == 1 && spec.alternate {
            out.push(b'.');
        }
        if !spec.alternate {
            trim_zeros(out, start);
        }
        write_exponent(out, b'e', exponent, 2);
        return;
    }
    // The digits are right already; only the point moves.
    if significant > 1 {
        out.remove(start + 1);
    }
    if exponent < 0 {
        let zeros = exponent.unsigned_abs() as usize;
        out.splice(start..start, b"0.000".iter().copied().take(1 + zeros));
    } else {
        let at = start + exponent as usize + 1;
        if at < out.len() || spec.alternate {
            out.insert(at.min(out.len()), b'.');
        }
    }
    if !spec.alternate {
        trim_zeros(out, start);
    }
}

/// Drops zeros at the end of a fraction, and the point if none remains.
fn trim_zeros(out: &mut Vec<u8>, start: usize) {
    if !out[start..].contains(&b'.') {
        return;
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
}

fn write_hex(out: &mut Vec<u8>, spec: &FormatSpec, magnitude: f64) {
    const FRACTION: u32 = 52;
    let bits = magnitude.to_bits();
    let field = (bits >> FRACTION) as i32;
    let fraction = bits & ((1 << FRACTION) - 1);
    let (lead, exponent) = match (field, fraction) {
        (0, 0) => (0, 0),
        (0, _) => (0, -1022),
        _ => (1, field - 1023),
    };
    let mut mantissa = lead << FRACTION | fraction;
    let mut digits = 13;
    match spec.precision {
        Some(precision) if precision < 13 => {
            digits = usize::from(precision);
            let drop = 4 * (13 - u32::from(precision));
            let half = 1u64 << (drop - 1);
            let rest = mantissa & ((1 << drop) - 1);
            mantissa >>= drop;
            if rest > half || rest == half && mantissa & 1 == 1 {
                mantissa += 1;
            }
        }
        Some(_) => {}
        None => {
            while digits > 0 && mantissa & 15 == 0 {
                mantissa >>= 4;
                digits -= 1;
            }
        }
    }
    out.extend_from_slice(b"0x");
    out.push(b'0' + (mantissa >> (4 * digits)) as u8);
    if digits > 0 || spec.alternate || spec.precision.is_some_and(|p| p > 0) {
        out.push(b'.');
    }
    for i in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(mantissa >> (4 * i)) as usize & 15]);
    }
    for _ in digits..usize::from(spec.precision.unwrap_or(0)) {
        out.push(b'0');
    }
    write_exponent(out, b'p', exponent, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> FormatSpec {
        let mut spec = FormatSpec::new(0);
        let mut seen_point = false;
        let mut digits_started = false;
        for c in text.bytes().skip(1) {
            match c {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' if !digits_started && !seen_point => spec.zero = true,
                b'.' => {
                    seen_point = true;
                    spec.precision = Some(0);
                }
                b'0'..=b'9' if seen_point => {
                    spec.precision = spec.precision.map(|p| p * 10 + u16::from(c - b'0'));
                }
                b'0'..=b'9' => {
                    digits_started = true;
                    spec.width = spec.width * 10 + u16::from(c - b'0');
                }
                _ => spec.conversion = c,
            }
        }
        spec
    }

    /// `tests/vectors.txt` holds lines "F format bits text" and "I format
    /// integer text" made by the reference's string.format, and "T bits text"
    /// made by its tostring.
    #[test]
    fn vectors_of_the_reference() {
        let mut count = 0;
        for line in include_str!("../tests/vectors.txt").lines() {
            let mut parts = line.splitn(4, '\t');
            let (kind, format) = (parts.next().unwrap(), parts.next().unwrap());
            let (value, text) = (parts.next().unwrap(), parts.next().unwrap());
            let mut out = b"..".to_vec();
            match kind {
                "F" => {
                    let x = f64::from_bits(u64::from_str_radix(value, 16).unwrap());
                    format_float(&mut out, &spec(format), x);
                }
                "T" => {
                    let x = f64::from_bits(u64::from_str_radix(value, 16).unwrap());
                    crate::write_float(x, &mut out);
                }
                _ => format_int(&mut out, &spec(format), value.parse().unwrap()),
            }
            assert_eq!(String::from_utf8_lossy(&out[2..]), text, "{line}");
            count += 1;
        }
        assert!(count > 1000);
    }
}
