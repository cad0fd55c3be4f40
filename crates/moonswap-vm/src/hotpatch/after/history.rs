//! History and rollback.
//!
//! Invariants: HP1–HP3: what entries name is live, since the collector marks it, and
//! nothing is collected while a rollback has them in hand. The history is bounded; entries that fall out of it let
//! go of the versions they kept.

use std::collections::{VecDeque, hash_map};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};
use moonswap_bytecode::{FunctionId, Prototype};
use moonswap_hotpatch::{
    ChangeClass, Divergence, Progress, Refusal, Report, ReportedFunction, Times, path_name,
    write_pause,
};

use crate::heap::Marker;
use crate::hotpatch::apply::prepare::{CellChange, FieldChange, SlotChange};
use crate::hotpatch::error::DEPTH;
use crate::hotpatch::osr::{migrate, staying};
use crate::hotpatch::planner::published::DeferredDrops;
use crate::hotpatch::registry::literals;
use crate::hotpatch::registry::manifest;
use crate::hotpatch::registry::stale;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::loader;
use crate::object::{Instance, PrototypeSlot, SlotRegistry, Source, StringObject, Version};
use crate::value::{store, tag};
use crate::vm::Vm;

/// What a patch, or a rollback, did to one instance: enough to undo it.
pub(crate) struct InstanceChange {
    pub(crate) instance: *mut Instance,
    /// The text's version before.
    pub(crate) version: u32,
    /// How far the main chunk counted as having got before.
    pub(crate) progress: Progress,
    /// The hook of the new text.
    pub(crate) on_swap: Option<FunctionId>,
    /// The hook of the text before.
    pub(crate) on_swap_before: Option<FunctionId>,
    pub(crate) slots: Vec<SlotChange>,
    pub(crate) cells: Vec<CellChange>,
    /// Fields that definitions set or cleared.
    pub(crate) fields: Vec<FieldChange>,
    pub(crate) prototype: Arc<Prototype>,
    pub(crate) source: Option<Arc<[u8]>>,
    /// What of that text did not run.
    pub(crate) diverged: Option<Arc<Divergence>>,
    pub(crate) registry: SlotRegistry,
    pub(crate) names: Vec<(Arc<str>, u32)>,
}

/// One committed patch or rollback.
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) generation: u64,
    pub(crate) is_rollback: bool,
    /// Patches in force before it, oldest first, as far as they are kept.
    pub(crate) in_force_before: Vec<u64>,
    pub(crate) chunks: Vec<Arc<str>>,
    /// The report's one line without the time.
    pub(crate) head: String,
    pub(crate) pause: Duration,
    pub(crate) author: Option<String>,
    pub(crate) reason: Option<String>,
    /// It takes running activations along (`stale = migrate`), and so does undoing it.
    pub(crate) moves: bool,
    pub(crate) changes: Vec<InstanceChange>,
}

/// Committed patches and rollbacks, oldest first.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) entries: VecDeque<Entry>,
    /// Patches in force, oldest first, as far as they are kept.
    pub(crate) in_force: Vec<u64>,
}

impl History {
    /// Lets go of what is beyond the bound, oldest first.
    fn trim(&mut self, deferred_drops: &DeferredDrops) {
        loop {
            let n_patches = self.entries.iter().filter(|e| !e.is_rollback).count();
            if n_patches <= DEPTH && self.entries.len() <= 2 * DEPTH {
                break;
            }
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            // The last reference to the text and code of a whole chunk, perhaps.
            for change in oldest.changes {
                deferred_drops.keep_chunk(change.prototype, change.source, change.registry);
            }
        }
        let oldest = self.entries.front().map_or(u64::MAX, |e| e.id);
        self.in_force.retain(|&id| id >= oldest);
    }

