//! `remove = true`: fields of functions that the new text has no more are
//! cleared, if they still hold the function.

use moonswap_bytecode::FunctionId;

use super::library::is_library_of;
use super::toplevel::outcome::{Removal, TopLevel};
use crate::patch::ChunkPatch;
use crate::patch::declarations::Variable;
use crate::patch::path::{Path, Root};
use crate::policy::Policy;

/// What becomes of a definition that is gone: the field to clear, or why it
/// stays. `path` is that of the old text, `old`.
pub(crate) fn removal(
    path: &Path,
    old: &ChunkPatch,
    id: Option<FunctionId>,
    policy: &Policy,
    top: &TopLevel,
) -> Result<Removal, &'static str> {
    const STAYS: &str = "the field stays";
    if !policy.remove {
        return Err(STAYS);
    }
    let name = path.to_string();
    let mut renamed = policy.rename.keys();
    if renamed.any(|from| from.replace(':', ".") == name) {
        return Err("renamed: the field keeps its old name");
    }
    if is_library_of(path, old) {
        return Err("the field stays: what the library had there is not kept");
    }
    match &path.root {
        Root::Local(..) if path.keys.is_empty() => return Err("the local variable keeps it"),
        Root::Local(root, declaration) => {
            let state = top.variable(root, *declaration).map(|v| &v.state);
            if !matches!(state, Some(Variable::Existing { cell: Some(_) })) {
                return Err("the field stays: its table is not the same variable in the new text");
            }
        }
        Root::Global | Root::Returned => {}
    }
    let (Some(id), Some(keys)) = (id, path.constants()) else {
        return Err(STAYS);
    };
    Ok(Removal {
        root: path.root.clone(),
        keys,
        path: name,
        id,
    })
}
