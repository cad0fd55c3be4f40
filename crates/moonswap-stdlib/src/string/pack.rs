//! The formats of `string.pack`, `string.unpack` and `string.packsize`:
//! parsing of options, alignment, and coding of integers. Knows no VM types.

use std::fmt;

/// Largest size of an integer in a format.
const MAX_INT_SIZE: usize = 16;
/// Largest size that the reference's string functions plan with.
pub const MAX_SIZE: usize = i32::MAX as usize;
/// Alignment that `!` alone asks for.
const NATIVE_ALIGN: usize = 8;
/// Bytes of a Lua integer.
const WORD: usize = 8;

/// What an option stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signed integer of the item's size.
    Int,
    /// An unsigned integer of the item's size.
    Uint,
    /// A float of four bytes.
    Single,
    /// A float of eight bytes.
    Double,
    /// A string of a fixed size.
    Char,
    /// A string after its length, which takes the item's size.
    Str,
    /// A string that ends with a zero.
    Zstr,
    /// One byte of padding.
    Padding,
    /// Alignment only.
    Align,
    /// Nothing: a setting or a space.
    Nop,
}

/// A parsed option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// What to code.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: usize,
    /// Bytes of padding before it.
    pub padding: usize,
}

/// What is wrong with a format or with a value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackError {
    /// A size that is not in 1..=16.
    SizeOutOfLimits(usize),
    /// `c` without a size.
    MissingSize,
    /// An unknown option.
    InvalidOption(u8),
    /// `X` before something that has no alignment.
    InvalidNext,
    /// An alignment that is not a power of two.
    NotPowerOfTwo,
    /// An integer of this size is too large for Lua.
    DoesNotFit(usize),
}

impl PackError {
    /// Whether the reference reports it as an error of the format argument.
    pub fn blames_format(&self) -> bool {
        matches!(self, PackError::InvalidNext | PackError::NotPowerOfTwo)
    }

    /// The message; a byte of the format is quoted as it is.
    pub fn message(&self) -> Vec<u8> {
        match *self {
            PackError::InvalidOption(c) => [b"invalid format option '", &[c][..], b"'"].concat(),
            PackError::SizeOutOfLimits(size) => {
                format!("integral size ({size}) out of limits [1,{MAX_INT_SIZE}]").into_bytes()
            }
            PackError::MissingSize => b"missing size for format option 'c'".to_vec(),
            PackError::InvalidNext => b"invalid next option for option 'X'".to_vec(),
            PackError::NotPowerOfTwo => b"format asks for alignment not power of 2".to_vec(),
            PackError::DoesNotFit(size) => {
                format!("{size}-byte integer does not fit into Lua Integer").into_bytes()
            }
        }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message()))
    }
}

impl std::error::Error for PackError {}

/// Reads a format option by option.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    text: &'a [u8],
    little: bool,
    max_align: usize,
}

impl<'a> Format<'a> {
    /// Starts to read; like in the reference, a zero byte ends a format.
    pub fn new(text: &'a [u8]) -> Self {
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        Format {
            text: text.get(..end).unwrap_or(text),
            little: cfg!(target_endian = "little"),
            max_align: 1,
        }
    }

    /// Whether numbers are coded with the lowest byte first, as of now.
    pub fn little(&self) -> bool {
        self.little
    }

    /// The next option, if any, for data that is `total` bytes long so far.
    #[inline]
    pub fn next(&mut self, total: usize) -> Result<Option<Item>, PackError> {
        let Some((&option, rest)) = self.text.split_first() else {
            return Ok(None);
        };
        self.text = rest;
        let (kind, size) = self.option(option)?;
        let mut align = size;
        if kind == Kind::Align {
            let Some((&option, rest)) = self.text.split_first() else {
                return Err(PackError::InvalidNext);
            };
            self.text = rest;
            let (next, size) = self.option(option)?;
            if next == Kind::Char || size == 0 {
                return Err(PackError::InvalidNext);
            }
            align = size;
        }
        let mut padding = 0;
        if align > 1 && kind != Kind::Char {
            let align = align.min(self.max_align);
            if !align.is_power_of_two() {
                return Err(PackError::NotPowerOfTwo);
            }
            padding = total.wrapping_neg() & (align - 1);
        }
        Ok(Some(Item {
            kind,
            size,
            padding,
        }))
    }

