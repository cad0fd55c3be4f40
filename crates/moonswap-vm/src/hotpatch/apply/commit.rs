//! Committing: what plans need is prepared, then come the stores.
//!
//! Invariants: HP1–HP3.

use std::sync::Arc;
use std::time::Instant;

use foldhash::HashSet;
use moonswap_hotpatch::{ChunkPlan, Policy, Report, StalePolicy, SuspendedPolicy, Times};

use super::checkpoint;
use super::prepare::{self, Prepared, SlotChange};
use super::transaction::{self, Installed};
use crate::hotpatch::after::closing;
use crate::hotpatch::after::history;
use crate::hotpatch::after::history::{Entry, InstanceChange};
use crate::hotpatch::osr::{migrate, staying};
use crate::hotpatch::planner::globals;
use crate::hotpatch::planner::plan::refusals;
use crate::hotpatch::planner::planned::Planned;
use crate::hotpatch::planner::planned::find;
use crate::hotpatch::planner::published::{self, ReportDraft};
use crate::hotpatch::registry::literals;
use crate::hotpatch::registry::stale::set_finish_by;
use crate::hotpatch::schedule::activity;
use crate::hotpatch::{AtSafePoint, HotError};
use crate::loader;
use crate::object::{Instance, PrototypeSlot, Version};
use crate::{host, limits};

/// Applies plans made for exactly the live instances and this generation. What was
/// needed for it is left to `DeferredDrops`.
pub(crate) fn apply_planned(
    vm: &mut AtSafePoint,
    planned: Vec<Planned>,
    draft: ReportDraft,
    policy: &Policy,
    mut times: Times,
) -> Result<Report, HotError> {
    if let Some(refused) = refusals(&planned) {
        return Err(refused.into());
    }
    if vm.hot.gate.is_preparing() {
        return Err(HotError::Busy);
    }
    if policy.dry || planned.iter().all(|(_, plan)| plan.is_empty()) {
        let (mut planned, mut draft) = (planned, draft);
        globals::settle_planned(vm, &mut planned);
        for (_, plan) in &planned {
            draft.report.warn(plan);
        }
        return Ok(draft.idle(vm, times));
    }
    let start = Instant::now();
    make_room(vm, &planned);
    let closes = closing::is_wanted(policy).then(|| activity::changed(vm, &planned));
    let before = vm.hot.gate.begin_preparing();
    let prepared = prepare_all(vm, planned, policy);
    vm.hot.gate.end_preparing(before);
    if matches!(prepared, Err(HotError::Memory)) {
        // That is how it is raised; who runs has done nothing wrong.
        vm.heap.failure_raised();
    }
    if !vm.hot.mailbox.is_empty() {
        // Polls in the delta chunks left it alone.
        vm.poll.request();
    }
    let (mut prepared, mut draft) = (prepared?, draft);
    globals::settle_prepared(vm, &mut prepared, &mut draft.report);
    let to_close = closing::candidates(vm, closes.as_ref());
    times.load = start.elapsed();
    times.prepare += times.load;
    let changed: HashSet<*mut PrototypeSlot> = prepared
        .iter()
        .flat_map(|p| p.slots.iter().map(|change| change.slot))
        .collect();
    let mut report = commit(vm, prepared, draft, policy, times);
    if policy.stale == StalePolicy::Finish {
        let limit = match (policy.suspended, vm.hot.gate.is_serving()) {
            (SuspendedPolicy::Close, _) => None,
            (_, true) => Some(staying::LOOKED_AT),
            (_, false) => Some(usize::MAX),
        };
        report.set_staying(staying::count(vm, &changed, limit));
    }
    let was_serving = vm.hot.gate.is_serving();
    let before = vm.hot.gate.begin_serving();
    // SAFETY: commits collect nothing, nor does what comes between.
    unsafe { closing::after_commit(vm, to_close, policy, &mut report) };
    vm.hot.gate.end_serving(before);
    if !was_serving && (!vm.hot.mailbox.is_empty() || vm.hot.closings.due().is_some()) {
        // Submitted meanwhile; to be closed later.
        vm.poll.request();
    }
    Ok(report)
}

