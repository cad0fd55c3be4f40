//! Applying patches: plan, prepare, commit.
//!
//! Invariants: HP1–HP3.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use moonswap_hotpatch::{
    Activation, ChunkPlan, Patch, Plan, Policy, Refused, Report, StalePolicy, SuspendedPolicy,
    Times, Timing, plan_chunk,
};

use super::history::{Entry, InstanceChange};
use super::manifest;
use super::obstacle::Obstacle;
use super::planned::Planned;
use super::planned::find;
use super::prepare::{self, Prepared};
use super::published::{self, ReportDraft};
use super::stale::set_finish_by;
use super::texts::Compiled;
use super::timing::{self, Quiet};
use super::transaction::{self, Installed};
use super::{HotError, activity, checkpoint, closing, globals, guard, migrate, staying, waiting};
use crate::callee::FROZEN;
use crate::host;
use crate::loader;
use crate::object::{Instance, PrototypeSlot, Version};
use crate::vm::Vm;

/// Plans a patch for every live instance of its chunks, in the patch's order
/// of chunks, oldest instances first.
pub(crate) unsafe fn plan_all(
    vm: &mut Vm,
    patch: &Patch,
    policy: &Policy,
) -> Result<Vec<Planned>, HotError> {
    // SAFETY: HP2; instances are live.
    unsafe {
        if FROZEN {
            return Err(HotError::CompiledOut);
        }
        let mut planned = Vec::with_capacity(patch.chunks().len());
        let mut compiled = Compiled::default();
        for chunk in patch.chunks() {
            let instances = vm.hot.instances_of(chunk.chunk());
            if instances.is_empty() {
                return Err(HotError::not_loaded(chunk.chunk(), &vm.hot.chunks()));
            }
            for instance in instances {
                let manifest = manifest::of(vm, instance, &mut compiled);
                planned.push(((*instance).serial, plan_chunk(&manifest, chunk, policy)));
            }
        }
        Ok(planned)
    }
}

/// Who is in the middle of the functions that plans change.
pub(crate) unsafe fn activations(vm: &mut Vm, planned: &[Planned]) -> Vec<Activation> {
    // SAFETY: HP2.
    unsafe {
        let changed = activity::changed(vm, planned);
        if changed.is_empty() {
            return Vec::new();
        }
        let all = activity::Wanted {
            running: true,
            suspended: true,
            first: false,
        };
        activity::scan(vm, all, &|version| changed.contains(&(*version).slot))
            .into_iter()
            .map(|found| found.activation)
            .collect()
    }
}

/// All refusals of all instances, without repetitions.
pub(crate) fn refusals(planned: &[Planned]) -> Option<Refused> {
    let refusals = moonswap_hotpatch::refusals(planned.iter().map(|(_, plan)| plan));
    (!refusals.is_empty()).then(|| refusals.into())
}

/// What became of a patch that may be committed now, if its policy agrees.
#[allow(clippy::large_enum_variant, reason = "there is one for each patch")]
pub(crate) enum Attempt {
    /// It was, or it was refused.
    Done(Result<Report, HotError>),
    /// It has to wait for this.
    NotNow(Obstacle),
}

/// Plans and applies on the VM's thread, if the policy allows a commit here.
/// `last`: there will be no other attempt.
pub(crate) unsafe fn attempt(vm: &mut Vm, patch: &Patch, policy: &Policy, last: bool) -> Attempt {
    // SAFETY: HP2.
    unsafe {
        let start = Instant::now();
        let planned = match plan_all(vm, patch, policy) {
            Ok(planned) => planned,
            Err(error) => return refuse(vm, patch, policy, error),
        };
        if let Some(refused) = refusals(&planned) {
            return refuse(vm, patch, policy, refused.into());
        }
        // The host itself asks, and nothing runs.
        let host_polls = vm.host_depth == 0;
        if let Some(obstacle) = timing::obstacle(vm, policy, host_polls) {
            return Attempt::NotNow(obstacle);
        }
        match timing::quiet(vm, &planned, policy, last) {
            Quiet::Yes => {}
            Quiet::Never(refused) => return refuse(vm, patch, policy, refused.into()),
            Quiet::NotYet(found) => {
                return Attempt::NotNow(Obstacle::Activation(found.activation));
            }
        }
        let times = Times {
            prepare: start.elapsed(),
            ..Times::default()
        };
        let before = vm.hot.generation();
        let has_listeners = vm.hot.events.has_listeners();
        let outcome = super::attempt::patch(vm, patch, policy, |vm| {
            // Listeners may have loaded or run the chunk.
            let planned = match has_listeners {
                true => plan_all(vm, patch, policy)?,
                false => planned,
            };
            let draft = ReportDraft::new(&planned);
            apply_planned(vm, planned, draft, policy, times)
        });
        vm.hot.mailbox.deferred_drops.clear();
        waiting::committed(vm, patch, before, &outcome);
        Attempt::Done(outcome)
    }
}