    fn option(&mut self, option: u8) -> Result<(Kind, usize), PackError> {
        Ok(match option {
            b'b' => (Kind::Int, 1),
            b'B' => (Kind::Uint, 1),
            b'h' => (Kind::Int, 2),
            b'H' => (Kind::Uint, 2),
            b'i' => (Kind::Int, self.int_size(4)?),
            b'I' => (Kind::Uint, self.int_size(4)?),
            b'l' | b'j' => (Kind::Int, WORD),
            b'L' | b'J' | b'T' => (Kind::Uint, WORD),
            b'f' => (Kind::Single, 4),
            b'n' | b'd' => (Kind::Double, 8),
            b's' => (Kind::Str, self.int_size(WORD)?),
            b'c' => (Kind::Char, self.number().ok_or(PackError::MissingSize)?),
            b'z' => (Kind::Zstr, 0),
            b'x' => (Kind::Padding, 1),
            b'X' => (Kind::Align, 0),
            b' ' => (Kind::Nop, 0),
            b'<' => {
                self.little = true;
                (Kind::Nop, 0)
            }
            b'>' => {
                self.little = false;
                (Kind::Nop, 0)
            }
            b'=' => {
                self.little = cfg!(target_endian = "little");
                (Kind::Nop, 0)
            }
            b'!' => {
                self.max_align = self.int_size(NATIVE_ALIGN)?;
                (Kind::Nop, 0)
            }
            _ => return Err(PackError::InvalidOption(option)),
        })
    }

    /// A number in the format; stops before it would get too large, which
    /// makes an invalid option of the next digit.
    fn number(&mut self) -> Option<usize> {
        let mut value = None;
        while let Some((c, rest)) = self.text.split_first()
            && c.is_ascii_digit()
            && value.unwrap_or(0) <= (MAX_SIZE - 9) / 10
        {
            value = Some(value.unwrap_or(0) * 10 + usize::from(c - b'0'));
            self.text = rest;
        }
        value
    }

    fn int_size(&mut self, default: usize) -> Result<usize, PackError> {
        let size = self.number().unwrap_or(default);
        if (1..=MAX_INT_SIZE).contains(&size) {
            Ok(size)
        } else {
            Err(PackError::SizeOutOfLimits(size))
        }
    }
}

/// Whether a signed integer fits into `size` bytes.
pub const fn int_fits(value: i64, size: usize) -> bool {
    if size >= WORD {
        return true;
    }
    let limit = 1i64 << (size * 8).saturating_sub(1);
    -limit <= value && value < limit
}

/// Whether an unsigned integer fits into `size` bytes.
pub const fn uint_fits(value: u64, size: usize) -> bool {
    size >= WORD || value < 1 << (size * 8)
}

/// Appends an integer in `size` bytes; `negative` fills what is beyond eight.
pub fn write_int(out: &mut Vec<u8>, value: u64, little: bool, size: usize, negative: bool) {
    let fill = if negative { 0xff } else { 0 };
    let start = out.len();
    let bytes = value.to_le_bytes();
    out.extend((0..size).map(|i| bytes.get(i).copied().unwrap_or(fill)));
    if !little && let Some(written) = out.get_mut(start..) {
        written.reverse();
    }
}