    pub(crate) fn mark(&self, marker: &mut Marker) {
        // SAFETY: HP3.
        unsafe {
            for change in self.entries.iter().flat_map(|e| &e.changes) {
                marker.mark_object(change.instance.cast());
                for slot in &change.slots {
                    marker.mark_object(slot.slot.cast());
                    marker.mark_object(slot.before.cast());
                    marker.mark_object(slot.after.cast());
                }
                for field in &change.fields {
                    for value in [field.table, field.key, field.before, field.after] {
                        marker.mark_value(value);
                    }
                }
                // The instance has its own marked.
                let now = manifest::known_registry(change.instance);
                let besides = now.map(|now| change.registry.besides(now));
                for slot in besides.into_iter().flatten() {
                    marker.mark_object(slot.cast());
                }
                for cell in &change.cells {
                    marker.mark_object(cell.cell.cast());
                    marker.mark_value(cell.before);
                    marker.mark_value(cell.after);
                }
            }
        }
    }
}

/// One line of the history: a patch, or a rollback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its number, for rollback to before it.
    pub id: u64,
    /// It is a rollback: rolling back to before it brings back what it undid.
    pub is_rollback: bool,
    /// It is a patch, and no rollback has undone it.
    pub is_in_force: bool,
    /// The VM's generation after it.
    pub generation: u64,
    /// Chunks as shown to people.
    pub chunks: Vec<Arc<str>>,
    /// The report's one line.
    pub line: String,
    /// Who.
    pub author: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Appends a patch or rollback. Roots are rescanned at the end of a collector's
/// cycle, so what the entry holds needs no barrier.
pub(crate) fn push(vm: &mut Vm, entry: Entry) {
    let history = &mut vm.hot.history;
    if !entry.is_rollback {
        history.in_force.push(entry.id);
    }
    history.entries.push_back(entry);
    history.trim(&vm.hot.mailbox.deferred_drops);
}

/// Gives the instance another registry. If the collector has been there, it is
/// told of the slots that are new. Answers the registry it had.
///
/// # Safety
/// `instance` and the slots of the registry are live.
pub(crate) unsafe fn exchange_registry(
    vm: &mut Vm,
    instance: *mut Instance,
    registry: SlotRegistry,
) -> SlotRegistry {
    // SAFETY: live instance and slots.
    unsafe {
        let before = manifest::registry(vm, instance).clone();
        for slot in registry.beyond(&before) {
            vm.heap.barrier_object(instance.cast(), slot.cast());
        }
        vm.heap
            .patched(instance, |patched| patched.registry = Some(registry));
        before
    }
}

/// Gives the instance another text.
///
/// # Safety
/// `instance` is live.
pub(crate) unsafe fn set_source(vm: &mut Vm, instance: *mut Instance, text: Option<Arc<[u8]>>) {
    // SAFETY: live instance.
    unsafe {
        vm.heap.change_boxed_quietly(instance, |instance| {
            instance.source = text.map_or(Source::None, Source::Shared);
        });
    }
}

/// The patches and rollbacks that can be undone, oldest first.
pub(crate) fn list(vm: &Vm) -> Vec<HistoryEntry> {
    let history = &vm.hot.history;
    history
        .entries
        .iter()
        .map(|e| HistoryEntry {
            id: e.id,
            is_rollback: e.is_rollback,
            is_in_force: history.in_force.contains(&e.id),
            generation: e.generation,
            chunks: e.chunks.clone(),
            line: {
                let mut line = e.head.clone();
                let _ = write_pause(&mut line, e.pause);
                line
            },
            author: e.author.clone(),
            reason: e.reason.clone(),
        })
        .collect()
}

/// The entry that a rollback without a number goes back to before: the newest
/// patch in force.
pub(crate) fn entry_of(vm: &Vm, id: Option<u64>) -> Option<u64> {
    id.or(vm.hot.history.in_force.last().copied())
}

