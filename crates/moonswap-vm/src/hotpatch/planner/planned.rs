//! Plans of one patch, and the instances they are for.
//!
//! Invariants: HP2.

use foldhash::HashSet;
use moonswap_hotpatch::ChunkPlan;

use crate::object::{Instance, PrototypeSlot};
use crate::vm::Vm;

/// A plan with the instance (by serial) it was made for.
pub(crate) type Planned = (u64, ChunkPlan);

/// The instance with a serial, if it is still there.
pub(crate) fn find(vm: &Vm, serial: u64) -> Option<*mut Instance> {
    vm.hot.instances.borrow().find(serial)
}

/// Slots of the functions that plans swap or remove.
pub(crate) type Changed = HashSet<*mut PrototypeSlot>;
