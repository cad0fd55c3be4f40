//! Manifests: a live instance as plain data for planning.
//!
//! Invariants: HP1–HP3.

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_hotpatch::{CellInfo, ChunkManifest, ENVIRONMENT_CELL, Places, SlotInfo, places};

use crate::object::SlotRegistry;
use crate::object::{Instance, PrototypeSlot};
use crate::value::tag;
use crate::vm::Vm;

/// The slots of an instance, made on first use.
pub(crate) unsafe fn registry<'a>(instance: *mut Instance) -> &'a SlotRegistry {
    // SAFETY: live instance.
    unsafe { registry_at(instance, || Arc::new(places(&(*instance).prototype))) }
}

/// The same, if somebody else has found out where the slots are.
pub(crate) unsafe fn registry_at<'a>(
    instance: *mut Instance,
    places: impl FnOnce() -> Arc<Places>,
) -> &'a SlotRegistry {
    // SAFETY: live instance; the reference is not held over a collection. Until
    // there is a registry the prototype is the one that was loaded.
    unsafe {
        let slots = &(*instance).slots;
        (*instance)
            .registry
            .get_or_insert_with(|| SlotRegistry::new(places(), Arc::clone(slots)))
    }
}

/// Describes an instance. Opens the cells of a running main chunk on the way.
pub(crate) unsafe fn of(vm: &mut Vm, instance: *mut Instance) -> ChunkManifest {
    // SAFETY: HP2; live instance.
    unsafe {
        let mut manifest = without_slots(vm, instance);
        let slots = &mut manifest.slots;
        for (id, slot) in registry(instance).iter() {
            let current = (&(*(*slot).version).prototype).clone();
            let mut layout = current.upvalues.to_vec();
            // What newer versions, rolled back since, captured.
            let reserved = (&(*slot).reserved).iter().flat_map(|all| all.iter());
            layout.extend(reserved.skip(layout.len()).map(moonswap_hotpatch::reserved));
            slots.insert(
                id.clone(),
                SlotInfo {
                    protected: (*slot).header.flags & PrototypeSlot::PROTECTED != 0,
                    is_first: (*slot).header.flags & PrototypeSlot::REPLACED == 0,
                    version: (*slot).version_number,
                    layout,
                    n_fixed: usize::from((*slot).n_fixed),
                    current,
                },
            );
        }
        manifest
    }
}

/// The same in short, for instances that were never touched: without the slots,
/// which whoever plans can do ([`ChunkManifest::describe_untouched`]). Costs the
/// VM's thread as much as the chunk has top-level locals.
pub(crate) unsafe fn in_short(vm: &mut Vm, instance: *mut Instance) -> ChunkManifest {
    // SAFETY: HP2; live instance.
    unsafe {
        if (*instance).stamp > 0 {
            return of(vm, instance);
        }
        let manifest = without_slots(vm, instance);
        #[cfg(debug_assertions)]
        {
            let mut whole = manifest.clone();
            whole.describe_untouched();
            super::published::compare(&whole, &of(vm, instance));
        }
        manifest
    }
}

unsafe fn without_slots(vm: &mut Vm, instance: *mut Instance) -> ChunkManifest {
    // SAFETY: HP2; live instance.
    unsafe {
        let main_running = super::scope::open_running(vm, instance);
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
            diverged: (*instance).diverged.clone(),
            cells,
            slots: HashMap::new(),
            places: None,
            main_running,
            // A main chunk that has not ended yet counts as started once.
            n_runs: (*instance).n_runs + u32::from(main_running),
            progress: super::scope::progress(vm, instance),
            arguments: (*instance).arguments.is_some(),
            returned: (*instance).returned.tag == tag::TABLE,
            generation: vm.hot.generation(),
        }
    }
}
