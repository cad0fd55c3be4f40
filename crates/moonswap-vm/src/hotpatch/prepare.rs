//! Preparing: everything of a patch that can fail, without changing anything
//! that code can reach.
//!
//! Invariants: HP1–HP3. New slots and versions are reachable only from the
//! scope of [`Prepared`] until the commit; no collection may run meanwhile, so
//! delta chunks run with the collector paused (`set_busy`).

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_bytecode::{Capture, FunctionId, Instruction, OpCode, OperandKind, Prototype};
use moonswap_hotpatch::{ChangeClass, ChunkPlan, ENVIRONMENT_CELL, LiteralChange, Migration};

use super::HotError;
use super::manifest::registry;
use crate::host;
use crate::loader;
use crate::object::{
    Closure, Instance, PrototypeSlot, SlotRegistry, StringObject, Upvalue, Version,
};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// Whether a literal gets another version.
fn is_loaded(change: &LiteralChange) -> bool {
    !matches!(
        change.class,
        ChangeClass::Unchanged | ChangeClass::Removed | ChangeClass::Refused
    )
}

/// One slot to rewrite.
#[derive(Clone, Copy)]
pub(crate) struct SlotChange {
    pub(crate) slot: *mut PrototypeSlot,
    pub(crate) before: *mut Version,
    pub(crate) after: *mut Version,
}

/// A top-level local that the patch's initialisers changed.
#[derive(Clone, Copy)]
pub(crate) struct CellChange {
    pub(crate) cell: *mut Upvalue,
    pub(crate) before: Value,
    pub(crate) after: Value,
}

/// A field that the patch's definitions set.
#[derive(Clone, Copy)]
pub(crate) struct FieldChange {
    pub(crate) table: Value,
    pub(crate) key: Value,
    pub(crate) before: Value,
    pub(crate) after: Value,
}

impl FieldChange {
    /// Puts back what stood there, unless the field was set again since.
    /// Answers whether it did.
    pub(crate) unsafe fn undo(&self, vm: &mut Vm) -> bool {
        // SAFETY: table, keys and values are live (HP3).
        unsafe {
            let table = self.table.as_table();
            crate::table::get(table, self.key).raw_equal(self.after)
                && crate::table::set(&mut vm.heap, table, self.key, self.before).is_ok()
        }
    }
}

/// A plan for one instance, ready to commit.
pub(crate) struct Prepared {
    pub(crate) instance: *mut Instance,
    pub(crate) plan: ChunkPlan,
    pub(crate) slots: Vec<SlotChange>,
    /// Versions to be replaced whose activations move to the new ones.
    pub(crate) migrations: Vec<(*mut Version, *mut Version, Arc<Migration>)>,
    pub(crate) registry: SlotRegistry,
    pub(crate) cells: Vec<CellChange>,
    /// The cells as they were before anything ran.
    snapshot: Vec<(*mut Upvalue, Value)>,
    /// Fields the definitions set, with what stood there: to undo them.
    pub(crate) fields: Vec<FieldChange>,
    /// Fields the definitions left alone.
    pub(crate) overridden: Vec<String>,
    /// To undo the scope record.
    pub(crate) old_names: Vec<(Arc<str>, u32)>,
}

impl Prepared {
    /// Loads what the plan needs and runs its delta chunks. On an error the
    /// scope record and all cells are as before.
    pub(crate) unsafe fn new(
        vm: &mut Vm,
        instance: *mut Instance,
        plan: ChunkPlan,
    ) -> Result<Prepared, HotError> {
        // SAFETY: HP2; the instance is live (kept by the caller).
        unsafe {
            debug_assert!(moonswap_bytecode::verify::verify(&plan.main).is_ok());
            let old_names = (*instance).cell_names.clone();
            extend_scope(vm, instance, &plan);
            // New cells are left out: a rollback keeps their values, for the
            // variable may come back with a later patch.
            let snapshot = snapshot(instance, old_names.len());
            let mut prepared = Prepared {
                instance,
                slots: Vec::new(),
                migrations: Vec::new(),
                registry: SlotRegistry::new(),
                cells: Vec::new(),
                snapshot: Vec::new(),
                fields: Vec::new(),
                overridden: Vec::new(),
                old_names,
                plan,
            };
            prepared.load(vm);
            let outcome = if vm.heap.deferred {
                // A constant could not be made.
                let _ = vm.raise_memory();
                Err(HotError::Delta("not enough memory".to_owned()))
            } else {
                prepared.run_delta(vm)
            };
            prepared.fields = std::mem::take(&mut vm.hot.field_changes);
            if let Err(e) = outcome {
                prepared.restore_fields(vm);
                for &(cell, value) in &snapshot {
                    store((*cell).value, value);
                    vm.heap.barrier(cell.cast(), value);
                }
                prepared.withdraw();
                return Err(e);
            }
            prepared.snapshot = snapshot;
            prepared.note_cells();
            Ok(prepared)
        }
    }

