//! The new text with older functions in it: what really runs after a patch of
//! which some functions were refused.
//!
//! It is compiled as a text of its own, so everything that plans and commits
//! texts works on it unchanged. Two things make that right:
//!
//! - *Each function means in it what it means in its own text.* A name is
//!   resolved by what stands around a function, and here another text may stand
//!   there. [`Hybrid::strangers`] compares, function by function, which variables
//!   the code uses, its constants and its operations: they must be those of the
//!   function's own text, where a variable declared by the other text's half of a
//!   matched pair is the same if both halves declare its name equally often. That
//!   is the rule by which variables are matched everywhere (`captures.rs`).
//! - *The running code can be replaced by it*: it is planned like any text, by the
//!   same rules, and refused like any.

use foldhash::HashMap;
use moonswap_bytecode::opcode::{OpCode, OperandKind};
use moonswap_bytecode::prototype::Prototype;
use moonswap_compiler::syntax::ast::FunctionIndex;
use moonswap_compiler::syntax::graft::{Exchanged, graft};

use crate::compare::matching::matcher::Matching;
use crate::patch::ChunkPatch;
use crate::patch::outline::{LiteralIndex, Outline};

/// Number of the running text among the two.
pub(crate) const OLD: usize = 0;
/// Number of the new text.
pub(crate) const NEW: usize = 1;

/// A literal of one of the two texts.
pub(crate) type Origin = (usize, LiteralIndex);

/// The two texts and what is which.
pub(crate) struct Texts<'a> {
    pub(crate) old: &'a ChunkPatch,
    pub(crate) new: &'a ChunkPatch,
    pub(crate) matching: &'a Matching,
}

/// A text made of two.
pub(crate) struct Hybrid {
    pub(crate) text: ChunkPatch,
    /// Where its literals come from.
    pub(crate) origins: Vec<Origin>,
    /// Statements of the new main chunk gave way to older ones.
    is_cut: bool,
}

impl Texts<'_> {
    pub(crate) fn outline(&self, which: usize) -> &Outline {
        match which {
            OLD => &self.old.facts().outline,
            _ => &self.new.facts().outline,
        }
    }

    /// The literal of the new text that stands for the same function.
    pub(crate) fn new_of(&self, (which, at): Origin) -> Option<LiteralIndex> {
        match which {
            OLD => self.matching.new_of[at],
            _ => Some(at),
        }
    }

    /// What stands for a literal if the ones in `held` (of the new text) stay old.
    fn chosen(&self, (which, at): Origin, held: &[bool]) -> Origin {
        match self.new_of((which, at)) {
            Some(is) if !held[is] => (NEW, is),
            Some(is) => self.matching.old_of[is].map_or((which, at), |was| (OLD, was)),
            None => (which, at),
        }
    }

    /// Puts the older functions of `held` into the new text, and older statements for
    /// those of the new main chunk in `exchanged`; or the newer functions into the
    /// older main chunk, if that is held back. `None` if it cannot be compiled.
    pub(crate) fn mix(&self, held: &[bool], exchanged: &Exchanged) -> Option<Hybrid> {
        let outlines = [OLD, NEW].map(|which| self.outline(which));
        let literal_of = outlines.map(|outline| {
            let numbered = outline.literals.iter().enumerate();
            numbered
                .filter_map(|(at, literal)| Some((literal.function?, at)))
                .collect::<HashMap<FunctionIndex, LiteralIndex>>()
        });
        let trees = [
            (self.old.ast(), &self.old.source()[..]),
            (self.new.ast(), &self.new.source()[..]),
        ];
        let function = |(which, at): Origin| {
            let function = outlines[which].get(at).function?;
            Some((which, function))
        };
        let mut choose = |(which, index): (usize, FunctionIndex)| {
            let literal = literal_of[which].get(&index);
            let chosen = literal.map(|&at| self.chosen((which, at), held));
            chosen.and_then(function).unwrap_or((which, index))
        };
        let main = function(self.chosen((NEW, 0), held))?;
        let none = Exchanged::new();
        let exchanged = if main.0 == NEW { exchanged } else { &none };
        let made = graft(trees, main, exchanged, &mut choose)?;
        let text = ChunkPatch::of_tree(self.new.chunk(), &made.source, made.ast).ok()?;
        let origin = |function: Option<FunctionIndex>| {
            let (which, index) = *made.origins.get(function?.0 as usize)?;
            Some((which, *literal_of[which].get(&index)?))
        };
        let literals = text.facts().outline.literals.iter();
        let origins: Option<Vec<Origin>> = literals.map(|l| origin(l.function)).collect();
        let origins = origins?;
        Some(Hybrid {
            text,
            origins,
            is_cut: !exchanged.is_empty(),
        })
    }
}

