//! What becomes of one function literal under a patch.

use std::fmt;
use std::sync::Arc;

use moonswap_bytecode::{CodeHash, FunctionId, Prototype};

use crate::osr::migration::Migration;
use crate::patch::outline::path_name;

/// What becomes of one literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChangeClass {
    /// The same code at the same lines.
    Unchanged,
    /// Only lines or names of locals changed.
    DebugOnly,
    /// New code in the existing slot.
    Swapped,
    /// The same code under another path, in the existing slot.
    Moved,
    /// A new slot.
    Added,
    /// No longer in the text; its closures live on.
    Removed,
    /// May not be changed like this.
    Refused,
    /// May not be changed like this, and stays as it is while the rest is applied
    /// (`refused = "keep-old"`).
    Diverged,
}

impl ChangeClass {
    /// Whether code that runs is replaced by it, or goes.
    #[doc(hidden)]
    pub fn replaces_code(self) -> bool {
        match self {
            Self::Swapped | Self::Removed => true,
            Self::Unchanged
            | Self::DebugOnly
            | Self::Moved
            | Self::Added
            | Self::Refused
            | Self::Diverged => false,
        }
    }
}

impl fmt::Display for ChangeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchanged => "unchanged",
            Self::DebugOnly => "debug-only",
            Self::Swapped => "swapped",
            Self::Moved => "moved",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Refused => "refused",
            Self::Diverged => "diverged",
        })
    }
}

/// By its word.
#[cfg(feature = "json")]
impl serde::Serialize for ChangeClass {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One literal of the old or new source.
#[derive(Clone, Debug)]
pub struct LiteralChange {
    /// What becomes of it.
    pub class: ChangeClass,
    /// The slot it has: the id of the slot's current prototype.
    pub old: Option<FunctionId>,
    /// Its id from now on; the slot is to be known by it.
    pub new: Option<FunctionId>,
    /// The prototype to install; `None` for removed ones.
    pub new_prototype: Option<Arc<Prototype>>,
    /// Hash of the code before.
    pub old_hash: Option<CodeHash>,
    /// Hash of the code after.
    pub new_hash: Option<CodeHash>,
    /// Version of the slot now.
    pub old_version: Option<u32>,
    /// How running activations move to it, if the policy wants that.
    pub migration: Option<Arc<Migration>>,
    /// The id that it has in the new text, if it stands for no older one and is
    /// held back: it is not there.
    pub missing: Option<FunctionId>,
    /// It is held back, but literals in it have other slots now.
    pub(crate) is_relinked: bool,
    /// Line in the new text (in the old one for removed literals).
    pub line: u32,
}

impl LiteralChange {
    /// Path without the chunk, in the new text (in the old one for removed
    /// literals).
    pub fn name(&self) -> String {
        let id = self.new.as_ref().or(self.old.as_ref());
        let id = id.or(self.missing.as_ref());
        id.map(path_name).unwrap_or_default()
    }

    /// Whether a commit leaves its version alone.
    pub fn stays(&self) -> bool {
        match self.class {
            ChangeClass::Unchanged | ChangeClass::Refused => true,
            // Under another id its version has to be known by that.
            ChangeClass::Diverged => self.old == self.new && !self.is_relinked,
            ChangeClass::DebugOnly
            | ChangeClass::Swapped
            | ChangeClass::Moved
            | ChangeClass::Added
            | ChangeClass::Removed => false,
        }
    }

    /// Version of the slot after the commit.
    pub fn new_version(&self) -> Option<u32> {
        match self.class {
            ChangeClass::Added => Some(1),
            ChangeClass::Swapped => self.old_version.map(|v| v + 1),
            ChangeClass::Removed => None,
            ChangeClass::Unchanged
            | ChangeClass::DebugOnly
            | ChangeClass::Moved
            | ChangeClass::Refused
            | ChangeClass::Diverged => self.old_version,
        }
    }
}
