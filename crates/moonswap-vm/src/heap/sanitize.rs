//! Free cells for AddressSanitizer: blocks are one allocation each to it, so the
//! heap tells it which cells are free. Nothing at all in other builds
//! (`build.rs` sets `moonswap_asan`).
//!
//! Invariants: Z1: only bytes of free cells behind their header and link are
//! hidden, and they are shown again before the cell is handed out or its block
//! is cut anew.

/// Header and link of a free cell, which the heap itself reads.
#[cfg(moonswap_asan)]
const IN_USE: usize = 16;

#[cfg(moonswap_asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const u8, size: usize);
    fn __asan_unpoison_memory_region(start: *const u8, size: usize);
}

/// The cell is free from now on.
#[inline(always)]
pub(super) fn hide(cell: *mut u8, size: usize) {
    #[cfg(moonswap_asan)]
    if size > IN_USE {
        // SAFETY: Z1; the functions only note addresses.
        unsafe { __asan_poison_memory_region(cell.wrapping_add(IN_USE), size - IN_USE) };
    }
    let _ = (cell, size);
}

/// The memory may be used; answers it.
#[inline(always)]
pub(super) fn show(start: *mut u8, size: usize) -> *mut u8 {
    #[cfg(moonswap_asan)]
    // SAFETY: Z1; the functions only note addresses.
    unsafe {
        __asan_unpoison_memory_region(start, size)
    };
    let _ = size;
    start
}
