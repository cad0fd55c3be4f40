//! What the verifier asks of each operation, worked out of the opcode table when
//! this crate is compiled: most instructions are checked by a few masks.

use crate::form::Form;
use crate::instruction::{Instruction, MULTI, REGISTER_BYTES};
use crate::opcode::{OpCode, OperandKind};

/// A kind of operand in a set of them.
pub(super) const fn bit(kind: OperandKind) -> u32 {
    1 << kind as u32
}

/// Whether an operation belongs to a loop of `for`.
pub(super) fn is_of_loop(form: Form) -> bool {
    matches!(
        form,
        Form::ForPrep | Form::ForLoop | Form::TForPrep | Form::TForCall | Form::TForLoop
    )
}

/// Where the fields `a`, `b` and `c` stand in an instruction.
const SHIFTS: [u32; 3] = [16, 32, 48];

const FIELD: u64 = 0xFFFF;

/// The bits of all fields that are zero where they hold registers.
const UNALIGNED: u64 = (REGISTER_BYTES as u64 - 1) * (1 << 16 | 1 << 32 | 1 << 48);

/// Where an instruction may go besides the next one.
#[derive(Clone, Copy)]
enum Jump {
    No,
    /// Past the next one.
    Skip,
    /// By the field `c`.
    Short,
    /// By the fields `b` and `c`.
    Wide,
}

/// One operation. Aligned, so that it is found by a shift.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Info {
    pub(super) form: Form,
    kinds: [OperandKind; 3],
    /// Fields that hold registers.
    registers: u64,
    /// Fields that nothing uses.
    unused: u64,
    /// The kind of constant that `b` is the index of, as a bit; 0: none.
    constant_b: u32,
    /// The same of `c`.
    constant_c: u32,
    /// The same of `b` and `c` together.
    constant_bc: u32,
    /// Whether `b` is the index of a captured variable.
    is_upvalue_b: bool,
    /// Whether `b` is a count.
    is_count_b: bool,
    /// Whether `c` is one.
    is_count_c: bool,
    /// Whether one of these five says something.
    is_quick: bool,
    /// Whether something else needs more than masks.
    is_odd: bool,
    /// Whether it may go elsewhere than to the next one.
    pub(super) jumps: bool,
    /// Fields, by bits 0 to 2, that need more than masks.
    special: u8,
    /// Fields, by bits 0 to 2, whose registers are read.
    reads: u8,
    /// Whether `a` is a register that is written.
    pub(super) writes: bool,
    /// Nothing to know but its operands.
    pub(super) is_plain: bool,
    /// Whether the next instruction may follow.
    pub(super) goes_on: bool,
    jump: Jump,
}

/// By the number of the operation. Bytes that name none, and operations of the VM's
/// own, have [`Form::Internal`].
static ALL: [Info; 256] = {
    let mut all = [Info::of_operation(OpCode::Halt); 256];
    let mut n = 0;
    while n < OpCode::ALL.len() {
        all[n] = Info::of_operation(OpCode::ALL[n]);
        n += 1;
    }
    all
};

