//! Slots, and which version of a function is called.
//!
//! Invariants: L1.

use crate::heap::header;
use crate::object::{Entry, Instance, Kind, PrototypeSlot, Version};
use crate::vm::Vm;

/// An empty slot; [`install`] must give it a version before it is called.
pub(crate) fn new_slot(vm: &mut Vm, instance: *mut Instance) -> *mut PrototypeSlot {
    vm.heap.adopt(PrototypeSlot {
        header: header(Kind::Slot, 0),
        entry: Entry::NONE,
        #[cfg(feature = "frozen")]
        version: std::ptr::null_mut(),
        reserved: None,
        instance,
    })
}

/// Makes `version` the current one of its slot: the only place that writes the
/// hot fields. Cannot fail.
pub(crate) fn install(vm: &mut Vm, slot: *mut PrototypeSlot, version: *mut Version) {
    // SAFETY: both are live; the version's code stays at its address.
    unsafe {
        let n_upvalues = (*version).n_upvalues;
        if PrototypeSlot::version(slot).is_null() {
            (*slot).header.word = u32::from(n_upvalues);
        }
        let n_reserved = (&(*slot).reserved).as_ref().map_or(0, |all| all.len());
        if n_upvalues > PrototypeSlot::n_fixed(slot) && usize::from(n_upvalues) > n_reserved {
            (*slot).reserved = Some(Box::new(Version::record(version).upvalues().into()));
        }
        (*slot).entry = Entry::of(version);
        #[cfg(feature = "frozen")]
        {
            (*version).entry = Entry::of(version);
        }
        #[cfg(feature = "frozen")]
        {
            (*slot).version = version;
        }
        vm.heap.barrier_object(slot.cast(), version.cast());
    }
}
