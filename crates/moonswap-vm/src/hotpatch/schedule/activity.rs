//! Who is in the middle of a function that a patch changes.
//!
//! A scan goes through the frames of all coroutines, so nothing but policies
//! that ask for it (`timing.rs`) and people who ask make one.
//!
//! Invariants: HP2, F1.

use moonswap_hotpatch::Activation;

use crate::hotpatch::AtSafePoint;
use crate::hotpatch::planner::planned::Changed;
use crate::hotpatch::planner::planned::Planned;
use crate::hotpatch::planner::planned::find;
use crate::hotpatch::registry::frames::activation_of;
use crate::hotpatch::registry::frames::top_frame;
use crate::hotpatch::registry::manifest::registry_for;
use crate::object::{Coroutine, CoroutineStatus, Version};
use crate::vm::Vm;

pub(crate) fn changed(vm: &mut AtSafePoint, planned: &[Planned]) -> Changed {
    let mut found = Changed::default();
    for (serial, plan) in planned {
        let Some(instance) = find(vm, *serial) else {
            continue;
        };
        for change in plan.touched() {
            let counts = change.class.replaces_code();
            if let Some(old) = change.old.as_ref().filter(|_| counts) {
                // SAFETY: HP2; live instance.
                found.extend(unsafe { registry_for(vm, instance, plan) }.get(old));
            }
        }
    }
    found
}

/// A coroutine in the middle of such a function.
pub(crate) struct Found {
    pub(crate) coroutine: *mut Coroutine,
    /// The version it runs.
    pub(crate) pinned: *mut Version,
    pub(crate) activation: Activation,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Activations of the running coroutine and of those that resumed it.
    pub(crate) running: bool,
    /// Activations in suspended coroutines.
    pub(crate) suspended: bool,
    /// One is enough.
    pub(crate) first: bool,
}

/// Activations whose version is one `is_changed` says yes to: of each version in
/// each coroutine the innermost one.
pub(crate) fn scan(
    vm: &mut AtSafePoint,
    wanted: Wanted,
    is_changed: &dyn Fn(*mut Version) -> bool,
) -> Vec<Found> {
    // SAFETY: HP2; dead coroutines are left out, so all are intact.
    unsafe {
        let mut found = Vec::new();
        if wanted.running {
            let mut co = vm.current;
            while !co.is_null() {
                visit(vm, co, is_changed, &mut found);
                if wanted.first && !found.is_empty() {
                    return found;
                }
                co = (*co).resumer;
            }
        }
        if wanted.suspended {
            let all: Vec<*mut Coroutine> = vm.heap.all_coroutines().collect();
            for co in all {
                if (*co).status == CoroutineStatus::Suspended {
                    visit(vm, co, is_changed, &mut found);
                    if wanted.first && !found.is_empty() {
                        return found;
                    }
                }
            }
        }
        found
    }
}

/// # Safety
/// HP2; `coroutine` is live.
unsafe fn visit(
    vm: &Vm,
    coroutine: *mut Coroutine,
    is_changed: &dyn Fn(*mut Version) -> bool,
    found: &mut Vec<Found>,
) {
    // SAFETY: HP2, F1, F2.
    unsafe {
        let first = found.len();
        let mut next = top_frame(vm, coroutine);
        while let Some(frame) = next {
            let pinned = frame.version();
            let is_new = |f: &Found| !std::ptr::eq(f.pinned, pinned);
            if !pinned.is_null() && is_changed(pinned) && found.iter().skip(first).all(is_new) {
                found.push(Found {
                    coroutine,
                    pinned,
                    activation: activation_of(vm, coroutine, frame, pinned),
                });
            }
            next = frame.caller().map(|(below, _)| below);
        }
    }
}
