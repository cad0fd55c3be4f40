//! Intern table: open addressing, linear probing, backward-shift deletion.
//!
//! Entries carry hash and length, so that misses and wrong entries are rejected
//! without touching a string. Holds short strings weakly: the block sweep
//! removes dead ones.
//!
//! A large table changes its size bit by bit: the entries of the `old` one move
//! with later insertions and collector steps, so that nothing stops for it.
//!
//! Invariants:
//! - I1: every pointer in either table is an allocated short string (possibly
//!   dead, but not swept), with the entry's hash and length; or [`REMOVED`],
//!   in the old table only.
//! - I2: at least one in 64 of the entries is empty, so probing ends; a quarter,
//!   unless memory is short.
//! - I3: old entries below `moved` are in the new table as well or removed
//!   from both; the others are in the old table only.

use std::alloc::{Layout, alloc_zeroed};
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

/// Takes the place of an entry removed from the old table: probing goes on, no
/// lookup finds it, for no short string is that long.
const REMOVED: Entry = Entry {
    string: ptr::dangling_mut(),
    hash: 0,
    len: u32::MAX,
};

/// Tables up to this size are rehashed at once (some ten microseconds). Miri
/// takes its time and must come to the other ones.
const SMALL: usize = if cfg!(miri) { 512 } else { 4096 };
/// Old entries looked at by an insertion. A table that doubles (or quarters,
/// see `shrink`) has moved long before the new one is full.
const MOVED_BY_INSERT: usize = 16;
/// Entries of a table that is left for good whose memory goes back at a time: 512 KiB.
/// The system takes tens of milliseconds for hundreds of megabytes.
const GIVEN_BACK: usize = 32 * 1024;

/// The table of short strings.
pub(crate) struct Interner {
    entries: Vec<Entry>,
    mask: usize,
    n_used: usize,
    /// The table before the last change of size, while its entries move.
    old: Vec<Entry>,
    moved: usize,
    /// The rest of a table that all entries have left.
    left: Vec<Entry>,
    /// Entries of it whose memory is to go back.
    to_give_back: usize,
}

/// Empty entries; large tables come from the system as zero pages, which are
/// touched one by one. `None`: the system has none.
fn empty_table(n: usize) -> Option<Vec<Entry>> {
    let layout = Layout::array::<Entry>(n).ok()?;
    // SAFETY: the layout is that of a vector of n entries and not of size 0;
    // all zeros is `EMPTY`.
    unsafe {
        let entries = alloc_zeroed(layout).cast::<Entry>();
        if entries.is_null() {
            return None;
        }
        Some(Vec::from_raw_parts(entries, n, n))
    }
}

impl Interner {
    pub(crate) fn new() -> Self {
        Self {
            entries: vec![EMPTY; 512],
            mask: 511,
            n_used: 0,
            old: Vec::new(),
            moved: 0,
            left: Vec::new(),
            to_give_back: 0,
        }
    }

    /// How many strings there are.
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
                    if !self.old.is_empty() {
                        return self.find_old(hash, bytes);
                    }
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

