//! Texts of loaded chunks: what patches are compared with. Each is kept as long
//! as an instance loaded from it lives; equal long ones are kept once.
//!
//! Short texts are often unlike all others and there may be a hundred thousand of
//! them, so they cost no entry anywhere: the name of an unnamed one is the text
//! itself, and the newest instance of the same name often has an equal one.
//!
//! Invariants: HP2.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use foldhash::HashMap;
use moonswap_compiler::CompileError;
use moonswap_hotpatch::{ChunkManifest, ChunkPatch, Literals};

use crate::heap::{PROBE_FROM, Reserve, probe};
use crate::object::{HeldText, Instance, LONG_TEXT, Source};
use crate::vm::Vm;

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
    pub(crate) fn forget_dead(&mut self) {
        self.known.retain(|_, held| held.strong_count() > 0);
        if self.known.capacity() > 64 && self.known.len() < self.known.capacity() / 4 {
            self.known.shrink_to_fit();
        }
    }
}

/// A copy of a text; `None` if the system has no memory for it.
fn copy(text: &[u8]) -> Option<Arc<[u8]>> {
    if text.len() >= PROBE_FROM && !probe(text.len()) {
        return None;
    }
    Some(text.into())
}

/// Keeps the text of an instance that was just loaded from it.
///
/// # Safety
/// `instance` is live, and the newest of its name.
pub(crate) unsafe fn keep(vm: &mut Vm, instance: *mut Instance, text: &[u8]) {
    // SAFETY: live instance, the newest of its name.
    unsafe {
        let name = &(*instance).chunk;
        let is_name = *name.as_bytes() == *text;
        if text.len() >= LONG_TEXT {
            let name = Arc::clone(name);
            let copy = || match is_name {
                true => Some(Arc::<[u8]>::from(name)),
                false => copy(text),
            };
            let account = Rc::clone(vm.heap.reserve());
            let held = vm.hot.texts.get_mut().hold(&account, text, copy);
            vm.heap.charge(text.len());
            if let Some(held) = held {
                (*instance).source = Source::Shared(Arc::clone(held.text()));
                vm.heap.more(instance, |more| more.held_text = Some(held));
            }
            return;
        }
        let source = match is_name {
            true => Source::Name,
            false => Source::of(text).unwrap_or_else(|| twin(vm, name, text)),
        };
        vm.heap
            .change_boxed(instance, |instance| instance.source = source);
    }
}

/// A short text, that of the newest instance of the same name if it is equal.
fn twin(vm: &Vm, name: &str, text: &[u8]) -> Source {
    let instances = vm.hot.instances.borrow();
    let before = instances.of(name).iter().rev().nth(1);
    // SAFETY: entries are live.
    let before = before.map(|&before| unsafe { &(*before).source });
    match before {
        Some(Source::Shared(before)) if **before == *text => Source::Shared(Arc::clone(before)),
        _ => copy(text).map_or(Source::None, Source::Shared),
    }
}

/// An old text that a patch is planned against.
#[derive(Clone, Debug)]
pub(crate) struct KnownText {
    pub(crate) text: ChunkPatch,
    pub(crate) literals: Literals,
}

/// The old texts that one patch is planned against, compiled: instances loaded
/// from equal texts share one.
#[derive(Default)]
pub(crate) struct Compiled(Vec<KnownText>);

impl Compiled {
    /// The text of a chunk, compiled unless that was done before.
    pub(crate) fn know(&mut self, chunk: &str, source: &[u8]) -> Result<KnownText, CompileError> {
        let equal =
            |known: &&KnownText| **known.text.chunk() == *chunk && **known.text.source() == *source;
        if let Some(known) = self.0.iter().find(equal) {
            return Ok(known.clone());
        }
        let text = ChunkPatch::compile(chunk, source)?;
        let literals = Literals::of(text.main());
        // Whoever comes second has the same ones.
        let shared = Literals {
            all: Arc::clone(&literals.all),
            bytes: 0,
        };
        self.0.push(KnownText {
            text: text.clone(),
            literals: shared,
        });
        Ok(KnownText { text, literals })
    }

    /// Adds the text to the description of an instance, unless it is there.
    pub(crate) fn complete(&mut self, manifest: &mut ChunkManifest) {
        if manifest.text.is_none()
            && let Some(source) = &manifest.source
        {
            let known = self.know(&manifest.chunk, source).ok();
            manifest.text = known.map(|known| known.text);
        }
    }
}
