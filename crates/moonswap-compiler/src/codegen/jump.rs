//! Jumps whose target is not known yet, and the one place that sets targets.
//!
//! A list of such jumps is threaded through a table beside the code. The jumps
//! that copy a value when taken (`JIFSET`, `JIFNOTSET`) are *value jumps*: until
//! someone asks for the value their target register is a placeholder, and if
//! nobody does they become plain tests.
//!
//! In `big` functions 16-bit distances do not reach: a comparison then skips a
//! wide jump, and a value jump is a test, a move and a wide jump.

use super::jump_list::{JumpList, NO_PC};
use moonswap_bytecode::{Instruction, OpCode, OperandKind};

use crate::codegen::function::{FunctionState, reg};

/// Target register of a value jump that has none yet.
const NO_REGISTER: u16 = u16::MAX;

/// The test that jumps in exactly the other cases.
fn inverse(op: OpCode) -> OpCode {
    use OpCode as O;
    const PAIRS: [(OpCode, OpCode); 10] = [
        (O::JumpEq, O::JumpNotEq),
        (O::JumpLt, O::JumpNotLt),
        (O::JumpLe, O::JumpNotLe),
        (O::JumpEqConst, O::JumpNotEqConst),
        (O::JumpLtImm, O::JumpNotLtImm),
        (O::JumpLeImm, O::JumpNotLeImm),
        (O::JumpGtImm, O::JumpNotGtImm),
        (O::JumpGeImm, O::JumpNotGeImm),
        (O::JumpIf, O::JumpIfNot),
        (O::JumpIfSet, O::JumpIfNotSet),
    ];
    for (a, b) in PAIRS {
        if op == a {
            return b;
        }
        if op == b {
            return a;
        }
    }
    op
}