/// Ends an attempt that came to nothing.
fn refuse(vm: &mut Vm, patch: &Patch, policy: &Policy, error: HotError) -> Attempt {
    Attempt::Done(super::attempt::patch(vm, patch, policy, |_| Err(error)))
}

/// Whether another patch is under way.
fn is_occupied(vm: &Vm) -> bool {
    vm.hot.busy || vm.hot.is_draining
}

/// [`attempt`] for Lua code, which may have been called in the middle of
/// something.
pub(crate) unsafe fn apply_or_wait(vm: &mut Vm, patch: &Patch, policy: &Policy) -> Attempt {
    // SAFETY: HP2.
    unsafe {
        if policy.dry {
            return attempt(vm, patch, policy, true);
        }
        // While another one is prepared it cannot be planned.
        if is_occupied(vm) {
            return Attempt::NotNow(Obstacle::SafePoint);
        }
        if policy.timing != Timing::Immediate && timing::is_called_by_machine(vm) {
            let refused = plan_all(vm, patch, policy).map(|planned| refusals(&planned));
            return match refused {
                Err(error) => refuse(vm, patch, policy, error),
                Ok(Some(refused)) => refuse(vm, patch, policy, refused.into()),
                Ok(None) => Attempt::NotNow(Obstacle::SafePoint),
            };
        }
        attempt(vm, patch, policy, false)
    }
}

/// [`attempt`], now or never.
pub(crate) unsafe fn apply(
    vm: &mut Vm,
    patch: &Patch,
    policy: &Policy,
) -> Result<Report, HotError> {
    // SAFETY: HP2.
    unsafe {
        let outcome = if is_occupied(vm) && !policy.dry {
            Err(HotError::Busy)
        } else {
            match attempt(vm, patch, policy, true) {
                Attempt::Done(outcome) => return outcome,
                Attempt::NotNow(obstacle) => Err(obstacle.refused(patch)),
            }
        };
        super::attempt::patch(vm, patch, policy, |_| outcome)
    }
}

/// Applies plans made for exactly the live instances and this generation. What was needed for it is left in the deferred_drops.
pub(crate) unsafe fn apply_planned(
    vm: &mut Vm,
    planned: Vec<Planned>,
    draft: ReportDraft,
    policy: &Policy,
    mut times: Times,
) -> Result<Report, HotError> {
    // SAFETY: HP2.
    unsafe {
        if let Some(refused) = refusals(&planned) {
            return Err(refused.into());
        }
        if vm.hot.busy {
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
        vm.hot.busy = true;
        let prepared = prepare_all(vm, planned);
        vm.hot.busy = false;
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
            let limit = match (policy.suspended, vm.hot.is_draining) {
                (SuspendedPolicy::Close, _) => None,
                (_, true) => Some(staying::LOOKED_AT),
                (_, false) => Some(usize::MAX),
            };
            report.set_staying(staying::count(vm, &changed, limit));
        }
        let was_draining = std::mem::replace(&mut vm.hot.is_draining, true);
        closing::after_commit(vm, to_close, policy, &mut report);
        vm.hot.is_draining = was_draining;
        if !was_draining && (!vm.hot.mailbox.is_empty() || vm.hot.closings.due().is_some()) {
            // Submitted meanwhile; to be closed later.
            vm.poll.request();
        }
        Ok(report)
    }
}

