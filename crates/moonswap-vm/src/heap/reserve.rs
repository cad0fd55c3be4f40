//! `Budget`, the account of a heap, and `Reserve`, what it shares with other parts.
//!
//! Invariants: A1 (`budget.rs`).

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::cell::Cell;
use std::rc::Rc;

/// Allocations from this size on are tried on the system beforehand.
pub(crate) const PROBE_FROM: usize = 1 << 20;
/// Whether the system has that many bytes: asked for, and given back untouched.
pub(crate) fn probe(bytes: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    if probe.try_reserve_exact(bytes).is_err() {
        return false;
    }
    // glibc keeps freed memory up to twice the size of the largest mapping that was
    // freed: this one is made small before.
    probe.push(0);
    probe.shrink_to_fit();
    // Else the optimiser may leave out the allocation.
    std::hint::black_box(&mut probe);
    true
}

/// Address space given back when the system refuses memory, so that what must
/// be allocated until the error is handled succeeds. Never touched, so it costs
/// no memory. Twice what glibc maps at a time for small allocations.
pub(super) const BALLAST: usize = 2 << 20;
/// Entries by which a list grows when the system refuses to double it.
pub(super) const SMALL_GROWTH: usize = 4096;
/// Freed memory that the system's allocator may keep before it is asked to give
/// it back, as a part of the limit.
pub(super) const KEPT_PART: usize = 64;
/// What must be free after an emergency collection, as a part of the limit:
/// otherwise a full heap would be collected for every block.
pub(super) const HEADROOM_PART: usize = 128;

/// What several parts of the VM share.
#[derive(Default)]
pub(crate) struct Reserve {
    /// Bytes of the buffers that library functions are filling.
    pub(crate) buffers: Cell<usize>,
    /// Bytes of the long texts of loaded chunks.
    pub(crate) texts: Rc<Cell<usize>>,
    pub(super) ballast: Cell<Vec<u8>>,
    /// The system refused memory; the ballast is gone.
    pub(super) refused: Cell<bool>,
}

impl std::fmt::Debug for Reserve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reserve")
            .field("buffers", &self.buffers.get())
            .field("texts", &self.texts.get())
            .field("refused", &self.refused.get())
            .finish_non_exhaustive()
    }
}

impl Reserve {
    pub(super) fn restore(&self) -> bool {
        let mut ballast = Vec::new();
        let restored = ballast.try_reserve_exact(BALLAST).is_ok();
        // Else the optimiser may leave out the allocation.
        std::hint::black_box(&mut ballast);
        self.ballast.set(ballast);
        self.refused.set(!restored);
        restored
    }

    /// The system refused memory: makes some available.
    pub(crate) fn release(&self) {
        self.ballast.take();
        self.refused.set(true);
    }

    /// Makes room for one more entry in a list. Never fails while there is
    /// ballast.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room<T>(&self, list: &mut Vec<T>) {
        if list.try_reserve(1).is_err() {
            self.release();
            // A large list may double only if the ballast was as large; what is
            // needed until the error is handled is not much.
            if list.try_reserve(1).is_err() {
                list.reserve_exact(SMALL_GROWTH);
            }
        }
    }

    /// Appends to a list of the heap's own.
    #[inline]
    pub(super) fn push<T>(&self, list: &mut Vec<T>, entry: T) {
        if list.len() == list.capacity() {
            self.make_room(list);
        }
        list.push(entry);
    }
}

/// The account of a heap.
pub(crate) struct Budget {
    /// Bytes taken from the system and not given back, except for buffers, texts
    /// and the heap's own tables, which are added when needed.
    pub(super) held: usize,
    /// `usize::MAX`: none.
    pub(super) limit: usize,
    /// Given back since the system's allocator was last asked to let go of it.
    pub(super) freed: usize,
    pub(crate) reserve: Rc<Reserve>,
    /// For tests: the allocation (counted down) that fails; 0 = none.
    pub(super) fail_in: u64,
    /// For tests: an allocation failed on purpose; a collection does not help.
    pub(super) failed: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        let reserve = Rc::new(Reserve::default());
        reserve.restore();
        Self {
            held: 0,
            limit: usize::MAX,
            freed: 0,
            reserve,
            fail_in: 0,
            failed: false,
        }
    }

    /// Memory came from the system.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// Memory went back.
    #[inline]
    pub(super) fn give(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.held, "{bytes} of {}", self.held);
        self.held = self.held.saturating_sub(bytes);
        self.freed += bytes;
    }

    /// Bytes are about to be counted by another owner.
    #[inline]
    pub(super) fn pass_on(&mut self, bytes: usize) {
        self.held -= bytes;
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn limit(&self) -> Option<usize> {
        (self.limit != usize::MAX).then_some(self.limit)
    }

    /// Allocations are being counted down to one that fails.
    #[inline]
    pub(super) fn is_failing(&self) -> bool {
        self.fail_in != 0
    }

    pub(super) fn fails_now(&mut self) -> bool {
        if self.fail_in == 0 {
            return false;
        }
        self.fail_in -= 1;
        if self.fail_in == 0 {
            self.failed = true;
        }
        self.fail_in == 0
    }
}

/// Memory from the system that need not be asked for: small, or already allowed.
/// Falls back on the reserve.
pub(super) fn system(reserve: &Reserve, layout: Layout) -> *mut u8 {
    debug_assert!(layout.size() != 0);
    // SAFETY: A1.
    unsafe {
        let p = alloc(layout);
        if !p.is_null() {
            return p;
        }
        reserve.release();
        let p = alloc(layout);
        if p.is_null() {
            // The reserve is larger than what is allocated between two safe
            // points; there is nobody left to tell.
            handle_alloc_error(layout)
        }
        p
    }
}
