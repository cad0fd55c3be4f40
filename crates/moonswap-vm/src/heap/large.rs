//! Table parts: small ones are cells, those above 8 KiB come from the system
//! allocator (`realloc`: big arrays grow by remapping) and stand in a vector.
//!
//! Invariants:
//! - L1: a part that is not inline in its table's cell has a `Header` of kind
//!   `Part` 8 bytes before its data; a large one has a [`Prefix`] there.
//! - L2: `large[prefix.index]` is the part; `..large_sweep` are still to be
//!   swept in this cycle, entries behind were swept or made since marking.
//! - L3: a part has one owner, so it can be freed when the owner drops it.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ptr;

use super::class::class_of;
use super::part::{Large, PART_HEADER, Prefix, footprint, is_small};
use super::{Heap, Phase};
use crate::object::{Header, Kind};

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, 16).ok()
}

impl Heap {
    /// Mark for a new part of an owner: a part of an already marked table
    /// would not be marked any more.
    ///
    /// # Safety
    /// `owner` is live.
    #[inline(always)]
    pub(super) unsafe fn mark_for(&mut self, owner: *mut Header, bytes: usize) -> u8 {
        // SAFETY: the owner is live.
        if unsafe { (*owner).mark } == self.black {
            self.marker.live += footprint(bytes);
            self.marker.epoch
        } else {
            0
        }
    }

    /// Memory for a part of `owner`; null if there is none.
    ///
    /// # Safety
    /// `owner` is live.
    pub(crate) unsafe fn alloc_part(&mut self, owner: *mut Header, bytes: usize) -> *mut u8 {
        // SAFETY: L1; cells and system blocks of sufficient size.
        unsafe {
            if is_small(bytes) {
                let cell = self.alloc(class_of(bytes + PART_HEADER));
                let mark = self.mark_for(owner, bytes);
                cell.cast::<Header>().write(Header {
                    kind: Kind::Part,
                    mark,
                    flags: 0,
                    extra: 0,
                    word: 0,
                });
                return cell.add(PART_HEADER);
            }
            let size = bytes + size_of::<Prefix>();
            if self.permit(size).is_err() {
                return ptr::null_mut();
            }
            let Some(layout) = layout(size) else {
                return ptr::null_mut();
            };
            let start = alloc(layout).cast::<Prefix>();
            if start.is_null() {
                self.refuse();
                return ptr::null_mut();
            }
            self.budget.take(size);
            let mark = self.mark_for(owner, bytes);
            start.write(Prefix {
                index: self.large.len(),
                header: Header {
                    kind: Kind::Part,
                    mark,
                    flags: 0,
                    extra: 0,
                    word: 0,
                },
            });
            self.budget
                .reserve
                .push(&mut self.large, Large { start, size });
            self.charge(size);
            start.add(1).cast()
        }
    }

    /// Grows a large part to another large size, contents kept; null if there
    /// is no memory (the part stays as it was).
    ///
    /// # Safety
    /// `data` is a large part of `owner` with `old` data bytes; `new` is not small.
    pub(crate) unsafe fn realloc_part(&mut self, data: *mut u8, old: usize, new: usize) -> *mut u8 {
        // SAFETY: L1, L2, L3.
        unsafe {
            let start = data.cast::<Prefix>().sub(1);
            let (old_size, new_size) = (old + size_of::<Prefix>(), new + size_of::<Prefix>());
            if self.permit(new_size.saturating_sub(old_size)).is_err() {
                return ptr::null_mut();
            }
            let (Some(before), Some(_)) = (layout(old_size), layout(new_size)) else {
                return ptr::null_mut();
            };
            let moved = realloc(start.cast(), before, new_size).cast::<Prefix>();
            if moved.is_null() {
                self.refuse();
                return ptr::null_mut();
            }
            self.budget.take(new_size);
            self.budget.give(old_size);
            let index = (*moved).index;
            self.large[index] = Large {
                start: moved,
                size: new_size,
            };
            if self.phase == Phase::Mark && (*moved).header.mark == self.marker.epoch {
                self.marker.live = (self.marker.live + new_size).saturating_sub(old_size);
            }
            self.charge_signed(new_size as isize - old_size as isize);
            moved.add(1).cast()
        }
    }

