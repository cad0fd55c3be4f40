//! What blocks are: cells, free lists, the blocks of a class, memory kept for more.
//!
//! Invariants: B1, B3, B4 (`block.rs`).

use std::alloc::{Layout, dealloc};
use std::ptr;

use super::sanitize;
use crate::object::{Header, Kind, StringObject};
use crate::string::intern::Interner;

/// Bytes of a block.
pub(super) const BLOCK: usize = 64 * 1024;
/// Bytes of the first block of classes up to [`SMALL_FIRST`]: a small state
/// must not touch 64 KiB per class.
pub(super) const FIRST: usize = 4096;
pub(super) const SMALL_FIRST: usize = 512;
/// Fresh memory is threaded onto the free list in pieces of this size.
pub(super) const CARVE: usize = 2048;
/// Blocks swept at most by one allocation; then a fresh one is taken. Full
/// blocks in a row would make the pause unbounded.
pub(super) const SWEEP_PER_REFILL: usize = 8;
/// Empty blocks kept for reuse; half of the blocks in use at most beyond it.
pub(super) const POOL_SLACK: usize = 32;
/// Kept blocks given back at the end of a cycle that needed none of them.
pub(super) const GIVEN_BACK: usize = 64;
/// Cache line alignment, so that 64-byte cells do not straddle lines.
pub(super) const ALIGN: usize = 64;

/// In the mode for tests that keeps freed cells, they are used again in one of
/// so many cycles.
pub(super) const KEEP_CYCLES: u8 = 16;

/// A free cell.
#[repr(C)]
pub(super) struct Cell {
    pub(super) header: Header,
    pub(super) next: *mut Cell,
}

/// One block of cells.
pub(super) struct Block {
    /// Null: given back.
    pub(super) start: *mut u8,
    /// Bytes usable for cells (a multiple of the cell size).
    pub(super) size: u32,
    /// Bytes handed out so far; above it the memory is untouched.
    pub(super) bump: u32,
    /// Free list found by the sweep, not adopted yet.
    pub(super) parked: *mut Cell,
    pub(super) n_parked: u32,
    /// 64 KiB from the system (not a first block).
    pub(super) whole: bool,
}

/// The blocks of one class: `..adopt` used by the allocator, `adopt..sweep`
/// swept and parked, `sweep..sweep_end` to be swept, `sweep_end..` fresh.
pub(super) struct Class {
    pub(super) blocks: Vec<Block>,
    pub(super) adopt: usize,
    pub(super) sweep: usize,
    pub(super) sweep_end: usize,
    /// Block with fresh space that is being carved; `usize::MAX` = none.
    pub(super) carving: usize,
}

/// Memory behind the blocks.
pub(super) struct Pool {
    pub(super) empty: Vec<*mut u8>,
    /// The fewest there were since the last cycle ended: so many are not needed.
    pub(super) fewest: usize,
    /// Regions from which first blocks are cut.
    pub(super) regions: Vec<*mut u8>,
    pub(super) region_left: usize,
    pub(super) n_blocks: usize,
}

pub(super) fn layout() -> Layout {
    // constant and valid
    Layout::from_size_align(BLOCK, ALIGN).unwrap_or(Layout::new::<u64>())
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            empty: Vec::new(),
            fewest: 0,
            regions: Vec::new(),
            region_left: 0,
            n_blocks: 0,
        }
    }

    /// A block for cells, if one is kept.
    pub(super) fn take_kept(&mut self) -> Option<*mut u8> {
        let kept = self.empty.pop()?;
        self.fewest = self.fewest.min(self.empty.len());
        self.n_blocks += 1;
        Some(sanitize::show(kept, BLOCK))
    }

    /// A piece of the last region.
    pub(super) fn take_first(&mut self) -> *mut u8 {
        self.region_left -= FIRST;
        let region = self.regions[self.regions.len() - 1];
        // SAFETY: region_left < BLOCK is inside the region.
        unsafe { region.add(self.region_left) }
    }

    /// # Safety
    /// B4.
    /// True if it went back to the system.
    pub(super) unsafe fn give(&mut self, start: *mut u8) -> bool {
        self.n_blocks -= 1;
        if self.empty.len() < POOL_SLACK + self.n_blocks / 2 {
            self.empty.push(start);
            return false;
        }
        // SAFETY: B4, from the system with the same layout.
        unsafe { dealloc(start, layout()) };
        true
    }

    /// Bytes of blocks in use or kept.
    pub(super) fn reserved(&self) -> usize {
        (self.n_blocks + self.empty.len() + self.regions.len()) * BLOCK
    }
}