/// Reads the integer that `bytes` holds.
pub fn read_int(bytes: &[u8], little: bool, signed: bool) -> Result<i64, PackError> {
    let size = bytes.len();
    // Byte number i, counted from the lowest.
    let byte = |i: usize| {
        bytes
            .get(if little { i } else { size - 1 - i })
            .copied()
            .unwrap_or(0)
    };
    let mut value: u64 = 0;
    for i in (0..size.min(WORD)).rev() {
        value = value << 8 | u64::from(byte(i));
    }
    if size < WORD {
        if signed && size > 0 {
            let sign = 1u64 << (size * 8 - 1);
            value = (value ^ sign).wrapping_sub(sign);
        }
    } else {
        let fill = if signed && (value as i64) < 0 {
            0xff
        } else {
            0
        };
        if (WORD..size).any(|i| byte(i) != fill) {
            return Err(PackError::DoesNotFit(size));
        }
    }
    Ok(value as i64)
}

/// Appends a float as four or eight bytes.
pub fn write_float(out: &mut Vec<u8>, value: f64, little: bool, single: bool) {
    match (single, little) {
        (true, true) => out.extend_from_slice(&(value as f32).to_le_bytes()),
        (true, false) => out.extend_from_slice(&(value as f32).to_be_bytes()),
        (false, true) => out.extend_from_slice(&value.to_le_bytes()),
        (false, false) => out.extend_from_slice(&value.to_be_bytes()),
    }
}

/// Reads a float of four or eight bytes; 0 from any other number of bytes.
pub fn read_float(bytes: &[u8], little: bool) -> f64 {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        f64::from(if little {
            f32::from_le_bytes(four)
        } else {
            f32::from_be_bytes(four)
        })
    } else if let Ok(eight) = <[u8; 8]>::try_from(bytes) {
        if little {
            f64::from_le_bytes(eight)
        } else {
            f64::from_be_bytes(eight)
        }
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<Item>, PackError> {
        let mut format = Format::new(text.as_bytes());
        let mut found = Vec::new();
        let mut total = 0;
        while let Some(item) = format.next(total)? {
            total += item.size + item.padding;
            found.push(item);
        }
        Ok(found)
    }

    #[test]
    fn errors() {
        for (text, message) in [
            ("i0", "integral size (0) out of limits [1,16]"),
            ("i17", "integral size (17) out of limits [1,16]"),
            ("s17", "integral size (17) out of limits [1,16]"),
            ("!17", "integral size (17) out of limits [1,16]"),
            ("c", "missing size for format option 'c'"),
            ("c2147483647", "invalid format option '7'"),
            ("k", "invalid format option 'k'"),
            ("X", "invalid next option for option 'X'"),
            ("Xz", "invalid next option for option 'X'"),
            ("X i", "invalid next option for option 'X'"),
            ("XXi", "invalid next option for option 'X'"),
            ("Xc4", "invalid next option for option 'X'"),
            ("!3i4", "format asks for alignment not power of 2"),
            ("!4i3", "format asks for alignment not power of 2"),
        ] {
            assert_eq!(items(text).unwrap_err().to_string(), message, "{text}");
        }
        assert!(items("Xi3").is_ok());
    }

    #[test]
    fn alignment() {
        let found = items("<!4 b i8 xXi4 z").unwrap();
        let padding: Vec<_> = found.iter().map(|item| item.padding).collect();
        assert_eq!(padding, [0, 0, 0, 0, 0, 3, 0, 0, 3, 0, 0]);
    }

    #[test]
    fn integers() {
        for size in 1..=16 {
            for little in [true, false] {
                for value in [0i64, 1, -1, 100, -100] {
                    let mut out = Vec::new();
                    write_int(&mut out, value as u64, little, size, value < 0);
                    assert_eq!(out.len(), size);
                    assert_eq!(read_int(&out, little, true), Ok(value));
                }
            }
        }
        assert_eq!(read_int(&[0xff; 3], true, false), Ok(0xff_ffff));
        assert_eq!(
            read_int(&[3; 16], true, true),
            Err(PackError::DoesNotFit(16))
        );
        assert_eq!(
            read_int(&[0xff; 9], true, false),
            Err(PackError::DoesNotFit(9))
        );
        assert!(int_fits(-128, 1) && !int_fits(128, 1) && int_fits(i64::MIN, 8));
        assert!(uint_fits(255, 1) && !uint_fits(256, 1) && uint_fits(u64::MAX, 8));
    }
}
