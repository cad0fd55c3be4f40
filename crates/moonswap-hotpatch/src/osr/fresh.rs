//! Values that a moved activation does not have, and that the new code's own
//! instructions give it: variables that are new, limits of `for` loops that are
//! others.
//!
//! Only what is known to come out as it would have in an activation of the new
//! code is run: constants, tables that are still empty, arithmetic on variables
//! that nobody has assigned to since they were declared. What the new code would
//! have done to the variable before it comes to the loop forbids it.

use std::collections::BTreeMap;

use foldhash::HashSet;
use moonswap_bytecode::effects::jump_distance;
use moonswap_bytecode::prototype::{LocalVariable, Prototype};
use moonswap_bytecode::{Effects, Form, OpCode};

use super::initial::{Gives, Initial};
use super::liveness::{Set, reads};
use super::side::Side;

/// Whether an operation makes a value of nothing but registers and constants.
/// Arithmetic does, on numbers.
pub(super) fn is_pure(op: OpCode) -> bool {
    match op {
        OpCode::Move
        | OpCode::LoadInt
        | OpCode::LoadFloat
        | OpCode::LoadConst
        | OpCode::LoadNil
        | OpCode::LoadFalse
        | OpCode::LoadTrue
        | OpCode::NewTable
        | OpCode::Not => true,
        _ => is_arithmetic(op),
    }
}

/// Whether it is arithmetic.
pub(super) fn is_arithmetic(op: OpCode) -> bool {
    [
        OpCode::Add,
        OpCode::Sub,
        OpCode::Mul,
        OpCode::Mod,
        OpCode::Pow,
        OpCode::Div,
        OpCode::IntDiv,
        OpCode::BitAnd,
        OpCode::BitOr,
        OpCode::BitXor,
        OpCode::ShiftLeft,
        OpCode::ShiftRight,
        OpCode::AddImm,
        OpCode::SubImm,
        OpCode::ShiftLeftImm,
        OpCode::ShiftRightImm,
        OpCode::AddConst,
        OpCode::SubConst,
        OpCode::MulConst,
        OpCode::ModConst,
        OpCode::PowConst,
        OpCode::DivConst,
        OpCode::IntDivConst,
        OpCode::BitAndConst,
        OpCode::BitOrConst,
        OpCode::BitXorConst,
        OpCode::Negate,
        OpCode::BitNot,
    ]
    .contains(&op)
}

/// Instructions that something before them jumps to.
pub(super) fn targets(prototype: &Prototype) -> HashSet<u32> {
    let mut found = HashSet::default();
    for (pc, i) in prototype.code.iter().enumerate() {
        let Some(op) = i.opcode() else { continue };
        let distance = match op.form() {
            Form::Skip => Some(1),
            _ => jump_distance(*i, op),
        };
        let forward = distance.filter(|d| *d >= 0);
        let target = forward.map(|d| pc as i64 + 1 + i64::from(d));
        found.extend(target.and_then(|t| u32::try_from(t).ok()));
    }
    found
}

/// Whether a variable keeps the value it was declared with, as long as it is in
/// sight: nothing assigns to it, and no function that might has captured it.
pub(super) fn is_steady(side: &Side<'_>, local: &LocalVariable) -> bool {
    !side.is_captured(local)
        && !changes(side.prototype, local.register, local.start_pc, local.end_pc)
}

/// Whether an instruction in this range changes a register.
fn changes(prototype: &Prototype, register: u16, from: u32, to: u32) -> bool {
    let code = prototype.code.iter().take(to as usize);
    code.skip(from as usize).any(|i| {
        let op = i.opcode();
        op.is_none_or(|op| Effects::of(*i, op).changes(register))
    })
}

/// What a function reads at an instruction, tables under construction and
/// captured variables included.
fn uses(prototype: &Prototype, pc: u32) -> Set {
    let mut set = Set::default();
    let i = prototype.code[pc as usize];
    if let Some(op) = i.opcode() {
        reads(prototype, pc as usize, op, &Effects::of(i, op), &mut set);
        if op.form() == Form::SetList {
            set.add(i.register_a());
        }
    }
    set
}

/// Whether a variable holds more than what it was declared with: it is assigned to, or
/// what it was declared with is not known, or is a table.
pub(super) fn is_state(side: &Side<'_>, local: &LocalVariable) -> bool {
    let initialisers = Initialisers::new(side);
    let run = initialisers.slice(local.start_pc, &[local.register]);
    let is_constant = run.is_some_and(|run| !initialisers.makes_table(&run));
    !is_constant || !is_steady(side, local)
}