    /// Notes what has become of the cells until now.
    pub(super) unsafe fn note_cells(&mut self) {
        self.cells.clear();
        for &(cell, before) in &self.snapshot {
            // SAFETY: live cells: nothing was collected since the snapshot.
            let after = unsafe { *(*cell).value };
            if before.tag != after.tag || (before.payload != after.payload && after.tag > tag::TRUE)
            {
                self.cells.push(CellChange {
                    cell,
                    before,
                    after,
                });
            }
        }
    }

    /// Takes the scope record back; for patches that are not committed.
    pub(crate) unsafe fn withdraw(&mut self) {
        // SAFETY: live instance.
        unsafe {
            let n = self.old_names.len();
            (*self.instance).cells.truncate(n);
            (*self.instance).cell_names = std::mem::take(&mut self.old_names);
        }
    }

    /// Puts back what stood in the fields that definitions set, newest first.
    pub(crate) unsafe fn restore_fields(&self, vm: &mut Vm) {
        // SAFETY: tables, keys and values are live: nothing was collected since
        // the journal was begun.
        unsafe {
            for change in self.fields.iter().rev() {
                let restored = crate::table::set(
                    &mut vm.heap,
                    change.table.as_table(),
                    change.key,
                    change.before,
                );
                debug_assert!(restored.is_ok(), "the key was set before");
            }
        }
    }

    /// Puts back the values of cells that initialisers changed.
    pub(crate) unsafe fn restore_cells(&self, vm: &mut Vm) {
        // SAFETY: cells are live: the scope record has them.
        unsafe {
            for change in &self.cells {
                store((*change.cell).value, change.before);
                vm.heap.barrier(change.cell.cast(), change.before);
            }
        }
    }

    unsafe fn load(&mut self, vm: &mut Vm) {
        // SAFETY: HP1: only new slots are installed here.
        unsafe {
            let old = registry(self.instance);
            let mut fresh = Vec::new();
            for change in &self.plan.changes {
                let Some(id) = &change.new else { continue };
                let known = change
                    .old
                    .as_ref()
                    .and_then(|old_id| old.get(old_id))
                    .copied();
                let slot = known.unwrap_or_else(|| {
                    let slot = loader::new_slot(vm, self.instance);
                    fresh.push(slot);
                    slot
                });
                self.registry.insert(id.clone(), slot);
            }
            // Equal long strings of one chunk stay one object: what the replaced
            // versions have is used again.
            vm.chunk_strings = Some(HashMap::new());
            for change in &self.plan.changes {
                if is_loaded(change)
                    && let Some(slot) = change.new.as_ref().and_then(|id| self.registry.get(id))
                {
                    loader::know_strings_of(vm, (**slot).version);
                }
            }
            for change in &self.plan.changes {
                if !is_loaded(change) {
                    continue;
                }
                let (Some(id), Some(prototype)) = (&change.new, &change.new_prototype) else {
                    continue;
                };
                let Some(&slot) = self.registry.get(id) else {
                    continue;
                };
                let children = self.children_of(vm, prototype);
                let number = change.new_version().unwrap_or(1);
                let version =
                    loader::new_version(vm, prototype, children, slot, self.instance, number);
                if fresh.contains(&slot) {
                    loader::install(vm, slot, version);
                } else {
                    debug_assert!(fits(prototype, (*slot).n_fixed), "{id}");
                    if let Some(turns) = &change.migration {
                        self.migrations
                            .push(((*slot).version, version, Arc::clone(turns)));
                    }
                    self.slots.push(SlotChange {
                        slot,
                        before: (*slot).version,
                        after: version,
                    });
                }
            }
            vm.chunk_strings = None;
        }
    }

