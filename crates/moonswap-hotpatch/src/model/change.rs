//! `DataChange`: one variable or field that a patch brings to what the new text
//! says, and what became of it.

use std::fmt;
use std::sync::Arc;

use moonswap_bytecode::FunctionId;

use super::not_run::NotRun;

pub(crate) use crate::patch::constant::Constant;

/// What the old text put somewhere: what must stand there for a change to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Absent,
    /// A constant.
    Constant(Constant),
    /// A table with exactly these entries.
    Table(Vec<(Constant, Before)>),
    /// The function of this literal.
    Function(FunctionId),
    /// Something that is not known without running it.
    Unknown,
}

/// As in Lua source, tables and functions in short.
impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nil"),
            Self::Constant(constant) => constant.fmt(f),
            Self::Table(items) if items.is_empty() => f.write_str("{}"),
            Self::Table(_) => f.write_str("{…}"),
            Self::Function(_) => f.write_str("function"),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// What kind of value a change puts in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Data: compared and listed as such.
    Data,
    /// A function: the report names it as added.
    Definition,
    /// The items without keys of a table whose number changed: which old item,
    /// from 0, each new one is.
    List(Vec<Option<u32>>),
}

/// One change of data or of a field that holds a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChange {
    /// Line in the new text (in the old one for what is gone).
    pub line: u32,
    /// The variable or field as one would write it, e.g. `M.limits.max`.
    pub path: String,
    /// Keys from the variable on, or from the environment; none: the variable
    /// itself.
    pub keys: Vec<Constant>,
    /// What the old text put there.
    pub before: Before,
    /// What the new text puts there, as shown.
    pub after: String,
    /// What it is.
    pub kind: ChangeKind,
    /// Made whatever stands there.
    pub replace: bool,
    /// The table it is put into is another one, or was emptied: it is made where
    /// nothing stands, and what stands there already stays.
    pub again: bool,
    /// Expressions that are evaluated for it.
    pub evaluated: Option<Evaluated>,
}

/// A change whose old or new value is what an expression gives. Evaluating it may
/// change nothing that exists; the change is made where the program has what the old
/// expression gives now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// Number of the value that the old text's expression gives before the patch.
    pub old: Option<usize>,
    /// Number of the value that the new text's expression gives.
    pub new: Option<usize>,
    /// Keys of the path that are expressions: their positions, and the numbers of
    /// their values.
    pub keys: Vec<(usize, usize)>,
    /// What is said where the change is not made.
    pub not_run: NotRun,
}

/// An `if` statement that changed: what the arms are that old and new text take is
/// found out when the patch is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Number of the value that says which arm the old text takes: from 1, 0 is the
    /// `else`. `None`: the statement is new.
    pub old: Option<usize>,
    /// The same for the new text.
    pub new: usize,
    /// Arms of the old and the new text that do the same.
    pub agreeing: Vec<(i64, i64)>,
    /// Arms of the new text that do not leave the main chunk.
    pub staying: Vec<i64>,
    /// What is said if others are taken.
    pub not_run: NotRun,
}

impl DataChange {
    /// Whether it is data.
    pub fn is_data(&self) -> bool {
        self.kind != ChangeKind::Definition
    }
}

/// What became of one change of data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Merged {
    /// Chunk as shown to people.
    pub chunk: Arc<str>,
    /// Line in the new text.
    pub line: u32,
    /// The variable or field.
    pub path: String,
    /// What the old text put there, as shown.
    pub before: String,
    /// What the new text puts there, as shown.
    pub after: String,
    /// What stood there instead of `before` and was left alone; `None`: the change
    /// was made.
    pub overridden: Option<String>,
}

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            before,
            after,
            ..
        } = self;
        match &self.overridden {
            None => write!(f, "{path}: {before} → {after}"),
            Some(live) => write!(
                f,
                "{path} was overridden at run time and left alone: it is {live}, not {before}; the text now says {after}; \
                 to set it: data = {{ [\"{path}\"] = \"replace\" }}"
            ),
        }
    }
}
