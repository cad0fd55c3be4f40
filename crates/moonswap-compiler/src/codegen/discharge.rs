//! Finishing delayed expressions: into registers, into conditions, into stores.

use moonswap_bytecode::{MULTI, OpCode};

use crate::codegen::function::{FunctionState, reg};
use crate::codegen::jump_list::JumpList;
use crate::codegen::operand::{Kind, Operand};
use crate::resolve::scope::ConstantValue;

impl FunctionState<'_> {
    /// Gives back the temporary an operand is in.
    pub(crate) fn free_operand(&mut self, e: &Operand) {
        if let Kind::Register(r) = e.kind {
            self.free_register(r);
        }
    }

    /// Fixes the number of results of a call or `...`.
    pub(crate) fn set_results(&mut self, e: &Operand, n: u16) {
        match e.kind {
            Kind::Call(pc) => self.modify(pc, |i| i.with_c(n)),
            Kind::Vararg(pc) => {
                let target = reg(self.free);
                if n == 0 && pc + 1 == self.pc() {
                    self.remove_last();
                } else {
                    self.modify(pc, |i| i.with_a(target).with_b(n));
                }
                self.reserve(1);
            }
            _ => {}
        }
    }

    /// A variable becomes a value: afterwards the operand is a constant, in a
    /// register, relocatable or a comparison.
    pub(crate) fn discharge(&mut self, e: &mut Operand) {
        e.kind = match e.kind {
            Kind::Local(r) => Kind::Register(r),
            Kind::Upvalue(i) => Kind::Relocatable(self.emit(OpCode::GetUpvalue, 0, 0, i, 0)),
            Kind::Cell(cell) => {
                let constant = self.constants.cell(cell);
                Kind::Relocatable(self.emit_wide(OpCode::GetCell, 0, constant))
            }
            Kind::Index { table, key } => {
                self.free_registers(table, key);
                Kind::Relocatable(self.emit(OpCode::GetTable, 0, 0, reg(table), reg(key)))
            }
            Kind::IndexInt { table, index } => {
                self.free_register(table);
                Kind::Relocatable(self.emit(OpCode::GetIndex, 0, 0, reg(table), index))
            }
            Kind::IndexField { table, constant } => {
                self.free_register(table);
                Kind::Relocatable(self.emit(OpCode::GetField, 0, 0, reg(table), constant))
            }
            Kind::IndexUpvalue { upvalue, constant } => {
                Kind::Relocatable(self.emit(OpCode::GetTabUp, 0, 0, upvalue, constant))
            }
            Kind::Call(pc) => {
                self.modify(pc, |i| i.with_c(1));
                Kind::Register(self.code.get(pc as usize).map_or(0, |i| i.register_a()))
            }
            Kind::Vararg(pc) => {
                self.modify(pc, |i| i.with_b(1));
                Kind::Relocatable(pc)
            }
            kind @ (Kind::Nil
            | Kind::True
            | Kind::False
            | Kind::Integer(_)
            | Kind::Float(_)
            | Kind::String(_)
            | Kind::Register(_)
            | Kind::Jump(_)
            | Kind::Relocatable(_)) => kind,
        };
    }

    /// Emits the load of a constant.
    fn load_constant(&mut self, value: ConstantValue, register: u16) {
        let index = self.constants.value(self.ast, value);
        self.emit_wide(OpCode::LoadConst, reg(register), index);
    }

    /// Emits a load of `n` nils, as part of the one before if that is adjacent.
    pub(crate) fn load_nil(&mut self, first: u16, n: u16) {
        let pc = self.pc();
        if pc > self.last_target
            && let Some(previous) = self.code.last_mut()
            && previous.opcode() == Some(OpCode::LoadNil)
        {
            let from = previous.register_a();
            let end = from.saturating_add(previous.b());
            if from <= first && first <= end {
                let end = end.max(first.saturating_add(n));
                *previous = previous.with_b(end - from);
                return;
            }
        }
        self.emit(OpCode::LoadNil, 0, reg(first), n, 0);
    }

    fn discharge_to(&mut self, e: &mut Operand, register: u16) {
        self.discharge(e);
        match e.kind {
            Kind::Nil => self.load_nil(register, 1),
            Kind::True => {
                self.emit(OpCode::LoadTrue, 0, reg(register), 0, 0);
            }
            Kind::False => {
                self.emit(OpCode::LoadFalse, 0, reg(register), 0, 0);
            }
            Kind::Integer(i) => match i32::try_from(i) {
                Ok(small) => {
                    self.emit_wide(OpCode::LoadInt, reg(register), small as u32);
                }
                Err(_) => self.load_constant(ConstantValue::Integer(i), register),
            },
            Kind::Float(f) => {
                let small = f as i32;
                if f64::from(small).to_bits() == f.to_bits() {
                    self.emit_wide(OpCode::LoadFloat, reg(register), small as u32);
                } else {
                    self.load_constant(ConstantValue::Float(f), register);
                }
            }
            Kind::String(s) => self.load_constant(ConstantValue::String(s), register),
            Kind::Register(r) => {
                if r != register {
                    self.emit(OpCode::Move, 0, reg(register), reg(r), 0);
                }
            }
            Kind::Relocatable(pc) => self.modify(pc, |i| i.with_a(reg(register))),
            // A comparison has no value yet; the others were discharged.
            Kind::Jump(_)
            | Kind::Local(_)
            | Kind::Upvalue(_)
            | Kind::Cell(_)
            | Kind::Index { .. }
            | Kind::IndexInt { .. }
            | Kind::IndexField { .. }
            | Kind::IndexUpvalue { .. }
            | Kind::Call(_)
            | Kind::Vararg(_) => return,
        }
        e.kind = Kind::Register(register);
    }

    /// The value, jumps included, ends up in that register.
    pub(crate) fn place_in(&mut self, e: &mut Operand, register: u16) {
        self.discharge_to(e, register);
        if let Kind::Jump(pc) = e.kind {
            e.t = self.join(e.t, JumpList::one(pc));
        }
        if e.has_jumps() {
            let (mut false_at, mut true_at) = (0, 0);
            if self.needs_value(e.t) || self.needs_value(e.f) {
                let over = if matches!(e.kind, Kind::Jump(_)) {
                    JumpList::NONE
                } else {
                    self.jump()
                };
                self.label();
                false_at = self.emit(OpCode::LoadFalseSkip, 0, reg(register), 0, 0);
                self.label();
                true_at = self.emit(OpCode::LoadTrue, 0, reg(register), 0, 0);
                self.patch_here(over);
            }
            let end = self.label();
            self.patch_values(e.f, end, Some(register), false_at);
            self.patch_values(e.t, end, Some(register), true_at);
        }
        *e = Operand::new(Kind::Register(register));
    }

    /// The value ends up in the next free register.
    pub(crate) fn place_next(&mut self, e: &mut Operand) -> u16 {
        self.discharge(e);
        self.free_operand(e);
        let register = self.free;
        self.reserve(1);
        self.place_in(e, register);
        register
    }

    /// The value ends up in some register; locals stay where they are.
    pub(crate) fn place_any(&mut self, e: &mut Operand) -> u16 {
        self.discharge(e);
        if let Kind::Register(r) = e.kind {
            if !e.has_jumps() {
                return r;
            }
            if r >= self.scope.active_registers() {
                self.place_in(e, r);
                return r;
            }
        }
        self.place_next(e)
    }

    fn jump_on(&mut self, e: &mut Operand, condition: bool) -> u32 {
        if let Kind::Relocatable(pc) = e.kind
            && pc + 1 == self.pc()
            && let Some(not) = self.code.last().copied()
            && not.opcode() == Some(OpCode::Not)
        {
            self.remove_last();
            return self.test_jump(not.register_b(), !condition);
        }
        let register = match e.kind {
            Kind::Register(r) => r,
            _ => {
                let r = self.free;
                self.reserve(1);
                self.discharge_to(e, r);
                r
            }
        };
        self.free_operand(e);
        self.value_jump(register, condition)
    }

    /// Goes on if the expression is true; its `f` jumps are taken if not.
    pub(crate) fn go_if_true(&mut self, e: &mut Operand) {
        self.discharge(e);
        let exit = match e.kind {
            Kind::Jump(pc) => {
                self.negate(pc);
                JumpList::one(pc)
            }
            Kind::True | Kind::Integer(_) | Kind::Float(_) | Kind::String(_) => JumpList::NONE,
            _ => JumpList::one(self.jump_on(e, false)),
        };
        e.f = self.join(e.f, exit);
        self.patch_here(e.t);
        e.t = JumpList::NONE;
    }

    /// Goes on if the expression is false; its `t` jumps are taken if not.
    pub(crate) fn go_if_false(&mut self, e: &mut Operand) {
        self.discharge(e);
        let exit = match e.kind {
            Kind::Jump(pc) => JumpList::one(pc),
            Kind::Nil | Kind::False => JumpList::NONE,
            _ => JumpList::one(self.jump_on(e, true)),
        };
        e.t = self.join(e.t, exit);
        self.patch_here(e.f);
        e.f = JumpList::NONE;
    }

    /// `variable = value`.
    pub(crate) fn store(&mut self, variable: &Operand, value: &mut Operand) {
        if matches!(
            variable.kind,
            Kind::IndexUpvalue { .. }
                | Kind::Index { .. }
                | Kind::IndexInt { .. }
                | Kind::IndexField { .. }
        ) && value.constant().is_some()
        {
            self.uncounted += 1;
            self.store_value(variable, value);
            self.uncounted -= 1;
        } else {
            self.store_value(variable, value);
        }
    }

    fn store_value(&mut self, variable: &Operand, value: &mut Operand) {
        match variable.kind {
            Kind::Local(r) => {
                self.free_operand(value);
                self.place_in(value, r);
                return;
            }
            Kind::Upvalue(i) => {
                let r = self.place_any(value);
                self.emit(OpCode::SetUpvalue, 0, reg(r), i, 0);
            }
            Kind::Cell(cell) => {
                let constant = self.constants.cell(cell);
                let r = self.place_any(value);
                self.emit_wide(OpCode::SetCell, reg(r), constant);
            }
            Kind::IndexUpvalue { upvalue, constant } => {
                let r = self.place_any(value);
                self.emit(OpCode::SetTabUp, 0, reg(r), upvalue, constant);
            }
            Kind::Index { table, key } => {
                let r = self.place_any(value);
                self.emit(OpCode::SetTable, 0, reg(table), reg(key), reg(r));
            }
            Kind::IndexInt { table, index } => {
                let r = self.place_any(value);
                self.emit(OpCode::SetIndex, 0, reg(table), index, reg(r));
            }
            Kind::IndexField { table, constant } => {
                let r = self.place_any(value);
                self.emit(OpCode::SetField, 0, reg(table), constant, reg(r));
            }
            // The parser lets nothing else be assigned to.
            _ => {}
        }
        self.free_operand(value);
    }

    /// Brings the values of an expression list with last expression `last` to
    /// the `wanted` registers that its variables will have.
    pub(crate) fn adjust(&mut self, wanted: usize, given: usize, last: Option<&mut Operand>) {
        let missing = wanted as i64 - given as i64;
        let count = |n: i64| n.clamp(0, i64::from(MULTI - 1)) as u16;
        match last {
            Some(e) if e.is_multi() => self.set_results(e, count(missing + 1)),
            last => {
                if let Some(e) = last {
                    self.place_next(e);
                }
                if missing > 0 {
                    self.load_nil(self.free, count(missing));
                }
            }
        }
        if missing > 0 {
            self.reserve(count(missing));
        } else {
            self.free = self.free.saturating_sub(count(-missing));
        }
    }
}
