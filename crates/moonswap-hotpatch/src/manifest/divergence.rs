//! Functions that stay on older code because what the text says of them was
//! refused, and the rest was applied (`refused = "keep-old"`).

use std::sync::Arc;

use moonswap_bytecode::{CodeHash, FunctionId};

use crate::patch::ChunkPatch;
use crate::refusal::Refusal;

/// One function that does not run what the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// Its id; for what the patch would have added and did not, the id it would
    /// have.
    pub id: FunctionId,
    /// Why, with the place in the text that was refused.
    pub refusal: Refusal,
    /// The code it is to have: while later texts ask for the same, they need not
    /// be told again to leave it alone. `None`: it is to be gone.
    pub wanted: Option<CodeHash>,
    /// It is a statement of the main chunk that does not run, in these words.
    pub(crate) statement: Option<Vec<u8>>,
}

/// What of a chunk instance's text does not run.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// What runs: the text with the older functions in it. Later patches are
    /// compared with this.
    pub(crate) running: ChunkPatch,
    /// The functions that stay on older code, as in the text.
    pub functions: Vec<Diverged>,
}

impl Divergence {
    /// What really runs, compiled, to be planned against.
    pub fn running(&self) -> &ChunkPatch {
        &self.running
    }

    /// Why a function does not run what the text says.
    pub fn of(&self, id: &FunctionId) -> Option<&Refusal> {
        let found = self.functions.iter().find(|diverged| diverged.id == *id);
        found.map(|diverged| &diverged.refusal)
    }
}

/// Whether two lists say the same.
pub(crate) fn is_same(a: Option<&Arc<Divergence>>, b: Option<&Arc<Divergence>>) -> bool {
    let list = |of: Option<&Arc<Divergence>>| of.map_or_else(Vec::new, |d| d.functions.clone());
    list(a) == list(b)
}
