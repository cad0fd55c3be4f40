//! Manifests: a live instance as plain data for planning.
//!
//! Invariants: HP1–HP3.

use std::collections::HashMap;

use moonswap_hotpatch::{CellInfo, ChunkManifest, ENVIRONMENT_CELL, SlotInfo};

use crate::loader;
use crate::object::{Instance, PrototypeSlot, SlotRegistry};
use crate::vm::Vm;

/// The slots of an instance, made on first use.
pub(crate) unsafe fn registry<'a>(instance: *mut Instance) -> &'a mut SlotRegistry {
    // SAFETY: live instance; the reference is not held over a collection.
    unsafe {
        let place = &mut (*instance).registry;
        if place.is_none() {
            *place = Some(loader::slots_of(instance));
        }
        place.get_or_insert_with(SlotRegistry::new)
    }
}

/// Describes an instance. Opens the cells of a running main chunk on the way.
pub(crate) unsafe fn of(vm: &mut Vm, instance: *mut Instance) -> ChunkManifest {
    // SAFETY: HP2; live instance.
    unsafe {
        let main_running = super::scope::open_running(vm, instance);
        let mut slots = HashMap::new();
        for (id, &slot) in registry(instance).iter() {
            let current = (&(*(*slot).version).prototype).clone();
            let mut layout = current.upvalues.to_vec();
            // What newer versions, rolled back since, captured.
            let reserved = (&(*slot).reserved).iter().flat_map(|all| all.iter());
            layout.extend(reserved.skip(layout.len()).map(moonswap_hotpatch::reserved));
            slots.insert(
                id.clone(),
                SlotInfo {
                    protected: (*slot).header.flags & PrototypeSlot::PROTECTED != 0,
                    version: (*slot).version_number,
                    layout,
                    n_fixed: usize::from((*slot).n_fixed),
                    original_path: id.clone(),
                    current,
                },
            );
        }
        let cells = (&(*instance).cell_names)
            .iter()
            .zip(&(*instance).cells)
            .map(|((name, declaration), cell)| CellInfo {
                name: name.clone(),
                declaration: *declaration,
                present: !cell.is_null() || *declaration == ENVIRONMENT_CELL,
            })
            .collect();
        ChunkManifest {
            chunk: (*instance).chunk.clone(),
            main: (*instance).prototype.clone(),
            source: (*instance).source.clone(),
            text: (*instance).text.clone(),
            cells,
            slots,
            main_running,
            // A main chunk that has not ended yet counts as started once.
            n_runs: (*instance).n_runs + u32::from(main_running),
            generation: vm.hot.generation(),
        }
    }
}