    /// [`Interner::find`] in the old table.
    #[cold]
    #[inline(never)]
    fn find_old(&self, hash: u32, bytes: &[u8]) -> *mut StringObject {
        let mask = self.old.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let e = self.old[i];
            if e.string.is_null() {
                return ptr::null_mut();
            }
            if e.hash == hash && e.len as usize == bytes.len() {
                // SAFETY: I1: not REMOVED because of the length.
                unsafe {
                    let data = (&raw const (*e.string).data).cast::<u8>();
                    if equal_bytes(data, bytes.as_ptr(), bytes.len()) {
                        return e.string;
                    }
                }
            }
            i = (i + 1) & mask;
        }
    }

    /// Bytes of all tables.
    pub(crate) fn bytes(&self) -> usize {
        (self.entries.capacity() + self.old.capacity() + self.left.capacity()) * size_of::<Entry>()
    }

    /// The next insertion should be preceded by [`Interner::grow`].
    #[inline(always)]
    pub(crate) fn is_crowded(&self) -> bool {
        (self.n_used + 1) * 4 > self.entries.len() * 3
    }

    /// So full that the program must end unless the table can grow.
    pub(crate) fn is_full(&self) -> bool {
        (self.n_used + 1) * 16 > self.entries.len() * 15
    }

    /// The next insertion must be preceded by [`Interner::grow`] (I2).
    pub(crate) fn is_packed(&self) -> bool {
        (self.n_used + 1) * 64 > self.entries.len() * 63
    }

    /// Bytes that growing takes.
    pub(crate) fn growth(&self) -> usize {
        self.entries.len() * 2 * size_of::<Entry>()
    }

    /// Doubles the table; false if there is no memory.
    pub(crate) fn grow(&mut self) -> bool {
        self.resize(self.entries.len() * 2)
    }

    /// Adds a string that is not in the table. The table is not full.
    pub(crate) fn insert(&mut self, hash: u32, len: usize, string: *mut StringObject) {
        if !self.old.is_empty() || !self.left.is_empty() {
            self.move_some(MOVED_BY_INSERT);
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

    fn resize(&mut self, n: usize) -> bool {
        let Some(table) = empty_table(n) else {
            return false;
        };
        self.move_some(usize::MAX);
        self.old = std::mem::replace(&mut self.entries, table);
        self.mask = n - 1;
        self.moved = 0;
        if self.old.len() <= SMALL {
            self.move_some(usize::MAX);
        }
        true
    }

    /// Moves what is in the next `most` entries of the old table, if there is
    /// one.
    pub(crate) fn move_some(&mut self, most: usize) {
        if self.old.is_empty() {
            return self.give_back_some(most);
        }
        let end = self.moved.saturating_add(most).min(self.old.len());
        // Old order is nearly hash order: the new table is written in two streams.
        for i in self.moved..end {
            let e = self.old[i];
            if !e.string.is_null() && e.len != REMOVED.len {
                self.place(e);
            }
        }
        self.moved = end;
        if end == self.old.len() {
            self.left = std::mem::take(&mut self.old);
            self.to_give_back = 0;
            self.moved = 0;
            if self.left.len() <= GIVEN_BACK {
                self.left = Vec::new();
            }
        }
    }

    /// Gives back the memory of `most` entries of a table that was left, if there is
    /// one; in parts of some size.
    fn give_back_some(&mut self, most: usize) {
        let n = self.left.len();
        if n == 0 {
            return;
        }
        self.to_give_back = self.to_give_back.saturating_add(most);
        if self.to_give_back < GIVEN_BACK {
            return;
        }
        let before = self.left.as_ptr();
        self.left.truncate(n.saturating_sub(self.to_give_back));
        self.left.shrink_to_fit();
        self.to_give_back = 0;
        // An allocator that copies what it shrinks would copy it again and again.
        if !ptr::eq(before, self.left.as_ptr()) {
            self.left = Vec::new();
        }
    }

    /// Gives memory back after most strings have died, a part at a time.
    pub(crate) fn shrink(&mut self) {
        let n = self.entries.len();
        if self.old.is_empty() && n > 1024 && self.n_used * 16 <= n {
            self.resize(n / 4);
        }
    }

    /// Removes a string; nothing happens if it is not in the table.
    pub(crate) fn remove(&mut self, hash: u32, string: *mut StringObject) {
        let in_old = !self.old.is_empty() && self.remove_old(hash, string);
        let mut i = hash as usize & self.mask;
        loop {
            let e = self.entries[i].string;
            if e.is_null() {
                self.n_used -= usize::from(in_old);
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

    /// True if the string was in the old table.
    #[cold]
    fn remove_old(&mut self, hash: u32, string: *mut StringObject) -> bool {
        let mask = self.old.len() - 1;
        let mut i = hash as usize & mask;
        while !self.old[i].string.is_null() {
            if ptr::eq(self.old[i].string, string) {
                self.old[i] = REMOVED;
                return true;
            }
            i = (i + 1) & mask;
        }
        false
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
