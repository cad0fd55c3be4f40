//! UTF-8 as Lua has it: up to six bytes for values below 2^31; the strict form
//! is limited to Unicode's range and has no surrogates.

/// The largest value that can be encoded.
pub const MAX_CODE: u32 = 0x7fff_ffff;

/// Whether the byte continues a sequence.
#[inline]
pub const fn is_continuation(c: u8) -> bool {
    c & 0xc0 == 0x80
}

/// Whether there is a continuation byte at this offset.
#[inline]
pub fn continues_at(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|&c| is_continuation(c))
}

/// Decodes the sequence that `text` starts with: its value and length.
/// Overlong forms are invalid.
#[inline]
pub fn decode(text: &[u8], strict: bool) -> Option<(u32, usize)> {
    let &first = text.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let len = first.leading_ones() as usize;
    if !(2..=6).contains(&len) {
        return None;
    }
    let mut code = u32::from(first & (0x7f >> len));
    for &c in text.get(1..len)? {
        if !is_continuation(c) {
            return None;
        }
        code = code << 6 | u32::from(c & 0x3f);
    }
    const LEAST: [u32; 7] = [0, 0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000];
    if code < LEAST[len] || strict && (code > 0x10_ffff || (0xd800..=0xdfff).contains(&code)) {
        return None;
    }
    Some((code, len))
}

/// Appends the encoding of a code up to [`MAX_CODE`] (higher bits are lost).
#[inline]
pub fn encode(code: u32, out: &mut Vec<u8>) {
    if code < 0x80 {
        out.push(code as u8);
        return;
    }
    let len = match code {
        0..=0x7ff => 2,
        0x800..=0xffff => 3,
        0x1_0000..=0x1f_ffff => 4,
        0x20_0000..=0x3ff_ffff => 5,
        _ => 6,
    };
    let mut bytes = [0; 6];
    let mut rest = code & MAX_CODE;
    for place in bytes[1..len].iter_mut().rev() {
        *place = 0x80 | (rest & 0x3f) as u8;
        rest >>= 6;
    }
    // As many ones as there are bytes, then a zero.
    bytes[0] = !(0xffu32 >> len) as u8 | rest as u8;
    out.extend_from_slice(&bytes[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for code in [
            0, 0x7f, 0x80, 0x7ff, 0x800, 0xd800, 0xffff, 0x1_0000, 0x10_ffff, 0x11_0000,
            0x3ff_ffff, 0x400_0000, MAX_CODE,
        ] {
            let mut out = Vec::new();
            encode(code, &mut out);
            assert_eq!(decode(&out, false), Some((code, out.len())), "{code:x}");
            let scalar = char::from_u32(code);
            assert_eq!(decode(&out, true).is_some(), scalar.is_some(), "{code:x}");
            if let Some(c) = scalar {
                assert_eq!(out, c.to_string().as_bytes());
            }
            assert_eq!(decode(&out[..out.len() - 1], false), None);
        }
    }

    #[test]
    fn invalid() {
        for text in [
            &b"\x80"[..],
            b"\xff",
            b"\xfe\x80\x80\x80\x80\x80\x80",
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xc2a",
            b"",
        ] {
            assert_eq!(decode(text, false), None, "{text:?}");
        }
    }
}
