//! The directives of `string.format`: parsing and checking them, and writing
//! the ones that are not plain numbers (`%s`, `%q`, `%p`). Knows no VM types;
//! numbers themselves are written by moonswap-number.

use std::fmt;

use moonswap_number::{self as number, FormatSpec};

/// Longest directive, without its `%`, that is looked at.
const MAX_DIRECTIVE: usize = 22;

/// What kind of argument a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `%c`: an integer, written as one byte.
    Char,
    /// `%d %i %u %o %x %X`: an integer.
    Int,
    /// `%a %A %e %E %f %g %G`: a float.
    Float,
    /// `%p`: any value, written as its address.
    Pointer,
    /// `%q`: a value written as a literal.
    Quoted,
    /// `%s`: any value, converted as by `tostring`.
    Str,
}

/// A parsed directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directive {
    /// What it takes.
    pub kind: Kind,
    /// Flags, width, precision and the conversion letter.
    pub spec: FormatSpec,
    /// How many bytes it takes up after the `%`.
    pub len: usize,
}

/// Why a directive was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// Too many flags and digits.
    TooLong,
    /// An unknown conversion letter; holds the directive.
    UnknownConversion(Vec<u8>),
    /// A known one with flags, a width or a precision it does not have.
    InvalidSpecification(Vec<u8>),
    /// `%q` with something between.
    ModifiedQuote,
}

impl FormatError {
    /// The message, which quotes the directive as it is.
    pub fn message(&self) -> Vec<u8> {
        match self {
            FormatError::TooLong => b"invalid format (too long)".to_vec(),
            FormatError::UnknownConversion(form) => {
                [b"invalid conversion '", &form[..], b"' to 'format'"].concat()
            }
            FormatError::InvalidSpecification(form) => {
                [b"invalid conversion specification: '", &form[..], b"'"].concat()
            }
            FormatError::ModifiedQuote => b"specifier '%q' cannot have modifiers".to_vec(),
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message()))
    }
}

impl std::error::Error for FormatError {}

/// Parses what follows a `%` (which is not another `%`).
#[inline]
pub fn parse(text: &[u8]) -> Result<Directive, FormatError> {
    // Most directives are a letter and nothing else.
    if let Some(kind) = text.first().and_then(|&c| kind_of(c)) {
        return Ok(Directive {
            kind,
            spec: FormatSpec::new(text[0]),
            len: 1,
        });
    }
    parse_modified(text)
}

fn kind_of(letter: u8) -> Option<Kind> {
    Some(match letter {
        b'c' => Kind::Char,
        b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => Kind::Int,
        b'a' | b'A' | b'e' | b'E' | b'f' | b'g' | b'G' => Kind::Float,
        b'p' => Kind::Pointer,
        b'q' => Kind::Quoted,
        b's' => Kind::Str,
        _ => return None,
    })
}

fn parse_modified(text: &[u8]) -> Result<Directive, FormatError> {
    let span = text
        .iter()
        .take_while(|c| matches!(c, b'-' | b'+' | b' ' | b'#' | b'0'..=b'9' | b'.'))
        .count();
    if span + 1 >= MAX_DIRECTIVE {
        return Err(FormatError::TooLong);
    }
    let letter = text.get(span).copied().unwrap_or(0);
    let Some(kind) = kind_of(letter) else {
        return Err(FormatError::UnknownConversion(quote(text, span)));
    };
    let flags: &[u8] = match (kind, letter) {
        (Kind::Float, _) => b"-+ #0",
        (Kind::Int, b'd' | b'i') => b"-+ 0",
        (Kind::Int, b'u') => b"-0",
        (Kind::Int, _) => b"-#0",
        (Kind::Quoted, _) => return Err(FormatError::ModifiedQuote),
        (Kind::Char | Kind::Pointer | Kind::Str, _) => b"-",
    };
    let precise = !matches!(kind, Kind::Char | Kind::Pointer);
    let mut spec = FormatSpec::new(letter);
    let mut at = 0;
    while let Some(&c) = text.get(at)
        && flags.contains(&c)
    {
        match c {
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alternate = true,
            _ => spec.zero = true,
        }
        at += 1;
    }
    // Where zero is no flag, it does not start a width either.
    if text.get(at) != Some(&b'0') {
        spec.width = two_digits(text, &mut at);
        if precise && text.get(at) == Some(&b'.') {
            at += 1;
            spec.precision = Some(two_digits(text, &mut at));
        }
    }
    if at != span {
        return Err(FormatError::InvalidSpecification(quote(text, span)));
    }
    Ok(Directive {
        kind,
        spec,
        len: span + 1,
    })
}

fn two_digits(text: &[u8], at: &mut usize) -> u16 {
    let mut value = 0;
    for _ in 0..2 {
        match text.get(*at) {
            Some(c) if c.is_ascii_digit() => {
                value = value * 10 + u16::from(c - b'0');
                *at += 1;
            }
            _ => break,
        }
    }
    value
}

/// The directive for a message, up to its letter; a zero byte ends it, as the
/// end of the format does.
fn quote(text: &[u8], span: usize) -> Vec<u8> {
    let mut form = vec![b'%'];
    form.extend(text.iter().take(span + 1).take_while(|&&c| c != 0));
    form
}

