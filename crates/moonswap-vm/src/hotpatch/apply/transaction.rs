//! The transaction: the top-level code that a patch runs before its commit, in
//! the order of the new text, on the undo log.
//!
//! While it runs the patch's versions are current, for nothing else runs; before
//! the commit they are taken back. Statements that are only tried are undone when
//! they write anything that existed before, or call a native that may do more
//! than that.
//!
//! Invariants: HP1–HP3, HP4 (`hooks`); J1: the collector is paused.

use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_hotpatch::{Decision, NotRun};

use super::call::call;
use super::checkpoint;
use super::merging::NATIVES;
use super::prepare::{Prepared, SlotChange};
use super::running::Transaction;
use crate::error::Raised;
use crate::hotpatch::registry::manifest::registry;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::loader;
use crate::object::{
    Closure, Instance, Kind, Native, NativeCode, NativeFn, NativeKind, PrototypeSlot, Reserved,
    Upvalue,
};
use crate::table;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Versions that are current for the time of the transaction. Not those of main
/// chunks: who runs one again means the old text, not the patch once more.
pub(crate) struct Installed {
    before: Vec<(*mut PrototypeSlot, Reserved)>,
}

impl Installed {
    fn changes(all: &[Prepared]) -> impl Iterator<Item = &SlotChange> {
        all.iter().flat_map(|prepared| {
            // SAFETY: live instance.
            let main = unsafe { (*prepared.instance).main };
            let slots = prepared.slots.iter();
            slots.filter(move |change| change.slot != main)
        })
    }

    /// Makes the versions of a patch current.
    pub(crate) fn new(vm: &mut AtSafePoint, all: &[Prepared]) -> Self {
        // SAFETY: HP4: live slots and versions.
        unsafe {
            let mut before = Vec::new();
            for change in Self::changes(all) {
                before.push((change.slot, (*change.slot).reserved.clone()));
                loader::install(vm, change.slot, change.after);
            }
            Self { before }
        }
    }

    /// Takes them back.
    pub(crate) fn take_back(self, vm: &mut AtSafePoint, all: &[Prepared]) {
        // SAFETY: as above.
        unsafe {
            for (change, (slot, reserved)) in Self::changes(all).zip(self.before) {
                debug_assert_eq!(change.slot, slot);
                loader::install(vm, slot, change.before);
                (*slot).reserved = reserved;
            }
        }
    }
}

/// Evaluates what the old text of one instance has, before the patch changes anything.
pub(crate) fn evaluate(vm: &mut AtSafePoint, prepared: &mut Prepared) -> Result<(), HotError> {
    run_part(vm, prepared, true)
}

/// Runs the delta chunks of one instance.
pub(crate) fn run(vm: &mut AtSafePoint, prepared: &mut Prepared) -> Result<(), HotError> {
    run_part(vm, prepared, false)
}

