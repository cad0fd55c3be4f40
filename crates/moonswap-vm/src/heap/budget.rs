//! What the heap has from the system, and what happens when it may have no more.
//!
//! Everything that Lua can make grow is counted in bytes taken from the system:
//! blocks whether used or not, large parts, bodies of long strings, boxed
//! objects, stacks, buffers of library functions, texts of chunks, the heap's own
//! tables.
//!
//! Two kinds of allocation: those of unbounded size ask first ([`Heap::permit`])
//! and fail in place; small ones never fail. When one of them passes the limit,
//! or the system refuses it, it is served all the same (from the [`Reserve`]) and
//! relief is asked for: the next safe point collects everything and raises "not
//! enough memory" if that was not enough. What can be allocated in small pieces
//! between two safe points is bounded by the size of a function's code.
//!
//! Invariants: as in `mod.rs`; A1 a layout passed to the system is not empty.

use std::alloc::Layout;
use std::rc::Rc;

use super::reserve::{HEADROOM_PART, KEPT_PART, Reserve, system};
use super::{Heap, OutOfMemory, Phase};

impl Heap {
    pub(crate) fn reserve(&self) -> &Rc<Reserve> {
        &self.budget.reserve
    }

    /// Bytes taken from the system: what the memory limit limits.
    pub(crate) fn system_bytes(&self) -> usize {
        let reserve = &self.budget.reserve;
        self.budget.held + reserve.buffers.get() + reserve.texts.get() + self.own_tables()
    }

    /// Bytes of the heap's own tables.
    fn own_tables(&self) -> usize {
        let pointers = self.boxed.capacity()
            + self.coroutines.capacity()
            + self.finalizers.capacity()
            + self.pending.capacity()
            + self.ran_since_marking.capacity();
        self.strings.bytes()
            + self.marker.bytes()
            + self.large_bytes()
            + pointers * size_of::<usize>()
    }

