//! How running activations move: values.

use super::initial::{Gives, Initial};

/// Where an iteration of a loop goes on in the new code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsrEntry {
    /// The instruction.
    pub pc: u32,
    /// Registers of the old and the new frame that hold the same.
    pub moves: Vec<(u16, u16)>,
    /// Registers of the new frame that are variables of the scope record: index of
    /// the cell.
    pub cells: Vec<(u16, u32)>,
    /// What is made then, in order.
    pub initials: Vec<Initial>,
}

impl OsrEntry {
    /// Whether a register of the new frame holds something.
    pub(super) fn gives(&self, register: u16) -> bool {
        self.moves.iter().any(|(_, to)| *to == register)
            || self.cells.iter().any(|(to, _)| *to == register)
            || self.initials.iter().any(|initial| match initial.gives {
                Gives::Variable(to) => to == register,
                Gives::Loop(state) => (state..state + 3).contains(&register),
            })
    }
}

/// An iteration boundary of a loop of the old code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsrExit {
    /// The instruction at which activations leave the old code.
    pub pc: u32,
    /// Line on which the loop begins, in the old text.
    pub line: u32,
    /// The loop's instructions.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Where to, or why they stay.
    pub to: Result<OsrEntry, String>,
}

/// The turns of all loops of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// By `pc`.
    pub turns: Vec<OsrExit>,
}

impl Migration {
    /// The turn at an instruction.
    pub fn at(&self, pc: usize) -> Option<&OsrExit> {
        let found = self.turns.binary_search_by_key(&pc, |t| t.pc as usize);
        found.ok().map(|i| &self.turns[i])
    }

    /// What becomes of an activation that is at an instruction: the innermost loop
    /// around it whose turn leads to new code; else the innermost one.
    pub fn exit_at(&self, pc: usize) -> Option<&OsrExit> {
        let around = || {
            let turns = self.turns.iter();
            turns.filter(move |t| (t.first as usize..=t.last as usize).contains(&pc))
        };
        let inner = |t: &&OsrExit| t.last - t.first;
        let moves = around().filter(|t| t.to.is_ok()).min_by_key(inner);
        moves.or_else(|| around().min_by_key(inner))
    }
}

/// Which cells of the scope record the top-level locals of two versions of a main
/// chunk have, in the order of their scopes.
#[derive(Clone, Copy, Debug)]
pub struct ScopeCells<'a> {
    /// Of the version that runs.
    pub old: &'a [Option<u32>],
    /// Of the version to go to.
    pub new: &'a [Option<u32>],
    /// Whether each cell is there; others are.
    pub present: &'a [bool],
}