impl Info {
    /// That of an instruction.
    #[inline(always)]
    pub(super) fn of(i: Instruction) -> &'static Self {
        &ALL[usize::from(i.to_bits() as u8)]
    }

    const fn of_operation(op: OpCode) -> Self {
        let kinds = op.operands();
        let form = op.form();
        let mut info = Self {
            form,
            kinds,
            registers: 0,
            unused: 0,
            constant_b: 0,
            constant_c: 0,
            constant_bc: 0,
            is_upvalue_b: false,
            is_count_b: false,
            is_count_c: false,
            is_quick: false,
            is_odd: false,
            jumps: false,
            special: 0,
            reads: 0,
            writes: matches!(kinds[0], OperandKind::Target),
            is_plain: matches!(form, Form::Plain | Form::Compare | Form::Skip | Form::Jump),
            goes_on: crate::effects::goes_on(op),
            jump: match form {
                Form::Skip => Jump::Skip,
                _ if matches!(kinds[1], OperandKind::WideJump) => Jump::Wide,
                _ if matches!(kinds[2], OperandKind::Jump) => Jump::Short,
                _ => Jump::No,
            },
        };
        let mut i = 0;
        while i < 3 {
            let field = FIELD << SHIFTS[i];
            match kinds[i] {
                OperandKind::Unused => {
                    if !(i == 2 && kinds[1].is_wide()) {
                        info.unused |= field;
                    }
                }
                OperandKind::Register | OperandKind::Target | OperandKind::Window => {
                    info.registers |= field;
                    if matches!(kinds[i], OperandKind::Register) {
                        info.reads |= 1 << i;
                    }
                }
                OperandKind::Immediate
                | OperandKind::WideImmediate
                | OperandKind::Unsigned
                | OperandKind::List => {}
                OperandKind::Constant
                | OperandKind::Key
                | OperandKind::Number
                | OperandKind::Integer
                | OperandKind::WideConstant
                | OperandKind::Cell
                | OperandKind::Upvalue
                | OperandKind::Shift
                | OperandKind::Count
                | OperandKind::Jump
                | OperandKind::WideJump
                | OperandKind::Site => {
                    info.special |= 1 << i;
                    match (i, kinds[i]) {
                        (1, kind) if kind.is_constant() => info.constant_b = bit(kind),
                        (2, kind) if kind.is_constant() => info.constant_c = bit(kind),
                        (1, kind) if kind.is_wide_constant() => info.constant_bc = bit(kind),
                        (1, OperandKind::Upvalue) => info.is_upvalue_b = true,
                        (1, OperandKind::Count) => info.is_count_b = true,
                        (2, OperandKind::Count) => info.is_count_c = true,
                        // Where jumps go is looked at anyway.
                        (_, OperandKind::Jump | OperandKind::WideJump) => {}
                        _ => info.is_odd = true,
                    }
                    info.is_quick = !matches!(kinds[i], OperandKind::Jump | OperandKind::WideJump)
                        || info.is_quick;
                }
            }
            i += 1;
        }
        info.jumps = !matches!(info.jump, Jump::No);
        info
    }

    /// Whether a bit is set that must not be.
    #[inline(always)]
    pub(super) fn has_stray_bits(&self, i: Instruction) -> bool {
        i.to_bits() & self.unused != 0
    }

    /// Whether all operands but jumps are right, by a quick look: those of which this
    /// says no may be right as well. `end` is that of the frame in bytes, `constants`
    /// the kinds of operands that take each constant.
    #[inline(always)]
    pub(super) fn is_right(
        &self,
        i: Instruction,
        end: u64,
        constants: &[u32],
        n_upvalues: usize,
    ) -> bool {
        const LANES: u64 = 1 << 16 | 1 << 32 | 1 << 48;
        const HIGHEST: u64 = LANES << 15;
        debug_assert!(end < 1 << 15);
        let fields = i.to_bits() & self.registers;
        // A field's highest bit is set if it is not below the end.
        let past = (fields & !HIGHEST) + ((1 << 15) - end) * LANES;
        let wrong = fields & (UNALIGNED | HIGHEST)
            | past & self.registers & HIGHEST
            | i.to_bits() & self.unused;
        let takes = |index: usize, kind: u32| constants.get(index).is_some_and(|k| k & kind != 0);
        if wrong | u64::from(self.is_odd) != 0 {
            return false;
        }
        if !self.is_quick {
            return true;
        }
        (self.constant_b == 0 || takes(usize::from(i.b()), self.constant_b))
            && (self.constant_c == 0 || takes(usize::from(i.c()), self.constant_c))
            && (self.constant_bc == 0 || takes(i.bc() as u32 as usize, self.constant_bc))
            && (!self.is_upvalue_b || usize::from(i.b()) < n_upvalues)
            && (!self.is_count_b || i.b() != MULTI)
            && (!self.is_count_c || i.c() != MULTI)
    }

    /// Whether all registers are whole ones below `end`, the end of a frame in bytes.
    #[inline(always)]
    pub(super) fn fits(&self, i: Instruction, end: u64) -> bool {
        if end == 0 {
            return self.registers == 0;
        }
        let fields = i.to_bits() & self.registers;
        let field = |n: usize| fields >> SHIFTS[n] & FIELD;
        fields & UNALIGNED == 0 && field(0) < end && field(1) < end && field(2) < end
    }

    /// The fields that need more than masks: kind and value.
    #[inline(always)]
    pub(super) fn special(&self, i: Instruction) -> impl Iterator<Item = (OperandKind, u16)> {
        let (mut left, kinds, bits) = (self.special, self.kinds, i.to_bits());
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let n = left.trailing_zeros() as usize;
            left &= left - 1;
            Some((kinds[n], (bits >> SHIFTS[n]) as u16))
        })
    }

    /// The registers that are read.
    #[inline(always)]
    pub(super) fn reads(&self, i: Instruction) -> impl Iterator<Item = u16> {
        let (mut left, bits) = (self.reads, i.to_bits());
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let n = left.trailing_zeros() as usize;
            left &= left - 1;
            Some((bits >> SHIFTS[n]) as u16 / REGISTER_BYTES)
        })
    }

    /// Where the instruction at `pc` may go besides the next one.
    #[inline(always)]
    pub(super) fn target(&self, pc: usize, i: Instruction) -> Option<i64> {
        let distance = match self.jump {
            Jump::No => return None,
            Jump::Skip => 1,
            Jump::Short => i64::from(i.c()),
            Jump::Wide => i64::from(i.bc()),
        };
        Some(pc as i64 + 1 + distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::jump_distance;

    #[test]
    fn says_what_the_table_says() {
        for n in 0..=u8::MAX {
            let i = Instruction::from_bits(0x0003_0005_0010_0000 | u64::from(n));
            let info = Info::of(i);
            let Some(op) = i.opcode() else {
                assert!(info.form == Form::Internal);
                continue;
            };
            assert_eq!(info.form, op.form());
            let distance = match op.form() {
                Form::Skip => Some(1),
                _ => jump_distance(i, op),
            };
            let target = distance.map(|distance| 8 + i64::from(distance));
            assert_eq!(info.target(7, i), target, "{op:?}");
            assert_eq!(info.goes_on, crate::effects::goes_on(op), "{op:?}");
            let reads: Vec<_> = info.reads(i).collect();
            let registers = [i.register_a(), i.register_b(), i.register_c()];
            let kinds = op.operands().into_iter().zip(registers);
            let expected = kinds.filter(|(kind, _)| *kind == OperandKind::Register);
            assert_eq!(
                reads,
                expected.map(|(_, r)| r).collect::<Vec<_>>(),
                "{op:?}"
            );
        }
    }
}
