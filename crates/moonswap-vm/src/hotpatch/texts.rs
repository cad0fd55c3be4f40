//! Texts of loaded chunks: what patches are compared with. Each is kept as long
//! as an instance loaded from it lives; equal long ones are kept once.
//!
//! Short texts are often unlike all others and there may be a hundred thousand of
//! them, so they cost no entry anywhere: the name of an unnamed one is the text
//! itself, and the newest instance of the same name often has an equal one.
//!
//! Invariants: HP2.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use moonswap_hotpatch::{ChunkManifest, ChunkPatch};

use crate::heap::Reserve;
use crate::object::{HeldText, Instance};
use crate::vm::Vm;

/// Texts of that many bytes are worth an entry.
const LONG: usize = 256;

/// The long texts that instances have, by their hashes.
#[derive(Default)]
pub(crate) struct Texts {
    known: HashMap<u64, Weak<HeldText>>,
    hasher: RandomState,
}

impl Texts {
    /// The text, the one that is there if there is an equal one. `None`: there is
    /// no memory for it.
    fn hold(
        &mut self,
        account: &Rc<Reserve>,
        text: &[u8],
        copy: impl FnOnce() -> Option<Arc<[u8]>>,
    ) -> Option<Rc<HeldText>> {
        let hash = self.hasher.hash_one(text);
        let there = self.known.get(&hash).and_then(Weak::upgrade);
        if let Some(there) = there.filter(|there| **there.text() == *text) {
            return Some(there);
        }
        let held = HeldText::new(copy()?, Rc::clone(&account.texts));
        self.known.insert(hash, Rc::downgrade(&held));
        Some(held)
    }

    /// Drops the entries of texts that no instance has any more.
    pub(super) fn forget_dead(&mut self) {
        self.known.retain(|_, held| held.strong_count() > 0);
        if self.known.capacity() > 64 && self.known.len() < self.known.capacity() / 4 {
            self.known.shrink_to_fit();
        }
    }
}

/// A copy of a text; `None` if the system has no memory for it.
fn copy(text: &[u8]) -> Option<Arc<[u8]>> {
    if text.len() >= crate::context::stack::PROBE_FROM {
        let mut probe: Vec<u8> = Vec::new();
        let asked = probe.try_reserve_exact(text.len());
        // Else the optimiser may leave out the allocation.
        std::hint::black_box(&mut probe);
        asked.ok()?;
    }
    Some(text.into())
}

/// Keeps the text of an instance that was just loaded from it.
pub(crate) unsafe fn keep(vm: &mut Vm, instance: *mut Instance, text: &[u8]) {
    // SAFETY: live instance, the newest of its name.
    unsafe {
        let name = Arc::clone(&(*instance).chunk);
        let is_name = *name.as_bytes() == *text;
        let copy = || match is_name {
            true => Some(Arc::<[u8]>::from(name.clone())),
            false => copy(text),
        };
        if text.len() >= LONG {
            let account = Rc::clone(vm.heap.reserve());
            let held = vm.hot.texts.get_mut().hold(&account, text, copy);
            vm.heap.charge(text.len());
            (*instance).source = held.as_ref().map(|held| Arc::clone(held.text()));
            (*instance).held_text = held;
            return;
        }
        let twin = {
            let instances = vm.hot.instances.borrow();
            let before = instances.of(&name).iter().rev().nth(1);
            before.and_then(|&before| (*before).source.clone())
        };
        let text = twin.filter(|twin| **twin == *text).or_else(copy);
        vm.heap.change_boxed(instance, |instance| {
            if !is_name {
                instance.short_text = text.as_ref().map_or(0, |text| text.len() as u8);
            }
            instance.source = text;
        });
    }
}

/// The old texts that one patch is planned against, compiled: instances loaded
/// from equal texts share one.
#[derive(Default)]
pub(super) struct Compiled(Vec<ChunkPatch>);

impl Compiled {
    /// Compiles the text of an instance, unless that was done before.
    pub(super) fn complete(&mut self, manifest: &mut ChunkManifest) {
        if manifest.text.is_none()
            && let Some(source) = &manifest.source
        {
            let equal = |known: &&ChunkPatch| {
                *known.chunk() == manifest.chunk && **known.source() == **source
            };
            let known = self.0.iter().find(equal).cloned();
            manifest.text = known.or_else(|| ChunkPatch::compile(&manifest.chunk, source).ok());
        }
        if let Some(text) = &manifest.text {
            let is_known = |known: &ChunkPatch| Arc::ptr_eq(known.source(), text.source());
            if !self.0.iter().any(is_known) {
                self.0.push(text.clone());
            }
        }
    }
}
