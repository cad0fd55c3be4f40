//! Symbolic execution: where the value of a register came from.
//!
//! Pure: it works on unrelocated code (constants are indices). As the
//! reference does, it looks for the last instruction before `at` that wrote the
//! register and was surely executed, and reads a name off that instruction.

use std::sync::Arc;

use moonswap_bytecode::{Constant, Instruction, MULTI, OpCode, Prototype};

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
        if op == OpCode::GetUpvalue {
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
            if writes(i, op, register) {
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
        let event = event_of(op)?;
        Some(("metamethod", event.as_bytes().to_vec()))
    }
}

/// Distance of a forward jump (loops' own jumps do not count: what they skip is
/// dead behind them).
fn forward_jump(i: Instruction, op: OpCode) -> Option<usize> {
    match op {
        OpCode::Jump | OpCode::JumpIf | OpCode::JumpIfNot => usize::try_from(i.bc()).ok(),
        OpCode::JumpEq
        | OpCode::JumpNotEq
        | OpCode::JumpLt
        | OpCode::JumpNotLt
        | OpCode::JumpLe
        | OpCode::JumpNotLe
        | OpCode::JumpEqConst
        | OpCode::JumpNotEqConst
        | OpCode::JumpLtImm
        | OpCode::JumpNotLtImm
        | OpCode::JumpLeImm
        | OpCode::JumpNotLeImm
        | OpCode::JumpGtImm
        | OpCode::JumpNotGtImm
        | OpCode::JumpGeImm
        | OpCode::JumpNotGeImm
        | OpCode::JumpIfSet
        | OpCode::JumpIfNotSet => Some(usize::from(i.c())),
        OpCode::Move
        | OpCode::LoadInt
        | OpCode::LoadFloat
        | OpCode::LoadConst
        | OpCode::LoadNil
        | OpCode::LoadFalse
        | OpCode::LoadTrue
        | OpCode::LoadFalseSkip
        | OpCode::GetUpvalue
        | OpCode::SetUpvalue
        | OpCode::GetCell
        | OpCode::SetCell
        | OpCode::GetTabUp
        | OpCode::SetTabUp
        | OpCode::GetTable
        | OpCode::GetIndex
        | OpCode::GetField
        | OpCode::SetTable
        | OpCode::SetIndex
        | OpCode::SetField
        | OpCode::SelfField
        | OpCode::NewTable
        | OpCode::SetList
        | OpCode::Add
        | OpCode::Sub
        | OpCode::Mul
        | OpCode::Mod
        | OpCode::Pow
        | OpCode::Div
        | OpCode::IntDiv
        | OpCode::BitAnd
        | OpCode::BitOr
        | OpCode::BitXor
        | OpCode::ShiftLeft
        | OpCode::ShiftRight
        | OpCode::AddImm
        | OpCode::SubImm
        | OpCode::ShiftLeftImm
        | OpCode::ShiftRightImm
        | OpCode::AddConst
        | OpCode::SubConst
        | OpCode::MulConst
        | OpCode::ModConst
        | OpCode::PowConst
        | OpCode::DivConst
        | OpCode::IntDivConst
        | OpCode::BitAndConst
        | OpCode::BitOrConst
        | OpCode::BitXorConst
        | OpCode::Negate
        | OpCode::BitNot
        | OpCode::Not
        | OpCode::Length
        | OpCode::Concat
        | OpCode::JumpBack
        | OpCode::Call
        | OpCode::CallMulti
        | OpCode::TailCall
        | OpCode::Return
        | OpCode::Return0
        | OpCode::Return1
        | OpCode::Vararg
        | OpCode::Closure
        | OpCode::Close
        | OpCode::ToBeClosed
        | OpCode::KeepScope
        | OpCode::ForPrep
        | OpCode::ForLoop
        | OpCode::TForPrep
        | OpCode::TForCall
        | OpCode::TForLoop
        | OpCode::Halt
        | OpCode::FinishMeta
        | OpCode::FinishPcall
        | OpCode::FinishXpcall
        | OpCode::FinishCoroutine
        | OpCode::FinishClose
        | OpCode::FinishUnwind
        | OpCode::FinishTail
        | OpCode::EnterCall
        | OpCode::Trap => None,
    }
}

