//! `Literal`: a function as it is read from a binary chunk, for whoever verifies, records
//! and loads it. Names are those of the chunk, which holds short strings once and numbers
//! them; lists are used again for the next function.

use crate::function_id::{NumberedStep, PathStep};
use crate::instruction::Instruction;
use crate::prototype::{Capture, LocalVariable, ScopeVariable, UpvalueDescription};

/// A string of a chunk: text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered<S> {
    text: S,
    number: u32,
}

/// A name in a chunk.
pub type Name<'a> = Numbered<&'a str>;

/// The number of a string that has none.
const NONE: u32 = u32::MAX;

impl<S: Copy> Numbered<S> {
    /// A string with a number, or without: those of equal strings may differ.
    pub(crate) fn new(text: S, number: Option<u32>) -> Self {
        let number = number.unwrap_or(NONE);
        Self { text, number }
    }

    /// The string itself.
    pub fn text(&self) -> S {
        self.text
    }

    /// Its number in the chunk, from 0 on without gaps, if it has one: short ones do.
    #[inline]
    pub fn number(&self) -> Option<usize> {
        (self.number != NONE).then_some(self.number as usize)
    }
}

impl AsRef<str> for Name<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

/// A constant of a literal: see [`Constant`](crate::Constant).
#[derive(Clone, Copy, Debug)]
pub enum LiteralConstant<'a> {
    /// `nil`
    Nil,
    /// `true` or `false`
    Boolean(bool),
    /// an integer
    Integer(i64),
    /// a float
    Float(f64),
    /// a byte string
    String(Numbered<&'a [u8]>),
    /// the cell of a top-level local
    Cell(u32),
}

/// The last step of a literal's path.
#[derive(Clone, Copy, Debug)]
pub struct LiteralStep<'a> {
    /// See [`PathStep::parts`].
    pub(crate) kind: u8,
    /// Its name, if it has one.
    pub(crate) name: Option<Name<'a>>,
    /// Its number, or 0.
    pub(crate) n: u32,
    pub(crate) ordinal: u32,
}

impl<'a> LiteralStep<'a> {
    /// Of these parts; what the kind of step does not have is left out. `None`: there is
    /// no such kind.
    pub(crate) fn new(kind: u8, name: Name<'a>, n: u32, ordinal: u32) -> Option<Self> {
        let (has_name, has_number) = PathStep::has(kind)?;
        Some(Self {
            kind,
            name: has_name.then_some(name),
            n: if has_number { n } else { 0 },
            ordinal,
        })
    }

    /// The same as paths have it.
    pub fn step(&self) -> NumberedStep {
        let name = self.name.map_or("", |name| name.text);
        let step = PathStep::from_parts(self.kind, name.into(), self.n);
        (step.unwrap_or(PathStep::Anonymous), self.ordinal)
    }
}

/// The lines of a literal's instructions, as they stand in a chunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LiteralLines<'a> {
    pub(crate) n: usize,
    /// The smallest; the others are distances from it.
    pub(crate) first: u32,
    /// Bytes of a distance: 0, 1, 2 or 4.
    pub(crate) width: u8,
    pub(crate) distances: &'a [u8],
}

/// A closure-creation site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiteralSite {
    pub(crate) child: u32,
    /// Where its captures end in the list of all.
    pub(crate) end: u32,
}

/// A function of a binary chunk without those in it: see [`Prototype`](crate::Prototype).
#[derive(Debug, Default)]
pub struct Literal<'a> {
    /// Its place in the function around it; of the chunk's outermost one the whole path.
    pub(crate) path: Vec<LiteralStep<'a>>,
    /// Number of fixed parameters.
    pub n_params: u8,
    /// Takes `...`.
    pub is_vararg: bool,
    /// Registers needed.
    pub frame_size: u16,
    pub(crate) line_defined: u32,
    pub(crate) last_line_defined: u32,
    /// The instructions. Constants are indices here.
    pub code: Vec<Instruction>,
    /// Constants.
    pub constants: Vec<LiteralConstant<'a>>,
    pub(crate) sites: Vec<LiteralSite>,
    pub(crate) captures: Vec<Capture>,
    /// Captured variables.
    pub upvalues: Vec<UpvalueDescription<Name<'a>>>,
    /// Top-level locals, of a main chunk only, in source order.
    pub scope: Vec<ScopeVariable<Name<'a>>>,
    pub(crate) locals: Vec<LocalVariable<Name<'a>>>,
    pub(crate) lines: LiteralLines<'a>,
    pub(crate) is_stripped: bool,
    /// Bytes that its lists take.
    pub(crate) held: usize,
}

/// An empty list in the place of another: with its memory, if items are as large.
pub(crate) fn emptied<T, U>(mut list: Vec<T>) -> Vec<U> {
    list.clear();
    list.into_iter().filter_map(|_| None).collect()
}

impl Literal<'_> {
    /// Its lists, empty, for a literal of another chunk.
    pub(crate) fn emptied<'b>(mut self) -> Literal<'b> {
        self.code.clear();
        self.sites.clear();
        self.captures.clear();
        Literal {
            path: emptied(self.path),
            code: self.code,
            constants: emptied(self.constants),
            sites: self.sites,
            captures: self.captures,
            upvalues: emptied(self.upvalues),
            scope: emptied(self.scope),
            locals: emptied(self.locals),
            ..Literal::default()
        }
    }

    /// Whether this is a main chunk.
    pub fn is_main(&self) -> bool {
        self.path.is_empty()
    }

    /// The closure-creation sites: index of the function inside, and one capture for
    /// each variable that it captures.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = (u32, &[Capture])> {
        let mut start = 0;
        self.sites.iter().map(move |site| {
            let end = site.end as usize;
            let captures = self.captures.get(start..end).unwrap_or(&[]);
            start = end;
            (site.child, captures)
        })
    }

    /// How many captures all sites have.
    pub fn n_captures(&self) -> usize {
        self.captures.len()
    }
}
