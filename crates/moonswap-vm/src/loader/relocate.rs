//! Constant operands: indices in prototypes, distances from the instruction in versions.

use moonswap_bytecode::{Instruction, OpCode, OperandKind};

/// Where the index of a constant stands in an instruction: no operation has two.
#[derive(Clone, Copy)]
struct Relocated {
    /// The bits of the index; 0: there is none.
    mask: u64,
    shift: u32,
}

/// By the number of the operation.
static RELOCATED: [Relocated; 256] = {
    let mut all = [Relocated { mask: 0, shift: 0 }; 256];
    let mut n = 0;
    while n < OpCode::ALL.len() {
        let [_, b, c] = OpCode::ALL[n].operands();
        let (in_b, in_c, wide) = (b.is_constant(), c.is_constant(), b.is_wide_constant());
        assert!(!(in_b && in_c) && !(wide && in_c), "two constants");
        if in_b || wide {
            all[n].shift = 32;
            all[n].mask = if wide {
                0xFFFF_FFFF << 32
            } else {
                0xFFFF << 32
            };
        } else if in_c {
            all[n].shift = 48;
            all[n].mask = 0xFFFF << 48;
        }
        n += 1;
    }
    all
};

/// A constant operand from an index to a distance in words; the instruction's bits.
#[inline]
pub(super) fn relocate(instruction: Instruction, at: usize, n_code: usize) -> u64 {
    let bits = instruction.to_bits();
    let Relocated { mask, shift } = RELOCATED[usize::from(bits as u8)];
    if mask == 0 {
        return bits;
    }
    let index = (bits & mask) >> shift;
    let distance = (n_code - at) as u64 + 2 * index;
    bits & !mask | distance << shift & mask
}

/// An instruction of a version as its prototype has it: what [`relocate`] did
/// undone, without what the VM noted in it.
pub(crate) fn unrelocated(instruction: Instruction, at: usize, n_code: usize) -> Instruction {
    let Some(op) = instruction.opcode() else {
        return instruction;
    };
    let [_, b, c] = op.operands();
    let index = |distance: usize| (distance + at).saturating_sub(n_code) / 2;
    let mut result = instruction;
    if b == OperandKind::Key || c == OperandKind::Key {
        result = result.with_x(0);
    }
    if b.is_constant() {
        result = result.with_b(index(usize::from(instruction.b())) as u16);
    }
    if c.is_constant() {
        result = result.with_c(index(usize::from(instruction.c())) as u16);
    }
    if b.is_wide_constant() {
        result = result.with_bc(index(instruction.bc() as usize) as i32);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_relocated_is_found_again() {
        for &op in OpCode::ALL.iter().filter(|op| !op.is_internal()) {
            let i = Instruction::from_raw(op, 0, 16, 7, 5);
            let moved = Instruction::from_bits(relocate(i, 10, 300));
            assert_eq!(unrelocated(moved, 10, 300), i, "{op:?}");
            let [_, b, c] = op.operands();
            if b.is_constant() {
                assert_eq!(usize::from(moved.b()), 300 - 10 + 2 * 7, "{op:?}");
            }
            if c.is_constant() {
                assert_eq!(usize::from(moved.c()), 300 - 10 + 2 * 5, "{op:?}");
            }
            let i = i.with_bc(70_000);
            let moved = Instruction::from_bits(relocate(i, 10, 300));
            if b.is_wide_constant() {
                assert_eq!(moved.bc(), 300 - 10 + 2 * 70_000, "{op:?}");
            }
        }
    }
}
