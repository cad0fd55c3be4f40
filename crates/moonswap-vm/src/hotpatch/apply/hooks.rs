//! The functions of a text that the VM calls around a commit: `migrate` before,
//! `on_swap` after it.
//!
//! A hook is called as a closure of its own, made of the scope record: whatever
//! the program has done to the variable or field it was put into, what runs is
//! the text of the patch. While `migrate` runs, all functions of the patch have
//! their new code.
//!
//! Invariants: HP1–HP3, S1. HP4 versions installed for the code that a patch runs
//! before its commit are taken back when it ends (`transaction`); the collector is
//! paused meanwhile (J1).

use moonswap_bytecode::{FunctionId, UpvalueDescription};
use moonswap_hotpatch::{MIGRATE, ON_SWAP, Report};

use super::call::call;
use super::prepare::Prepared;
use crate::hotpatch::after::history::InstanceChange;
use crate::hotpatch::planner::planned;
use crate::hotpatch::registry::manifest::registry;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::object::{Closure, Instance, PrototypeSlot, Upvalue, Version};
use crate::value::Value;
use crate::vm::Vm;

/// Runs the migrations of all instances of a patch, after all initialisers.
pub(crate) fn migrate_all(vm: &mut AtSafePoint, all: &[Prepared]) -> Result<(), HotError> {
    for prepared in all {
        let Some(id) = prepared.plan.hooks.migrate.clone() else {
            continue;
        };
        if prepared.plan.is_empty() {
            continue;
        }
        migrate(vm, prepared, &id)?;
    }
    Ok(())
}

fn migrate(vm: &mut AtSafePoint, prepared: &Prepared, id: &FunctionId) -> Result<(), HotError> {
    // SAFETY: HP4; the slots are live, the collector is paused.
    unsafe {
        let Some(slot) = prepared.registry.get(id) else {
            return Ok(());
        };
        let instance = prepared.instance;
        let version = Value::integer(i64::from(Instance::version(instance)));
        super::checkpoint::watch(vm);
        closure(vm, instance, slot)
            .and_then(|function| call(vm, function, &[version]).map(drop))
            .map_err(|text| HotError::MigrationFailed(format!("{MIGRATE}: {text}")))
    }
}

/// Calls `on_swap` of the instances that a commit changed. Errors become
/// warnings of the report.
pub(crate) fn after_commit(vm: &mut AtSafePoint, changes: &[Swapped], report: &mut Report) {
    // SAFETY: HP2; instances are looked up again, for the hooks may drop them.
    unsafe {
        if changes.is_empty() {
            return;
        }
        let before = vm.hot.gate.begin_preparing();
        for change in changes {
            let Some(instance) = planned::find(vm, change.serial) else {
                continue;
            };
            let Some(slot) = registry(vm, instance).get(&change.hook) else {
                continue;
            };
            let versions = [change.before, change.after].map(|n| Value::integer(i64::from(n)));
            let outcome =
                closure(vm, instance, slot).and_then(|function| call(vm, function, &versions));
            if let Err(text) = outcome {
                report.warnings.push(format!("error in {ON_SWAP}: {text}"));
            }
        }
        vm.hot.gate.end_preparing(before);
        if !vm.hot.mailbox.is_empty() {
            // Polls in the hooks left it alone.
            vm.poll.request();
        }
    }
}

/// An instance whose `on_swap` is to be called.
pub(crate) struct Swapped {
    serial: u64,
    hook: FunctionId,
    before: u32,
    after: u32,
}

impl Swapped {
    /// Those of the newest patch or rollback.
    pub(crate) fn by_newest(vm: &AtSafePoint) -> Vec<Self> {
        let entry = vm.hot.history.entries.back();
        let changes = entry.map_or(&[][..], |entry| &entry.changes);
        let swapped = |change| Self::by(change);
        changes.iter().filter_map(swapped).collect()
    }

    fn by(change: &InstanceChange) -> Option<Self> {
        // SAFETY: live instance.
        unsafe {
            Some(Self {
                serial: (*change.instance).serial,
                hook: change.on_swap.clone()?,
                before: change.version,
                after: Instance::version(change.instance),
            })
        }
    }
}

/// A closure of a literal in the main chunk's outermost block: all it captures
/// are top-level locals and the environment.
///
/// # Safety
/// `instance` and `slot` are live; nothing is collected before the answer is on the
/// stack.
unsafe fn closure(
    vm: &mut Vm,
    instance: *mut Instance,
    slot: *mut PrototypeSlot,
) -> Result<Value, String> {
    // SAFETY: live instance and slot; nothing is collected before the closure is
    // on the stack of `call`.
    unsafe {
        let captured = Version::record(PrototypeSlot::version(slot)).upvalues();
        let mut cells: Vec<*mut Upvalue> = Vec::with_capacity(captured.len());
        for upvalue in &captured {
            cells.push(cell(vm, instance, upvalue)?);
        }
        (*slot).header.flags |= PrototypeSlot::MADE;
        let closure = vm.heap.new_closure(slot, cells.len());
        for (i, cell) in cells.into_iter().enumerate() {
            *Closure::upvalue_at(closure, i) = cell;
        }
        Ok(Value::closure(closure))
    }
}

/// # Safety
/// `instance` is live.
unsafe fn cell(
    vm: &mut Vm,
    instance: *mut Instance,
    upvalue: &UpvalueDescription,
) -> Result<*mut Upvalue, String> {
    // SAFETY: live instance.
    unsafe {
        let environment = (*instance).environment;
        if &*upvalue.name == "_ENV" && !upvalue.top_level && !environment.is_null() {
            return Ok(environment);
        }
        if upvalue.declaration == u32::MAX || !upvalue.top_level {
            // Reserved by an older version, or out of reach from there.
            return Ok(vm.heap.new_closed_upvalue(Value::NIL));
        }
        if (*instance).header.word > 1 {
            return Err(format!(
                "it uses the top-level local {}, of which there are several: the main chunk ran {} times",
                upvalue.name,
                (*instance).header.word
            ));
        }
        let at = Instance::cell_names(instance)
            .iter()
            .rposition(|(name, n)| *name == upvalue.name && *n == upvalue.declaration);
        match at.and_then(|at| Instance::cells(instance).get(at).copied()) {
            Some(cell) if !cell.is_null() => Ok(cell),
            _ => Err(format!(
                "the top-level local {}, which it uses, was not kept",
                upvalue.name
            )),
        }
    }
}