impl Class {
    pub(super) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            adopt: 0,
            sweep: 0,
            sweep_end: 0,
            carving: usize::MAX,
        }
    }

    /// Marking has ended: every block is to be swept, in address order.
    pub(super) fn begin_sweep(&mut self) {
        self.blocks.retain(|b| !b.start.is_null());
        // New blocks were pushed behind sorted ones: runs, nearly linear.
        self.blocks.sort_by_key(|b| b.start as usize);
        self.adopt = 0;
        self.sweep = 0;
        self.sweep_end = self.blocks.len();
        self.carving = usize::MAX;
    }
}

/// What a sweep does for tests.
#[derive(Clone, Copy)]
pub(super) struct SweepMode {
    /// Freed cells are overwritten.
    pub(super) poison: bool,
    /// Freed cells are not handed out in this cycle.
    pub(super) keep: bool,
}

impl Block {
    /// Rebuilds the free list.
    ///
    /// # Safety
    /// B1, B3.
    pub(super) unsafe fn sweep(
        &mut self,
        cell: usize,
        epoch: u8,
        strings: Option<&mut Interner>,
        how: SweepMode,
    ) -> Swept {
        // SAFETY: B1: every cell below bump has a header; B3: unmarked is dead.
        unsafe {
            let mut head: *mut Cell = ptr::null_mut();
            let mut link: *mut *mut Cell = &raw mut head;
            let mut n_free = 0usize;
            let mut p = self.start;
            let end = p.add(self.bump as usize);
            let total = self.bump as usize / cell;
            let mut leaves = strings;
            let mut freed = 0;
            while p < end {
                let h = p.cast::<Header>();
                if (*h).mark != epoch {
                    if let Some(strings) = &mut leaves
                        && (*h).kind == Kind::String
                    {
                        freed += drop_string(h.cast(), strings);
                    }
                    if (*h).kind != Kind::Free {
                        if how.poison {
                            ptr::write_bytes(p, 0xDB, cell);
                        }
                        sanitize::hide(p, cell);
                    }
                    h.cast::<u64>().write(0);
                    let free = p.cast::<Cell>();
                    *link = free;
                    link = &raw mut (*free).next;
                    n_free += 1;
                }
                p = p.add(cell);
            }
            *link = ptr::null_mut();
            self.parked = head;
            self.n_parked = n_free as u32;
            if n_free == total && !how.keep {
                // Nothing survived: as good as fresh.
                self.bump = 0;
                self.parked = ptr::null_mut();
                self.n_parked = 0;
            }
            Swept {
                live: total - n_free,
                freed,
            }
        }
    }
}

/// What sweeping a block came to.
pub(super) struct Swept {
    /// Cells in use.
    pub(super) live: usize,
    /// Bytes of string bodies given back.
    pub(super) freed: usize,
}

/// A string cell is about to be reused; answers the bytes given back.
///
/// # Safety
/// `s` is an allocated string that nothing refers to but the intern table.
pub(super) unsafe fn drop_string(s: *mut StringObject, strings: &mut Interner) -> usize {
    // SAFETY: by the caller.
    unsafe {
        if (*s).header.flags & StringObject::SHORT != 0 {
            strings.remove((*s).header.word, s);
        } else if (*s).header.flags & StringObject::EXTERNAL != 0 {
            let fields = (&raw mut (*s).data).cast::<*mut u8>();
            drop(Vec::from_raw_parts(
                *fields,
                (*s).len,
                *fields.add(1).cast::<usize>(),
            ));
            return *fields.add(1).cast::<usize>();
        }
        0
    }
}
