//! What an instance is once a plan is committed.

use std::sync::Arc;

use foldhash::HashMap;

use crate::manifest::{CellInfo, ChunkManifest, SlotInfo};
use crate::model::literal::ChangeClass;
use crate::model::plan::ChunkPlan;
use crate::patch::ChunkPatch;

impl ChunkManifest {
    /// What the instance is once `plan`, which was made for this manifest and
    /// `patch`, is committed.
    pub fn after(&self, patch: &ChunkPatch, plan: &ChunkPlan) -> Self {
        let mut slots = HashMap::with_capacity_and_hasher(plan.changes.len(), Default::default());
        for change in &plan.changes {
            let (Some(id), Some(prototype)) = (&change.new, &change.new_prototype) else {
                continue;
            };
            let known = change.old.as_ref().and_then(|old| self.slots.get(old));
            let slot = match known {
                Some(slot) if change.stays() => SlotInfo {
                    is_unmade: false,
                    ..slot.clone()
                },
                _ => SlotInfo {
                    version: change.new_version().unwrap_or(1),
                    protected: known.is_some_and(|slot| slot.protected),
                    is_first: known
                        .is_none_or(|slot| slot.is_first && change.class != ChangeClass::Swapped),
                    is_unmade: false,
                    layout: prototype.upvalues.to_vec(),
                    n_fixed: known.map_or(prototype.upvalues.len(), |slot| slot.n_fixed),
                    current: Arc::clone(prototype),
                },
            };
            slots.insert(id.clone(), slot);
        }
        let cells = plan
            .cell_labels
            .iter()
            .enumerate()
            .map(|(i, (name, declaration))| CellInfo {
                name: Arc::clone(name),
                declaration: *declaration,
                present: self.cells.get(i).is_none_or(|cell| cell.present),
            })
            .collect();
        Self {
            chunk: Arc::clone(&self.chunk),
            main: Arc::clone(&plan.main),
            source: Some(Arc::clone(&plan.source)),
            text: Some(plan.text.as_ref().unwrap_or(patch).clone()),
            diverged: plan.diverged.clone(),
            cells,
            slots,
            knows_closures: false,
            places: None,
            literals: None,
            main_running: self.main_running,
            n_runs: self.n_runs,
            progress: plan.progress,
            arguments: self.arguments,
            returned: self.returned,
            generation: self.generation + 1,
        }
    }
}
