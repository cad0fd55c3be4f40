//! Plans for the live instances of a patch's chunks, on the VM's thread: from the
//! instances themselves, or from descriptions of them (`published`) like those that
//! other threads plan with; and whether such a plan still holds.
//!
//! Invariants: HP2.

use crate::hotpatch::AtSafePoint;
use moonswap_hotpatch::{Activation, ChunkPlan, Patch, Plan, Policy, Refused, plan_chunk};

use super::globals;
use super::planned::Planned;
use super::published::{self, Preconditions, SpeculativePlan};
use crate::callee::FROZEN;
use crate::hotpatch::HotError;
use crate::hotpatch::after::guard;
use crate::hotpatch::osr::migrate;
use crate::hotpatch::registry::manifest::{self, Description};
use crate::hotpatch::registry::texts::Compiled;
use crate::hotpatch::schedule::activity;

pub(crate) type Manifests = Result<Vec<(Preconditions, Description)>, HotError>;

/// Plans a patch for every live instance of its chunks, in the patch's order
/// of chunks, oldest instances first.
pub(crate) fn plan_all(
    vm: &mut AtSafePoint,
    patch: &Patch,
    policy: &Policy,
) -> Result<Vec<Planned>, HotError> {
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
            // SAFETY: instances in the list are live.
            let (serial, manifest) = unsafe {
                let manifest = manifest::of(vm, instance, &mut compiled);
                ((*instance).serial, manifest)
            };
            planned.push((serial, plan_chunk(&manifest, chunk, policy)));
        }
    }
    Ok(planned)
}

/// Who is in the middle of the functions that plans change.
pub(crate) fn activations(vm: &mut AtSafePoint, planned: &[Planned]) -> Vec<Activation> {
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

pub(crate) fn manifests(vm: &mut AtSafePoint, patch: &Patch) -> Manifests {
    let mut found = Vec::with_capacity(patch.chunks().len());
    for chunk in patch.chunks() {
        let instances = vm.hot.instances_of(chunk.chunk());
        if instances.is_empty() {
            return Err(HotError::not_loaded(chunk.chunk(), &vm.hot.chunks()));
        }
        for instance in instances {
            // SAFETY: at a safe point of the VM's thread (HP2); instances are
            // live. The manifest first: it opens cells.
            let told = unsafe {
                let description = manifest::summary(vm, instance);
                (Preconditions::of(instance), description)
            };
            found.push(told);
        }
    }
    Ok(found)
}

/// The plans made elsewhere if they still hold: the instances are those that they
/// were made for, and the VM is at the generation that the policy asks for.
pub(crate) fn revalidate(
    vm: &AtSafePoint,
    known: Option<SpeculativePlan>,
    patch: &Patch,
    policy: &Policy,
) -> Option<SpeculativePlan> {
    let is_expected = policy.base.is_none_or(|g| g == vm.hot.generation());
    known.filter(|known| is_expected && known.is_current(vm, patch))
}

/// Makes plans for the live instances as they are now.
pub(crate) fn plan_snapshot(
    vm: &mut AtSafePoint,
    patch: &Patch,
    policy: &Policy,
) -> Result<SpeculativePlan, HotError> {
    let snapshots = published::complete(manifests(vm, patch)?)?;
    let mut speculative = SpeculativePlan::new(&snapshots, patch, policy);
    if speculative.asks_for_closures() {
        let snapshots = published::whole(vm, patch);
        speculative = SpeculativePlan::new(&snapshots, patch, policy);
    }
    match refusals(&speculative.planned) {
        Some(refused) => Err(refused.into()),
        None => Ok(speculative),
    }
}

/// What a patch would do to all live instances of its chunks, and who is in the
/// middle of the functions it changes.
pub(crate) fn preview(
    vm: &mut AtSafePoint,
    patch: &Patch,
    policy: &Policy,
) -> Result<Plan, HotError> {
    let mut planned = plan_all(vm, patch, policy)?;
    globals::settle_planned(vm, &mut planned);
    let activations = activations(vm, &planned);
    let exit_at = migrate::exit_at(vm, &planned, policy);
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
