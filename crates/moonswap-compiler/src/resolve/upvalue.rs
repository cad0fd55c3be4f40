//! Captured variables: the list of one function, and the layout that an older
//! version of it prescribes.
//!
//! Indices are append-only for the life of a literal: what an older version
//! captured keeps its index, also when the new text no longer uses it, because
//! closures made before a patch keep their captured variables.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{Capture, FunctionId, UpvalueDescription};

use crate::syntax::ast::Symbol;

/// Most captured variables of one function.
pub(crate) const MAX_UPVALUES: usize = 255;

/// Capture lists of the older version, by literal.
#[derive(Clone, Debug, Default)]
pub struct CaptureLayout {
    /// The captured variables of each literal, in index order.
    pub functions: HashMap<FunctionId, Vec<UpvalueDescription>>,
}

/// Cells of the scope record by name and ordinal of the top-level declaration
/// (as in `ScopeVariable`).
pub type CellMap = HashMap<(Arc<str>, u32), u32>;

/// One captured variable of a function being compiled.
#[derive(Clone, Debug)]
pub(crate) struct UpvalueEntry {
    /// What the prototype says of it.
    pub(crate) description: UpvalueDescription,
    /// Its name in this chunk; `None` for an entry of an older version that
    /// was not met in the text so far.
    pub(crate) symbol: Option<Symbol>,
    /// Where the creating function takes it from.
    pub(crate) capture: Capture,
}

/// The captured variables of a function being compiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upvalues {
    /// In index order.
    pub(crate) entries: Vec<UpvalueEntry>,
    /// The list began as that of an older version.
    pub(crate) has_layout: bool,
}

impl Upvalues {
    /// Starts with the list of an older version.
    pub(crate) fn with_layout(layout: &[UpvalueDescription]) -> Self {
        let entry = |description: &UpvalueDescription| UpvalueEntry {
            description: description.clone(),
            symbol: None,
            capture: Capture::Vacant,
        };
        Self {
            entries: layout.iter().map(entry).collect(),
            has_layout: true,
        }
    }

    /// The captured variable of that name, if it was met before: within one
    /// function a name always means the same outer variable.
    pub(crate) fn find_name(&self, name: Symbol) -> Option<usize> {
        self.entries.iter().position(|e| e.symbol == Some(name))
    }

    /// The entry for exactly that variable.
    pub(crate) fn find_variable(&self, wanted: &UpvalueDescription) -> Option<usize> {
        self.entries.iter().position(|e| {
            let d = &e.description;
            d.depth == wanted.depth
                && d.declaration == wanted.declaration
                && d.top_level == wanted.top_level
                && d.name == wanted.name
        })
    }
}