/// Room for what the plans load, by a collection if need be: while they are
/// prepared there can be none.
fn make_room(vm: &mut AtSafePoint, planned: &[Planned]) {
    let plans = planned.iter().map(|(_, plan)| plan);
    if !vm.heap.is_short() && vm.heap.permit_quietly(plans.map(prepare::bytes).sum()) {
        return;
    }
    // SAFETY: HP2: whatever is in use lies below the frame's end, or `top`, and
    // plans name instances by their numbers.
    unsafe {
        let top = vm.top_in_use();
        host::collect_for(vm, top);
    }
}

/// All of it, or nothing: what a patch that fails has done by then is undone.
fn prepare_all(
    vm: &mut AtSafePoint,
    planned: Vec<Planned>,
    policy: &Policy,
) -> Result<Vec<Prepared>, HotError> {
    let busy = vm.heap.set_busy(true);
    checkpoint::begin(vm);
    let mut all: Vec<Prepared> = Vec::with_capacity(planned.len());
    for (serial, plan) in planned {
        if let Some(instance) = find(vm, serial) {
            // SAFETY: the instance is in the list of those that live. PR1: the collector
            // is paused until all is prepared, and the commit follows at once.
            all.push(unsafe { Prepared::new(vm, instance, plan) });
        }
    }
    let mut outcome = match vm.heap.is_short() {
        true => Err(HotError::Memory),
        false => run_in_time(vm, &mut all, policy),
    };
    // What was served past the limit, and no safe point has noticed.
    if vm.heap.is_short() {
        outcome = outcome.and(Err(HotError::Memory));
    }
    match outcome {
        Ok(()) => checkpoint::forget(vm),
        Err(_) => checkpoint::undo(vm),
    }
    vm.heap.set_busy(busy);
    outcome.map(|()| all)
}

/// [`run_all`], which may take as long as an activation of the patch's code.
fn run_in_time(
    vm: &mut AtSafePoint,
    all: &mut [Prepared],
    policy: &Policy,
) -> Result<(), HotError> {
    let slow = policy.guard.and_then(|guard| guard.slow);
    let runs = |p: &Prepared| !p.plan.deltas.is_empty() || p.plan.hooks.migrate.is_some();
    let slow = slow.filter(|_| all.iter().any(runs));
    let Some((slow, part)) = slow.and_then(|slow| Some((slow, limits::begin_part(vm, slow)?)))
    else {
        return run_all(vm, all);
    };
    let outcome = run_all(vm, all);
    if !limits::end_part(vm, part) {
        return outcome;
    }
    let why = format!("(guard.slow: it may take {} s)", slow.as_secs_f64());
    Err(match outcome {
        Err(HotError::MigrationFailed(text)) => HotError::MigrationFailed(format!("{text} {why}")),
        Err(HotError::Delta(text)) => HotError::Delta(format!("{text} {why}")),
        _ => HotError::Delta(why),
    })
}

/// Runs the top-level code of all chunks, then their migrations.
fn run_all(vm: &mut AtSafePoint, all: &mut [Prepared]) -> Result<(), HotError> {
    for prepared in &mut *all {
        transaction::evaluate(vm, prepared)?;
    }
    let installed = Installed::new(vm, all);
    let mut outcome = Ok(());
    for prepared in &mut *all {
        outcome = transaction::run(vm, prepared);
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = super::hooks::migrate_all(vm, all);
    }
    installed.take_back(vm, all);
    all.iter_mut().for_each(|prepared| prepared.note_cells());
    outcome
}

