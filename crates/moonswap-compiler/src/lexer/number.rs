//! Numerals: from the text the automaton matched to a value.
//!
//! The matched text may be any heap of digits, points and exponents; it is a
//! number if `tonumber` would take it (§3.1), which is decided by
//! `moonswap-number` alone so that both can never differ.

use moonswap_number::Number;

use super::payload::Payload;

/// The value of a numeral, or `None` if it is malformed.
pub(super) fn numeral(text: &[u8]) -> Option<Payload> {
    // Most numerals are short decimal integers.
    if text.len() < 10 && text.iter().all(u8::is_ascii_digit) {
        let value = text
            .iter()
            .fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
        return Some(Payload::Integer(value));
    }
    Some(match moonswap_number::parse(text)? {
        Number::Int(value) => Payload::Integer(value),
        Number::Float(value) => Payload::Float(value),
    })
}