    unsafe fn children_of(
        &self,
        vm: &mut Vm,
        prototype: &Arc<Prototype>,
    ) -> Box<[*mut PrototypeSlot]> {
        prototype
            .children
            .iter()
            .map(|child| self.slot_of(vm, &child.id))
            .collect()
    }

    fn slot_of(&self, vm: &mut Vm, id: &FunctionId) -> *mut PrototypeSlot {
        match self.registry.get(id) {
            Some(&slot) => slot,
            // A literal no plan names cannot be reached by its code either; an
            // empty slot is still a slot.
            None => loader::new_slot(vm, self.instance),
        }
    }

    unsafe fn run_delta(&mut self, vm: &mut Vm) -> Result<(), HotError> {
        // SAFETY: HP2; see the head for the collector.
        unsafe {
            if let Some(delta) = self.plan.delta.clone() {
                self.run_chunk(vm, &delta, &[])?;
            }
            if let Some(define) = self.plan.define.clone() {
                let get = raw_native(vm, "rawget", raw_get);
                let set = raw_native(vm, "rawset", raw_set);
                let clear = raw_native(vm, "clear", clear);
                let old = registry(self.instance);
                let slots = self.plan.removals.iter().map(|id| old.get(id).copied());
                vm.hot.removed = slots.map(|s| s.unwrap_or(std::ptr::null_mut())).collect();
                let skipped = self.run_chunk(vm, &define, &[get, set, clear])?;
                if skipped.tag == tag::TABLE {
                    let mut key = Value::NIL;
                    while let Ok(Some((k, _))) = crate::table::next(skipped.as_table(), key) {
                        if k.tag == tag::STRING {
                            self.overridden.push(
                                String::from_utf8_lossy(StringObject::bytes(k.as_string()))
                                    .into_owned(),
                            );
                        }
                        key = k;
                    }
                    self.overridden.sort();
                }
            }
            Ok(())
        }
    }

    /// Runs a delta chunk with the collector paused.
    unsafe fn run_chunk(
        &self,
        vm: &mut Vm,
        prototype: &Arc<Prototype>,
        args: &[Value],
    ) -> Result<Value, HotError> {
        // SAFETY: as run_delta.
        unsafe {
            let busy = vm.heap.set_busy(true);
            let slot = loader::new_slot(vm, self.instance);
            let children = self.children_of(vm, prototype);
            let version = loader::new_version(vm, prototype, children, slot, self.instance, 1);
            loader::install(vm, slot, version);
            let closure = vm.heap.new_closure(slot, prototype.upvalues.len());
            for i in 0..prototype.upvalues.len() {
                let up = if i == 0 && !(*self.instance).environment.is_null() {
                    (*self.instance).environment
                } else {
                    vm.heap.new_closed_upvalue(Value::NIL)
                };
                *Closure::upvalue_at(closure, i) = up;
            }
            let saved = vm.error;
            let result = host::call_protected(vm, Value::closure(closure), args);
            vm.heap.set_busy(busy);
            match result {
                Ok(value) => Ok(value),
                Err(_) => {
                    let error = std::mem::replace(&mut vm.error, saved);
                    let text = if error.tag == tag::STRING {
                        String::from_utf8_lossy(StringObject::bytes(error.as_string())).into_owned()
                    } else {
                        format!("(error object is a {} value)", error.type_name())
                    };
                    Err(HotError::Delta(text))
                }
            }
        }
    }
}

