//! Versions that are not current: whether they mean the same, and how long their
//! activations may run.
//!
//! Invariants: HP2.

use foldhash::HashMap;
use moonswap_hotpatch::is_same_code;

use crate::object::{PrototypeSlot, Version};
use crate::vm::Vm;

/// Whether calls run this version.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn is_current(version: *mut Version) -> bool {
    // SAFETY: by the caller: a live version has a live slot.
    unsafe { std::ptr::eq(PrototypeSlot::version((*version).slot), version) }
}

/// Whether an activation of a version runs other code than a call would now.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn is_stale(version: *mut Version) -> bool {
    // SAFETY: live version.
    unsafe {
        let current = PrototypeSlot::version((*version).slot);
        !std::ptr::eq(current, version) && !is_same(version, current)
    }
}

/// Whether two versions of a function mean the same.
///
/// # Safety
/// Both are live.
unsafe fn is_same(a: *mut Version, b: *mut Version) -> bool {
    // SAFETY: live versions.
    unsafe {
        let (Some(p), Some(q)) = (Version::prototype(a), Version::prototype(b)) else {
            return false;
        };
        Version::children(a) == Version::children(b) && is_same_code(p, q)
    }
}

/// [`is_stale`] of many activations: each version is compared once.
#[derive(Default)]
pub(crate) struct StaleVersions(HashMap<*mut Version, bool>);

impl StaleVersions {
    /// # Safety
    /// `version` is live.
    pub(crate) unsafe fn has(&mut self, version: *mut Version) -> bool {
        // SAFETY: live version; nothing is committed meanwhile.
        unsafe {
            if is_current(version) {
                return false;
            }
            let known = self.0.entry(version);
            *known.or_insert_with(|| is_stale(version))
        }
    }
}

/// Until when a version's activations may run; `None`: for ever.
///
/// # Safety
/// `version` is live.
pub(crate) unsafe fn set_finish_by(
    vm: &mut Vm,
    version: *mut Version,
    finish_by: Option<std::time::Instant>,
) {
    // SAFETY: live version.
    unsafe {
        if Version::finish_by(version) != finish_by {
            vm.heap.change_boxed_quietly(version, |version| {
                version.rare.get_or_insert_default().finish_by = finish_by;
            });
        }
    }
}
