//! Sets of bytes, and the character classes of Lua patterns as such sets.
//! Classes are those of the "C" locale: bytes above 127 are in none.

/// A set of bytes: 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: ByteSet = ByteSet([0; 4]);

    /// Whether the byte is a member.
    #[inline(always)]
    pub const fn contains(&self, c: u8) -> bool {
        self.0[(c >> 6) as usize] >> (c & 63) & 1 != 0
    }

    /// Adds a byte.
    #[inline]
    pub const fn insert(&mut self, c: u8) {
        self.0[(c >> 6) as usize] |= 1 << (c & 63);
    }

    /// Adds all bytes from `low` to `high`; none if they are in wrong order.
    pub const fn insert_range(&mut self, low: u8, high: u8) {
        let mut c = low as u32;
        while c <= high as u32 {
            self.insert(c as u8);
            c += 1;
        }
    }

    /// All bytes that are in one of the two.
    pub const fn union(self, other: ByteSet) -> ByteSet {
        ByteSet([
            self.0[0] | other.0[0],
            self.0[1] | other.0[1],
            self.0[2] | other.0[2],
            self.0[3] | other.0[3],
        ])
    }

    /// All other bytes.
    pub const fn complement(self) -> ByteSet {
        ByteSet([!self.0[0], !self.0[1], !self.0[2], !self.0[3]])
    }

    const fn of(ranges: &[(u8, u8)]) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        let mut i = 0;
        while i < ranges.len() {
            set.insert_range(ranges[i].0, ranges[i].1);
            i += 1;
        }
        set
    }
}

static ALPHA: ByteSet = ByteSet::of(&[(b'a', b'z'), (b'A', b'Z')]);
static CONTROL: ByteSet = ByteSet::of(&[(0, 31), (127, 127)]);
static DIGIT: ByteSet = ByteSet::of(&[(b'0', b'9')]);
static GRAPHIC: ByteSet = ByteSet::of(&[(33, 126)]);
static LOWER: ByteSet = ByteSet::of(&[(b'a', b'z')]);
static PUNCTUATION: ByteSet = ByteSet::of(&[(33, 47), (58, 64), (91, 96), (123, 126)]);
static SPACE: ByteSet = ByteSet::of(&[(9, 13), (32, 32)]);
static UPPER: ByteSet = ByteSet::of(&[(b'A', b'Z')]);
static ALNUM: ByteSet = ByteSet::of(&[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')]);
/// `%z`: deprecated, but the reference still knows it.
static ZERO: ByteSet = ByteSet::of(&[(0, 0)]);
static HEX: ByteSet = ByteSet::of(&[(b'a', b'f'), (b'A', b'F'), (b'0', b'9')]);

/// The class that `%letter` stands for; `None` if it stands for the letter
/// itself. A capital letter is the complement.
#[inline]
pub fn class(letter: u8) -> Option<ByteSet> {
    let set = match letter | 0x20 {
        b'a' => ALPHA,
        b'c' => CONTROL,
        b'd' => DIGIT,
        b'g' => GRAPHIC,
        b'l' => LOWER,
        b'p' => PUNCTUATION,
        b's' => SPACE,
        b'u' => UPPER,
        b'w' => ALNUM,
        b'x' => HEX,
        b'z' => ZERO,
        _ => return None,
    };
    // Setting the bit may have made a letter of something else.
    if letter.is_ascii_lowercase() {
        Some(set)
    } else if letter.is_ascii_uppercase() {
        Some(set.complement())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_ascii() {
        for c in 0..=255u8 {
            let is = |letter| class(letter).is_some_and(|set| set.contains(c));
            assert_eq!(is(b'a'), c.is_ascii_alphabetic());
            assert_eq!(is(b'c'), c.is_ascii_control());
            assert_eq!(is(b'd'), c.is_ascii_digit());
            assert_eq!(is(b'g'), c.is_ascii_graphic());
            assert_eq!(is(b'p'), c.is_ascii_punctuation());
            assert_eq!(is(b's'), moonswap_number::is_space(c));
            assert_eq!(is(b'w'), c.is_ascii_alphanumeric());
            assert_eq!(is(b'x'), c.is_ascii_hexdigit());
            assert_eq!(is(b'X'), !c.is_ascii_hexdigit());
            assert!(class(c).is_none() || c.is_ascii_alphabetic());
        }
    }
}
