//! How many activations a commit leaves on older code.
//!
//! Whoever waits for a patch on another thread, and the program meanwhile, are not
//! kept long: beyond a number of coroutines the count is a lower bound.
//!
//! Invariants: HP2, F1.

use foldhash::HashSet;
use moonswap_hotpatch::{Staying, path_name};

use crate::hotpatch::AtSafePoint;
use crate::hotpatch::registry::frames::each_frame_of;
use crate::hotpatch::registry::stale::StaleVersions;
use crate::object::{Coroutine, PrototypeSlot, Version};

/// Coroutines looked at for patches from other threads.
pub(crate) const LOOKED_AT: usize = 256;

/// Activations of these functions whose code is not the current one, in at most
/// `limit` coroutines besides those that run; `None`: those will be closed.
pub(crate) fn count(
    vm: &AtSafePoint,
    slots: &HashSet<*mut PrototypeSlot>,
    limit: Option<usize>,
) -> Staying {
    let mut staying = Staying::default();
    if slots.is_empty() {
        return staying;
    }
    // SAFETY: HP2.
    unsafe {
        let mut running: Vec<*mut Coroutine> = Vec::new();
        let mut co = vm.current;
        while !co.is_null() {
            running.push(co);
            co = (*co).resumer;
        }
        let mut stale = StaleVersions::default();
        let mut look = |co: *mut Coroutine| {
            let before = staying.activations;
            each_frame_of(vm, co, &mut |_, version| {
                if slots.contains(&(*version).slot) && stale.has(version) {
                    staying.add(&path_name(&Version::id(version)));
                }
            });
            if staying.activations > before {
                match std::ptr::eq(co, vm.main) {
                    true => staying.in_main = true,
                    false => staying.coroutines += 1,
                }
            }
        };
        running.iter().for_each(|&co| look(co));
        let Some(limit) = limit else {
            return staying;
        };
        let others = vm.heap.all_coroutines();
        let mut others = others.filter(|co| !running.contains(co));
        others.by_ref().take(limit).for_each(&mut look);
        if others.next().is_some() {
            staying.looked_at = Some((limit + running.len(), vm.heap.n_coroutines()));
        }
    }
    staying
}