/// Whether the code counts on no captured variable that some closure lacks.
fn fits(prototype: &Prototype, n_fixed: u16) -> bool {
    let looks = |op| op == OpCode::GetLate || op == OpCode::SetLate || op == OpCode::JumpIfLate;
    let word = |i: &Instruction| {
        let Some(op) = i.opcode() else { return false };
        looks(op) || op.operands()[1] != OperandKind::Upvalue || i.b() < n_fixed
    };
    let capture = |c: &Capture| !matches!(c, Capture::Upvalue(u) if *u >= n_fixed);
    let mut captures = prototype.sites.iter().flat_map(|site| &site.captures);
    prototype.code.iter().all(word) && captures.all(capture)
}

/// Appends the plan's new cells (nil) and renames the record.
unsafe fn extend_scope(vm: &mut Vm, instance: *mut Instance, plan: &ChunkPlan) {
    // SAFETY: live instance; barriers after the stores.
    unsafe {
        for (_, declaration) in &plan.new_cells {
            let cell = if *declaration == ENVIRONMENT_CELL && !(*instance).environment.is_null() {
                (*instance).environment
            } else {
                vm.heap.new_closed_upvalue(Value::NIL)
            };
            vm.heap.change_boxed(instance, |i| i.cells.push(cell));
            vm.heap.barrier_object(instance.cast(), cell.cast());
        }
        (*instance).cell_names = plan.cell_labels.clone();
    }
}

/// Values of the first `n` cells before the initialisers run.
unsafe fn snapshot(instance: *mut Instance, n: usize) -> Vec<(*mut Upvalue, Value)> {
    // SAFETY: live instance and cells.
    unsafe {
        (&(*instance).cells)
            .iter()
            .take(n)
            .filter(|c| !c.is_null())
            .map(|&c| (c, *(*c).value))
            .collect()
    }
}

fn raw_native(vm: &mut Vm, name: &'static str, f: crate::object::NativeFn) -> Value {
    use crate::object::{Header, Kind, Native, NativeCode, NativeKind};
    Value::native(vm.heap.adopt(Native {
        header: Header {
            kind: Kind::Native,
            mark: 0,
            flags: 0,
            extra: 0,
            word: 0,
        },
        kind: NativeKind::Plain,
        code: NativeCode::Function(f),
        upvalues: Box::default(),
        name,
    }))
}

fn raw_get(cx: &mut crate::Context<'_>) -> crate::Outcome<usize> {
    let table = cx.check_table(0)?;
    let value = table.get(cx.at(1));
    cx.ret(value)
}

fn raw_set(cx: &mut crate::Context<'_>) -> crate::Outcome<usize> {
    cx.check_table(0)?;
    // SAFETY: just checked; nothing is collected in between.
    let before = unsafe { crate::table::get(cx.value(0).as_table(), cx.value(1)) };
    let change = FieldChange {
        table: cx.value(0),
        key: cx.value(1),
        before,
        after: cx.value(2),
    };
    cx.set_height(3);
    cx.raw_set(0)?;
    cx.vm().hot.field_changes.push(change);
    Ok(0)
}

/// Clears a field if a function of removed slot number `i` stands there; false
/// if it is something else.
fn clear(cx: &mut crate::Context<'_>) -> crate::Outcome<usize> {
    let i = cx.check_int(2)? as usize;
    let slot = cx.vm().hot.removed.get(i).copied();
    let (table, key) = (cx.value(0), cx.value(1));
    if table.tag != tag::TABLE {
        return cx.ret(crate::View::Boolean(false));
    }
    // SAFETY: just checked; nothing is collected in between.
    unsafe {
        let before = crate::table::get(table.as_table(), key);
        if before.is_nil() {
            return cx.ret(crate::View::Boolean(true));
        }
        if before.tag != tag::CLOSURE || Some(Closure::slot(before.as_closure())) != slot {
            return cx.ret(crate::View::Boolean(false));
        }
        let change = FieldChange {
            table,
            key,
            before,
            after: Value::NIL,
        };
        let heap = &mut cx.vm().heap;
        let cleared = crate::table::set(heap, table.as_table(), key, Value::NIL);
        debug_assert!(cleared.is_ok(), "the key is there");
        cx.vm().hot.field_changes.push(change);
        cx.ret(crate::View::Boolean(true))
    }
}
