//! Blocks: cells of one size class each, free lists, lazy sweep.
//!
//! Allocation takes the head of the class's free list; everything else
//! (carving fresh memory, adopting a swept block, sweeping, new blocks) happens
//! in [`Heap::refill`], which also charges the debt: per refill, not per object.
//!
//! Invariants:
//! - B1: a cell below a block's `bump` starts with a `Header`; free cells have
//!   kind `Free` and mark 0, all others were written by a constructor.
//! - B2: cells on `Heap::free[class]` belong to swept blocks of that class and
//!   are on no other list.
//! - B3: nothing is allocated from a block between the end of marking and its
//!   sweep; so in a block to be swept "mark != epoch" means dead or free.
//! - B4: block memory is returned only when no cell in it is in use.

use std::alloc::dealloc;
use std::ptr;

use super::class::{LEAF, N_CLASSES, class_size};
use super::pool::{
    BLOCK, Block, CARVE, Cell, FIRST, GIVEN_BACK, KEEP_CYCLES, SMALL_FIRST, SWEEP_PER_REFILL,
    SweepMode, drop_string, layout,
};
use super::sanitize;
use super::{Heap, Phase};
use crate::object::{Header, Kind, StringObject};

impl Heap {
    /// A cell of the class; its header is 0, the rest arbitrary.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, class: usize) -> *mut u8 {
        debug_assert!(class < N_CLASSES);
        // SAFETY: class < N_CLASSES; B2: cells on the list are free.
        unsafe {
            let head = self.free.get_unchecked_mut(class);
            let cell = *head;
            if cell.is_null() {
                return sanitize::show(self.refill(class), class_size(class));
            }
            *head = (*cell).next;
            sanitize::show(cell.cast(), class_size(class))
        }
    }

    /// Puts a single cell back.
    ///
    /// # Safety
    /// Nothing refers to the cell, and B3 holds for its block.
    pub(super) unsafe fn free_cell(&mut self, cell: *mut u8, class: usize) {
        // SAFETY: by the caller.
        unsafe {
            if self.poison {
                ptr::write_bytes(cell, 0xDB, class_size(class));
            }
            sanitize::hide(cell, class_size(class));
            cell.cast::<u64>().write(0);
            if self.keep_freed {
                // The next sweep finds it.
                return;
            }
            let cell = cell.cast::<Cell>();
            (*cell).next = self.free[class];
            self.free[class] = cell;
        }
    }

    /// Slow path of [`Heap::alloc`]: makes a new free list.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) -> *mut u8 {
        let cell = class_size(class);
        let mut sweeps = SWEEP_PER_REFILL;
        // Where every allocation counts, lists have one cell.
        let single = self.single_cells || self.budget.is_failing();
        if self.budget.is_failing() {
            self.count_small();
        }
        let how = self.sweep_mode();
        loop {
            let c = &mut self.classes[class];
            if c.carving != usize::MAX {
                let block = &mut c.blocks[c.carving];
                let left = (block.size - block.bump) as usize;
                if left == 0 {
                    c.carving = usize::MAX;
                    continue;
                }
                let n = if single {
                    1
                } else {
                    (CARVE / cell).clamp(1, left / cell)
                };
                // SAFETY: the n cells lie above bump inside the block and were
                // not handed out; afterwards B1 holds for them.
                let first = unsafe {
                    let first = block.start.add(block.bump as usize);
                    for i in 0..n {
                        let p = first.add(i * cell);
                        p.cast::<u64>().write(0);
                        (*p.cast::<Cell>()).next = if i + 1 < n {
                            p.add(cell).cast()
                        } else {
                            ptr::null_mut()
                        };
                    }
                    self.free[class] = (*first.cast::<Cell>()).next;
                    first
                };
                block.bump += (n * cell) as u32;
                self.charge(n * cell);
                return first;
            }
            if c.adopt < c.sweep {
                let i = c.adopt;
                if single && c.blocks[i].n_parked > 1 {
                    // SAFETY: parked lists hold free cells of this class (B2).
                    unsafe { return self.adopt_one(class, i) };
                }
                c.adopt += 1;
                let block = &mut c.blocks[i];
                if block.start.is_null() {
                    continue;
                }
                if block.bump < block.size {
                    c.carving = i;
                }
                if how.keep {
                    continue;
                }
                if self.single_cells && block.n_parked > 1 {
                    let first = block.parked;
                    // SAFETY: as below.
                    block.parked = unsafe { (*first).next };
                    block.n_parked -= 1;
                    c.adopt = i;
                    self.charge(cell);
                    return first.cast();
                }
                if block.n_parked != 0 {
                    // SAFETY: parked lists hold free cells of this class (B2).
                    let first = unsafe {
                        let first = block.parked;
                        self.free[class] = (*first).next;
                        first
                    };
                    let bytes = block.n_parked as usize * cell;
                    block.parked = ptr::null_mut();
                    block.n_parked = 0;
                    self.charge(bytes);
                    return first.cast();
                }
                continue;
            }
            if c.sweep < c.sweep_end && sweeps > 0 {
                sweeps -= 1;
                let i = c.sweep;
                c.sweep += 1;
                let strings = (class >= LEAF).then_some(&mut self.strings);
                // SAFETY: B3: the block was not allocated from since marking.
                let swept = unsafe { c.blocks[i].sweep(cell, self.marker.epoch, strings, how) };
                self.budget.give(swept.freed);
                continue;
            }
            let first = c.blocks.is_empty() && cell <= SMALL_FIRST;
            let Some((start, size, whole)) = self.fresh_memory(class, first) else {
                continue;
            };
            let c = &mut self.classes[class];
            c.carving = c.blocks.len();
            let block = Block {
                start,
                size: (size / cell * cell) as u32,
                bump: 0,
                parked: ptr::null_mut(),
                n_parked: 0,
                whole,
            };
            self.budget.reserve.push(&mut c.blocks, block);
        }
    }

    /// The first cell of a parked list, alone.
    ///
    /// # Safety
    /// The parked list of the class has a cell at `i`.
    unsafe fn adopt_one(&mut self, class: usize, i: usize) -> *mut u8 {
        // SAFETY: by the caller: the list is not empty.
        unsafe {
            let block = &mut self.classes[class].blocks[i];
            let first = block.parked;
            block.parked = (*first).next;
            block.n_parked -= 1;
            self.charge(class_size(class));
            first.cast()
        }
    }

    /// Memory for a block of the class (`first`: a small one); `None` if cells
    /// were found instead. Does not fail: see `budget`.
    fn fresh_memory(&mut self, class: usize, first: bool) -> Option<(*mut u8, usize, bool)> {
        if first && self.pool.region_left != 0 {
            return Some((self.pool.take_first(), FIRST, false));
        }
        if !first && let Some(kept) = self.pool.take_kept() {
            return Some((kept, BLOCK, true));
        }
        if !self.budget.is_failing() && self.permit(BLOCK).is_err() {
            let c = &self.classes[class];
            if c.adopt < c.sweep {
                return None;
            }
        }
        let start = self.system_small(layout());
        self.budget.take(BLOCK);
        if first {
            self.budget.reserve.push(&mut self.pool.regions, start);
            self.pool.region_left = BLOCK;
            return Some((self.pool.take_first(), FIRST, false));
        }
        self.pool.n_blocks += 1;
        Some((start, BLOCK, true))
    }

    /// Gives back what the pool had all through the cycle that ends, or a part of it.
    pub(super) fn trim_unused(&mut self) {
        for _ in 0..self.pool.fewest.min(GIVEN_BACK) {
            let Some(start) = self.pool.empty.pop() else {
                break;
            };
            // SAFETY: B4, from the system with the same layout.
            unsafe { dealloc(sanitize::show(start, BLOCK), layout()) };
            self.budget.give(BLOCK);
        }
        self.pool.fewest = self.pool.empty.len();
    }

    /// Gives the empty blocks back that are kept for reuse.
    pub(super) fn trim_pool(&mut self) {
        self.pool.fewest = 0;
        for start in std::mem::take(&mut self.pool.empty) {
            // SAFETY: B4, from the system with the same layout.
            unsafe { dealloc(start, layout()) };
            self.budget.give(BLOCK);
        }
    }

    /// Sweeps the next block of any class; empty ones go to the pool, free
    /// lists are parked (their bytes are charged on adoption: free allocation
    /// would make the next cycle late). Returns bytes looked at, 0 = all done.
    pub(super) fn sweep_one(&mut self) -> usize {
        debug_assert!(self.phase == Phase::Sweep);
        let how = self.sweep_mode();
        while self.sweep_class < N_CLASSES {
            let class = self.sweep_class;
            let c = &mut self.classes[class];
            if c.sweep < c.sweep_end {
                let i = c.sweep;
                c.sweep += 1;
                let strings = (class >= LEAF).then_some(&mut self.strings);
                let block = &mut c.blocks[i];
                let bytes = block.bump as usize;
                // SAFETY: B3.
                let swept =
                    unsafe { block.sweep(class_size(class), self.marker.epoch, strings, how) };
                if swept.live == 0 && block.whole && !how.keep {
                    // SAFETY: B4: no live cell; the block is not being carved
                    // (begin_sweep) and its descriptor is cleared.
                    if unsafe { self.pool.give(block.start) } {
                        self.budget.give(BLOCK);
                    }
                    block.start = ptr::null_mut();
                }
                self.budget.give(swept.freed);
                return bytes.max(1024);
            }
            self.sweep_class += 1;
        }
        0
    }

    fn sweep_mode(&self) -> SweepMode {
        SweepMode {
            poison: self.poison,
            keep: self.keep_freed && !self.marker.epoch.is_multiple_of(KEEP_CYCLES),
        }
    }

    /// Forgets the free lists: all blocks are about to be swept.
    pub(super) fn begin_block_sweep(&mut self) {
        self.forget_free_cells();
        self.sweep_class = 0;
        for c in &mut self.classes {
            if !c.blocks.is_empty() {
                c.begin_sweep();
            }
        }
    }

    /// Empties the free lists; their cells come back with the next sweep.
    pub(super) fn forget_free_cells(&mut self) {
        self.free = [ptr::null_mut(); N_CLASSES];
    }

    /// Bytes on the current free lists (charged, not allocated yet).
    pub(super) fn free_bytes(&self) -> usize {
        let mut bytes = 0;
        for (class, &head) in self.free.iter().enumerate() {
            let mut cell = head;
            while !cell.is_null() {
                bytes += class_size(class);
                // SAFETY: B2.
                cell = unsafe { (*cell).next };
            }
        }
        bytes
    }

    /// Calls `f` for every allocated cell (dead ones not yet swept included).
    pub(super) fn for_each_cell(&self, mut f: impl FnMut(*mut Header, usize)) {
        for (class, c) in self.classes.iter().enumerate() {
            for block in &c.blocks {
                let cell = class_size(class);
                for at in (0..if block.start.is_null() {
                    0
                } else {
                    block.bump as usize
                })
                    .step_by(cell)
                {
                    // SAFETY: B1.
                    unsafe {
                        let h = block.start.add(at).cast::<Header>();
                        if (*h).kind != Kind::Free {
                            f(h, class);
                        }
                    }
                }
            }
        }
    }

    /// Gives all block memory back.
    ///
    /// # Safety
    /// The heap is not used any more.
    pub(super) unsafe fn release_blocks(&mut self) {
        let strings = &mut self.strings;
        for (class, c) in self.classes.iter_mut().enumerate() {
            for block in &mut c.blocks {
                if block.start.is_null() {
                    continue;
                }
                // SAFETY: by the caller.
                unsafe {
                    let cell = class_size(class);
                    let end = if class >= LEAF {
                        block.bump as usize
                    } else {
                        0
                    };
                    for at in (0..end).step_by(cell) {
                        let s = block.start.add(at).cast::<StringObject>();
                        if (*s).header.kind == Kind::String
                            && (*s).header.flags & StringObject::EXTERNAL != 0
                        {
                            drop_string(s, strings);
                        }
                    }
                    if block.whole {
                        dealloc(block.start, layout());
                    }
                }
            }
            c.blocks.clear();
        }
        for p in self.pool.empty.drain(..).chain(self.pool.regions.drain(..)) {
            // SAFETY: from `system`, unused.
            unsafe { dealloc(p, layout()) };
        }
    }
}