fn run_part(vm: &mut AtSafePoint, prepared: &mut Prepared, is_old: bool) -> Result<(), HotError> {
    let deltas = prepared.plan.deltas.iter();
    let deltas: Vec<_> = deltas
        .filter(|delta| delta.is_old == is_old)
        .cloned()
        .collect();
    if deltas.is_empty() {
        return Ok(());
    }
    let natives = NATIVES.map(|(name, code)| native(vm, name, code));
    // SAFETY: PR1: the instance is live.
    let old = unsafe { registry(vm, prepared.instance) };
    let removed = prepared.plan.removals.iter();
    let removed = removed.map(|id| old.get(id).unwrap_or(std::ptr::null_mut()));
    vm.hot.transaction = Some(Transaction {
        instance: prepared.instance,
        data: Arc::clone(&prepared.plan.data),
        removed: removed.collect(),
        fields: Vec::new(),
        merged: Vec::new(),
        overridden: Vec::new(),
        refusal: None,
        held: std::mem::take(&mut prepared.held),
        not_run: std::mem::take(&mut prepared.not_run),
    });
    let mut outcome = Ok(());
    for delta in deltas {
        outcome = match delta.tried {
            // SAFETY: PR1; the natives were just made.
            None => unsafe { chunk(vm, prepared, &delta.code, &natives) },
            Some(statements) => {
                let held = vm.hot.transaction.as_ref().map(|t| t.held.clone());
                // SAFETY: as above.
                let tried = unsafe { attempt(vm, prepared, &delta.code, &natives) };
                tried.map(|why| {
                    if let (Some(why), Some(t)) = (why, &mut vm.hot.transaction) {
                        t.held = held.unwrap_or_default();
                        t.not_run.extend(listed(&statements, &why));
                    }
                })
            }
        };
        if outcome.is_err() {
            break;
        }
    }
    if !is_old {
        decide(vm, &prepared.plan.decisions);
    }
    if let Some(transaction) = vm.hot.transaction.take() {
        if let Some((decision, progress)) = prepared.plan.passed
            && let Some(decision) = prepared.plan.decisions.get(decision)
            && let Some(arm) = arm(&transaction.held, decision.new)
            && decision.staying.contains(&arm)
            && !is_old
        {
            prepared.plan.progress = progress;
        }
        prepared.held = transaction.held;
        prepared.not_run = transaction.not_run;
        prepared.not_run.dedup();
        prepared.fields = transaction.fields;
        prepared.merged = transaction.merged;
        prepared.overridden = transaction.overridden;
        prepared.overridden.sort();
        if let Some(refusal) = transaction.refusal
            && outcome.is_err()
        {
            outcome = Err(HotError::Refused(vec![refusal].into()));
        }
    }
    outcome
}

/// Lists the `if` statements that take other arms than before.
fn decide(vm: &mut Vm, decisions: &[Decision]) {
    let Some(transaction) = &mut vm.hot.transaction else {
        return;
    };
    let arm = |number: usize| arm(&transaction.held, number);
    let mut taken = Vec::new();
    for decision in decisions {
        let was = decision.old.map_or(Some(0), arm);
        let agrees = match (was, arm(decision.new)) {
            (Some(was), Some(is)) => decision.agreeing.contains(&(was, is)),
            // What could not be evaluated is listed already.
            _ => transaction.not_run.iter().any(|known| {
                let told = &decision.not_run;
                known.line == told.line && known.text == told.text
            }),
        };
        if !agrees {
            taken.push(decision.not_run.clone());
        }
    }
    transaction.not_run.extend(taken);
}

/// The arm that was found out.
fn arm(held: &[Option<Value>], number: usize) -> Option<i64> {
    let value = held.get(number).copied().flatten()?;
    (value.tag == tag::INTEGER).then(|| value.as_i64())
}

fn listed(statements: &[NotRun], why: &str) -> Vec<NotRun> {
    let with_reason = |statement: &NotRun| NotRun {
        why: format!("{}: {why}", statement.why),
        ..statement.clone()
    };
    statements.iter().map(with_reason).collect()
}

/// Runs a chunk that is only tried; answers why it was undone.
///
/// # Safety
/// PR1; the natives are live.
unsafe fn attempt(
    vm: &mut AtSafePoint,
    prepared: &Prepared,
    code: &Arc<Prototype>,
    natives: &[Value],
) -> Result<Option<String>, HotError> {
    // SAFETY: HP2.
    unsafe {
        checkpoint::watch(vm);
        let mark = vm.undo_log.mark();
        let n_old = prepared.old_names.len();
        let was_active = std::mem::replace(&mut vm.hook.active, true);
        vm.hot.trial = Some(Trial::default());
        let outcome = chunk(vm, prepared, code, natives);
        let trial = vm.hot.trial.take().unwrap_or_default();
        vm.hook.active = was_active;
        if vm.heap.is_short() && matches!(outcome, Err(HotError::Delta(_))) {
            return Err(HotError::Delta(NO_MEMORY.to_owned()));
        }
        if vm.limits.has_tripped() || vm.limits.has_ended() || vm.heap.is_short() {
            return outcome.map(|()| None);
        }
        let cells: Vec<*mut Upvalue> = Instance::cells(prepared.instance)
            .iter()
            .skip(n_old)
            .copied()
            .collect();
        let why = match (outcome, trial.reaches_outside) {
            (_, Some(native)) => {
                format!("it calls {native}, which may do more than change what is new")
            }
            // Want of memory is no fault of the statement.
            (Err(HotError::Delta(text)), None) if text == NO_MEMORY => {
                return Err(HotError::Delta(text));
            }
            (Err(HotError::Delta(text)), None) => format!("it raised an error: {text}"),
            (Err(other), None) => return Err(other),
            (Ok(()), None) if vm.undo_log.touches_old(mark, &cells) => {
                "it changes what existed before".to_owned()
            }
            (Ok(()), None) => return Ok(None),
        };
        checkpoint::undo_to(vm, mark);
        Ok(Some(why))
    }
}

