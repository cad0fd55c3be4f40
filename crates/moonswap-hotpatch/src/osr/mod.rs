//! Moving running activations to new code: where from and where to, or why not.
//!
//! It happens where both codes are at the same place with nothing under way but the
//! variables in sight: at an iteration boundary of a loop that both have (`loops`). Each register
//! that the new code needs must be a variable with a counterpart in the old
//! activation, of the same name and scope, or hidden state of a `for` loop around,
//! or a top-level local that has a cell (`osr_entry`), or what the new code's own
//! instructions can make without any effect (`fresh`). What is said here is a proof:
//! the VM only carries it out.
//!
//! Any two versions of a function can be compared, whatever came between: closures
//! suit all versions of their function, and cells keep their numbers.

mod fresh;
pub(crate) mod initial;
pub(crate) mod liveness;
mod loops;
pub(crate) mod migration;
mod osr_entry;
mod side;

use std::sync::Arc;

use moonswap_bytecode::prototype::{Capture, Prototype, ScopeVariable};
use moonswap_bytecode::{ClosureSite, OpCode};

use initial::Gives;
use liveness::needed;
use loops::{Loops, match_loops, turns};
use migration::{Migration, OsrEntry, OsrExit, ScopeCells};
use osr_entry::Sides;
use side::Side;

/// The cells that top-level locals have in a scope record with these labels. The
/// newest of equal name counts.
pub fn scope_cells(scope: &[ScopeVariable], labels: &[(Arc<str>, u32)]) -> Box<[Option<u32>]> {
    let is = |v: &ScopeVariable, (name, declaration): &(Arc<str>, u32)| {
        *declaration == v.declaration && *name == v.name
    };
    if scope.len() == labels.len() && scope.iter().zip(labels).all(|(v, label)| is(v, label)) {
        return (0..scope.len() as u32).map(Some).collect();
    }
    let label = |v: &ScopeVariable| {
        let at = labels.iter().rposition(|label| is(v, label));
        at.and_then(|at| u32::try_from(at).ok())
    };
    scope.iter().map(label).collect()
}

/// Works out where activations of a function's version leave it for another one.
pub fn plan_migration(old: &Prototype, new: &Prototype, cells: &ScopeCells<'_>) -> Migration {
    let turns = turns(old);
    if turns.is_empty() {
        return Migration::default();
    }
    if is_same_code(old, new) {
        let turns = turns.into_iter().map(|(pc, at)| same_place(old, pc, at));
        return Migration {
            turns: turns.collect(),
        };
    }
    let general = frames_differ(old, new);
    let new_needs = match general {
        None => needed(new),
        Some(_) => Vec::new(),
    };
    let sides = Sides {
        old: Side::of(old),
        new: Side::of(new),
        needs: &new_needs,
        cells,
    };
    let matched = match_loops((&sides.old.loops, old), (&sides.new.loops, new));
    let planned = turns.into_iter().map(|(pc, at)| {
        let info = &sides.old.loops.all[at];
        let to = match &general {
            Some(reason) => Err((*reason).to_owned()),
            None => matched[at]
                .clone()
                .and_then(|to| sides.turn(pc, at, to, &matched)),
        };
        OsrExit {
            pc,
            line: info.line,
            first: info.start_pc,
            last: info.end_pc,
            to,
        }
    });
    Migration {
        turns: planned.collect(),
    }
}

/// An iteration boundary of code that only has other lines, or other names of locals.
fn same_place(code: &Prototype, pc: u32, at: usize) -> OsrExit {
    let loops = Loops::of(code);
    let info = loops.all[at];
    let registers = 0..code.frame_size;
    OsrExit {
        pc,
        line: info.line,
        first: info.start_pc,
        last: info.end_pc,
        to: Ok(OsrEntry {
            pc,
            moves: registers.map(|register| (register, register)).collect(),
            cells: Vec::new(),
            initials: Vec::new(),
        }),
    }
}

/// What keeps all activations of a function where they are.
fn frames_differ(old: &Prototype, new: &Prototype) -> Option<&'static str> {
    if old.is_stripped() || new.is_stripped() || new.debug.loops.is_empty() {
        let known = !old.is_stripped() && !new.is_stripped();
        return Some(if known {
            "the new text has no loops"
        } else {
            "names of variables are not known: the code is stripped"
        });
    }
    if old.is_vararg != new.is_vararg || old.is_vararg && old.n_params != new.n_params {
        return Some("its variable arguments are taken otherwise");
    }
    // They are compiled into the beginning of the function.
    let made = |i: &(u16, Arc<str>)| old.initialisers.contains(i);
    if !new.initialisers.iter().all(made) {
        return Some("captured variables get their values at the beginning of the new code");
    }
    None
}

/// Whether two versions of a function mean the same: only lines, names of locals
/// and reserved captures differ. Their children are compared by the caller.
pub fn is_same_code(a: &Prototype, b: &Prototype) -> bool {
    let site = |(a, b): (&ClosureSite, &ClosureSite)| {
        // A closure may be short of what is reserved, or late.
        let n = a.captures.len().min(b.captures.len());
        let rest = a.captures[n..].iter().chain(&b.captures[n..]);
        a.child == b.child
            && a.captures[..n] == b.captures[..n]
            && rest.into_iter().all(|c| *c == Capture::Vacant)
    };
    a.own_hash == b.own_hash
        && a.code == b.code
        && a.constants == b.constants
        && a.sites.len() == b.sites.len()
        && a.sites.iter().zip(&b.sites).all(site)
}

/// Whether a osr_entry fits the frames of both functions, and the operations it
/// leads between are alike.
pub fn is_sound(old: &Prototype, new: &Prototype, turn: &OsrExit) -> bool {
    let Ok(osr_entry) = &turn.to else {
        return false;
    };
    let at = |prototype: &Prototype, pc: u32| {
        let i = prototype.code.get(pc as usize)?;
        let op = i.opcode()?;
        let is_turn = [OpCode::JumpBack, OpCode::ForLoop, OpCode::TForCall].contains(&op);
        is_turn.then_some(op)
    };
    let op = at(old, turn.pc);
    op.is_some()
        && op == at(new, osr_entry.pc)
        && osr_entry
            .moves
            .iter()
            .all(|(from, to)| *from < old.frame_size && *to < new.frame_size)
        && osr_entry.cells.iter().all(|(to, _)| *to < new.frame_size)
        && osr_entry.initials.iter().all(|initial| {
            let op = |pc: &u32| new.code.get(*pc as usize).and_then(|i| i.opcode());
            initial
                .run
                .iter()
                .all(|pc| op(pc).is_some_and(fresh::is_pure))
                && match initial.gives {
                    Gives::Variable(to) => to < new.frame_size,
                    Gives::Loop(state) => state + 2 < new.frame_size,
                }
        })
}
