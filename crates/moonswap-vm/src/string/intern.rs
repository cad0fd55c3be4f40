//! Intern table: open addressing, linear probing, backward-shift deletion.
//!
//! Entries carry hash and length, so that misses and wrong entries are rejected
//! without touching a string. Holds short strings weakly: the block sweep
//! removes dead ones.
//!
//! Invariants:
//! - I1: every pointer in the table is an allocated short string (possibly
//!   dead, but not swept), with the entry's hash and length.
//! - I2: at least a quarter of the entries is empty, so probing ends.

use std::ptr;

use crate::object::StringObject;

#[derive(Clone, Copy)]
struct Entry {
    string: *mut StringObject,
    hash: u32,
    len: u32,
}

const EMPTY: Entry = Entry {
    string: ptr::null_mut(),
    hash: 0,
    len: 0,
};

/// The table of short strings.
pub(crate) struct Interner {
    entries: Vec<Entry>,
    mask: usize,
    n_used: usize,
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self {
            entries: vec![EMPTY; 512],
            mask: 511,
            n_used: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.n_used
    }

    /// The string with these bytes, or null.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32, bytes: &[u8]) -> *mut StringObject {
        let mut i = hash as usize & self.mask;
        loop {
            // SAFETY: i <= mask < entries.len(); I1, I2. Short strings are inline.
            unsafe {
                let e = self.entries.get_unchecked(i);
                if e.string.is_null() {
                    return ptr::null_mut();
                }
                if e.hash == hash && e.len as usize == bytes.len() {
                    let data = (&raw const (*e.string).data).cast::<u8>();
                    if equal_bytes(data, bytes.as_ptr(), bytes.len()) {
                        return e.string;
                    }
                }
            }
            i = (i + 1) & self.mask;
        }
    }

    /// Adds a string that is not in the table.
    pub(crate) fn insert(&mut self, hash: u32, len: usize, string: *mut StringObject) {
        if (self.n_used + 1) * 4 > self.entries.len() * 3 {
            self.resize(self.entries.len() * 2);
        }
        self.n_used += 1;
        self.place(Entry {
            string,
            hash,
            len: len as u32,
        });
    }

    fn place(&mut self, entry: Entry) {
        let mut i = entry.hash as usize & self.mask;
        while !self.entries[i].string.is_null() {
            i = (i + 1) & self.mask;
        }
        self.entries[i] = entry;
    }

    fn resize(&mut self, n: usize) {
        // Old order is nearly hash order: the new table is written in two streams.
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; n]);
        self.mask = n - 1;
        for e in old {
            if !e.string.is_null() {
                self.place(e);
            }
        }
    }

    /// Gives memory back after most strings have died.
    pub(crate) fn shrink(&mut self) {
        let n = (self.n_used * 2).next_power_of_two().max(512);
        if n * 8 <= self.entries.len() {
            self.resize(n * 2);
        }
    }

    /// Removes a string; nothing happens if it is not in the table.
    pub(crate) fn remove(&mut self, hash: u32, string: *mut StringObject) {
        let mut i = hash as usize & self.mask;
        loop {
            let e = self.entries[i].string;
            if e.is_null() {
                return;
            }
            if e == string {
                break;
            }
            i = (i + 1) & self.mask;
        }
        self.n_used -= 1;
        // Close the gap with entries whose probe sequence passes through it.
        let mut hole = i;
        loop {
            i = (i + 1) & self.mask;
            let e = self.entries[i];
            if e.string.is_null() {
                break;
            }
            let home = e.hash as usize & self.mask;
            if (i.wrapping_sub(home) & self.mask) >= (i.wrapping_sub(hole) & self.mask) {
                self.entries[hole] = e;
                hole = i;
            }
        }
        self.entries[hole] = EMPTY;
    }
}

/// Compares up to 40 bytes without a call to `memcmp`.
///
/// # Safety
/// Both readable for `n` bytes.
#[inline(always)]
unsafe fn equal_bytes(a: *const u8, b: *const u8, n: usize) -> bool {
    // SAFETY: by the caller; the reads stay below n.
    unsafe {
        let r64 = |p: *const u8, i: usize| p.add(i).cast::<u64>().read_unaligned();
        if n >= 8 {
            let mut i = 0;
            while i + 8 <= n {
                if r64(a, i) != r64(b, i) {
                    return false;
                }
                i += 8;
            }
            return r64(a, n - 8) == r64(b, n - 8);
        }
        if n >= 4 {
            let r32 = |p: *const u8, i: usize| p.add(i).cast::<u32>().read_unaligned();
            return r32(a, 0) == r32(b, 0) && r32(a, n - 4) == r32(b, n - 4);
        }
        (0..n).all(|i| *a.add(i) == *b.add(i))
    }
}
