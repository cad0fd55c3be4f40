//! Reading of binary chunks function by function: each is verified and given away before
//! the next comes, those in it first. Few functions are held at any time, and what they
//! took is used again.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::budget::{ALLOCATION, Budget};
use super::format::{MAX_DEPTH, MIN_FUNCTION, UndumpError};
use super::input::{Input, Known};
use super::read::{Head, Reader};
use crate::function_id::{FunctionId, KEY};
use crate::literal::{Literal, LiteralStep, emptied};
use crate::verify::{Verifier, VerifyError};
use crate::watch::Watch;

/// Who takes the functions of a binary chunk as they are read.
pub trait Take {
    /// The outermost function begins: the name of its chunk, and its path.
    fn begins_outermost(
        &mut self,
        chunk: &str,
        path: &[LiteralStep<'_>],
    ) -> Result<(), UndumpError>;

    /// A function inside the one that began last, and has not ended, begins.
    fn begins(&mut self, step: &LiteralStep<'_>) -> Result<(), UndumpError>;

    /// The function ends that began last; those in it have ended. It is verified, and
    /// gone afterwards. `held`: how many bytes all takes that was read and is held.
    /// Answers how much room there is for everything that is held from here on.
    fn ends(&mut self, literal: &Literal<'_>, held: usize) -> Result<usize, UndumpError>;
}

/// Nobody: to see whether there is a chunk.
struct Nobody {
    room: usize,
}

impl Take for Nobody {
    fn begins_outermost(&mut self, _: &str, _: &[LiteralStep<'_>]) -> Result<(), UndumpError> {
        Ok(())
    }

    fn begins(&mut self, _: &LiteralStep<'_>) -> Result<(), UndumpError> {
        Ok(())
    }

    fn ends(&mut self, _: &Literal<'_>, _: usize) -> Result<usize, UndumpError> {
        Ok(self.room)
    }
}

/// Reads and verifies a binary chunk for `to`, who gets its functions one after the
/// other. Bytes after its end are ignored. `watch` may stop it ([`UndumpError::Stopped`]).
/// After an error, what was given is of no use.
///
/// `room`: how many bytes may be taken at first ([`UndumpError::Memory`]), `usize::MAX`
/// for no limit.
pub fn undump_to(
    bytes: &[u8],
    watch: Option<&Watch<'_>>,
    room: usize,
    to: &mut dyn Take,
) -> Result<(), UndumpError> {
    undump_with(&mut Kept::default(), bytes, watch, room, to)
}

/// As [`undump_to`], with lists that were used for a chunk before. They do not count as
/// taken: who has a limit keeps none.
pub fn undump_with(
    kept: &mut Kept,
    bytes: &[u8],
    watch: Option<&Watch<'_>>,
    room: usize,
    to: &mut dyn Take,
) -> Result<(), UndumpError> {
    walk(bytes, watch, room, to, kept, true)
}

/// Empty lists for reading chunks, which have room: that of the last one.
#[derive(Default)]
pub struct Kept {
    known: Vec<Known<'static>>,
    cells: Vec<u32>,
    verifier: Verifier,
    steps: Vec<LiteralStep<'static>>,
    ids: Vec<u64>,
    n_upvalues: Vec<usize>,
    table: Vec<u64>,
    spare: Vec<Literal<'static>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// Whether bytes behind these make no difference to [`undump_to`] with as much room: the
/// chunk ends here, or what is here is wrong. `false` if `watch` stopped the look.
pub fn is_decided(bytes: &[u8], watch: Option<&Watch<'_>>, room: usize) -> bool {
    !matches!(
        walk(
            bytes,
            watch,
            room,
            &mut Nobody { room },
            &mut Kept::default(),
            false
        ),
        Err(UndumpError::Truncated | UndumpError::Stopped)
    )
}

/// Bytes of a function's lists that are not kept for the next one.
const LARGE: usize = 256 << 10;

/// Room in lists that grow: most chunks need no more.
const FEW: usize = 8;

fn walk<'a>(
    bytes: &'a [u8],
    watch: Option<&'a Watch<'a>>,
    room: usize,
    to: &mut dyn Take,
    kept: &mut Kept,
    verifies: bool,
) -> Result<(), UndumpError> {
    let Kept {
        known,
        cells,
        verifier,
        mut steps,
        mut ids,
        mut n_upvalues,
        table,
        mut spare,
    } = std::mem::take(kept);
    let input = Input::new(bytes, watch, room, known);
    let (reader, head) = Reader::begin(input, cells)?;
    to.begins_outermost(head.chunk.text(), &head.path)?;
    let mut outermost: Literal<'a> = spare.pop().unwrap_or_default();
    outermost.path.clear();
    outermost.path.extend_from_slice(&head.path);
    steps.reserve(FEW);
    ids.reserve(FEW);
    n_upvalues.reserve(FEW);
    let n = head.n_upvalues;
    let mut walk = Walk {
        reader,
        verifier: verifies.then_some(verifier),
        to,
        head,
        steps,
        ids,
        n_upvalues,
        table,
        spare,
    };
    walk.function(outermost, Some(n))?;
    let Walk {
        reader,
        verifier,
        steps,
        mut ids,
        mut n_upvalues,
        table,
        spare,
        ..
    } = walk;
    ids.clear();
    n_upvalues.clear();
    let (known, cells) = reader.into_lists();
    *kept = Kept {
        known,
        cells,
        verifier: verifier.unwrap_or_default(),
        steps: emptied(steps),
        ids,
        n_upvalues,
        table,
        spare: spare.into_iter().map(Literal::emptied).collect(),
    };
    Ok(())
}

struct Walk<'a, 't> {
    reader: Reader<'a>,
    verifier: Option<Verifier>,
    to: &'t mut dyn Take,
    head: Head<'a>,
    /// From the outermost function to the one that is read.
    steps: Vec<LiteralStep<'a>>,
    /// Of functions that ended, and whose outer ones did not: hashes of their steps, and
    /// how many variables they capture.
    ids: Vec<u64>,
    n_upvalues: Vec<usize>,
    /// See [`differ`].
    table: Vec<u64>,
    /// Literals whose lists can be used again.
    spare: Vec<Literal<'a>>,
}

/// What a function takes in the lists of its outer one, which grow.
const IN_LISTS: usize = 2 * 2 * size_of::<u64>();

impl<'a> Walk<'a, '_> {
    /// Reads a function that has begun, and gives it away. `n_upvalues`: how many
    /// variables it captures, if that is known.
    fn function(
        &mut self,
        mut literal: Literal<'a>,
        n_upvalues: Option<usize>,
    ) -> Result<(), UndumpError> {
        self.reader.function(&mut literal)?;
        let has = literal.upvalues.len();
        if n_upvalues.is_some_and(|n| n != has) {
            return Err(UndumpError::Corrupted);
        }
        let first = self.ids.len();
        self.children()?;
        let budget = &mut self.reader.input.budget;
        differ(&self.ids[first..], &mut self.table, budget)?;
        self.verify(&literal, first)?;
        let input = &mut self.reader.input;
        let room = self.to.ends(&literal, input.budget.held())?;
        input.budget.set_room(room);
        let n_children = self.ids.len() - first;
        input.budget.give_back(n_children * IN_LISTS);
        self.ids.truncate(first);
        self.n_upvalues.truncate(first);
        if literal.held > LARGE {
            input.budget.give_back(literal.held);
            literal = Literal::default();
        }
        self.n_upvalues.push(has);
        self.spare.push(literal);
        Ok(())
    }

    /// Reads the functions in one.
    fn children(&mut self) -> Result<(), UndumpError> {
        for _ in 0..self.reader.input.count(MIN_FUNCTION)? {
            self.reader.input.go_on()?;
            let step = self.reader.step()?;
            if self.steps.len() == MAX_DEPTH {
                return Err(UndumpError::Corrupted);
            }
            self.to.begins(&step)?;
            let mut literal = match self.spare.pop() {
                Some(literal) => literal,
                None => {
                    let bytes = size_of::<Literal<'_>>() + 2 * ALLOCATION;
                    self.reader.input.budget.take(bytes)?;
                    Literal::default()
                }
            };
            literal.path.clear();
            literal.path.push(step);
            self.steps.push(step);
            self.function(literal, None)?;
            self.steps.pop();
            self.reader.input.budget.take(IN_LISTS)?;
            self.ids.push(hash(&step));
        }
        Ok(())
    }

    /// Verifies a function; those in it are listed from `first` on.
    fn verify(&mut self, literal: &Literal<'a>, first: usize) -> Result<(), UndumpError> {
        let Some(verifier) = &mut self.verifier else {
            return Ok(());
        };
        let input = &self.reader.input;
        verifier.set_room(input.budget.left());
        let children = &self.n_upvalues[first..];
        let verified = verifier.verify_literal(literal, children, input.watch);
        verifier.forget_large();
        verified.map_err(|(pc, fault)| {
            let steps = self.head.path.iter().chain(&self.steps);
            let path: Vec<_> = steps.map(LiteralStep::step).collect();
            let function = FunctionId::new(Arc::from(self.head.chunk.text()), path);
            let error = VerifyError {
                function,
                pc,
                fault,
            };
            error.into()
        })
    }
}

/// Functions side by side are all different: their hashes are. Everything knows
/// functions by their steps. `table`: a list to work with, which `budget` counts.
fn differ(ids: &[u64], table: &mut Vec<u64>, budget: &mut Budget) -> Result<(), UndumpError> {
    if ids.len() < 2 {
        return Ok(());
    }
    let size = (2 * ids.len()).next_power_of_two();
    if size > table.capacity() {
        let more = size - table.capacity();
        budget.take(more * size_of::<u64>())?;
        table.clear();
        let is_there = table.try_reserve_exact(size);
        is_there.map_err(|_| UndumpError::Memory)?;
    }
    table.clear();
    table.resize(size, 0);
    for &id in ids {
        // 0 is a free place.
        let id = id.max(1);
        let mut at = id as usize % size;
        while table[at] != 0 {
            if table[at] == id {
                return Err(UndumpError::Corrupted);
            }
            at = (at + 1) % size;
        }
        table[at] = id;
    }
    Ok(())
}

/// What equal steps have in common, and no others but by a rare chance.
fn hash(step: &LiteralStep<'_>) -> u64 {
    let name = step.name.map(|name| name.text());
    KEY.hash_one((step.kind, step.n, step.ordinal, name))
}
