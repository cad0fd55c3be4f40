//! Memory before and after loading a large text.
//!
//! Invariants: CX1.

use crate::host::sync_current;
use crate::vm::Vm;

/// Texts from this size on are loaded into a collected heap.
const LONG_TEXT: usize = 64 << 10;
/// Unless the heap is so many times larger: collecting it must not take longer than
/// compiling.
const HEAP_PER_TEXT: usize = 32;

fn is_large_for(vm: &Vm, bytes: usize) -> bool {
    bytes >= LONG_TEXT && vm.heap.is_smaller_than(bytes.saturating_mul(HEAP_PER_TEXT))
}

/// A text of `bytes` bytes was loaded: what the compiler needed goes back.
pub(super) fn give_back_after(vm: &mut Vm, bytes: usize) {
    if is_large_for(vm, bytes) {
        vm.heap.give_back();
    }
}

/// A text of `bytes` bytes is about to be loaded, which takes several times its size
/// for a while: garbage goes before, if that is quick.
///
/// # Safety
/// As [`crate::host::make_room`].
pub(super) unsafe fn collect_before(vm: &mut Vm, bytes: usize) {
    if !is_large_for(vm, bytes) {
        return;
    }
    if vm.heap.has_garbage_of(LONG_TEXT) {
        // SAFETY: by the caller.
        unsafe {
            sync_current(vm);
            let co = vm.current;
            (*co).top = (*co).top.max(vm.index_of(vm.top));
            let (heap, roots) = vm.heap_and_roots();
            heap.collect_full(&roots);
        }
    } else {
        vm.heap.finish_sweep();
    }
    vm.heap.give_back();
}