/// Restores what was before entry `id` of the history, in one commit (`None`: the
/// newest patch in force). An entry may be a rollback: what it undid comes back.
/// Configuration constants and locals that patches set, and fields of functions
/// they added or removed, get their old values back unless they were changed
/// since. The rollback is an entry of its own.
pub(crate) fn rollback(vm: &mut AtSafePoint, id: Option<u64>) -> Result<Report, HotError> {
    let start = Instant::now();
    // While coroutines are closed the patch that closes them is not over.
    if vm.hot.gate.is_preparing() || vm.hot.closings.is_closing() {
        return Err(HotError::Busy);
    }
    let id = match id {
        Some(id) => id,
        None => entry_of(vm, None).ok_or(HotError::UnknownPatch(0))?,
    };
    let entries = &vm.hot.history.entries;
    let Some(first) = entries.iter().position(|e| e.id == id) else {
        return Err(HotError::UnknownPatch(id));
    };
    let mut undoing = Undoing::default();
    let mut moves = false;
    let entries = std::mem::take(&mut vm.hot.history.entries);
    for entry in entries.range(first..).rev() {
        vm.hot.closings.forget(entry.id);
        moves |= entry.moves;
        for chunk in &entry.chunks {
            if !undoing.chunks.contains(chunk) {
                undoing.chunks.push(Arc::clone(chunk));
            }
        }
        for change in entry.changes.iter().rev() {
            undoing.undo(vm, change);
        }
    }
    let (functions, changes) = undoing.finish(vm);
    let chunks = undoing.chunks;
    let mut warnings = vec![format!("rolled back to before patch {id}")];
    warnings.append(&mut undoing.warnings);
    let diverged = undoing.diverged;
    let in_force = entries[first].in_force_before.clone();
    vm.hot.history.entries = entries;
    vm.hot.advance();
    let slots: HashSet<*mut PrototypeSlot> = changes
        .iter()
        .flat_map(|change| change.slots.iter().map(|s| s.slot))
        .collect();
    let migrated = match moves {
        true => Some(migrate::begin(vm, &|slot| slots.contains(&slot), &[])),
        false => None,
    };
    let times = Times {
        pause: start.elapsed(),
        ..Times::default()
    };
    let mut report = Report {
        runs: Box::default(),
        id: vm.hot.last_patch,
        generation: vm.hot.generation(),
        chunks,
        functions,
        unchanged: 0,
        warnings,
        not_run: Vec::new(),
        data: Vec::new(),
        diverged,
        closed: Vec::new(),
        migrated: Vec::new(),
        staying: Box::default(),
        times,
    };
    match migrated {
        Some(migrated) => report.set_migrated(migrated),
        None => report.set_staying(staying::count(vm, &slots, Some(staying::LOOKED_AT))),
    }
    let in_force_before = std::mem::replace(&mut vm.hot.history.in_force, in_force);
    let entry = Entry {
        id: report.id,
        generation: report.generation,
        is_rollback: true,
        in_force_before,
        chunks: report.chunks.clone(),
        head: report.head(),
        pause: report.times.pause,
        author: None,
        reason: None,
        moves,
        changes,
    };
    push(vm, entry);
    Ok(report)
}

/// A field as a record of an instance has it: equal long strings may be several.
type Place = (*mut Instance, u64, u8, u64);

/// A rollback under way: what it has changed up to now. Of each slot, variable
/// and field there is one record, however often it changed: rollbacks of rollbacks
/// would be twice as long each time.
#[derive(Default)]
struct Undoing<'a> {
    chunks: Vec<Arc<str>>,
    /// For each instance what it was, and the oldest change of it undone.
    changes: Vec<(InstanceChange, &'a InstanceChange)>,
    /// Where in its instance's record a slot is.
    places: HashMap<*mut PrototypeSlot, usize>,
    /// Where in its instance's record a field is.
    fields: HashMap<Place, usize>,
    warnings: Vec<String>,
    /// Why functions do not run what the text says that comes back.
    diverged: Vec<Refusal>,
}

