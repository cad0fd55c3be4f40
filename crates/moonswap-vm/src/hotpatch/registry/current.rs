//! The code that runs, as one prototype: what `string.dump` writes. Where a patch
//! replaced a function, the functions around it still have the older one in their
//! compiled form.
//!
//! Invariants: HP2.

use std::sync::Arc;

use moonswap_bytecode::{Capture, Prototype, Watch};
use moonswap_hotpatch::ChunkPatch;

use super::literals::{self, Reading};
use crate::object::{Instance, PrototypeSlot, Version};
use crate::vm::Vm;

/// The prototype of a version with the current code of the functions inside it. If
/// `watch` stops it, the answer is of no use.
///
/// # Safety
/// A live version.
pub(crate) unsafe fn prototype(
    vm: &Vm,
    version: *mut Version,
    watch: &Watch<'_>,
) -> Arc<Prototype> {
    // SAFETY: by the caller; the slots of its children and its instance are live.
    unsafe {
        let instance = (*(*version).slot).instance;
        let mut reading = Reading::new(vm, instance, Some(watch));
        let found = with_current_children(&mut reading, version);
        if !found.is_main() || Instance::stamp(instance) == 0 || reading.stops() {
            return found;
        }
        // Patched code reaches top-level locals as the running instance has them.
        // A main chunk that is loaded again has its own: it is what the text says,
        // if all of it is what runs.
        let more = Instance::more_mut(instance);
        let Some(patched) = more.and_then(|more| more.patched.as_mut()) else {
            return found;
        };
        if patched.text.is_none()
            && let Some(source) = &Instance::source(instance)
        {
            patched.text = ChunkPatch::compile(&(*instance).chunk, source).ok();
        }
        match &patched.text {
            Some(text) if means_the_same(&found, text.main()) => Arc::clone(text.main()),
            _ => found,
        }
    }
}

/// Recursion as deep as functions nest: the parser has a limit.
///
/// # Safety
/// A live version of the instance that is read.
unsafe fn with_current_children(
    reading: &mut Reading<'_>,
    version: *mut Version,
) -> Arc<Prototype> {
    // SAFETY: by the caller of `prototype`.
    unsafe {
        let slots = Version::children(version).iter();
        let children: Vec<Arc<Prototype>> = slots
            .map(|slot| with_current_children(reading, PrototypeSlot::version(*slot)))
            .collect();
        let Some(own) = Version::prototype(version) else {
            return Arc::new(literals::unloaded_with(reading, version, children.into()));
        };
        let mut pairs = children.iter().zip(&own.children);
        if pairs.all(|(current, own)| Arc::ptr_eq(current, own)) {
            return Arc::clone(own);
        }
        let mut changed = Prototype::clone(own);
        for site in &mut changed.sites {
            // Variables that only newer code around it would hand on.
            let n = children[site.child as usize].upvalues.len();
            let mut captures = site.captures.to_vec();
            captures.resize(n, Capture::Vacant);
            site.captures = captures.into();
        }
        changed.children = children.into();
        Arc::new(changed)
    }
}

/// Hashes are those of a fresh load, whatever the code is fitted to.
fn means_the_same(a: &Prototype, b: &Prototype) -> bool {
    let mut todo = vec![(a, b)];
    while let Some((a, b)) = todo.pop() {
        if a.own_hash != b.own_hash || a.children.len() != b.children.len() {
            return false;
        }
        let pairs = a.children.iter().zip(&b.children);
        todo.extend(pairs.map(|(a, b)| (&**a, &**b)));
    }
    true
}
