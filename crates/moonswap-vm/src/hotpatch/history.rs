//! History and rollback.
//!
//! Invariants: HP1–HP3. The history is bounded; entries that fall out of it let
//! go of the versions they kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_bytecode::{FunctionId, Prototype};
use moonswap_hotpatch::{ChangeClass, Report, ReportedFunction, Times, write_pause};

use super::HotError;
use super::prepare::{CellChange, FieldChange, SlotChange};
use crate::heap::Marker;
use crate::loader;
use crate::object::{Instance, SlotRegistry, StringObject, Version};
use crate::value::{store, tag};
use crate::vm::Vm;

/// Patches kept for rollback.
const DEPTH: usize = 16;

/// What one patch did to one instance: enough to undo it.
pub(crate) struct InstanceChange {
    pub(crate) instance: *mut Instance,
    /// The text's version before.
    pub(crate) version: u32,
    /// The hook of the new text.
    pub(crate) on_swap: Option<FunctionId>,
    pub(crate) slots: Vec<SlotChange>,
    pub(crate) cells: Vec<CellChange>,
    /// Fields that definitions set or cleared.
    pub(crate) fields: Vec<FieldChange>,
    pub(crate) prototype: Arc<Prototype>,
    pub(crate) source: Option<Arc<[u8]>>,
    pub(crate) registry: SlotRegistry,
    pub(crate) names: Vec<(Arc<str>, u32)>,
}

/// One committed patch.
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) generation: u64,
    pub(crate) chunks: Vec<Arc<str>>,
    /// The report's one line without the time.
    pub(crate) head: String,
    pub(crate) pause: Duration,
    pub(crate) author: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) changes: Vec<InstanceChange>,
}

/// Committed patches, oldest first.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) entries: VecDeque<Entry>,
}