/// Appends a string converted by `%s`.
pub fn write_str(out: &mut Vec<u8>, spec: &FormatSpec, text: &[u8]) {
    let text = match spec.precision {
        Some(precision) => text.get(..usize::from(precision)).unwrap_or(text),
        None => text,
    };
    let start = out.len();
    out.extend_from_slice(text);
    if usize::from(spec.width) > text.len() {
        number::pad(out, start, spec);
    }
}

/// Whether `%s` with this specification refuses a string with zero bytes:
/// it goes through C's string formatting in the reference.
pub fn refuses_zeros(spec: &FormatSpec, text: &[u8]) -> bool {
    (spec.width != 0 || spec.precision.is_some() || spec.left) && memchr::memchr(0, text).is_some()
}

/// Appends `%p` of an address, or of a value that has none.
pub fn write_pointer(out: &mut Vec<u8>, spec: &FormatSpec, address: Option<usize>) {
    match address {
        Some(address) => {
            let mut hex = FormatSpec::new(b'x');
            hex.alternate = true;
            let start = out.len();
            number::format_int(out, &hex, address as i64);
            number::pad(out, start, spec);
        }
        None => write_str(out, spec, b"(null)"),
    }
}

/// Appends the inside of a literal that reads back as the same bytes.
/// `next` is the byte that follows `text`.
pub fn write_quoted(out: &mut Vec<u8>, text: &[u8], next: Option<u8>) {
    let following = text.iter().copied().skip(1).map(Some).chain([next]);
    for (&c, following) in text.iter().zip(following) {
        match c {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', c]),
            0..=31 | 127 => {
                out.push(b'\\');
                // A digit that follows must not join the escape.
                if following.is_some_and(|c| c.is_ascii_digit()) {
                    out.extend_from_slice(&[b'0' + c / 100, b'0' + c / 10 % 10, b'0' + c % 10]);
                } else {
                    number::write_int(i64::from(c), out);
                }
            }
            _ => out.push(c),
        }
    }
}

/// Appends an integer as a literal.
pub fn write_quoted_int(out: &mut Vec<u8>, value: i64) {
    if value == i64::MIN {
        // In decimal its magnitude would read as a float.
        out.extend_from_slice(b"0x8000000000000000");
    } else {
        number::write_int(value, out);
    }
}

/// Appends a float as a literal, in hexadecimal to keep every bit.
pub fn write_quoted_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"(0/0)");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"1e9999" } else { b"-1e9999" });
    } else {
        number::format_float(out, &FormatSpec::new(b'a'), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).map_or_else(|error| error.to_string(), |found| format!("{found:?}"))
    }

    #[test]
    fn errors() {
        assert_eq!(error("t"), "invalid conversion '%t' to 'format'");
        assert_eq!(error(""), "invalid conversion '%' to 'format'");
        assert_eq!(error("5"), "invalid conversion '%5' to 'format'");
        assert_eq!(error("\0d"), "invalid conversion '%' to 'format'");
        assert_eq!(error("y5"), "invalid conversion '%y' to 'format'");
        assert_eq!(error("-5%"), "invalid conversion '%-5%' to 'format'");
        assert_eq!(error("10q"), "specifier '%q' cannot have modifiers");
        for form in [
            "123d", "1.123d", "#d", "..3f", "5.5.5f", "010c", ".10c", "0.34s", "0.s", "3.1p", "+u",
            "+x", " s",
        ] {
            assert_eq!(
                error(form),
                format!("invalid conversion specification: '%{form}'")
            );
        }
        assert_eq!(
            error("00000000000000000000000000000d"),
            "invalid format (too long)"
        );
    }

    #[test]
    fn specifications() {
        let directive = parse(b"-+5.3fxyz").unwrap();
        assert_eq!(directive.kind, Kind::Float);
        assert_eq!(directive.len, 6);
        assert!(directive.spec.left && directive.spec.plus && !directive.spec.zero);
        assert_eq!(
            (directive.spec.width, directive.spec.precision),
            (5, Some(3))
        );
        let directive = parse(b"020.d").unwrap();
        assert!(directive.spec.zero);
        assert_eq!(
            (directive.spec.width, directive.spec.precision),
            (20, Some(0))
        );
    }

    #[test]
    fn strings() {
        let show = |form: &str, text: &str| {
            let mut out = Vec::new();
            write_str(
                &mut out,
                &parse(form.as_bytes()).unwrap().spec,
                text.as_bytes(),
            );
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show("s", "abc"), "abc");
        assert_eq!(show("5s", "abc"), "  abc");
        assert_eq!(show("-5s", "abc"), "abc  ");
        assert_eq!(show("5.1s", "abc"), "    a");
        assert_eq!(show(".20s", "abc"), "abc");
    }

    #[test]
    fn literals() {
        let mut out = Vec::new();
        write_quoted(&mut out, b"a\"\\\n\0\x011\xff\r\x7f", None);
        assert_eq!(out, b"a\\\"\\\\\\\n\\0\\0011\xff\\13\\127");
        out.clear();
        write_quoted(&mut out, b"\x01", Some(b'1'));
        assert_eq!(out, b"\\001");
        out.clear();
        write_quoted_int(&mut out, i64::MIN);
        write_quoted_float(&mut out, f64::NEG_INFINITY);
        write_quoted_float(&mut out, f64::NAN);
        write_quoted_float(&mut out, 1.5);
        assert_eq!(out, b"0x8000000000000000-1e9999(0/0)0x1.8p+0");
    }
}