/// Finds what gives new variables their values.
pub(super) struct Initialisers<'a, 'b> {
    side: &'b Side<'a>,
    targets: HashSet<u32>,
    /// Variables of the new code whose values are what they were declared with, by
    /// register and first instruction.
    steady: HashSet<(u16, u32)>,
    /// New ones that have got a value.
    made: HashSet<(u16, u32)>,
    /// By the instruction and register of what they give.
    found: BTreeMap<(u32, u16), Initial>,
}

impl<'a, 'b> Initialisers<'a, 'b> {
    pub(super) fn new(side: &'b Side<'a>) -> Self {
        Self {
            side,
            targets: targets(side.prototype),
            steady: HashSet::default(),
            made: HashSet::default(),
            found: BTreeMap::new(),
        }
    }

    /// A variable that moves, and never had another value in either code.
    pub(super) fn keeps(&mut self, local: &LocalVariable) {
        if is_steady(self.side, local) {
            self.steady.insert((local.register, local.start_pc));
        }
    }

    /// A new variable; the new code comes to where activations land, or to the loop
    /// around, at `until`. False: its value is not known.
    pub(super) fn variable(&mut self, local: &LocalVariable, until: u32) -> bool {
        let (register, start) = (local.register, local.start_pc);
        let prototype = self.side.prototype;
        if changes(prototype, register, start, until) || self.is_captured(local, until) {
            return false;
        }
        let Some(run) = self.slice(start, &[register]) else {
            return false;
        };
        let makes_table = self.makes_table(&run);
        let is_used = || (start..until).any(|pc| uses(prototype, pc).has(register));
        if makes_table && is_used() {
            return false;
        }
        // A table is one table: which variables share it is not followed.
        if !makes_table {
            self.made.insert((register, start));
        }
        let gives = Gives::Variable(register);
        self.found.insert((start, register), Initial { run, gives });
        true
    }

    /// Limit and step of a numeric loop.
    pub(super) fn limits(&mut self, prepare: u32, state: u16) -> bool {
        let Some(run) = self.slice(prepare, &[state + 1, state + 2]) else {
            return false;
        };
        if self.makes_table(&run) {
            return false;
        }
        let gives = Gives::Loop(state);
        self.found.insert((prepare, state), Initial { run, gives });
        true
    }

    fn makes_table(&self, run: &[u32]) -> bool {
        let code = &self.side.prototype.code;
        let mut ops = run.iter().map(|&pc| code[pc as usize].opcode());
        ops.any(|op| op == Some(OpCode::NewTable))
    }

    fn is_captured(&self, local: &LocalVariable, until: u32) -> bool {
        let captures = self.side.captures.iter();
        let mut within = captures.filter(|(pc, _)| (local.start_pc..until).contains(pc));
        within.any(|(_, register)| *register == local.register)
    }

    /// The instructions that give these registers what they hold at `end`, if they
    /// follow one another and are pure.
    fn slice(&self, end: u32, wanted: &[u16]) -> Option<Vec<u32>> {
        let prototype = self.side.prototype;
        let mut open: Vec<u16> = wanted.to_vec();
        let mut run = Vec::new();
        let mut pc = end;
        while !open.is_empty() {
            if self.targets.contains(&pc) {
                return None;
            }
            pc = pc.checked_sub(1)?;
            let i = prototype.code[pc as usize];
            let op = i.opcode()?;
            if op.form() == Form::Skip || jump_distance(i, op).is_some() {
                return None;
            }
            let effects = Effects::of(i, op);
            if !open.iter().any(|r| effects.changes(*r)) {
                // It belongs to something else, and must not use what is made here:
                // it might fill a table.
                let used = uses(prototype, pc);
                if open.iter().any(|r| used.has(*r)) {
                    return None;
                }
                continue;
            }
            if !is_pure(op) {
                return None;
            }
            run.push(pc);
            open.retain(|r| !effects.changes(*r));
            for register in uses(prototype, pc).iter() {
                match self.named(register, pc) {
                    Some(local) if self.is_known(local, pc) => {}
                    Some(_) => return None,
                    None if open.contains(&register) => {}
                    None => open.push(register),
                }
            }
        }
        run.reverse();
        Some(run)
    }

    /// Whether a variable has at an instruction the value it has when activations
    /// move.
    fn is_known(&self, local: &LocalVariable, pc: u32) -> bool {
        let (register, start) = (local.register, local.start_pc);
        self.steady.contains(&(register, start))
            || self.made.contains(&(register, start))
                && !changes(self.side.prototype, register, start, pc)
                && !self.is_captured(local, pc)
    }

    /// The variable in a register.
    fn named(&self, register: u16, pc: u32) -> Option<&'a LocalVariable> {
        let mut locals = self.side.prototype.debug.locals.iter();
        locals.find(|l| l.register == register && l.start_pc <= pc && pc < l.end_pc)
    }

    /// What is to be made, in the order of the new code.
    pub(super) fn finish(self) -> Vec<Initial> {
        self.found.into_values().collect()
    }
}