/// Whether an instruction (perhaps) writes a register.
fn writes(i: Instruction, op: OpCode, register: u16) -> bool {
    let a = i.register_a();
    match op {
        OpCode::LoadNil => a <= register && register - a < i.b(),
        OpCode::Vararg => a <= register && (i.b() == MULTI || register - a < i.b()),
        // The function, the link's place, the receiver.
        OpCode::SelfField => a <= register && register <= a + 2,
        OpCode::Call | OpCode::CallMulti | OpCode::TailCall | OpCode::TForCall => register >= a,
        OpCode::ForPrep | OpCode::ForLoop => a <= register && register <= a + 3,
        OpCode::TForLoop => register + 2 == a,
        OpCode::Move
        | OpCode::LoadInt
        | OpCode::LoadFloat
        | OpCode::LoadConst
        | OpCode::LoadFalse
        | OpCode::LoadTrue
        | OpCode::LoadFalseSkip
        | OpCode::GetUpvalue
        | OpCode::GetCell
        | OpCode::GetTabUp
        | OpCode::GetTable
        | OpCode::GetIndex
        | OpCode::GetField
        | OpCode::NewTable
        | OpCode::Add
        | OpCode::Sub
        | OpCode::Mul
        | OpCode::Mod
        | OpCode::Pow
        | OpCode::Div
        | OpCode::IntDiv
        | OpCode::BitAnd
        | OpCode::BitOr
        | OpCode::BitXor
        | OpCode::ShiftLeft
        | OpCode::ShiftRight
        | OpCode::AddImm
        | OpCode::SubImm
        | OpCode::ShiftLeftImm
        | OpCode::ShiftRightImm
        | OpCode::AddConst
        | OpCode::SubConst
        | OpCode::MulConst
        | OpCode::ModConst
        | OpCode::PowConst
        | OpCode::DivConst
        | OpCode::IntDivConst
        | OpCode::BitAndConst
        | OpCode::BitOrConst
        | OpCode::BitXorConst
        | OpCode::Negate
        | OpCode::BitNot
        | OpCode::Not
        | OpCode::Length
        | OpCode::Concat
        | OpCode::JumpIfSet
        | OpCode::JumpIfNotSet
        | OpCode::Closure => register == a,
        OpCode::SetUpvalue
        | OpCode::SetCell
        | OpCode::SetTabUp
        | OpCode::SetTable
        | OpCode::SetIndex
        | OpCode::SetField
        | OpCode::SetList
        | OpCode::Jump
        | OpCode::JumpBack
        | OpCode::JumpEq
        | OpCode::JumpNotEq
        | OpCode::JumpLt
        | OpCode::JumpNotLt
        | OpCode::JumpLe
        | OpCode::JumpNotLe
        | OpCode::JumpEqConst
        | OpCode::JumpNotEqConst
        | OpCode::JumpLtImm
        | OpCode::JumpNotLtImm
        | OpCode::JumpLeImm
        | OpCode::JumpNotLeImm
        | OpCode::JumpGtImm
        | OpCode::JumpNotGtImm
        | OpCode::JumpGeImm
        | OpCode::JumpNotGeImm
        | OpCode::JumpIf
        | OpCode::JumpIfNot
        | OpCode::Return
        | OpCode::Return0
        | OpCode::Return1
        | OpCode::Close
        | OpCode::ToBeClosed
        | OpCode::KeepScope
        | OpCode::TForPrep
        | OpCode::Halt
        | OpCode::FinishMeta
        | OpCode::FinishPcall
        | OpCode::FinishXpcall
        | OpCode::FinishCoroutine
        | OpCode::FinishClose
        | OpCode::FinishUnwind
        | OpCode::FinishTail
        | OpCode::EnterCall
        | OpCode::Trap => false,
    }
}