impl Hybrid {
    /// Literals that mean something else here than in their own text, with the
    /// variable it is about, if it is about one.
    pub(crate) fn strangers(&self, texts: &Texts<'_>) -> Vec<(LiteralIndex, Option<String>)> {
        let outline = &self.text.facts().outline;
        let mut found = Vec::new();
        for (at, &(which, own)) in self.origins.iter().enumerate() {
            let (here, there) = (
                &outline.get(at).prototype,
                &texts.outline(which).get(own).prototype,
            );
            if let Some(name) = self.other_variable(texts, at) {
                found.push((at, Some(name)));
            } else if at == 0 && self.is_cut {
                // What the other statements mean was looked at when it was cut.
            } else if here.constants != there.constants || operations(here) != operations(there) {
                // The value of a constant variable is part of the code.
                found.push((at, None));
            }
        }
        found
    }

    /// A variable that the code of a literal uses here, or in its own text, and not
    /// in the other.
    fn other_variable(&self, texts: &Texts<'_>, at: LiteralIndex) -> Option<String> {
        let outline = &self.text.facts().outline;
        let (which, own) = self.origins[at];
        let own_outline = texts.outline(which);
        let (here, there) = (&outline.get(at).prototype, &own_outline.get(own).prototype);
        let (used_here, used_there) = (used(here), used(there));
        let same = |a: u16, b: u16| {
            let (a, b) = (
                &here.upvalues[usize::from(a)],
                &there.upvalues[usize::from(b)],
            );
            let alike = a.name == b.name
                && a.top_level == b.top_level
                && a.in_loop == b.in_loop
                && a.kind == b.kind;
            let owner_here = outline.ancestor(at, a.depth).map(|l| self.origins[l]);
            let owner_there = own_outline.ancestor(own, b.depth);
            let same_owner = match (owner_here, owner_there) {
                (None, None) => true,
                (Some((from, literal)), Some(owner)) if from == which => literal == owner,
                (Some(other), Some(owner)) => {
                    let is_pair = texts.new_of(other).is_some()
                        && texts.new_of(other) == texts.new_of((which, owner));
                    let count =
                        |of: usize, literal| texts.outline(of).count(literal, &a.name, a.top_level);
                    let counts = (count(other.0, other.1), count(which, owner));
                    is_pair && counts.0.is_some() && counts.0 == counts.1
                }
                _ => false,
            };
            alike && same_owner && a.declaration == b.declaration
        };
        let missing = |list: &[u16], other: &[u16], same: &dyn Fn(u16, u16) -> bool| {
            let lacks = |a: &&u16| !other.iter().any(|b| same(**a, *b));
            list.iter().find(lacks).copied()
        };
        let name = |prototype: &Prototype, index: u16| {
            prototype.upvalues[usize::from(index)].name.to_string()
        };
        missing(&used_there, &used_here, &|b, a| same(a, b))
            .map(|index| name(there, index))
            .or_else(|| missing(&used_here, &used_there, &same).map(|index| name(here, index)))
    }
}

fn operands(word: moonswap_bytecode::Instruction) -> Option<(OpCode, [(OperandKind, u16); 3])> {
    let op = word.opcode()?;
    let kinds = op.operands();
    Some((
        op,
        [
            (kinds[0], word.a()),
            (kinds[1], word.b()),
            (kinds[2], word.c()),
        ],
    ))
}

/// The captured variables that the code of a literal itself uses: not those that it
/// only hands on to literals in it.
fn used(prototype: &Prototype) -> Vec<u16> {
    let words = prototype.code.iter().filter_map(|word| operands(*word));
    let mut found: Vec<u16> = words
        .flat_map(|(_, list)| list)
        .filter(|(kind, _)| *kind == OperandKind::Upvalue)
        .map(|(_, index)| index)
        .filter(|index| usize::from(*index) < prototype.upvalues.len())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What the code does, without what depends on the literals in it: which variables
/// they capture decides where variables are closed, how far jumps go, and the order
/// of the captured ones.
fn operations(prototype: &Prototype) -> Vec<(OpCode, [u16; 3])> {
    use OperandKind as K;
    let words = prototype.code.iter().filter_map(|word| operands(*word));
    words
        .filter(|(op, _)| {
            !matches!(
                op,
                OpCode::Close
                    | OpCode::Return
                    | OpCode::Return0
                    | OpCode::Return1
                    | OpCode::KeepScope
            )
        })
        .map(|(op, list)| {
            let is_wide_jump = list[1].0 == K::WideJump;
            let value = |(kind, value)| match kind {
                K::Upvalue | K::Jump | K::WideJump => 0,
                K::Unused if is_wide_jump => 0,
                _ => value,
            };
            (op, list.map(value))
        })
        .collect()
}
