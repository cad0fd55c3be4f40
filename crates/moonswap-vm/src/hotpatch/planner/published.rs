//! Snapshots of chunks as they were after their last patch: what other threads
//! plan the next one against without asking the VM's thread first.
//!
//! A snapshot is a guess until the commit compares its [`Preconditions`] with the live
//! instance; whatever changes an instance withdraws the snapshots of its chunk.
//!
//! Invariants: HP2.

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;
use moonswap_bytecode::Prototype;
use moonswap_hotpatch::{
    ChunkManifest, ChunkPatch, ChunkPlan, Patch, Policy, Report, Times, plan_chunk,
};

use super::planned::Planned;
use crate::hotpatch::registry::manifest::{self, Description, known_registry};
use crate::hotpatch::registry::scope;
use crate::hotpatch::registry::texts::Compiled;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::object::SlotRegistry;
use crate::object::{Instance, Keep, PrototypeSlot};
use crate::vm::Vm;

/// What is said of a commit and known before it: made by whoever planned, so
/// that the VM's thread has only to fill in numbers.
pub(crate) struct ReportDraft {
    pub(crate) report: Report,
    pub(crate) head: String,
    /// What the instances were, and are once it is done, to be published.
    pub(crate) preconditions: Vec<Preconditions>,
    pub(crate) after: Vec<ChunkManifest>,
}

impl ReportDraft {
    pub(crate) fn new(planned: &[Planned]) -> Self {
        let report = Report::of(planned.iter().map(|(_, plan)| plan));
        Self {
            head: report.head(),
            report,
            preconditions: Vec::new(),
            after: Vec::new(),
        }
    }

    /// The report of a patch that changes nothing, or is not to.
    pub(crate) fn idle(self, vm: &Vm, times: Times) -> Report {
        Report {
            // Nothing that a rollback could undo; least of all an earlier patch.
            id: 0,
            generation: vm.hot.generation(),
            times,
            ..self.report
        }
    }
}

/// The state of an instance that a manifest describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preconditions {
    pub(crate) serial: u64,
    stamp: u64,
    n_runs: u32,
    n_cells: usize,
}

impl Preconditions {
    /// # Safety
    /// `instance` is live.
    pub(crate) unsafe fn of(instance: *mut Instance) -> Self {
        // SAFETY: live instance.
        unsafe {
            Self {
                serial: (*instance).serial,
                stamp: Instance::stamp(instance),
                n_runs: (*instance).header.word,
                n_cells: Instance::cells(instance).len(),
            }
        }
    }
}

/// One instance, described.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) preconditions: Preconditions,
    pub(crate) manifest: Arc<ChunkManifest>,
}

/// Adds to descriptions what the VM's thread left to whoever plans.
pub(crate) fn complete(told: Vec<(Preconditions, Description)>) -> Result<Vec<Snapshot>, HotError> {
    let mut compiled = Compiled::default();
    let complete = |(preconditions, description)| {
        let manifest = match description {
            Description::Whole(mut manifest) => {
                compiled.complete(&mut manifest);
                *manifest
            }
            Description::Short(told, Some(known)) => told.untouched(&known),
            Description::Short(told, None) => match told.text() {
                Some((chunk, text)) => {
                    let text = compiled.know(chunk, text)?;
                    told.untouched(&text)
                }
                None => return Err(HotError::Memory),
            },
        };
        let manifest = Arc::new(manifest);
        Ok(Snapshot {
            preconditions,
            manifest,
        })
    };
    told.into_iter().map(complete).collect()
}

/// All instances of a patch's chunks, with all that is to be known of them.
pub(crate) fn whole(vm: &mut AtSafePoint, patch: &Patch) -> Vec<Snapshot> {
    let mut compiled = Compiled::default();
    let mut found = Vec::with_capacity(patch.chunks().len());
    for chunk in patch.chunks() {
        for instance in vm.hot.instances_of(chunk.chunk()) {
            // SAFETY: HP2; live instances. The manifest first: it opens cells.
            let snapshot = unsafe {
                let manifest = Arc::new(manifest::of(vm, instance, &mut compiled));
                Snapshot {
                    preconditions: Preconditions::of(instance),
                    manifest,
                }
            };
            found.push(snapshot);
        }
    }
    found
}

/// All live instances of a chunk, oldest first.
pub(crate) type Snapshots = Arc<[Snapshot]>;

/// What is known outside the VM's thread.
#[derive(Debug, Default)]
pub(crate) struct Published(Mutex<HashMap<Arc<str>, Snapshots>>);

