//! What a patch would do here and now.
//!
//! Invariants: HP2.

use moonswap_hotpatch::{ChunkPlan, Patch, Plan, Policy};

use super::{HotError, commit, globals, guard, migrate};
use crate::vm::Vm;

/// What a patch would do to all live instances of its chunks, and who is in the
/// middle of the functions it changes.
pub(crate) fn plan(vm: &mut Vm, patch: &Patch, policy: &Policy) -> Result<Plan, HotError> {
    // SAFETY: HP2.
    let (planned, activations, exit_at) = unsafe {
        let mut planned = commit::plan_all(vm, patch, policy)?;
        globals::settle_planned(vm, &mut planned);
        let activations = commit::activations(vm, &planned);
        let exit_at = migrate::exit_at(vm, &planned, policy);
        (planned, activations, exit_at)
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