impl<'a> Undoing<'a> {
    /// The record of one instance; made when it is first met.
    fn record(&mut self, vm: &mut AtSafePoint, change: &'a InstanceChange) -> &mut InstanceChange {
        // SAFETY: live instance.
        unsafe {
            let instance = change.instance;
            let known = self
                .changes
                .iter()
                .position(|(c, _)| c.instance == instance);
            let at = known.unwrap_or(self.changes.len());
            if known.is_some() {
                self.changes[at].1 = change;
            } else {
                let before = InstanceChange {
                    instance,
                    version: Instance::version(instance),
                    progress: (*instance).progress,
                    on_swap: None,
                    on_swap_before: change.on_swap.clone(),
                    slots: Vec::new(),
                    cells: Vec::new(),
                    fields: Vec::new(),
                    prototype: literals::main(vm, instance),
                    source: Instance::source(instance),
                    diverged: Instance::diverged(instance).cloned(),
                    registry: manifest::registry(vm, instance).clone(),
                    names: Instance::cell_names(instance).to_vec(),
                };
                self.changes.push((before, change));
            }
            &mut self.changes[at].0
        }
    }

    fn undo(&mut self, vm: &mut AtSafePoint, change: &'a InstanceChange) {
        // SAFETY: HP1–HP3: all of it is live, the history keeps it.
        unsafe {
            let instance = change.instance;
            crate::hotpatch::touch(vm, instance);
            let mut places = std::mem::take(&mut self.places);
            let mut fields = std::mem::take(&mut self.fields);
            let mut lost: Vec<String> = Vec::new();
            let record = self.record(vm, change);
            for s in &change.slots {
                match places.get(&s.slot) {
                    Some(&at) => record.slots[at].after = s.before,
                    None => {
                        places.insert(s.slot, record.slots.len());
                        record.slots.push(SlotChange {
                            slot: s.slot,
                            before: PrototypeSlot::version(s.slot),
                            after: s.before,
                        });
                    }
                }
                loader::install(vm, s.slot, s.before);
                // Rolled back or not: closures may be left of what it ran.
                debug_assert!(
                    Version::number(s.before) == Version::number(s.after)
                        || (*s.slot).header.flags & PrototypeSlot::REPLACED != 0
                );
                stale::set_finish_by(vm, s.before, None);
                migrate::withdraw(s.before);
            }
            for c in &change.cells {
                let value = *(*c.cell).value;
                if value.tag == c.after.tag
                    && (value.payload == c.after.payload || value.raw_equal(c.after))
                {
                    store((*c.cell).value, c.before);
                    vm.heap.barrier(c.cell.cast(), c.before);
                    match record.cells.iter_mut().find(|known| known.cell == c.cell) {
                        Some(known) => known.after = c.before,
                        None => record.cells.push(CellChange {
                            cell: c.cell,
                            before: value,
                            after: c.before,
                        }),
                    }
                } else {
                    let at = Instance::cells(instance)
                        .iter()
                        .position(|&known| known == c.cell);
                    let name = at.and_then(|at| Instance::cell_names(instance).get(at));
                    let lost_by = "was changed since and left alone";
                    lost.extend(name.map(|(name, _)| format!("local {name} {lost_by}")));
                }
            }
            for field in change.fields.iter().rev() {
                match field.undo(vm) {
                    Ok(()) => match fields.entry(place(instance, field)) {
                        hash_map::Entry::Occupied(at) => {
                            record.fields[*at.get()].after = field.before
                        }
                        hash_map::Entry::Vacant(new) => {
                            new.insert(record.fields.len());
                            record.fields.push(FieldChange {
                                before: field.after,
                                after: field.before,
                                ..*field
                            });
                        }
                    },
                    Err(why) if field.key.tag == tag::STRING => {
                        let key = StringObject::bytes(field.key.as_string());
                        let key = String::from_utf8_lossy(key);
                        lost.push(format!("field {key} {why}"));
                    }
                    Err(_) => {}
                }
            }
            // Cells stay: code of the undone version may still run. Their names
            // go back; those beyond the old record keep theirs, unless that would hide
            // a variable of the restored text.
            let _ = Instance::cell_names(instance);
            if let Some(more) = Instance::more_mut(instance) {
                let names = more.cell_names.list();
                let n = change.names.len().min(names.len());
                let (known, beyond) = names.split_at_mut(n);
                for (place, name) in known.iter_mut().zip(&change.names) {
                    place.clone_from(name);
                }
                let hides = |place: &&mut (Arc<str>, u32)| change.names.contains(place);
                for place in beyond.iter_mut().filter(hides) {
                    *place = (Arc::from(""), 0);
                }
            }
            self.places = places;
            self.fields = fields;
            self.warnings.append(&mut lost);
            vm.heap
                .patched(instance, |patched| patched.n_changes = change.version - 1);
            (*instance).progress = change.progress;
        }
    }

