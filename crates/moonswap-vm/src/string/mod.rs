//! Strings: hashing, equality, creation.
//!
//! Up to 40 bytes strings are interned (equal = same pointer); longer ones are
//! compared by content and hashed on first use as a table key; above 8 KiB the
//! bytes are a separate allocation, taken over from a `Vec` without a copy.
//!
//! Invariants:
//! - S1: a string cell has room for its bytes (inline) or pointer and capacity
//!   of the `Vec` they came from (EXTERNAL).
//! - S2: a long string that is not HASHED holds the heap's seed in `word`.

mod chunk;
mod hash;
pub(crate) mod intern;
#[cfg(test)]
mod tests;

pub(crate) use chunk::{ChunkStrings, Loads};
pub(crate) use hash::{equal_long, fold, hash, hash_of};

use crate::heap::class::{LEAF, MAX_CELL, class_of};
use crate::heap::{Heap, OutOfMemory};
use crate::object::{Header, Kind, MAX_SHORT, StringObject};

/// A string made of several pieces.
pub(crate) fn concat(heap: &mut Heap, parts: &[&[u8]]) -> Result<*mut StringObject, OutOfMemory> {
    let n: usize = parts.iter().map(|p| p.len()).sum();
    if n <= MAX_SHORT {
        let mut buffer = [0u8; MAX_SHORT];
        let mut at = 0;
        for p in parts {
            buffer[at..at + p.len()].copy_from_slice(p);
            at += p.len();
        }
        return Ok(heap.string(&buffer[..n]));
    }
    if 16 + n > MAX_CELL {
        let mut buffer = heap.body(n)?;
        for p in parts {
            buffer.extend_from_slice(p);
        }
        return Ok(heap.string_from_vec(buffer));
    }
    // SAFETY: the new string has room for n bytes.
    unsafe {
        let s = heap.new_long(n);
        let mut at = (&raw mut (*s).data).cast::<u8>();
        for p in parts {
            std::ptr::copy_nonoverlapping(p.as_ptr(), at, p.len());
            at = at.add(p.len());
        }
        Ok(s)
    }
}

impl Heap {
    /// The string with these bytes. If there is no memory for a large one: the
    /// message that says so, and `deferred`.
    #[inline]
    pub(crate) fn string(&mut self, bytes: &[u8]) -> *mut StringObject {
        if bytes.len() == 1 {
            return self.single[bytes[0] as usize];
        }
        if bytes.len() <= MAX_SHORT {
            return self.intern(bytes);
        }
        if 16 + bytes.len() > MAX_CELL {
            return match self.body(bytes.len()) {
                Ok(mut body) => {
                    body.extend_from_slice(bytes);
                    self.string_from_vec(body)
                }
                Err(OutOfMemory) => {
                    self.deferred = true;
                    self.memory_message
                }
            };
        }
        // SAFETY: the new string has room for the bytes.
        unsafe {
            let s = self.new_long(bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut (*s).data).cast(), bytes.len());
            s
        }
    }

    fn intern(&mut self, bytes: &[u8]) -> *mut StringObject {
        let hash = hash(bytes, self.seed);
        let found = self.strings.find(hash, bytes);
        if !found.is_null() {
            // A string found dead but not swept yet must stay: a leaf may
            // always be black. While marking, the roots will mark it.
            if self.is_sweeping() {
                // SAFETY: strings in the table are allocated (I1).
                unsafe { (*found).header.mark = self.epoch() };
            }
            return found;
        }
        let s = self.new_short(bytes, hash);
        if self.strings.is_crowded() {
            self.grow_strings();
        }
        // Only now: the allocation may have swept strings out of the table.
        self.strings.insert(hash, bytes.len(), s);
        s
    }

    #[cold]
    #[inline(never)]
    fn grow_strings(&mut self) {
        // A table that is merely crowded waits until there is room: asking for
        // relief would collect everything for each string. A full one does ask;
        // if it cannot grow then, the error is raised (`is_relieved`).
        let growth = self.strings.growth();
        let allowed = if self.strings.is_full() {
            self.permit(growth).is_ok()
        } else {
            self.permit_quietly(growth)
        };
        let must = self.strings.is_packed();
        if (allowed || must) && !self.strings.grow() {
            self.refuse();
            if must {
                self.reserve().release();
                assert!(self.strings.grow(), "no memory in the reserve");
            }
        }
    }

    /// An empty vector for the bytes of a large string.
    pub(crate) fn body(&mut self, bytes: usize) -> Result<Vec<u8>, OutOfMemory> {
        self.permit(bytes)?;
        let mut body = Vec::new();
        match body.try_reserve_exact(bytes) {
            Ok(()) => Ok(body),
            Err(_) => Err(self.refuse()),
        }
    }

    /// A short string object, not in the intern table.
    pub(crate) fn new_short(&mut self, bytes: &[u8], hash: u32) -> *mut StringObject {
        let s = self
            .alloc(LEAF + class_of(16 + bytes.len()))
            .cast::<StringObject>();
        // SAFETY: the cell has room for 16 + len bytes (S1).
        unsafe {
            (&raw mut (*s).header).write(Header {
                kind: Kind::String,
                mark: 0,
                flags: StringObject::SHORT,
                extra: 0,
                word: hash,
            });
            (*s).len = bytes.len();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut (*s).data).cast(), bytes.len());
        }
        s
    }

    /// A long string with `n` uninitialised bytes, 40 < n, 16 + n <= `MAX_CELL`.
    pub(crate) fn new_long(&mut self, n: usize) -> *mut StringObject {
        debug_assert!(n > MAX_SHORT && 16 + n <= MAX_CELL);
        let s = self.alloc(LEAF + class_of(16 + n)).cast::<StringObject>();
        // SAFETY: the cell has room for 16 + n bytes (S1, S2).
        unsafe {
            (&raw mut (*s).header).write(Header {
                kind: Kind::String,
                mark: 0,
                flags: 0,
                extra: 0,
                word: self.seed as u32,
            });
            (*s).len = n;
        }
        s
    }

    /// The string with these bytes; above 8 KiB the vector becomes its body.
    pub(crate) fn string_from_vec(&mut self, bytes: Vec<u8>) -> *mut StringObject {
        if 16 + bytes.len() <= MAX_CELL {
            return self.string(&bytes);
        }
        let mut bytes = bytes;
        if bytes.capacity() - bytes.len() > bytes.len() / 4 {
            bytes.shrink_to_fit();
        }
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        let s = self.alloc(LEAF + class_of(32)).cast::<StringObject>();
        // SAFETY: the cell has room for header, length, pointer, capacity (S1, S2).
        unsafe {
            (&raw mut (*s).header).write(Header {
                kind: Kind::String,
                mark: 0,
                flags: StringObject::EXTERNAL,
                extra: 0,
                word: self.seed as u32,
            });
            (*s).len = bytes.len();
            let fields = (&raw mut (*s).data).cast::<*mut u8>();
            *fields = bytes.as_mut_ptr();
            *fields.add(1).cast::<usize>() = bytes.capacity();
        }
        self.charge(bytes.capacity());
        self.take_small(bytes.capacity());
        s
    }
}
