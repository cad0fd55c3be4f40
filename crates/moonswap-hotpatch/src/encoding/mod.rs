//! Bytes as text: hexadecimal for keys and hashes, Base64 for sources that are
//! not UTF-8. Each value has exactly one text: what is not that text is refused.

pub(crate) mod digest;
#[cfg(feature = "json")]
pub(crate) mod json;
pub(crate) mod timestamp;

/// Lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The reverse of [`to_hex`]; `None` for another length or upper case.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut out = [0; N];
    for (place, &[high, low]) in out.iter_mut().zip(pairs) {
        *place = digit(high)? << 4 | digit(low)?;
    }
    Some(out)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 of RFC 4648 with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i| u32::from(group.get(i).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            out.push(if i <= group.len() {
                char::from(ALPHABET[(word >> (18 - 6 * i)) as usize & 63])
            } else {
                '='
            });
        }
    }
    out
}

/// The reverse of [`to_base64`]; `None` for any text it does not give.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_bytes().as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(groups.len() * 3);
    for (i, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|&&b| b == b'=').count();
        if padding > 2 || (padding > 0 && i + 1 < groups.len()) {
            return None;
        }
        let mut word = 0_u32;
        for &b in &group[..4 - padding] {
            let digit = match b {
                b'A'..=b'Z' => b - b'A',
                b'a'..=b'z' => b - b'a' + 26,
                b'0'..=b'9' => b - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(digit);
        }
        let bytes = (word << (6 * padding)).to_be_bytes();
        let (kept, lost) = bytes[1..].split_at(3 - padding);
        if lost.iter().any(|&b| b != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        for n in 0..all.len() {
            let text = to_base64(&all[..n]);
            assert_eq!(from_base64(&text).as_deref(), Some(&all[..n]), "{text}");
        }
        assert_eq!(to_base64(b"Lua!"), "THVhIQ==");
        assert_eq!(to_hex(&[0, 0xab, 255]), "00abff");
        assert_eq!(from_hex("00abff"), Some([0, 0xab, 255]));
    }

    #[test]
    fn one_text_for_each_value() {
        for bad in [
            "A", "AA", "AAA", "AA=A", "A===", "====", "AB==", "AAB=", "AA==AAAA", "AAA*",
        ] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
        assert_eq!(from_hex::<1>("AB"), None);
        assert_eq!(from_hex::<1>("abc"), None);
        assert_eq!(from_hex::<2>("ab"), None);
    }
}
