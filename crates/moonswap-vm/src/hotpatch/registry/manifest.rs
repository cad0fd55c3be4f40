//! Manifests: a live instance as plain data for planning.
//!
//! Invariants: HP1–HP3.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::Prototype;
use moonswap_hotpatch::{
    CellInfo, ChunkManifest, ChunkPlan, ENVIRONMENT_CELL, Literals, Places, Progress, SlotInfo,
};

use super::literals;
use super::texts::{Compiled, KnownText};
use crate::object::{Instance, PrototypeSlot, SlotRegistry, Source};
use crate::value::tag;
use crate::vm::Vm;

/// The slots of an instance, made on first use.
///
/// # Safety
/// `instance` is live; the reference is not kept over a commit or a collection.
pub(crate) unsafe fn registry<'a>(vm: &mut Vm, instance: *mut Instance) -> &'a SlotRegistry {
    // SAFETY: live instance.
    unsafe {
        let places = || {
            let ids = (&(*instance).records).ids(&(*instance).chunk);
            Arc::new(ids.into_iter().zip(0..).collect())
        };
        registry_at(vm, instance, places)
    }
}

/// The same, if somebody else has found out where the slots are.
///
/// # Safety
/// `instance` is live; the reference is not kept over a commit or a collection.
unsafe fn registry_at<'a>(
    vm: &mut Vm,
    instance: *mut Instance,
    places: impl FnOnce() -> Arc<Places>,
) -> &'a SlotRegistry {
    // SAFETY: live instance; the reference is not held over a collection. Until
    // there is a registry the prototype is the one that was loaded.
    unsafe {
        if Instance::patched(instance).is_none_or(|patched| patched.registry.is_none()) {
            let registry = SlotRegistry::new(places(), literals::slots(instance));
            vm.heap
                .patched(instance, |patched| patched.registry = Some(registry));
        }
        &Instance::patched(instance)
            .and_then(|patched| patched.registry.as_ref())
            .expect("just made")
    }
}

/// The same for a plan, which may tell where the slots are.
///
/// # Safety
/// `instance` is live; the reference is not kept over a commit or a collection.
pub(crate) unsafe fn registry_for<'a>(
    vm: &mut Vm,
    instance: *mut Instance,
    plan: &ChunkPlan,
) -> &'a SlotRegistry {
    // SAFETY: live instance.
    unsafe {
        match &plan.places {
            Some(places) => registry_at(vm, instance, || Arc::clone(places)),
            None => registry(vm, instance),
        }
    }
}

/// The slots of an instance that patches have asked for.
///
/// # Safety
/// `instance` is live; the reference is not kept over a commit or a collection.
pub(crate) unsafe fn known_registry<'a>(instance: *const Instance) -> Option<&'a SlotRegistry> {
    // SAFETY: live instance.
    unsafe { Instance::patched(instance)?.registry.as_ref() }
}

/// What is told of an instance, whether a patch has touched it or not.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    chunk: Arc<str>,
    pub(crate) source: Option<Arc<[u8]>>,
    cells: Vec<CellInfo>,
    main_running: bool,
    n_runs: u32,
    progress: Progress,
    arguments: bool,
    returned: bool,
    generation: u64,
}

impl Told {
    /// Of an instance. Opens the cells of a running main chunk on the way. Costs the
    /// VM's thread as much as the chunk has top-level locals.
    ///
    /// # Safety
    /// HP2; `instance` is live.
    unsafe fn of(vm: &mut Vm, instance: *mut Instance) -> Self {
        // SAFETY: HP2; live instance.
        unsafe {
            let main_running = super::scope::open_running(vm, instance);
            let cells = Instance::cell_names(instance)
                .iter()
                .zip(Instance::cells(instance))
                .map(|((name, declaration), cell)| CellInfo {
                    name: name.clone(),
                    declaration: *declaration,
                    present: !cell.is_null() || *declaration == ENVIRONMENT_CELL,
                })
                .collect();
            let more = Instance::more(instance);
            Self {
                chunk: (*instance).chunk.clone(),
                source: Instance::source(instance),
                cells,
                main_running,
                // A main chunk that has not ended yet counts as started once.
                n_runs: (*instance).header.word + u32::from(main_running),
                progress: super::scope::progress(vm, instance),
                arguments: more.is_some_and(|more| more.arguments.is_some())
                    || (*instance).header.flags & Instance::NO_ARGUMENTS != 0,
                returned: more.is_some_and(|more| more.returned.tag == tag::TABLE),
                generation: vm.hot.generation(),
            }
        }
    }

