//! Symbolic execution: where the value of a register came from.
//!
//! Pure: it works on unrelocated code (constants are indices). As the
//! reference does, it looks for the last instruction before `at` that wrote the
//! register and was surely executed, and reads a name off that instruction.

use std::sync::Arc;

use moonswap_bytecode::effects::{Effects, Form, jump_distance};
use moonswap_bytecode::{Constant, Instruction, OpCode, Prototype};

/// A kind ("local", "field", …) and a name.
pub(crate) type Name = (&'static str, Vec<u8>);

/// Longest chain of moves that is followed.
const MAX_MOVES: usize = 64;

/// Largest integer key of an access that is called an "integer index".
const MAX_NAMED_INDEX: u16 = 255;

/// The name of the environment variable.
const ENVIRONMENT: &[u8] = b"_ENV";

/// What names are read from.
#[derive(Clone, Copy)]
pub(crate) struct Code<'a> {
    pub(crate) prototype: &'a Prototype,
    /// Names of the scope record's cells.
    pub(crate) cells: &'a [(Arc<str>, u32)],
}

impl<'a> Code<'a> {
    pub(crate) fn at(self, pc: usize) -> Option<(Instruction, OpCode)> {
        let instruction = *self.prototype.code.get(pc)?;
        Some((instruction, instruction.opcode()?))
    }

    /// Name of a captured variable; "?" in stripped code.
    pub(crate) fn upvalue_name(self, index: usize) -> &'a [u8] {
        match self.prototype.upvalues.get(index) {
            Some(u) if !self.prototype.is_stripped() => u.name.as_bytes(),
            _ => b"?",
        }
    }

    /// Name of the local variable that lives in a register at `pc`.
    pub(crate) fn local_name(self, register: u16, pc: usize) -> Option<&'a [u8]> {
        let alive = |v: &&moonswap_bytecode::LocalVariable| {
            v.register == register && v.start_pc as usize <= pc && pc < v.end_pc as usize
        };
        self.prototype
            .debug
            .locals
            .iter()
            .rfind(alive)
            .map(|v| v.name.as_bytes())
    }

    fn text_constant(self, index: usize) -> Option<Vec<u8>> {
        match self.prototype.constants.get(index)? {
            Constant::String(s) => Some(s.to_vec()),
            Constant::Nil
            | Constant::Boolean(_)
            | Constant::Integer(_)
            | Constant::Float(_)
            | Constant::Cell(_) => None,
        }
    }

    fn key_constant(self, index: u16) -> Vec<u8> {
        self.text_constant(usize::from(index))
            .unwrap_or_else(|| b"?".to_vec())
    }

    /// Whether a captured variable is the environment.
    fn is_environment(self, upvalue: u16) -> bool {
        self.upvalue_name(usize::from(upvalue)) == ENVIRONMENT
    }

    /// "global" if the table in a register is `_ENV`, else "field".
    fn kind_of_table(self, at: usize, register: u16, budget: usize) -> &'static str {
        match self.object_name(at, register, budget) {
            Some(("local" | "upvalue", name)) if name == ENVIRONMENT => "global",
            _ => "field",
        }
    }

    /// Name of what is in a register right before the instruction at `at`.
    pub(crate) fn register_name(self, at: usize, register: u16) -> Option<Name> {
        self.object_name(at, register, MAX_MOVES)
    }

    fn object_name(self, at: usize, register: u16, budget: usize) -> Option<Name> {
        if let Some(name) = self.local_name(register, at) {
            return Some(("local", name.to_vec()));
        }
        let budget = budget.checked_sub(1)?;
        let pc = self.find_writer(at, register)?;
        let (i, op) = self.at(pc)?;
        if op == OpCode::Move {
            // A move upward is a variable put into an expression.
            return if i.register_b() < i.register_a() {
                self.object_name(pc, i.register_b(), budget)
            } else {
                None
            };
        }
        if op == OpCode::GetTabUp {
            let kind = if self.is_environment(i.b()) {
                "global"
            } else {
                "field"
            };
            return Some((kind, self.key_constant(i.c())));
        }
        if op == OpCode::GetTable {
            let key = match self.object_name(pc, i.register_c(), budget) {
                Some(("constant", text)) => text,
                _ => b"?".to_vec(),
            };
            return Some((self.kind_of_table(pc, i.register_b(), budget), key));
        }
        if op == OpCode::GetIndex {
            // The reference has the index in its instruction only while it fits.
            let name: &[u8] = if i.c() <= MAX_NAMED_INDEX {
                b"integer index"
            } else {
                b"?"
            };
            return Some(("field", name.to_vec()));
        }
        if op == OpCode::GetField {
            return Some((
                self.kind_of_table(pc, i.register_b(), budget),
                self.key_constant(i.c()),
            ));
        }
        if op == OpCode::GetUpvalue || op == OpCode::GetLate {
            return Some(("upvalue", self.upvalue_name(usize::from(i.b())).to_vec()));
        }
        if op == OpCode::GetCell {
            let Constant::Cell(cell) = self
                .prototype
                .constants
                .get(usize::try_from(i.bc()).ok()?)?
            else {
                return None;
            };
            let (name, _) = self.cells.get(*cell as usize)?;
            return Some(("upvalue", name.as_bytes().to_vec()));
        }
        if op == OpCode::LoadConst {
            let text = self.text_constant(usize::try_from(i.bc()).ok()?)?;
            return Some(("constant", text));
        }
        if op == OpCode::SelfField && register == i.register_a() {
            return Some(("method", self.key_constant(i.c())));
        }
        None
    }

    /// The instruction before `at` that surely was the last to write a
    /// register.
    fn find_writer(self, at: usize, register: u16) -> Option<usize> {
        let mut writer = None;
        // Code before this place may have been jumped over.
        let mut target = 0;
        for pc in 0..at {
            let (i, op) = self.at(pc)?;
            if let Some(distance) = forward_jump(i, op) {
                let to = pc + 1 + distance;
                if to <= at && to > target {
                    target = to;
                }
            }
            if Effects::of(i, op).changes(register) {
                writer = if pc < target { None } else { Some(pc) };
            }
        }
        writer
    }

    /// What the function called by the instruction at `pc` is called there.
    pub(crate) fn callee_name(self, pc: usize) -> Option<Name> {
        let (i, op) = self.at(pc)?;
        if matches!(op, OpCode::Call | OpCode::CallMulti | OpCode::TailCall) {
            return self.register_name(pc, i.register_a());
        }
        if op == OpCode::TForCall {
            return Some(("for iterator", b"for iterator".to_vec()));
        }
        Some(("metamethod", op.event()?.as_bytes().to_vec()))
    }
}

/// Distance of a forward jump (loops' own jumps do not count: what they skip is
/// dead behind them).
fn forward_jump(i: Instruction, op: OpCode) -> Option<usize> {
    if matches!(op.form(), Form::ForPrep | Form::TForPrep) {
        return None;
    }
    usize::try_from(jump_distance(i, op)?).ok()
}
