//! Preparing: everything of a patch that can fail, without changing anything
//! that code can reach.
//!
//! Invariants: HP1–HP3. New slots and versions are reachable only from the
//! scope of [`Prepared`] until the commit; no collection may run meanwhile, so
//! delta chunks run with the collector paused (J1).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use moonswap_bytecode::{Capture, FunctionId, Instruction, OpCode, OperandKind, Prototype};
use moonswap_hotpatch::{ChangeClass, ChunkPlan, ENVIRONMENT_CELL, LiteralChange, Migration};

use super::HotError;
use super::call::call;
use super::manifest::{registry, registry_at};
use super::slots::SlotRegistry;
use crate::loader;
use crate::object::{Closure, Instance, PrototypeSlot, StringObject, Upvalue, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Whether a literal gets another version.
fn is_loaded(change: &LiteralChange) -> bool {
    change.class != ChangeClass::Removed && !change.stays()
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
    /// Puts back what stood there, unless the field was set again since. The
    /// error is why it did not.
    pub(crate) unsafe fn undo(&self, vm: &mut Vm) -> Result<(), &'static str> {
        let (table, key, before) = (self.table.as_table(), self.key, self.before);
        // SAFETY: table, keys and values are live (HP3).
        unsafe {
            if !crate::table::get(table, key).raw_equal(self.after) {
                return Err("was changed since and left alone");
            }
            // The table may have to grow for it.
            let set = vm
                .heap
                .past_limit(|heap| crate::table::set(heap, table, key, before));
            set.map_err(|_| "could not be put back: not enough memory")
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
    /// To undo the scope record in a rollback.
    pub(crate) old_names: Vec<(Arc<str>, u32)>,
}

impl Prepared {
    /// Loads what the plan needs and runs its delta chunks. What that changes is
    /// in the journal.
    pub(crate) unsafe fn new(
        vm: &mut Vm,
        instance: *mut Instance,
        plan: ChunkPlan,
    ) -> Result<Prepared, HotError> {
        // SAFETY: HP2; the instance is live (kept by the caller).
        unsafe {
            debug_assert!(moonswap_bytecode::verify::verify(&plan.main).is_ok());
            super::journal::scope(vm, instance);
            let old_names = extend_scope(vm, instance, &plan);
            // New cells are left out: a rollback keeps their values, for the
            // variable may come back with a later patch.
            let snapshot = cells_of(instance, old_names.len());
            let mut prepared = Prepared {
                instance,
                slots: Vec::new(),
                migrations: Vec::new(),
                registry: match &plan.places {
                    Some(places) => registry_at(instance, || Arc::clone(places)),
                    None => registry(instance),
                }
                .clone(),
                cells: Vec::new(),
                snapshot,
                fields: Vec::new(),
                overridden: Vec::new(),
                old_names,
                plan,
            };
            prepared.load(vm);
            let outcome = match vm.heap.is_short() {
                true => Err(HotError::Memory),
                false => prepared.run_delta(vm),
            };
            prepared.fields = std::mem::take(&mut vm.hot.field_changes);
            outcome?;
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

    unsafe fn load(&mut self, vm: &mut Vm) {
        // SAFETY: HP1: only new slots are installed here.
        unsafe {
            let old = registry(self.instance);
            let mut fresh = HashSet::new();
            let mut gone = Vec::new();
            let mut known_as = Vec::new();
            for change in self.plan.work() {
                let known = change.old.as_ref().and_then(|id| old.get(id));
                if change.old != change.new {
                    gone.extend(&change.old);
                }
                let Some(id) = &change.new else { continue };
                let slot = known.unwrap_or_else(|| {
                    let slot = loader::new_slot(vm, self.instance);
                    fresh.insert(slot);
                    slot
                });
                if change.old != change.new || known.is_none() {
                    known_as.push((id.clone(), slot));
                }
            }
            self.registry.change(&gone, known_as);
            // Equal long strings of one chunk stay one object: what the replaced
            // versions have is used again.
            vm.chunk_strings = Some(HashMap::new());
            for change in self.plan.work().filter(|change| is_loaded(change)) {
                if let Some(slot) = change.new.as_ref().and_then(|id| self.registry.get(id)) {
                    loader::know_strings_of(vm, (*slot).version);
                }
            }
            for change in self.plan.work() {
                if !is_loaded(change) {
                    continue;
                }
                let (Some(id), Some(prototype)) = (&change.new, &change.new_prototype) else {
                    continue;
                };
                let Some(slot) = self.registry.get(id) else {
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
        // A literal no plan names cannot be reached by its code either; an empty
        // slot is still a slot.
        let known = self.registry.get(id);
        known.unwrap_or_else(|| loader::new_slot(vm, self.instance))
    }

    unsafe fn run_delta(&mut self, vm: &mut Vm) -> Result<(), HotError> {
        // SAFETY: HP2; see the head for the collector.
        unsafe {
            if let Some(delta) = self.plan.delta.clone() {
                self.run_chunk(vm, &delta, &[])?;
            }
            if let Some(define) = self.plan.define.clone() {
                let get = raw_native(vm, "standing", standing);
                vm.hot.defining = Some(self.instance);
                let set = raw_native(vm, "rawset", raw_set);
                let clear = raw_native(vm, "clear", clear);
                let old = registry(self.instance);
                let slots = self.plan.removals.iter().map(|id| old.get(id));
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

    /// Runs a delta chunk.
    unsafe fn run_chunk(
        &self,
        vm: &mut Vm,
        prototype: &Arc<Prototype>,
        args: &[Value],
    ) -> Result<Value, HotError> {
        // SAFETY: as run_delta.
        unsafe {
            super::journal::watch(vm);
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
            call(vm, Value::closure(closure), args).map_err(HotError::Delta)
        }
    }
}

/// Bytes that a plan will load, about.
pub(super) fn bytes(plan: &ChunkPlan) -> usize {
    let changes = plan.work().filter(|change| is_loaded(change));
    let deltas = plan.delta.iter().chain(&plan.define);
    let all = changes
        .filter_map(|c| c.new_prototype.as_ref())
        .chain(deltas);
    all.map(|p| loader::version_bytes(p)).sum()
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

/// Appends the plan's new cells (nil) and renames the record; answers the names
/// it had.
unsafe fn extend_scope(
    vm: &mut Vm,
    instance: *mut Instance,
    plan: &ChunkPlan,
) -> Vec<(Arc<str>, u32)> {
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
        std::mem::replace(&mut (*instance).cell_names, plan.cell_labels.clone())
    }
}

/// Values of the first `n` cells before the initialisers run.
unsafe fn cells_of(instance: *mut Instance, n: usize) -> Vec<(*mut Upvalue, Value)> {
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
    use crate::object::{Kind, Native, NativeCode, NativeKind};
    Value::native(vm.heap.adopt(Native {
        header: crate::heap::header(Kind::Native, 0),
        kind: NativeKind::Plain,
        code: NativeCode::Function(f),
        upvalues: Box::default(),
        name,
    }))
}

/// What stands in a field; nil if that is the function of this name which an
/// earlier text defined there, and which is no longer in the text.
fn standing(cx: &mut crate::Context<'_>) -> crate::Outcome<usize> {
    let table = cx.check_table(0)?;
    let value = table.get(cx.at(1));
    let name = cx.check_str(2)?.as_bytes();
    // SAFETY: just checked; the instance is live, nothing is collected.
    let is_left_over = unsafe {
        let found = crate::table::get(cx.value(0).as_table(), cx.value(1));
        let instance = cx.vm().hot.defining;
        found.tag == tag::CLOSURE
            && instance.is_some_and(|instance| {
                let slot = Closure::slot(found.as_closure());
                let id = &(&(*(*slot).version).prototype).id;
                (*slot).instance == instance
                    && registry(instance).get(id) != Some(slot)
                    && defined_name(id).as_bytes() == name
            })
    };
    match is_left_over {
        true => cx.ret(crate::View::Nil),
        false => cx.ret(value),
    }
}

/// `M.f` of `shop.lua / M:f#2`.
fn defined_name(id: &FunctionId) -> String {
    let full = id.to_string();
    let path = full.split_once(" / ").map_or(&*full, |(_, path)| path);
    let name = path.split_once('#').map_or(path, |(name, _)| name);
    name.replace(':', ".")
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
        if let Err(e) = super::journal::set(&mut cx.vm(), table.as_table(), key, Value::NIL) {
            return Err(crate::meta::raise_table_error(&mut cx.vm(), e));
        }
        cx.vm().hot.field_changes.push(change);
        cx.ret(crate::View::Boolean(true))
    }
}