    /// The owner replaced a part.
    ///
    /// # Safety
    /// `data` is a part (not inline) with so many data bytes, not used again.
    pub(crate) unsafe fn free_part(&mut self, data: *mut u8, bytes: usize) {
        // SAFETY: L1, L3.
        unsafe {
            let header = data.sub(PART_HEADER).cast::<Header>();
            let size = footprint(bytes);
            if self.phase == Phase::Mark && (*header).mark == self.marker.epoch {
                self.marker.live = self.marker.live.saturating_sub(size);
            }
            if is_small(bytes) {
                // While sweeping: mark 0 means it is younger than the marking,
                // so its block is swept; otherwise its block may be unswept
                // and only the sweep may free the cell.
                if self.phase != Phase::Sweep || (*header).mark != self.marker.epoch {
                    self.free_cell(header.cast(), class_of(bytes + PART_HEADER));
                } else {
                    (*header).mark = 0;
                    self.charged -= size as isize;
                }
                return;
            }
            let start = data.cast::<Prefix>().sub(1);
            let mut hole = (*start).index;
            if hole < self.large_sweep {
                // Keep the unswept ones together (L2).
                self.large_sweep -= 1;
                self.move_large(self.large_sweep, hole);
                hole = self.large_sweep;
            }
            self.move_large(self.large.len() - 1, hole);
            self.large.pop();
            if let Some(layout) = layout(size) {
                dealloc(start.cast(), layout);
                self.budget.give(size);
            }
            self.charged -= size as isize;
        }
    }

    /// Copies the entry `from` over the entry `to`.
    ///
    /// # Safety
    /// L2; both places are below the length of the list, and the entry at `from` is live.
    unsafe fn move_large(&mut self, from: usize, to: usize) {
        if from != to {
            let entry = Large {
                start: self.large[from].start,
                size: self.large[from].size,
            };
            // SAFETY: L2; the entry is live.
            unsafe { (*entry.start).index = to };
            self.large[to] = entry;
        }
    }

    /// Frees unmarked large parts, a bounded number; true when done.
    pub(super) fn sweep_large(&mut self, mut n: usize) -> bool {
        // Unmapping costs about 25 µs per MiB.
        let mut bytes = 8usize << 20;
        while self.large_sweep > 0 {
            if n == 0 || bytes == 0 {
                return false;
            }
            n -= 1;
            self.large_sweep -= 1;
            let i = self.large_sweep;
            let Large { start, size } = self.large[i];
            // SAFETY: L2; unmarked after marking means the owner is dead.
            unsafe {
                if (*start).header.mark != self.marker.epoch {
                    let last = self.large.len() - 1;
                    self.move_large(last, i);
                    self.large.pop();
                    if let Some(layout) = layout(size) {
                        dealloc(start.cast(), layout);
                        self.budget.give(size);
                    }
                    bytes = bytes.saturating_sub(size);
                }
            }
        }
        true
    }

    /// Bytes of all large parts.
    pub(super) fn large_held(&self) -> usize {
        self.large.iter().map(|part| part.size).sum()
    }

    /// Bytes of the list itself.
    pub(super) fn large_bytes(&self) -> usize {
        self.large.capacity() * size_of::<Large>()
    }

    /// Calls `f` for every large part.
    pub(super) fn for_each_large(&self, mut f: impl FnMut(*mut Header)) {
        for large in &self.large {
            // SAFETY: L2.
            f(unsafe { &raw mut (*large.start).header });
        }
    }

    /// Gives all large parts back.
    ///
    /// # Safety
    /// The heap is not used any more.
    pub(super) unsafe fn release_large(&mut self) {
        for Large { start, size } in self.large.drain(..) {
            if let Some(layout) = layout(size) {
                // SAFETY: L2.
                unsafe { dealloc(start.cast(), layout) };
            }
        }
    }
}
