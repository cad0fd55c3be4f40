//! Planning: what applying a patch to one chunk instance would do, literal by
//! literal.

mod hybrid;
mod keeping;
mod protected;
mod single;
mod successor;

use crate::manifest::ChunkManifest;
use crate::model::plan::ChunkPlan;
use crate::patch::ChunkPatch;
use crate::policy::Policy;
use keeping::plan_keeping;
use single::{plan_text, with_cells};

/// Plans the new text of one chunk against one instance of it.
pub fn plan_chunk(manifest: &ChunkManifest, patch: &ChunkPatch, policy: &Policy) -> ChunkPlan {
    let hoisted = with_cells(manifest, patch);
    let patch = hoisted.as_ref().unwrap_or(patch);
    let plan = plan_text(manifest, patch, policy);
    let mut plan = plan_keeping(manifest, patch, policy, plan);
    if plan.refusals.is_empty() {
        let before = manifest.diverged.iter().flat_map(|d| &d.functions);
        let after = |id| plan.diverged.as_ref().is_some_and(|d| d.of(id).is_some());
        let resolved = before.filter(|diverged| !after(&diverged.id));
        let said = resolved.map(|diverged| {
            let name = &diverged.refusal.function;
            format!("{name}: no longer held back")
        });
        plan.warnings.extend(said);
    }
    plan
}