    /// Whether there is a memory limit.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.budget.limit != usize::MAX
    }

    /// Asks for so many bytes from the system. An error, after which relief is
    /// due at the next safe point, if the limit does not allow them.
    pub(crate) fn permit(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if self.budget.fails_now() {
            self.ask_relief();
            return Err(OutOfMemory);
        }
        if self.budget.limit == usize::MAX {
            return Ok(());
        }
        if !self.fits(bytes) {
            // What is dead but not swept yet, and empty blocks, first.
            self.sweep_all_memory();
            self.trim_pool();
            if !self.fits(bytes) {
                // What passes the limit by itself no collection makes room for.
                if bytes <= self.budget.limit {
                    self.ask_relief();
                }
                return Err(OutOfMemory);
            }
        }
        if self.budget.freed > self.budget.limit / KEPT_PART
            && self.system_bytes() + bytes + self.budget.freed > self.budget.limit
        {
            self.trim_system();
        }
        Ok(())
    }

    /// Does what is not to fail because of the limit. What it takes is on the
    /// account; relief follows.
    pub(crate) fn past_limit<R>(&mut self, act: impl FnOnce(&mut Heap) -> R) -> R {
        let limit = std::mem::replace(&mut self.budget.limit, usize::MAX);
        let result = act(self);
        self.budget.limit = limit;
        if !self.fits(0) {
            self.ask_relief();
        }
        result
    }

    /// Whether so many bytes are allowed; nothing follows if not.
    pub(crate) fn permit_quietly(&self, bytes: usize) -> bool {
        self.fits(bytes)
    }

    /// Bytes that may still be taken; `usize::MAX` without a limit.
    pub(crate) fn room(&self) -> usize {
        match self.is_limited() {
            true => self.budget.limit.saturating_sub(self.system_bytes()),
            false => usize::MAX,
        }
    }

    fn fits(&self, bytes: usize) -> bool {
        self.system_bytes().saturating_add(bytes) <= self.budget.limit
    }

    /// Counts what was allocated without asking.
    #[inline]
    pub(crate) fn take_small(&mut self, bytes: usize) {
        self.budget.take(bytes);
        if self.budget.limit != usize::MAX && !self.fits(0) {
            self.ask_relief();
        }
        if self.budget.fails_now() {
            self.ask_relief();
        }
    }

    /// Counts so many bytes that the compiler took and gave back.
    pub(crate) fn note_freed(&mut self, bytes: usize) {
        self.budget.freed += bytes;
    }

    /// For tests: counts an allocation that cannot fail in place.
    #[inline]
    pub(super) fn count_small(&mut self) {
        if self.budget.fails_now() {
            self.ask_relief();
        }
    }

    /// Memory for something small, from the reserve if need be.
    pub(super) fn system_small(&mut self, layout: Layout) -> *mut u8 {
        let p = system(&self.budget.reserve, layout);
        if self.budget.reserve.refused.get() {
            self.ask_relief();
        }
        p
    }

    /// Room in a list whose owner counts it; from the reserve if need be.
    pub(crate) fn reserve_small<T>(&mut self, list: &mut Vec<T>, more: usize) {
        if list.try_reserve_exact(more).is_err() {
            self.refuse();
            self.budget.reserve.release();
            list.reserve_exact(more);
        }
    }

    /// Relief at the next safe point.
    #[cold]
    pub(crate) fn ask_relief(&mut self) {
        self.limit_exceeded = true;
        self.poll.request();
        self.poll.table.arm_memory();
    }

    /// The system refused a large allocation.
    #[cold]
    pub(crate) fn refuse(&mut self) -> OutOfMemory {
        self.ask_relief();
        OutOfMemory
    }

    fn sweep_all_memory(&mut self) {
        if self.phase == Phase::Sweep {
            while self.sweep_one() != 0 {}
            while !self.sweep_large(usize::MAX) {}
        }
    }

    /// Has the system's allocator give back what it keeps.
    pub(super) fn trim_system(&mut self) {
        self.budget.freed = 0;
        trim();
    }

    /// After an emergency collection: is there memory again? Answers whether to
    /// go on.
    pub(crate) fn is_relieved(&mut self) -> bool {
        self.drop_spare_stacks();
        self.trim_pool();
        if self.budget.freed != 0 {
            self.trim_system();
        }
        let failed = std::mem::take(&mut self.budget.failed);
        let reserve = Rc::clone(&self.budget.reserve);
        let restored = !reserve.refused.get() || reserve.restore();
        self.limit_exceeded = false;
        let headroom = if self.budget.limit == usize::MAX {
            0
        } else {
            self.budget.limit / HEADROOM_PART
        };
        let crammed = self.strings.is_full() && !self.fits(self.strings.growth());
        !failed && restored && !crammed && self.fits(headroom)
    }

    /// Whether what is held beyond the limit is little: 3 %, half a MiB at most.
    pub(crate) fn has_reserve(&self) -> bool {
        let limit = self.budget.limit;
        let most = limit.saturating_add((limit / 32).min(512 << 10));
        !self.budget.reserve.refused.get() && self.system_bytes() <= most
    }

    /// Memory ran short and nothing was done about it yet.
    pub(crate) fn is_short(&self) -> bool {
        self.limit_exceeded || self.deferred
    }

    /// An allocation failed on purpose (tests): collecting does not help.
    pub(crate) fn failed_on_purpose(&self) -> bool {
        self.budget.failed
    }

    /// The error is on its way: nothing is left to be raised.
    pub(crate) fn failure_raised(&mut self) {
        self.budget.failed = false;
        self.deferred = false;
    }

    /// For tests: the `n`-th allocation from now on fails (0: none).
    pub(crate) fn fail_nth(&mut self, n: u64) {
        self.budget.fail_in = n;
        if n != 0 {
            // Every allocation is to be seen; the next sweep finds these cells.
            self.forget_free_cells();
        }
        self.budget.failed = false;
    }

    /// For tests: the allocation that was to fail has not come yet.
    pub(crate) fn is_failing(&self) -> bool {
        self.budget.is_failing()
    }

    /// The memory limit.
    pub(crate) fn memory_limit(&self) -> Option<usize> {
        self.budget.limit()
    }

    /// Sets the memory limit; returns the old one.
    pub(crate) fn set_memory_limit(&mut self, limit: Option<usize>) -> Option<usize> {
        let old = self.budget.limit();
        self.budget.limit = limit.unwrap_or(usize::MAX);
        self.limit_exceeded = false;
        if !self.fits(0) {
            self.ask_relief();
        }
        self.limit_changed();
        old
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
fn trim() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> i32;
    }
    // SAFETY: a function of the C library that std is linked with; it may be
    // called at any time and touches free memory only. (With another global
    // allocator it does nothing of use.)
    unsafe { malloc_trim(0) };
}

/// Elsewhere freed memory goes back when the allocator sees fit.
#[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
fn trim() {}