/// Event whose metamethod an operation calls, without the underscores.
fn event_of(op: OpCode) -> Option<&'static str> {
    Some(match op {
        OpCode::GetTabUp
        | OpCode::GetTable
        | OpCode::GetIndex
        | OpCode::GetField
        | OpCode::SelfField => "index",
        OpCode::SetTabUp | OpCode::SetTable | OpCode::SetIndex | OpCode::SetField => "newindex",
        OpCode::Add | OpCode::AddImm | OpCode::AddConst => "add",
        OpCode::Sub | OpCode::SubImm | OpCode::SubConst => "sub",
        OpCode::Mul | OpCode::MulConst => "mul",
        OpCode::Mod | OpCode::ModConst => "mod",
        OpCode::Pow | OpCode::PowConst => "pow",
        OpCode::Div | OpCode::DivConst => "div",
        OpCode::IntDiv | OpCode::IntDivConst => "idiv",
        OpCode::BitAnd | OpCode::BitAndConst => "band",
        OpCode::BitOr | OpCode::BitOrConst => "bor",
        OpCode::BitXor | OpCode::BitXorConst => "bxor",
        OpCode::ShiftLeft | OpCode::ShiftLeftImm => "shl",
        OpCode::ShiftRight | OpCode::ShiftRightImm => "shr",
        OpCode::Negate => "unm",
        OpCode::BitNot => "bnot",
        OpCode::Length => "len",
        OpCode::Concat => "concat",
        OpCode::JumpEq | OpCode::JumpNotEq => "eq",
        OpCode::JumpLt
        | OpCode::JumpNotLt
        | OpCode::JumpLtImm
        | OpCode::JumpNotLtImm
        | OpCode::JumpGtImm
        | OpCode::JumpNotGtImm => "lt",
        OpCode::JumpLe
        | OpCode::JumpNotLe
        | OpCode::JumpLeImm
        | OpCode::JumpNotLeImm
        | OpCode::JumpGeImm
        | OpCode::JumpNotGeImm => "le",
        OpCode::Close | OpCode::Return => "close",
        OpCode::Move
        | OpCode::LoadInt
        | OpCode::LoadFloat
        | OpCode::LoadConst
        | OpCode::LoadNil
        | OpCode::LoadFalse
        | OpCode::LoadTrue
        | OpCode::LoadFalseSkip
        | OpCode::GetUpvalue
        | OpCode::SetUpvalue
        | OpCode::GetCell
        | OpCode::SetCell
        | OpCode::NewTable
        | OpCode::SetList
        | OpCode::Not
        | OpCode::Jump
        | OpCode::JumpBack
        | OpCode::JumpEqConst
        | OpCode::JumpNotEqConst
        | OpCode::JumpIf
        | OpCode::JumpIfNot
        | OpCode::JumpIfSet
        | OpCode::JumpIfNotSet
        | OpCode::Call
        | OpCode::CallMulti
        | OpCode::TailCall
        | OpCode::Return0
        | OpCode::Return1
        | OpCode::Vararg
        | OpCode::Closure
        | OpCode::ToBeClosed
        | OpCode::KeepScope
        | OpCode::ForPrep
        | OpCode::ForLoop
        | OpCode::TForPrep
        | OpCode::TForCall
        | OpCode::TForLoop
        | OpCode::Halt
        | OpCode::FinishMeta
        | OpCode::FinishPcall
        | OpCode::FinishXpcall
        | OpCode::FinishCoroutine
        | OpCode::FinishClose
        | OpCode::FinishUnwind
        | OpCode::FinishTail
        | OpCode::EnterCall
        | OpCode::Trap => return None,
    })
}