impl Published {
    fn with<R>(&self, f: impl FnOnce(&mut HashMap<Arc<str>, Snapshots>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The instances of all chunks of a patch, if they are known.
    pub(crate) fn of(&self, patch: &Patch) -> Option<Vec<Snapshot>> {
        self.with(|known| {
            let mut found = Vec::with_capacity(patch.chunks().len());
            for chunk in patch.chunks() {
                found.extend_from_slice(known.get(chunk.chunk())?);
            }
            Some(found)
        })
    }

    /// The chunk is not as it was; answers what was known of it.
    #[must_use = "taking it apart is long: see `DeferredDrops`"]
    pub(crate) fn withdraw(&self, chunk: &str) -> Option<Snapshots> {
        self.with(|known| known.remove(chunk))
    }
}

/// What commits leave behind and nobody needs: taking apart the description of
/// a hundred functions is longer than replacing them, so who submits or waits
/// for a patch does it, not the VM's thread. What the last patch submitted left
/// may stay for good if nobody ever comes again; patches that are planned on the
/// VM's thread take it apart there.
#[derive(Debug, Default)]
pub(crate) struct DeferredDrops(Mutex<Vec<Leftover>>);

#[derive(Debug)]
#[expect(dead_code, reason = "kept to be dropped elsewhere")]
enum Leftover {
    Snapshots(Snapshots),
    Plans(Vec<Planned>),
    Text(ChunkPatch),
    Chunk(Arc<Prototype>, Option<Arc<[u8]>>, SlotRegistry),
}

impl DeferredDrops {
    fn keep(&self, leftover: Leftover) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(leftover);
    }

    pub(crate) fn keep_snapshots(&self, known: Option<Snapshots>) {
        if let Some(known) = known {
            self.keep(Leftover::Snapshots(known));
        }
    }

    pub(crate) fn keep_text(&self, text: Option<ChunkPatch>) {
        if let Some(text) = text {
            self.keep(Leftover::Text(text));
        }
    }

    pub(crate) fn keep_plans(&self, planned: Vec<Planned>) {
        self.keep(Leftover::Plans(planned));
    }

    pub(crate) fn keep_chunk(
        &self,
        main: Arc<Prototype>,
        source: Option<Arc<[u8]>>,
        registry: SlotRegistry,
    ) {
        self.keep(Leftover::Chunk(main, source, registry));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.len()
    }

    /// Takes everything apart.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(all);
    }
}

/// Plans for the instances of a patch's chunks, in the order of the snapshots,
/// and what the instances will be after them.
pub(crate) struct SpeculativePlan {
    preconditions: Vec<Preconditions>,
    pub(crate) planned: Vec<Planned>,
    after: Vec<ChunkManifest>,
    draft: Option<ReportDraft>,
}

impl SpeculativePlan {
    pub(crate) fn new(snapshots: &[Snapshot], patch: &Patch, policy: &Policy) -> Self {
        let mut speculative = Self {
            preconditions: Vec::with_capacity(snapshots.len()),
            planned: Vec::with_capacity(snapshots.len()),
            after: Vec::with_capacity(snapshots.len()),
            draft: None,
        };
        for snapshot in snapshots {
            let manifest = &snapshot.manifest;
            let chunk = patch.chunks().iter().find(|c| *c.chunk() == manifest.chunk);
            let Some(chunk) = chunk else { continue };
            let plan = plan_chunk(manifest, chunk, policy);
            speculative.preconditions.push(snapshot.preconditions);
            speculative.expect(manifest, chunk, &plan);
            speculative
                .planned
                .push((snapshot.preconditions.serial, plan));
        }
        speculative.draft = Some(ReportDraft::new(&speculative.planned));
        speculative
    }

    fn expect(&mut self, manifest: &ChunkManifest, patch: &ChunkPatch, plan: &ChunkPlan) {
        // Registers of a running main chunk are opened by the VM's thread only.
        if !manifest.main_running
            && plan.refusals.is_empty()
            && !plan.is_empty()
            && plan.passed.is_none()
        {
            self.after.push(manifest.after(patch, plan));
        }
    }

    /// Whether nothing that the plans depend on has changed since.
    pub(crate) fn is_current(&self, vm: &AtSafePoint, patch: &Patch) -> bool {
        let mut preconditions = self.preconditions.iter();
        let mut plans = self.planned.iter();
        let same = patch.chunks().iter().all(|chunk| {
            vm.hot
                .instances_of(chunk.chunk())
                .into_iter()
                // SAFETY: live instances.
                .all(|instance| unsafe {
                    preconditions.next() == Some(&Preconditions::of(instance))
                        && !may_have_begun(vm, instance, &self.after)
                        && plans
                            .next()
                            .is_some_and(|(_, plan)| is_unmade(instance, plan))
                })
        });
        same && preconditions.next().is_none()
    }

