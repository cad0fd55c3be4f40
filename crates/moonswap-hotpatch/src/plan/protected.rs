//! Functions that no patch may change.

use std::sync::Arc;

use crate::manifest::ChunkManifest;
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::refusal::{Code, Refusal};

/// Refuses changes of their code; moved lines are none, and what is removed lives
/// on.
pub(crate) fn protected(
    chunk: &Arc<str>,
    manifest: &ChunkManifest,
    changes: &mut [LiteralChange],
) -> Vec<Refusal> {
    let mut found = Vec::new();
    for change in changes {
        let slot = change.old.as_ref().and_then(|id| manifest.slots.get(id));
        if change.class != ChangeClass::Swapped || !slot.is_some_and(|slot| slot.protected) {
            continue;
        }
        change.class = ChangeClass::Refused;
        found.push(Refusal {
            code: Code::Protected,
            chunk: chunk.clone(),
            line: change.line,
            column: 1,
            function: change.name(),
            reason: "the function is protected".to_owned(),
            remedy: "leave its code as it is".to_owned(),
        });
    }
    found
}
