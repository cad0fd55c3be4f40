//! Numbers in as few bytes as they need: 7 bits per byte, low bits first, the
//! highest bit says that more follow. Signed ones have their sign lowest.

#[inline]
pub(crate) fn put_number(out: &mut Vec<u8>, n: u64) {
    // Most are small, and few of the others large.
    if n < 0x80 {
        return out.push(n as u8);
    }
    if n < 0x4000 {
        return out.extend_from_slice(&[n as u8 | 0x80, (n >> 7) as u8]);
    }
    put_long(out, n);
}

#[inline(never)]
fn put_long(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, n: i64) {
    put_number(out, ((n << 1) ^ (n >> 63)) as u64);
}

/// The signed number that [`put_signed`] put as `n`.
pub(crate) fn signed(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}