    /// Whether somebody has to look which functions have closures.
    pub(crate) fn asks_for_closures(&self) -> bool {
        self.planned.iter().any(|(_, plan)| plan.asks_for_closures)
    }

    /// The plans, and what is known of their commit.
    pub(crate) fn into_parts(self) -> (Vec<Planned>, ReportDraft) {
        let mut draft = self
            .draft
            .unwrap_or_else(|| ReportDraft::new(&self.planned));
        if self.after.len() == self.planned.len() {
            (draft.preconditions, draft.after) = (self.preconditions, self.after);
        }
        (self.planned, draft)
    }
}

/// Whether no closure was made of the functions of which there may be none.
///
/// # Safety
/// `instance` is live.
unsafe fn is_unmade(instance: *mut Instance, plan: &ChunkPlan) -> bool {
    // SAFETY: live instance and slots.
    unsafe {
        plan.unmade.is_empty()
            || known_registry(instance).is_some_and(|registry| {
                let has_none =
                    |slot: *mut PrototypeSlot| (*slot).header.flags & PrototypeSlot::MADE == 0;
                let mut ids = plan.unmade.iter();
                ids.all(|id| registry.get(id).is_some_and(has_none))
            })
    }
}

/// Whether an instance's main chunk may have begun since it was described, so
/// that it has variables on the stack. A chunk that has run once is believed not
/// to run again, unless it is a `load`ed string: to look costs a walk of the
/// stack.
///
/// # Safety
/// VM3; `instance` is live.
unsafe fn may_have_begun(vm: &Vm, instance: *mut Instance, after: &[ChunkManifest]) -> bool {
    // SAFETY: live instance; HP2.
    unsafe {
        let is_at_rest = Instance::keep(instance) == Keep::Module && (*instance).header.word > 0;
        // What ran when it was described is not published, and still runs.
        !is_at_rest && !after.is_empty() && scope::is_running(vm, instance)
    }
}

/// Publishes what the instances have become by a commit; `preconditions` and `after` in
/// the same order, instances of one chunk next to each other.
pub(crate) fn publish(
    vm: &mut AtSafePoint,
    preconditions: &[Preconditions],
    after: Vec<ChunkManifest>,
) {
    if after.is_empty() {
        return;
    }
    let mut by_chunk: Vec<(Arc<str>, Vec<Snapshot>)> = Vec::new();
    for (preconditions, manifest) in preconditions.iter().zip(after) {
        let instance = vm
            .hot
            .instances_of(&manifest.chunk)
            .into_iter()
            // SAFETY: live instances.
            .find(|&i| unsafe { (*i).serial } == preconditions.serial);
        let Some(instance) = instance else { return };
        // SAFETY: HP2.
        #[cfg(debug_assertions)]
        unsafe {
            // A module called again: see `may_have_begun`.
            if !scope::is_running(vm, instance) {
                let is = manifest::of(vm, instance, &mut Compiled::default());
                compare(&manifest, &is);
            }
        }
        let snapshot = Snapshot {
            // SAFETY: live instance.
            preconditions: unsafe { Preconditions::of(instance) },
            manifest: Arc::new(manifest),
        };
        match by_chunk.last_mut() {
            Some((chunk, list)) if *chunk == snapshot.manifest.chunk => list.push(snapshot),
            _ => by_chunk.push((Arc::clone(&snapshot.manifest.chunk), vec![snapshot])),
        }
    }
    let mailbox = Arc::clone(&vm.hot.mailbox);
    mailbox.published.with(|known| {
        for (chunk, list) in by_chunk {
            known.insert(chunk, list.into());
        }
    });
}

/// What was worked out must be what the VM's thread would have answered.
#[cfg(debug_assertions)]
pub(crate) fn compare(expected: &ChunkManifest, is: &ChunkManifest) {
    assert!(Arc::ptr_eq(&expected.main, &is.main), "main chunk");
    assert_eq!(expected.source, is.source, "source");
    let left = |m: &ChunkManifest| m.diverged.as_ref().map(|d| d.functions.clone());
    assert_eq!(left(expected), left(is), "diverged");
    assert_eq!(expected.cells, is.cells, "cells");
    assert_eq!(expected.slots.len(), is.slots.len(), "slots");
    for (id, slot) in &expected.slots {
        let there = is.slots.get(id);
        let same = there.is_some_and(|there| {
            Arc::ptr_eq(&there.current, &slot.current)
                && there.version == slot.version
                && there.layout == slot.layout
                && there.n_fixed == slot.n_fixed
                && there.protected == slot.protected
                && there.is_first == slot.is_first
        });
        assert!(same, "{id}");
    }
    assert_eq!(expected.n_runs, is.n_runs, "runs");
}