/// The stores. Nothing here can fail; allocation is only bookkeeping. What is
/// replaced and no longer needed is put aside: taking it apart is not part of
/// the pause.
fn commit(
    vm: &mut AtSafePoint,
    prepared: Vec<Prepared>,
    mut draft: ReportDraft,
    policy: &Policy,
    times: Times,
) -> Report {
    let start = Instant::now();
    let finish_by = closing::finish_by(policy);
    for p in &prepared {
        for change in &p.slots {
            install(vm, change, finish_by);
        }
    }
    let mut moving = None;
    if policy.stale == StalePolicy::Migrate {
        let slots = prepared.iter().flat_map(|p| &p.slots).map(|s| s.slot);
        let ready = prepared.iter().flat_map(|p| p.migrations.iter().cloned());
        moving = Some((slots.collect::<HashSet<_>>(), ready.collect::<Vec<_>>()));
    }
    vm.hot.advance();
    let mut report = Report {
        id: vm.hot.last_patch,
        generation: vm.hot.generation(),
        times,
        ..draft.report
    };
    let mut changes = Vec::with_capacity(prepared.len());
    let mut planned = Vec::with_capacity(prepared.len());
    for p in prepared {
        let (change, serial, plan) = enter(vm, p, &mut report);
        changes.push(change);
        planned.push((serial, plan));
    }
    if let Some((slots, ready)) = moving {
        let is_wanted = |slot: *mut PrototypeSlot| slots.contains(&slot);
        report.set_migrated(migrate::begin(vm, &is_wanted, &ready));
        draft.head = report.head();
    } else if !report.data.is_empty() {
        draft.head = report.head();
    }
    published::publish(vm, &draft.preconditions, draft.after);
    let mailbox = Arc::clone(&vm.hot.mailbox);
    mailbox.deferred_drops.keep_plans(planned);
    let entry = Entry {
        id: report.id,
        generation: report.generation,
        is_rollback: false,
        in_force_before: vm.hot.history.in_force.clone(),
        chunks: report.chunks.clone(),
        head: draft.head,
        pause: start.elapsed(),
        author: policy.author.clone(),
        reason: policy.reason.clone(),
        moves: policy.stale == StalePolicy::Migrate,
        changes,
    };
    history::push(vm, entry);
    report.times.pause = start.elapsed();
    report
}

/// Puts the new version into its slot.
fn install(vm: &mut AtSafePoint, change: &SlotChange, finish_by: Option<Instant>) {
    // SAFETY: HP1; PR1: slot and versions are live.
    unsafe {
        loader::install(vm, change.slot, change.after);
        if Version::number(change.before) != Version::number(change.after) {
            (*change.slot).header.flags |= PrototypeSlot::REPLACED;
        }
        if finish_by.is_some() {
            set_finish_by(vm, change.before, finish_by);
        }
    }
}

/// Gives an instance its new text. Answers what undoes the patch in it, and the plan
/// with the number of the instance.
fn enter(
    vm: &mut AtSafePoint,
    mut p: Prepared,
    report: &mut Report,
) -> (InstanceChange, u64, ChunkPlan) {
    let instance = p.instance;
    // SAFETY: PR1: the instance is live.
    let (version, before, source, serial) = unsafe {
        crate::hotpatch::touch(vm, instance);
        let version = Instance::version(instance);
        let before = literals::main(vm, instance);
        (
            version,
            before,
            Instance::source(instance),
            (*instance).serial,
        )
    };
    let diverged = p.plan.diverged.take();
    let main = Arc::clone(&p.plan.main);
    let n_changes = u32::from(!p.plan.is_empty());
    // SAFETY: PR1: the instance and the slots of the registry are live.
    let (diverged, registry, progress) = unsafe {
        let diverged = vm.heap.patched(instance, |patched| {
            patched.n_changes += n_changes;
            patched.prototype = Some(main);
            // The old text is taken apart with the plan, after the pause.
            std::mem::swap(&mut patched.text, &mut p.plan.text);
            std::mem::replace(&mut patched.diverged, diverged)
        });
        history::set_source(vm, instance, Some(Arc::clone(&p.plan.source)));
        let registry = history::exchange_registry(vm, instance, p.registry);
        let progress = std::mem::replace(&mut (*instance).progress, p.plan.progress);
        (diverged, registry, progress)
    };
    for warning in p.overridden {
        report.warnings.push(warning);
    }
    for merged in p.merged {
        if merged.overridden.is_some() {
            report.warnings.push(merged.to_string());
        }
        if !report.data.contains(&merged) {
            report.data.push(merged);
        }
    }
    for statement in p.not_run {
        if !report.not_run.contains(&statement) {
            report.not_run.push(statement);
        }
    }
    let change = InstanceChange {
        instance,
        version,
        progress,
        on_swap: p.plan.hooks.on_swap.clone(),
        on_swap_before: p.plan.hooks.on_swap_before.clone(),
        slots: p.slots,
        cells: p.cells,
        fields: p.fields,
        prototype: before,
        source,
        diverged,
        registry,
        names: p.old_names,
    };
    (change, serial, p.plan)
}
