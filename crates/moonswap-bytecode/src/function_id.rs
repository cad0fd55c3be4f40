//! `FunctionId`: where a literal stands in the text of its chunk, by names.
//!
//! Patches look thousands of them up: each knows its own hash. It is made of the
//! parent's and one step, because a chunk's name may be its whole text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use foldhash::fast::RandomState;

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

impl PathStep {
    /// The step as a number for its kind, its name if it has one, and its number or 0:
    /// for files, records and hashes.
    ///
    /// ```
    /// use moonswap_bytecode::PathStep;
    /// let step = PathStep::Argument("timer.every".into(), 2);
    /// assert_eq!(step.parts(), (5, Some(&"timer.every".into()), 2));
    /// ```
    pub const fn parts(&self) -> (u8, Option<&Arc<str>>, u32) {
        match self {
            Self::Local(name) => (0, Some(name), 0),
            Self::Field(name) => (1, Some(name), 0),
            Self::Method(name) => (2, Some(name), 0),
            Self::TableField(name) => (3, Some(name), 0),
            Self::TableItem(n) => (4, None, *n),
            Self::Argument(callee, n) => (5, Some(callee), *n),
            Self::Returned(n) => (6, None, *n),
            Self::Anonymous => (7, None, 0),
        }
    }

    /// Whether steps of a kind have a name and a number; `None`: there is no such kind.
    pub(crate) const fn has(kind: u8) -> Option<(bool, bool)> {
        match kind {
            0..=3 => Some((true, false)),
            4 | 6 => Some((false, true)),
            5 => Some((true, true)),
            7 => Some((false, false)),
            _ => None,
        }
    }

    /// The step of these [parts](PathStep::parts); `None`: there is no such kind.
    pub(crate) fn from_parts(kind: u8, name: Arc<str>, n: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Local(name),
            1 => Self::Field(name),
            2 => Self::Method(name),
            3 => Self::TableField(name),
            4 => Self::TableItem(n),
            5 => Self::Argument(name, n),
            6 => Self::Returned(n),
            7 => Self::Anonymous,
            _ => return None,
        })
    }
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

/// The key of this process.
pub(crate) static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);

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