/// Room for what the plans load, by a collection if need be: while they are
/// prepared there can be none.
unsafe fn make_room(vm: &mut Vm, planned: &[Planned]) {
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
unsafe fn prepare_all(vm: &mut Vm, planned: Vec<Planned>) -> Result<Vec<Prepared>, HotError> {
    // SAFETY: HP2; the collector is paused until the commit, since prepared
    // objects are in no root (J1).
    unsafe {
        let busy = vm.heap.set_busy(true);
        checkpoint::begin(vm);
        let mut all: Vec<Prepared> = Vec::with_capacity(planned.len());
        for (serial, plan) in planned {
            if let Some(instance) = find(vm, serial) {
                all.push(Prepared::new(vm, instance, plan));
            }
        }
        let mut outcome = match vm.heap.is_short() {
            true => Err(HotError::Memory),
            false => run_all(vm, &mut all),
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
}

/// Runs the top-level code of all chunks, then their migrations.
unsafe fn run_all(vm: &mut Vm, all: &mut [Prepared]) -> Result<(), HotError> {
    // SAFETY: as `prepare_all`; HP4.
    unsafe {
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
}

/// The stores. Nothing here can fail; allocation is only bookkeeping. What is
/// replaced and no longer needed is put aside: taking it apart is not part of
/// the pause.
unsafe fn commit(
    vm: &mut Vm,
    prepared: Vec<Prepared>,
    mut draft: ReportDraft,
    policy: &Policy,
    times: Times,
) -> Report {
    let start = Instant::now();
    // SAFETY: HP1, HP2.
    unsafe {
        let finish_by = closing::finish_by(policy);
        for p in &prepared {
            for change in &p.slots {
                loader::install(vm, change.slot, change.after);
                if Version::number(change.before) != Version::number(change.after) {
                    (*change.slot).header.flags |= PrototypeSlot::REPLACED;
                }
                if finish_by.is_some() {
                    set_finish_by(vm, change.before, finish_by);
                }
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
        for mut p in prepared {
            let instance = p.instance;
            super::touch(vm, instance);
            let version = Instance::version(instance);
            if !p.plan.is_empty() {
                vm.heap.patched(instance, |patched| patched.n_changes += 1);
            }
            let before = super::literals::main(vm, instance);
            let source = Instance::source(instance);
            super::history::set_source(vm, instance, Some(Arc::clone(&p.plan.source)));
            let diverged = p.plan.diverged.take();
            let main = Arc::clone(&p.plan.main);
            let diverged = vm.heap.patched(instance, |patched| {
                patched.prototype = Some(main);
                // The old text is taken apart with the plan, after the pause.
                std::mem::swap(&mut patched.text, &mut p.plan.text);
                std::mem::replace(&mut patched.diverged, diverged)
            });
            let registry = super::history::exchange_registry(vm, instance, p.registry);
            for field in p.overridden {
                let warning = format!("{field} was overridden at run time and left alone");
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
            let progress = (*instance).progress;
            (*instance).progress = p.plan.progress;
            changes.push(InstanceChange {
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
            });
            planned.push(((*instance).serial, p.plan));
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
        super::history::push(vm, entry);
        report.times.pause = start.elapsed();
        report
    }
}

/// What a patch would do to all live instances of its chunks, and who is in the
/// middle of the functions it changes.
pub(crate) fn preview(vm: &mut Vm, patch: &Patch, policy: &Policy) -> Result<Plan, HotError> {
    // SAFETY: HP2.
    let (planned, activations, exit_at) = unsafe {
        let mut planned = plan_all(vm, patch, policy)?;
        globals::settle_planned(vm, &mut planned);
        let found = activations(vm, &planned);
        let exit_at = migrate::exit_at(vm, &planned, policy);
        (planned, found, exit_at)
    };
    let quarantined = guard::quarantined(vm, patch);
    let refusals = moonswap_hotpatch::refusals(planned.iter().map(|(_, plan)| plan));
    let mut chunks: Vec<ChunkPlan> = Vec::with_capacity(patch.chunks().len());
    for (_, plan) in planned {
        match chunks.last_mut() {
            Some(last) if last.chunk == plan.chunk => {
                if !plan.is_empty() || last.is_empty() {
                    *last = plan;
                }
            }
            _ => chunks.push(plan),
        }
    }
    let mut plan = Plan::of(chunks);
    plan.refusals = refusals;
    plan.refusals
        .extend(quarantined.into_iter().flat_map(|refused| refused.refusals));
    plan.activations = activations;
    plan.set_exit_at(exit_at, policy);
    Ok(plan)
}