impl FunctionState<'_> {
    fn opcode_at(&self, pc: u32) -> Option<OpCode> {
        self.code.get(pc as usize).and_then(|i| i.opcode())
    }

    /// Marks the next instruction as the target of a jump.
    pub(crate) fn label(&mut self) -> u32 {
        self.last_target = self.pc();
        self.last_target
    }

    /// Emits a jump forward.
    pub(crate) fn jump(&mut self) -> JumpList {
        JumpList::one(self.emit(OpCode::Jump, 0, 0, 0, 0))
    }

    /// Emits a jump back to a label.
    pub(crate) fn jump_back(&mut self, target: u32) {
        let live = self.free;
        let pc = self.emit(OpCode::JumpBack, 0, live, 0, 0);
        self.set_wide(pc, target);
    }

    /// Sets a 32-bit distance.
    pub(crate) fn set_wide(&mut self, pc: u32, target: u32) {
        let distance = i64::from(target) - i64::from(pc) - 1;
        if let Some(i) = self.code.get_mut(pc as usize) {
            *i = i.with_bc(distance as i32);
        }
    }

    /// Emits a comparison; its operand jumps if it holds.
    pub(crate) fn compare(&mut self, op: OpCode, x: u8, a: u16, b: u16) -> u32 {
        if !self.big {
            return self.emit(op, x, a, b, 0);
        }
        self.emit(inverse(op), x, a, b, 1);
        self.emit(OpCode::Jump, 0, 0, 0, 0)
    }

    /// Makes a comparison jump in exactly the other cases.
    pub(crate) fn negate(&mut self, pc: u32) {
        let test = if self.opcode_at(pc) == Some(OpCode::Jump) {
            pc.wrapping_sub(1)
        } else {
            pc
        };
        if let Some(i) = self.code.get_mut(test as usize)
            && let Some(op) = i.opcode()
        {
            *i = i.with_opcode(inverse(op));
        }
    }

    /// Emits a jump taken if the register's truth is `condition`, able to hand
    /// the value on.
    pub(crate) fn value_jump(&mut self, register: u16, condition: bool) -> u32 {
        if !self.big {
            let op = if condition {
                OpCode::JumpIfSet
            } else {
                OpCode::JumpIfNotSet
            };
            return self.emit(op, 0, NO_REGISTER, reg(register), 0);
        }
        let skip = if condition {
            OpCode::JumpIfNot
        } else {
            OpCode::JumpIf
        };
        self.emit(skip, 0, reg(register), 2, 0);
        self.emit(OpCode::Move, 0, NO_REGISTER, reg(register), 0);
        self.emit(OpCode::Jump, 0, 0, 0, 0)
    }

    /// Emits a plain test jump.
    pub(crate) fn test_jump(&mut self, register: u16, condition: bool) -> u32 {
        let op = if condition {
            OpCode::JumpIf
        } else {
            OpCode::JumpIfNot
        };
        self.emit(op, 0, reg(register), 0, 0)
    }

    /// Whether the jump can still hand a value on.
    fn is_value_jump(&self, pc: u32) -> bool {
        let op = self.opcode_at(pc);
        if op == Some(OpCode::Jump) {
            let before = pc.wrapping_sub(1);
            return self.opcode_at(before) == Some(OpCode::Move)
                && self
                    .code
                    .get(before as usize)
                    .is_some_and(|i| i.a() == NO_REGISTER);
        }
        op == Some(OpCode::JumpIfSet) || op == Some(OpCode::JumpIfNotSet)
    }

    /// Decides what a value jump hands on: its value to `target`, or nothing.
    fn settle_value(&mut self, pc: u32, target: Option<u16>) {
        let wide = self.opcode_at(pc) == Some(OpCode::Jump);
        let at = if wide { pc.wrapping_sub(1) } else { pc };
        let Some(i) = self.code.get_mut(at as usize) else {
            return;
        };
        let source = i.b();
        let target = target.map_or(source, reg);
        if target != source || wide {
            // A wide one without a use keeps a harmless `R := R`.
            *i = i.with_a(target);
        } else {
            let op = if i.opcode() == Some(OpCode::JumpIfNotSet) {
                OpCode::JumpIfNot
            } else {
                OpCode::JumpIf
            };
            *i = Instruction::from_raw(op, 0, source, 0, 0);
        }
    }

    /// Sets the target of one forward jump.
    fn set_jump(&mut self, pc: u32, target: u32) {
        let wide = self
            .opcode_at(pc)
            .is_some_and(|op| op.operands().contains(&OperandKind::WideJump));
        if wide {
            self.set_wide(pc, target);
            return;
        }
        let distance = target.wrapping_sub(pc).wrapping_sub(1);
        if distance > u32::from(u16::MAX) {
            self.needs_big = true;
        }
        if let Some(i) = self.code.get_mut(pc as usize) {
            *i = i.with_c(distance as u16);
        }
    }

    fn next_in_list(&self, pc: u32) -> u32 {
        self.links.get(&pc).copied().unwrap_or(NO_PC)
    }

    /// Joins two lists.
    pub(crate) fn join(&mut self, a: JumpList, b: JumpList) -> JumpList {
        if a.is_empty() {
            return b;
        }
        if b.is_empty() {
            return a;
        }
        self.links.insert(a.last, b.first);
        JumpList {
            first: a.first,
            last: b.last,
        }
    }

    /// Whether some jump of the list hands no value on, so that `true` or
    /// `false` must be loaded where it arrives.
    pub(crate) fn needs_value(&self, list: JumpList) -> bool {
        let mut pc = list.first;
        while pc != NO_PC {
            if !self.is_value_jump(pc) {
                return true;
            }
            pc = self.next_in_list(pc);
        }
        false
    }

    /// Nobody asks for the values of these jumps.
    pub(crate) fn drop_values(&mut self, list: JumpList) {
        let mut pc = list.first;
        while pc != NO_PC {
            if self.is_value_jump(pc) {
                self.settle_value(pc, None);
            }
            pc = self.next_in_list(pc);
        }
    }

    /// Sets all targets: value jumps put their value into `register` and go to
    /// `value_target`, all others go to `other_target`.
    pub(crate) fn patch_values(
        &mut self,
        list: JumpList,
        value_target: u32,
        register: Option<u16>,
        other_target: u32,
    ) {
        let mut pc = list.first;
        while pc != NO_PC {
            let next = self.next_in_list(pc);
            if self.is_value_jump(pc) {
                self.settle_value(pc, register);
                self.set_jump(pc, value_target);
            } else {
                self.set_jump(pc, other_target);
            }
            pc = next;
        }
    }

    /// All jumps of the list go to a place already passed or about to come.
    pub(crate) fn patch_to(&mut self, list: JumpList, target: u32) {
        self.patch_values(list, target, None, target);
    }

    /// All jumps of the list go to the next instruction.
    pub(crate) fn patch_here(&mut self, list: JumpList) {
        if !list.is_empty() {
            let here = self.label();
            self.patch_to(list, here);
        }
    }

    /// Jumps to jumps go straight to the end of the chain.
    pub(crate) fn thread_jumps(&mut self) {
        for pc in 0..self.code.len() {
            let i = self.code[pc];
            let Some(op) = i.opcode() else { continue };
            let wide = matches!(op, OpCode::Jump | OpCode::JumpIf | OpCode::JumpIfNot);
            if !wide && op.operands()[2] != OperandKind::Jump {
                continue;
            }
            let mut target = pc as i64
                + 1
                + if wide {
                    i64::from(i.bc())
                } else {
                    i64::from(i.c())
                };
            // The bound only guards against cycles, which forward jumps cannot form.
            for _ in 0..100 {
                let Some(next) = usize::try_from(target).ok().and_then(|t| self.code.get(t)) else {
                    break;
                };
                if next.opcode() != Some(OpCode::Jump) {
                    break;
                }
                target += 1 + i64::from(next.bc());
            }
            let distance = target - pc as i64 - 1;
            if wide {
                self.code[pc] = i.with_bc(distance as i32);
            } else if distance <= i64::from(u16::MAX) {
                self.code[pc] = i.with_c(distance as u16);
            }
            let back = usize::try_from(target)
                .ok()
                .and_then(|t| self.code.get(t))
                .copied();
            if op == OpCode::Jump
                && let Some(back) = back
                && back.opcode() == Some(OpCode::JumpBack)
            {
                let distance = target + 1 + i64::from(back.bc()) - pc as i64 - 1;
                if distance < 0 {
                    // What lives there lives here.
                    self.code[pc] = back.with_bc(distance as i32);
                }
            }
        }
    }
}
