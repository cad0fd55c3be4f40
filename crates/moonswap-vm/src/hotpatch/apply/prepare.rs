//! Preparing: everything of a patch that can fail, without changing anything
//! that code can reach.
//!
//! Invariants: HP1–HP3; PR1 what a [`Prepared`] names is live: nothing is collected as
//! long as there is one. New slots and versions are reachable only from it until the
//! commit, so delta chunks (`transaction`) run with the collector paused (J1).

use std::sync::Arc;

use foldhash::HashSet;
use moonswap_bytecode::{Capture, FunctionId, Instruction, OpCode, OperandKind, Prototype};
use moonswap_hotpatch::{
    ChangeClass, ChunkPlan, ENVIRONMENT_CELL, LiteralChange, Merged, Migration, NotRun,
};

use crate::hotpatch::AtSafePoint;
use crate::hotpatch::registry::literals;
use crate::hotpatch::registry::manifest::{registry, registry_for};
use crate::loader;
use crate::object::SlotRegistry;
use crate::object::{Instance, PrototypeSlot, Upvalue, Version};
use crate::string::ChunkStrings;
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
    pub(crate) fn undo(&self, vm: &mut Vm) -> Result<(), &'static str> {
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
    /// Fields that changes of data and definitions set, with what stood there: to
    /// undo them.
    pub(crate) fields: Vec<FieldChange>,
    /// Fields the definitions left alone.
    pub(crate) overridden: Vec<String>,
    /// What became of data.
    pub(crate) merged: Vec<Merged>,
    /// Statements that were tried and undone, and changes that were not made.
    pub(crate) not_run: Vec<NotRun>,
    /// What expressions gave, while the transaction runs.
    pub(crate) held: Vec<Option<Value>>,
    /// To undo the scope record in a rollback.
    pub(crate) old_names: Vec<(Arc<str>, u32)>,
}

impl Prepared {
    /// Loads what the plan needs. What that changes is in the undo log.
    ///
    /// # Safety
    /// `instance` is live, and PR1 holds until the answer is dropped: nothing is
    /// collected.
    pub(crate) unsafe fn new(
        vm: &mut AtSafePoint,
        instance: *mut Instance,
        plan: ChunkPlan,
    ) -> Prepared {
        // SAFETY: HP2; the instance is live (kept by the caller).
        unsafe {
            debug_assert!(moonswap_bytecode::verify::verify(&plan.main).is_ok());
            // The commit allocates nothing for the instance.
            vm.heap.patched(instance, |_| ());
            if let Some(literals) = &plan.literals {
                literals::keep(vm, instance, literals);
            }
            vm.undo().scope(instance);
            let old_names = extend_scope(vm, instance, &plan);
            // New cells are left out: a rollback keeps their values, for the
            // variable may come back with a later patch.
            let snapshot = cells_of(instance, old_names.len());
            let mut prepared = Prepared {
                instance,
                slots: Vec::new(),
                migrations: Vec::new(),
                registry: registry_for(vm, instance, &plan).clone(),
                cells: Vec::new(),
                snapshot,
                fields: Vec::new(),
                overridden: Vec::new(),
                merged: Vec::new(),
                not_run: Vec::new(),
                held: Vec::new(),
                old_names,
                plan,
            };
            prepared.load(vm);
            prepared
        }
    }

    /// Notes what has become of the cells until now.
    pub(crate) fn note_cells(&mut self) {
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

    fn load(&mut self, vm: &mut AtSafePoint) {
        // SAFETY: HP1: only new slots are installed here.
        unsafe {
            let old = registry(vm, self.instance);
            let mut fresh = HashSet::default();
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
            vm.loads.strings = Some(ChunkStrings::default());
            for change in self.plan.work().filter(|change| is_loaded(change)) {
                if let Some(slot) = change.new.as_ref().and_then(|id| self.registry.get(id)) {
                    loader::know_strings_of(vm, PrototypeSlot::version(slot));
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
                    loader::new_version(vm, prototype, &children, slot, self.instance, number);
                if fresh.contains(&slot) {
                    loader::install(vm, slot, version);
                } else {
                    debug_assert!(fits(prototype, PrototypeSlot::n_fixed(slot)), "{id}");
                    if let Some(turns) = &change.migration {
                        self.migrations.push((
                            PrototypeSlot::version(slot),
                            version,
                            Arc::clone(turns),
                        ));
                    }
                    self.slots.push(SlotChange {
                        slot,
                        before: PrototypeSlot::version(slot),
                        after: version,
                    });
                }
            }
            vm.loads.strings = None;
        }
    }

    pub(crate) fn children_of(
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
}

/// Bytes that a plan will load, about.
pub(crate) fn bytes(plan: &ChunkPlan) -> usize {
    let changes = plan.work().filter(|change| is_loaded(change));
    let deltas = plan.deltas.iter().map(|delta| &delta.code);
    let all = changes
        .filter_map(|c| c.new_prototype.as_ref())
        .chain(deltas);
    all.map(|p| loader::version_bytes(p)).sum()
}

/// Whether the code counts on no captured variable that some closure lacks.
fn fits(prototype: &Prototype, n_fixed: u16) -> bool {
    let looks = |op| {
        op == OpCode::GetBackfilled || op == OpCode::SetBackfilled || op == OpCode::JumpIfBackfilled
    };
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
///
/// # Safety
/// `instance` is live.
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
            vm.heap.more(instance, |more| more.cells.push(cell));
            vm.heap.barrier_object(instance.cast(), cell.cast());
        }
        let labels = plan.cell_labels.clone();
        if Instance::cell_names(instance).is_empty() && labels.is_empty() {
            return Vec::new();
        }
        vm.heap.more(instance, |more| {
            std::mem::replace(more.cell_names.list(), labels)
        })
    }
}

/// Values of the first `n` cells before the initialisers run.
///
/// # Safety
/// `instance` is live.
unsafe fn cells_of(instance: *mut Instance, n: usize) -> Vec<(*mut Upvalue, Value)> {
    // SAFETY: live instance and cells.
    unsafe {
        Instance::cells(instance)
            .iter()
            .take(n)
            .filter(|c| !c.is_null())
            .map(|&c| (c, *(*c).value))
            .collect()
    }
}
