//! `Buffer`: bytes a library function collects, on the heap's account.
//!
//! A buffer is a `Vec<u8>` whose capacity counts against the memory limit while
//! it is being filled. It grows through [`super::Context::grow_buffer`], which
//! may refuse; small pieces may be appended without asking.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::heap::Reserve;

/// A byte buffer that counts against the memory limit.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// Bytes on the account.
    counted: usize,
    account: Rc<Reserve>,
}

impl Buffer {
    pub(crate) fn new(mut bytes: Vec<u8>, account: &Rc<Reserve>) -> Self {
        bytes.clear();
        let mut buffer = Self {
            bytes,
            counted: 0,
            account: Rc::clone(account),
        };
        buffer.sync();
        buffer
    }

    /// Brings the account up to date.
    #[inline]
    pub(crate) fn sync(&mut self) {
        let held = self.account.buffers.get() - self.counted;
        self.counted = self.bytes.capacity();
        self.account.buffers.set(held + self.counted);
    }

    /// Room for exactly `size` bytes in all; false if the system has none.
    pub(crate) fn reserve_exact(&mut self, size: usize) -> bool {
        let more = size.saturating_sub(self.bytes.len());
        let done = self.bytes.try_reserve_exact(more).is_ok();
        self.sync();
        done
    }

    /// The bytes, taken off the account.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        self.sync();
        bytes
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    #[inline]
    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let _ = self.take();
    }
}
