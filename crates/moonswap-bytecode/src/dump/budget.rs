//! What reading a chunk may take of memory: asked before anything is allocated, because
//! a few bytes of a chunk become many.

use super::format::UndumpError;

/// What an allocation takes beyond its size, about: the allocator's header, the
/// counters of a shared one.
pub(super) const ALLOCATION: usize = 32;

/// Bytes that a reader has, and may have.
#[derive(Debug)]
pub(super) struct Budget {
    room: usize,
    held: usize,
    /// Of them, what later functions share with the one that is read: short strings.
    shared: usize,
}

impl Budget {
    pub(super) const fn new(room: usize) -> Self {
        Self {
            room,
            held: 0,
            shared: 0,
        }
    }

    /// Counts what is about to be allocated.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), UndumpError> {
        let held = self.held.saturating_add(bytes);
        if held > self.room {
            return Err(UndumpError::Memory);
        }
        self.held = held;
        Ok(())
    }

    /// Counts a list of so many items.
    #[inline]
    pub(super) fn take_list<T>(&mut self, n: usize) -> Result<(), UndumpError> {
        self.take(n.saturating_mul(size_of::<T>()).saturating_add(ALLOCATION))
    }

    /// Counts what stays until the whole chunk is read.
    pub(super) fn take_shared(&mut self, bytes: usize) -> Result<(), UndumpError> {
        self.take(bytes)?;
        self.shared += bytes;
        Ok(())
    }

    /// What is held without the shared part: to go back to it.
    pub(super) const fn own(&self) -> usize {
        self.held - self.shared
    }

    /// All that is held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// What may be taken still.
    pub(super) const fn left(&self) -> usize {
        self.room.saturating_sub(self.held)
    }

    /// What was read since [`own`](Self::own) was so much is gone; from here on there
    /// is that much room in all.
    pub(super) fn go_back(&mut self, own: usize, room: usize) {
        self.held = own + self.shared;
        self.room = room;
    }
}
