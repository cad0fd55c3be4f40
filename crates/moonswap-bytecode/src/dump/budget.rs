//! What reading a chunk may take of memory: asked before anything is allocated, because
//! a few bytes of a chunk become many.

use super::format::Flaw;

/// What an allocation takes beyond its size, about: the allocator's header, the
/// counters of a shared one.
pub(super) const ALLOCATION: usize = 32;

/// Bytes that a reader has, and may have.
#[derive(Debug)]
pub(super) struct Budget {
    room: usize,
    held: usize,
}

impl Budget {
    pub(super) const fn new(room: usize) -> Self {
        Self { room, held: 0 }
    }

    /// Counts what is about to be allocated.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Flaw> {
        let held = self.held.saturating_add(bytes);
        if held > self.room {
            return Err(Flaw::Memory);
        }
        self.held = held;
        Ok(())
    }

    /// Counts what is gone.
    pub(super) const fn give_back(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// All that is held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// What may be taken still.
    pub(super) const fn left(&self) -> usize {
        self.room.saturating_sub(self.held)
    }

    /// From here on there is that much room in all.
    pub(super) const fn set_room(&mut self, room: usize) {
        self.room = room;
    }
}
