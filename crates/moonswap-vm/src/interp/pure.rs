//! Operations without any effect, carried out on registers that are no frame's:
//! what makes values for an activation that moves to new code.
//!
//! Invariants as in `interp`, with registers as many as the version's frame has.

use moonswap_bytecode::OpCode;

use super::arith::{event_of, operands_of, raw_arith};
use super::operand::ra;
use super::{assign, compare, moves};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// Runs one instruction, whose operation is `op`. False, with nothing changed: its
/// operands call for more than arithmetic.
///
/// # Safety
/// I1, I2: at `pc` stands an instruction of verified code, and `registers` are as many as
/// its frame has.
pub(crate) unsafe fn evaluate(
    vm: &mut Vm,
    op: OpCode,
    pc: *const u64,
    registers: *mut Value,
) -> bool {
    // SAFETY: I1; none of these leaves the registers.
    unsafe {
        let _ = match op {
            OpCode::Move => moves::move_(pc, registers),
            OpCode::LoadInt => moves::load_int(pc, registers),
            OpCode::LoadFloat => moves::load_float(pc, registers),
            OpCode::LoadConst => moves::load_const(pc, registers),
            OpCode::LoadNil => moves::load_nil(pc, registers),
            OpCode::LoadFalse => moves::load_tag(pc, registers, tag::FALSE),
            OpCode::LoadTrue => moves::load_tag(pc, registers, tag::TRUE),
            OpCode::NewTable => assign::new_table(pc, registers, vm),
            OpCode::Not => compare::not(pc, registers),
            _ => return arithmetic(vm, op, pc, registers),
        };
    }
    true
}

/// # Safety
/// I1, I2: at `pc` stands an instruction of verified code, and `registers` are as many as
/// its frame has.
unsafe fn arithmetic(vm: &mut Vm, op: OpCode, pc: *const u64, registers: *mut Value) -> bool {
    // SAFETY: I1.
    unsafe {
        let Some(event) = event_of(op).filter(|_| op != OpCode::Concat) else {
            return false;
        };
        let (l, r) = operands_of(op, pc, registers);
        let error = vm.error;
        match raw_arith(vm, event, l, r) {
            Some(Ok(value)) => store(ra(pc, registers), value),
            Some(Err(_)) => {
                vm.error = error;
                return false;
            }
            None => return false,
        }
    }
    true
}