/// The error that is raised where memory does not suffice.
const NO_MEMORY: &str = "not enough memory";

/// A chunk that is only tried.
#[derive(Default)]
pub(crate) struct Trial {
    /// The native it called that may do anything.
    pub(crate) reaches_outside: Option<&'static str>,
}

/// The native whose frame is on top is about to run in a chunk that is only tried:
/// an error, unless it can do no harm.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn check_native(vm: &mut Vm) -> Result<(), Raised> {
    // SAFETY: by the caller.
    unsafe {
        let native = (*vm.base.sub(2)).as_native();
        let is_harmless = (*native).header.flags & Native::HARMLESS != 0
            || matches!((*native).kind, NativeKind::Next | NativeKind::IpairsStep);
        if is_harmless || (*native).name == "require" && requires_loaded(vm) {
            return Ok(());
        }
        let name = (*native).name;
        if let Some(trial) = &mut vm.hot.trial {
            trial.reaches_outside.get_or_insert(name);
        }
        Err(vm.raise_located(format!("'{name}' may not be called here")))
    }
}

/// Whether the first argument names a module that is loaded: `require` only answers it.
///
/// # Safety
/// VM3: a native's frame is on top, with its arguments.
unsafe fn requires_loaded(vm: &mut Vm) -> bool {
    let loaded = vm.string_value(b"_LOADED");
    // SAFETY: VM3: the arguments stand from the base to the top; live tables.
    unsafe {
        if vm.top <= vm.base {
            return false;
        }
        let loaded = table::get(vm.registry, loaded);
        loaded.tag == tag::TABLE && !table::get(loaded.as_table(), *vm.base).is_falsy()
    }
}

/// Runs a delta chunk.
///
/// # Safety
/// PR1; the natives are live.
unsafe fn chunk(
    vm: &mut AtSafePoint,
    prepared: &Prepared,
    code: &Arc<Prototype>,
    natives: &[Value],
) -> Result<(), HotError> {
    // SAFETY: HP2; see the head for the collector.
    unsafe {
        checkpoint::watch(vm);
        let instance = prepared.instance;
        let slot = loader::new_slot(vm, instance);
        let children = prepared.children_of(vm, code);
        let version = loader::new_version(vm, code, &children, slot, instance, 1);
        loader::install(vm, slot, version);
        let closure = vm.heap.new_closure(slot, code.upvalues.len());
        for i in 0..code.upvalues.len() {
            let up = if i == 0 && !(*instance).environment.is_null() {
                (*instance).environment
            } else {
                vm.heap.new_closed_upvalue(Value::NIL)
            };
            *Closure::upvalue_at(closure, i) = up;
        }
        call(vm, Value::closure(closure), natives)
            .map(drop)
            .map_err(HotError::Delta)
    }
}

fn native(vm: &mut Vm, name: &'static str, f: NativeFn) -> Value {
    let mut header = crate::heap::header(Kind::Native, 0);
    header.flags |= Native::HARMLESS;
    Value::native(vm.heap.adopt(Native {
        header,
        kind: NativeKind::Plain,
        code: NativeCode::Function(f),
        upvalues: Box::default(),
        name,
    }))
}