    /// The chunk's name and text.
    pub(crate) fn text(&self) -> Option<(&str, &[u8])> {
        Some((&self.chunk, self.source.as_deref()?))
    }

    /// The rest of an instance that no patch has touched is in its text.
    pub(crate) fn untouched(self, text: &KnownText) -> ChunkManifest {
        let mut manifest = self.with(text.literals.all[0].clone());
        manifest.text = Some(text.text.clone());
        manifest.literals = Some(text.literals.clone());
        manifest.describe_unpatched();
        manifest
    }

    fn with(self, main: Arc<Prototype>) -> ChunkManifest {
        ChunkManifest {
            chunk: self.chunk,
            main,
            source: self.source,
            text: None,
            diverged: None,
            cells: self.cells,
            slots: HashMap::default(),
            knows_closures: false,
            places: None,
            literals: None,
            main_running: self.main_running,
            n_runs: self.n_runs,
            progress: self.progress,
            arguments: self.arguments,
            returned: self.returned,
            generation: self.generation,
        }
    }
}

/// Describes an instance. Of one that was never patched the text is compiled, or its
/// code read off, and kept.
///
/// # Safety
/// HP2; `instance` is live.
pub(crate) unsafe fn of(
    vm: &mut Vm,
    instance: *mut Instance,
    compiled: &mut Compiled,
) -> ChunkManifest {
    // SAFETY: HP2; live instance.
    unsafe {
        let told = Told::of(vm, instance);
        let is_known =
            Instance::patched(instance).is_some_and(|patched| patched.literals.is_some());
        if !is_known {
            let text = told.text();
            let text = text.and_then(|(chunk, text)| compiled.know(chunk, text).ok());
            match text {
                Some(text) => {
                    literals::keep(vm, instance, &text.literals);
                    let text = text.text.clone();
                    vm.heap
                        .patched(instance, |patched| patched.text = Some(text));
                }
                None => {
                    let main = literals::main(vm, instance);
                    literals::keep(vm, instance, &Literals::of(&main));
                }
            }
        }
        let main = literals::main(vm, instance);
        let patched = Instance::patched(instance);
        let mut manifest = ChunkManifest {
            text: patched.and_then(|patched| patched.text.clone()),
            diverged: patched.and_then(|patched| patched.diverged.clone()),
            ..told.with(main)
        };
        if manifest.text.is_none() && manifest.diverged.is_none() {
            compiled.complete(&mut manifest);
            let text = manifest.text.clone();
            vm.heap.patched(instance, |patched| patched.text = text);
        }
        manifest.knows_closures = true;
        let slots = &mut manifest.slots;
        for (id, slot) in registry(vm, instance).iter() {
            let current = literals::of(vm, PrototypeSlot::version(slot));
            let mut layout = current.upvalues.to_vec();
            // What newer versions, rolled back since, captured.
            let reserved = (&(*slot).reserved).iter().flat_map(|all| all.iter());
            layout.extend(reserved.skip(layout.len()).map(moonswap_hotpatch::reserved));
            slots.insert(
                id.clone(),
                SlotInfo {
                    protected: (*slot).header.flags & PrototypeSlot::PROTECTED != 0,
                    is_first: (*slot).header.flags & PrototypeSlot::REPLACED == 0,
                    is_unmade: (*slot).header.flags & PrototypeSlot::MADE == 0,
                    version: PrototypeSlot::number(slot),
                    layout,
                    n_fixed: usize::from(PrototypeSlot::n_fixed(slot)),
                    current,
                },
            );
        }
        manifest
    }
}

/// What the VM's thread tells of an instance: of one that was never touched in
/// short, the rest is for whoever plans ([`Told::untouched`]).
#[derive(Clone, Debug)]
pub(crate) enum Description {
    /// All.
    Whole(Box<ChunkManifest>),
    /// Without what is in the text, which may be compiled already.
    Short(Told, Option<KnownText>),
}

/// Describes an instance, as short as possible.
///
/// # Safety
/// HP2; `instance` is live.
pub(crate) unsafe fn summary(vm: &mut Vm, instance: *mut Instance) -> Description {
    // SAFETY: HP2; live instance.
    unsafe {
        let is_untouched = Instance::stamp(instance) == 0;
        if is_untouched && !matches!((*instance).source, Source::None) {
            let known = Instance::patched(instance).and_then(|patched| {
                Some(KnownText {
                    text: patched.text.clone()?,
                    literals: patched.literals.clone()?,
                })
            });
            return Description::Short(Told::of(vm, instance), known);
        }
        Description::Whole(Box::new(of(vm, instance, &mut Compiled::default())))
    }
}
