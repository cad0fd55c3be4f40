//! Why a patch was not applied.

use moonswap_compiler::CompileError;
use moonswap_hotpatch::Refused;

/// Patches kept for rollback; beside them as many rollbacks.
pub(crate) const DEPTH: usize = 16;

/// Why a patch was not applied. Nothing has changed in any of these cases.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HotError {
    /// The new source does not compile.
    #[error("{0}")]
    Compile(#[from] CompileError),
    /// The plan was refused; every reason is listed.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// Top-level code of the patch raised an error; the message.
    #[error("P022 top-level code of the patch raised an error: {0}; correct it and apply again")]
    Delta(String),
    /// The new text's `migrate` raised an error; the message.
    #[error("the patch's migrate refused it: {0}")]
    MigrationFailed(String),
    /// The VM's memory did not suffice for the new code.
    #[error("not enough memory for the patch")]
    Memory,
    /// No live instance of the chunk.
    #[error("no chunk named '{name}' is loaded{}", hint(.name, .similar.as_deref()))]
    NotLoaded {
        /// The name that was asked for.
        name: String,
        /// A loaded chunk that may be meant.
        similar: Option<String>,
    },
    /// The patch is not in the history (any more); its number. 0: no patch is in
    /// force that could be undone.
    #[error("{}", unknown(*.0))]
    UnknownPatch(u64),
    /// The VM was to be at one generation and is at another.
    #[error("the VM is at generation {now}, not {expected}: it was patched since")]
    GenerationMismatch {
        /// Where it was to be.
        expected: u64,
        /// Where it is.
        now: u64,
    },
    /// Another patch is being prepared by the code that asks.
    #[error("a patch is being prepared already")]
    Busy,
    /// The VM did not reach a safe point within the time given.
    #[error("the VM reached no safe point in time; the patch was withdrawn")]
    TimedOut,
    /// Swapping is compiled out (feature `frozen`).
    #[error("this program was built without swapping")]
    CompiledOut,
    /// Something outside the VM (a file that cannot be read, say); the message.
    #[error("{0}")]
    Other(String),
    /// The VM is gone.
    #[error("the VM no longer exists")]
    Gone,
}

/// Most often the `@` of file names is missing.
fn hint(name: &str, similar: Option<&str>) -> String {
    match similar {
        Some(similar) => format!("; did you mean '{similar}'?"),
        None if name.starts_with(['@', '=']) => {
            "; patches name chunks as they were loaded".to_owned()
        }
        None => "; chunks loaded from files have names that begin with '@'".to_owned(),
    }
}

/// A chunk name without the sign of its kind and `./`.
fn bare(name: &str) -> &str {
    let name = name.strip_prefix(['@', '=']).unwrap_or(name);
    name.strip_prefix("./").unwrap_or(name)
}

fn file_name(name: &str) -> &str {
    let name = bare(name);
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn unknown(patch: u64) -> String {
    match patch {
        0 => "no patch in force is left to roll back".to_owned(),
        patch => format!(
            "patch {patch} is not in the history, which keeps the newest {}: roll back one that it lists",
            DEPTH
        ),
    }
}

impl HotError {
    /// No chunk of that name is among the `loaded` ones, of which one may be meant: a
    /// file of the same name in another folder, or a name that differs by a few letters.
    pub fn not_loaded(name: &str, loaded: &[String]) -> Self {
        let same_file = loaded
            .iter()
            .find(|one| file_name(one) == file_name(name) && !file_name(name).is_empty());
        let near = || {
            let found = moonswap_hotpatch::similar(bare(name), loaded.iter().map(|one| bare(one)));
            found.and_then(|found| loaded.iter().find(|one| bare(one) == found))
        };
        Self::NotLoaded {
            name: name.to_owned(),
            similar: same_file.or_else(near).cloned(),
        }
    }

    /// Stable word for the kind, as in audit records.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Compile(_) => "compile",
            Self::Refused(_) => "refused",
            Self::Delta(_) => "delta",
            Self::MigrationFailed(_) => "vetoed",
            Self::Memory => "memory",
            Self::NotLoaded { .. } => "not-loaded",
            Self::UnknownPatch(_) => "unknown-patch",
            Self::GenerationMismatch { .. } => "moved",
            Self::Busy => "busy",
            Self::TimedOut => "timed-out",
            Self::CompiledOut => "compiled-out",
            Self::Other(_) => "other",
            Self::Gone => "gone",
        }
    }
}
