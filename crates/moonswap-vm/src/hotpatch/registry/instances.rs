//! `Instances`: which chunks are loaded. Found by name and by number without
//! looking through all of them: a program may have loaded a hundred thousand
//! strings.
//!
//! Invariants: HP2; entries are live, the collector has dead ones dropped when it
//! finds them dead.

use std::sync::Arc;

use foldhash::HashMap;

use crate::object::Instance;
use crate::vm::Vm;

/// All live instances.
#[derive(Default)]
pub(crate) struct Instances {
    /// Oldest first: serial numbers ascend.
    all: Vec<*mut Instance>,
    /// By chunk name, oldest first. Not those without a main chunk: functions that
    /// were dumped and loaded again by themselves have no module around them that
    /// a patch could be compared with.
    by_chunk: HashMap<Arc<str>, Vec<*mut Instance>>,
}

impl Instances {
    /// Adds the newest.
    pub(crate) fn push(&mut self, instance: *mut Instance) {
        self.all.push(instance);
        // SAFETY: just made.
        unsafe {
            if (&(*instance).records).get(0).is_main() {
                let chunk = Arc::clone(&(*instance).chunk);
                self.by_chunk.entry(chunk).or_default().push(instance);
            }
        }
    }

    /// All, oldest first.
    pub(crate) fn all(&self) -> &[*mut Instance] {
        &self.all
    }

    /// Those of a chunk, oldest first.
    pub(crate) fn of(&self, chunk: &str) -> &[*mut Instance] {
        self.by_chunk.get(chunk).map_or(&[], Vec::as_slice)
    }

    /// The one with this number.
    pub(crate) fn find(&self, serial: u64) -> Option<*mut Instance> {
        // SAFETY: entries are live.
        let found = self
            .all
            .binary_search_by_key(&serial, |&i| unsafe { (*i).serial });
        found.ok().map(|at| self.all[at])
    }

    /// Those behind a number are not found by name any more: they were loaded by code
    /// of a patch that failed, whose effects are gone. Answers their names.
    pub(crate) fn hide_after(&mut self, serial: u64) -> Vec<Arc<str>> {
        // SAFETY: entries are live.
        let serial_of = |&i: &*mut Instance| unsafe { (*i).serial };
        let first = self.all.partition_point(|i| serial_of(i) <= serial);
        let mut names = Vec::new();
        for &instance in &self.all[first..] {
            // SAFETY: entries are live.
            let chunk = unsafe { &(*instance).chunk };
            let Some(list) = self.by_chunk.get_mut(&**chunk) else {
                continue;
            };
            list.retain(|i| serial_of(i) <= serial);
            if list.is_empty() {
                self.by_chunk.remove(&**chunk);
            }
            names.push(Arc::clone(chunk));
        }
        names
    }

    /// Drops dead ones.
    pub(crate) fn retain(&mut self, is_live: impl Fn(*mut Instance) -> bool) {
        self.all.retain(|&i| is_live(i));
        self.by_chunk.retain(|_, list| {
            list.retain(|&i| is_live(i));
            !list.is_empty()
        });
    }
}

/// The instance is no longer what it was when it was described.
///
/// # Safety
/// `instance` is live.
pub(crate) unsafe fn touch(vm: &mut Vm, instance: *mut Instance) {
    // SAFETY: live instance.
    unsafe {
        vm.heap.patched(instance, |patched| patched.stamp += 1);
        vm.hot.withdraw(&(*instance).chunk);
    }
}
