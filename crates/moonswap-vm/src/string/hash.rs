//! Hashes and equality of strings, and of values by content.
//!
//! Invariants: S2 (`string/mod.rs`), V1.

use crate::object::StringObject;
use crate::value::{Value, tag};

const K0: u64 = 0x9E37_79B9_7F4A_7C15;
const K1: u64 = 0xE703_7ED1_A0B4_28DB;

/// 64 x 64 -> 128 multiplication, halves combined.
#[inline(always)]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let p = (a as u128).wrapping_mul(b as u128);
    (p as u64) ^ ((p >> 64) as u64)
}

/// Hash of a byte string. Two folds: with one, keys such as "key1".."key63"
/// cluster and a lookup in a 64-entry table costs three times as much.
#[inline(always)]
pub(crate) fn hash(bytes: &[u8], seed: u64) -> u32 {
    let n = bytes.len();
    let p = bytes.as_ptr();
    // SAFETY: every read below lies in 0..n.
    let (a, b) = unsafe {
        let r64 = |i: usize| p.add(i).cast::<u64>().read_unaligned();
        let r32 = |i: usize| u64::from(p.add(i).cast::<u32>().read_unaligned());
        if n <= 16 {
            if n >= 8 {
                (r64(0), r64(n - 8))
            } else if n >= 4 {
                (r32(0), r32(n - 4))
            } else if n > 0 {
                (
                    u64::from(*p) << 16 | u64::from(*p.add(n >> 1)) << 8 | u64::from(*p.add(n - 1)),
                    0,
                )
            } else {
                (0, 0)
            }
        } else {
            let mut h = seed;
            let mut i = 0;
            while i + 16 < n {
                h = fold(r64(i) ^ K0 ^ seed, r64(i + 8) ^ h);
                i += 16;
            }
            (r64(n - 16) ^ h, r64(n - 8))
        }
    };
    let h = fold(a ^ seed ^ K1, b ^ K0 ^ seed.rotate_left(32));
    let h = fold(h ^ n as u64, K1 ^ seed);
    (h ^ (h >> 32)) as u32
}

/// Hash of a string object; computed on first use for long ones.
///
/// # Safety
/// `s` points to a live string.
#[inline(always)]
pub(crate) unsafe fn hash_of(s: *mut StringObject) -> u32 {
    // SAFETY: by the caller.
    unsafe {
        if (*s).header.flags & (StringObject::SHORT | StringObject::HASHED) == 0 {
            hash_long(s);
        }
        (*s).header.word
    }
}

/// # Safety
/// A live long string.
#[cold]
unsafe fn hash_long(s: *mut StringObject) {
    // SAFETY: by the caller of `hash_of`; S2.
    unsafe {
        let seed = fold(u64::from((*s).header.word) ^ K0, K1);
        (*s).header.word = hash(StringObject::bytes(s), seed);
        (*s).header.flags |= StringObject::HASHED;
    }
}

/// Both long, same bytes.
///
/// # Safety
/// Both point to live strings.
pub(crate) unsafe fn equal_long(a: *const StringObject, b: *const StringObject) -> bool {
    // SAFETY: by the caller.
    unsafe {
        ((*a).header.flags | (*b).header.flags) & StringObject::SHORT == 0
            && (*a).len == (*b).len
            && (a == b || StringObject::bytes(a) == StringObject::bytes(b))
    }
}

impl Value {
    /// Same value without metamethods; strings by content, 1 == 1.0.
    pub(crate) fn raw_equal(self, other: Value) -> bool {
        if self.tag == other.tag {
            return match self.tag {
                tag::NIL | tag::FALSE | tag::TRUE => true,
                tag::FLOAT => self.as_f64() == other.as_f64(),
                tag::STRING => {
                    self.payload == other.payload
                        // SAFETY: V1 a STRING value points to a live string.
                        || unsafe { equal_long(self.as_string(), other.as_string()) }
                }
                _ => self.payload == other.payload,
            };
        }
        match (self.tag, other.tag) {
            (tag::INTEGER, tag::FLOAT) => {
                self.as_i64() as f64 == other.as_f64()
                    && moonswap_number::float_to_int(other.as_f64()) == Some(self.as_i64())
            }
            (tag::FLOAT, tag::INTEGER) => other.raw_equal(self),
            _ => false,
        }
    }
}
