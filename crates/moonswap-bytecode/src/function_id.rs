//! `FunctionId`: where a literal stands in the text of its chunk, by names.
//!
//! Patches look thousands of them up: each knows its own hash. It is made of the
//! parent's and one step, because a chunk's name may be its whole text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

/// One role-and-name step of the lexical path of a literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathStep {
    /// `local function name` or `local name = function`
    Local(Arc<str>),
    /// `function a.b.c` or `a.b.c = function`, a global or field path as written
    Field(Arc<str>),
    /// `function a.b:c`
    Method(Arc<str>),
    /// `{ name = function … }`
    TableField(Arc<str>),
    /// the n-th positional item of a table constructor (from 1)
    TableItem(u32),
    /// the n-th argument (from 1) of a call to the callee, as written, e.g. `timer.every`
    Argument(Arc<str>, u32),
    /// the n-th returned value (from 1)
    Returned(u32),
    /// any other place; told apart by ordinal only
    Anonymous,
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => write!(f, "local {name}"),
            Self::Field(name) | Self::Method(name) => f.write_str(name),
            Self::TableField(name) => write!(f, ".{name}"),
            Self::TableItem(n) => write!(f, "[{n}]"),
            Self::Argument(callee, n) => write!(f, "{callee}(arg {n})"),
            Self::Returned(n) => write!(f, "return {n}"),
            Self::Anonymous => f.write_str("function"),
        }
    }
}

/// A step, and a number that tells siblings with an equal step apart, from 0 in
/// source order.
pub type NumberedStep = (PathStep, u32);

/// Chunk name and lexical path of a literal. The main chunk has an empty path.
#[derive(Clone)]
pub struct FunctionId {
    /// Of the chunk, then of one step after the other, with the key of this
    /// process: texts cannot be made so that many are equal.
    hash: u64,
    chunk: Arc<str>,
    path: Arc<[NumberedStep]>,
}

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl FunctionId {
    /// `chunk`: its name as given to `load`, e.g. `@combat.lua`; `path`: steps from
    /// the main chunk inward.
    pub fn new(chunk: Arc<str>, path: impl Into<Arc<[NumberedStep]>>) -> Self {
        let path = path.into();
        let hash = path.iter().fold(KEY.hash_one(&chunk), hash_step);
        Self { hash, chunk, path }
    }

    /// Chunk name as given to `load`.
    pub fn chunk(&self) -> &Arc<str> {
        &self.chunk
    }

    /// Steps from the main chunk inward.
    pub fn path(&self) -> &[NumberedStep] {
        &self.path
    }

    /// Of a literal directly inside it.
    #[must_use]
    pub fn child(&self, step: NumberedStep) -> Self {
        Self {
            hash: hash_step(self.hash, &step),
            chunk: Arc::clone(&self.chunk),
            path: self.path.iter().cloned().chain([step]).collect(),
        }
    }
}

fn hash_step(parent: u64, step: &NumberedStep) -> u64 {
    KEY.hash_one((parent, step))
}

impl PartialEq for FunctionId {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && (Arc::ptr_eq(&self.chunk, &other.chunk) || self.chunk == other.chunk)
            && (Arc::ptr_eq(&self.path, &other.path) || self.path == other.path)
    }
}

impl Eq for FunctionId {}

impl Hash for FunctionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for FunctionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FunctionId {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.chunk, &self.path).cmp(&(&other.chunk, &other.path))
    }
}

impl fmt::Debug for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionId({self})")
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunk = self
            .chunk()
            .strip_prefix(['@', '='])
            .unwrap_or(self.chunk());
        f.write_str(chunk)?;
        if self.path().is_empty() {
            f.write_str(" / main chunk")?;
        }
        for (step, ordinal) in self.path() {
            write!(f, " / {step}")?;
            if *ordinal > 0 {
                write!(f, "#{}", ordinal + 1)?;
            }
        }
        Ok(())
    }
}