    /// The instances' other parts; functions for the report, and what undoes the
    /// rollback.
    fn finish(&mut self, vm: &mut AtSafePoint) -> (Vec<ReportedFunction>, Vec<InstanceChange>) {
        // SAFETY: HP3.
        unsafe {
            let mut functions: Vec<ReportedFunction> = Vec::new();
            let mut told: HashSet<FunctionId> = HashSet::default();
            let mut changes = Vec::with_capacity(self.changes.len());
            for (mut change, oldest) in self.changes.drain(..) {
                let instance = change.instance;
                set_source(vm, instance, oldest.source.clone());
                let text = vm.heap.patched(instance, |patched| {
                    patched.prototype = Some(Arc::clone(&oldest.prototype));
                    patched.diverged.clone_from(&oldest.diverged);
                    patched.text.take()
                });
                for diverged in oldest.diverged.iter().flat_map(|d| &d.functions) {
                    if !self.diverged.contains(&diverged.refusal) {
                        self.diverged.push(diverged.refusal.clone());
                    }
                }
                exchange_registry(vm, instance, oldest.registry.clone());
                change.on_swap = oldest.on_swap_before.clone();
                // Long to take apart, for a large chunk.
                vm.hot.mailbox.deferred_drops.keep_text(text);
                change.slots.retain(|s| s.before != s.after);
                change.fields.retain(|f| !f.before.raw_equal(f.after));
                for s in &change.slots {
                    let after = literals::of(vm, s.after);
                    let id = &after.id;
                    // Further instances: what is said of the first holds for them.
                    if told.insert(id.clone()) {
                        functions.push(ReportedFunction {
                            chunk: id
                                .chunk()
                                .strip_prefix(['@', '='])
                                .unwrap_or(id.chunk())
                                .into(),
                            id: path_name(id),
                            class: change_class(vm, s),
                            old: Some(Version::number(s.before)),
                            new: Some(Version::number(s.after)),
                        });
                    }
                }
                changes.push(change);
            }
            (functions, changes)
        }
    }
}

fn place(instance: *mut Instance, field: &FieldChange) -> Place {
    let (table, key) = (field.table.payload, field.key);
    (instance, table, key.tag, key.payload)
}

/// What a rollback does to a literal: often only its lines or its name go back.
fn change_class(vm: &AtSafePoint, change: &SlotChange) -> ChangeClass {
    // SAFETY: HP3.
    let (p, q, is_other) = unsafe {
        let (before, after) = (change.before, change.after);
        let (p, q) = (literals::of(vm, before), literals::of(vm, after));
        (p, q, Version::number(before) != Version::number(after))
    };
    if is_other || p.own_hash != q.own_hash {
        ChangeClass::Swapped
    } else if p.id != q.id {
        ChangeClass::Moved
    } else {
        ChangeClass::DebugOnly
    }
}