impl History {
    pub(crate) unsafe fn mark(&self, marker: &mut Marker) {
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
                for &slot in change.registry.values() {
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

/// One line of the history.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// Number of the patch, for rollback to before it.
    pub id: u64,
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

/// Appends a patch. Roots are rescanned at the end of a collector's cycle, so
/// what the entry holds needs no barrier.
pub(crate) fn push(vm: &mut Vm, entry: Entry) {
    let history = &mut vm.hot.history.entries;
    history.push_back(entry);
    while history.len() > DEPTH {
        let Some(oldest) = history.pop_front() else {
            break;
        };
        // The last reference to the text and code of a whole chunk, perhaps.
        for change in oldest.changes {
            let attic = &vm.hot.mailbox.attic;
            attic.keep_chunk(change.prototype, change.source, change.registry);
        }
    }
}

/// The instance has another registry: if the collector has been there, it is
/// told of the slots.
pub(crate) unsafe fn keep_registry(vm: &mut Vm, instance: *mut Instance) {
    // SAFETY: live instance and slots.
    unsafe {
        if (*instance).header.mark != vm.heap.black {
            return;
        }
        for &slot in (*instance).registry.iter().flat_map(|r| r.values()) {
            vm.heap.barrier_object(instance.cast(), slot.cast());
        }
    }
}

/// The committed patches that can be rolled back, oldest first.
pub(crate) fn list(vm: &Vm) -> Vec<HistoryEntry> {
    vm.hot
        .history
        .entries
        .iter()
        .map(|e| HistoryEntry {
            id: e.id,
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

/// The instances that a rollback to before patch `id` changes, with the
/// versions of their texts now.
pub(super) unsafe fn versions_since(vm: &Vm, id: Option<u64>) -> Vec<(*mut Instance, u32)> {
    let entries = &vm.hot.history.entries;
    let mut found: Vec<(*mut Instance, u32)> = Vec::new();
    for entry in entries.iter().rev() {
        for change in &entry.changes {
            if !found.iter().any(|(known, _)| *known == change.instance) {
                // SAFETY: HP3.
                found.push((change.instance, unsafe { (*change.instance).version }));
            }
        }
        if id.is_none_or(|id| id == entry.id) {
            break;
        }
    }
    found
}

/// Restores the code from before patch `id` (`None`: the newest), undoing all
/// later ones as well, in one commit. Configuration constants and new locals
/// that the patches set, and fields of functions they added or removed, get
/// their old values back unless they were changed since. The rollback itself leaves the history shorter.
pub(crate) unsafe fn rollback(vm: &mut Vm, id: Option<u64>) -> Result<Report, HotError> {
    // SAFETY: HP1, HP2.
    unsafe {
        let start = Instant::now();
        if vm.hot.busy {
            return Err(HotError::Busy);
        }
        let id = match id {
            Some(id) => id,
            None => vm
                .hot
                .history
                .entries
                .back()
                .map(|e| e.id)
                .ok_or(HotError::UnknownPatch(0))?,
        };
        if !vm.hot.history.entries.iter().any(|e| e.id == id) {
            return Err(HotError::UnknownPatch(id));
        }
        let mut undone = Undone::default();
        let mut chunks: Vec<Arc<str>> = Vec::new();
        let mut warnings = vec![format!("rolled back to before patch {id}")];
        while let Some(entry) = vm.hot.history.entries.pop_back() {
            let last = entry.id == id;
            vm.hot.closings.forget(entry.id);
            for chunk in entry.chunks {
                if !chunks.contains(&chunk) {
                    chunks.push(chunk);
                }
            }
            for change in entry.changes.into_iter().rev() {
                undo(vm, change, &mut undone, &mut warnings);
            }
            if last {
                break;
            }
        }
        vm.hot.advance();
        let times = Times {
            pause: start.elapsed(),
            ..Times::default()
        };
        Ok(Report {
            id: vm.hot.last_patch,
            generation: vm.hot.generation(),
            chunks,
            functions: undone.functions,
            unchanged: 0,
            warnings,
            not_run: Vec::new(),
            closed: Vec::new(),
            times,
        })
    }
}

/// What a rollback did, function by function; one that several of the undone
/// patches changed, or that several instances have, is named once.
#[derive(Default)]
struct Undone {
    functions: Vec<ReportedFunction>,
    /// Where in the list, by name with the chunk.
    places: HashMap<String, usize>,
}

impl Undone {
    fn note(&mut self, now: u32, restored: &Version) {
        let full = restored.prototype.id.to_string();
        if let Some(&place) = self.places.get(&full) {
            self.functions[place].new = Some(restored.number);
            return;
        }
        let chunk = &restored.prototype.id.chunk;
        self.functions.push(ReportedFunction {
            chunk: chunk.strip_prefix(['@', '=']).unwrap_or(chunk).into(),
            id: path_of(&restored.prototype),
            class: ChangeClass::Swapped,
            old: Some(now),
            new: Some(restored.number),
        });
        self.places.insert(full, self.functions.len() - 1);
    }
}

unsafe fn undo(
    vm: &mut Vm,
    change: InstanceChange,
    undone: &mut Undone,
    warnings: &mut Vec<String>,
) {
    // SAFETY: HP1–HP3: all of it is live, the history kept it.
    unsafe {
        let instance = change.instance;
        vm.hot.touch(instance);
        (*instance).version = change.version;
        for s in change.slots {
            let now = (*s.slot).version_number;
            loader::install(vm, s.slot, s.before);
            (*s.before).finish_by = None;
            undone.note(now, &*s.before);
        }
        for c in change.cells {
            let value = *(*c.cell).value;
            if value.tag == c.after.tag
                && (value.payload == c.after.payload || value.raw_equal(c.after))
            {
                store((*c.cell).value, c.before);
                vm.heap.barrier(c.cell.cast(), c.before);
            }
        }
        for field in change.fields.iter().rev() {
            if !field.undo(vm) && field.key.tag == tag::STRING {
                let key = StringObject::bytes(field.key.as_string());
                let key = String::from_utf8_lossy(key);
                warnings.push(format!("field {key} was changed since and left alone"));
            }
        }
        (*instance).prototype = change.prototype;
        (*instance).source = change.source;
        (*instance).text = None;
        (*instance).registry = if change.registry.is_empty() {
            None
        } else {
            Some(change.registry)
        };
        keep_registry(vm, instance);
        // Cells stay: code of the undone version may still run. Their names go
        // back; those beyond the old record keep theirs.
        for (i, name) in change.names.into_iter().enumerate() {
            if let Some(place) = (&mut (*instance).cell_names).get_mut(i) {
                *place = name;
            }
        }
    }
}

/// Path of a literal without the chunk.
pub(crate) fn path_of(prototype: &Prototype) -> String {
    let full = prototype.id.to_string();
    match full.split_once(" / ") {
        Some((_, path)) => path.to_owned(),
        None => full,
    }
}
