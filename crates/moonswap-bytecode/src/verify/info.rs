//! What the verifier asks of each operation, worked out of the opcode table when
//! this crate is compiled: most instructions are checked by a few masks.

use crate::form::Form;
use crate::instruction::{Instruction, MULTI, REGISTER_BYTES};
use crate::opcode::{OpCode, OperandKind};

/// A kind of operand in a set of them.
pub(super) const fn bit(kind: OperandKind) -> u32 {
    1 << kind as u32
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

/// What a quick look at operands finds besides registers and unused fields.
#[derive(Clone, Copy)]
enum Also {
    Nothing,
    /// One constant.
    Constant,
    /// A captured variable in `b`.
    Upvalue,
    /// That, and one constant.
    UpvalueField,
    /// A count in `b`.
    Count,
    /// Counts in `b` and `c`.
    Counts,
    /// A closure site.
    Site,
    /// Something else.
    More,
}

impl Also {
    /// The same with one more operand, a special one.
    const fn with(self, field: usize, kind: OperandKind) -> Self {
        use OperandKind as K;
        match (self, field, kind) {
            // Where jumps go is looked at anyway.
            (_, _, K::Jump | K::WideJump) => self,
            (Self::Nothing, 1, K::Upvalue) => Self::Upvalue,
            (Self::Nothing, 1, K::Count) => Self::Count,
            (Self::Count, 2, K::Count) => Self::Counts,
            (Self::Nothing, 1, K::Site) => Self::Site,
            (Self::Nothing, 1 | 2, _) if kind.is_constant() => Self::Constant,
            (Self::Nothing, 1, _) if kind.is_wide_constant() => Self::Constant,
            (Self::Upvalue, 2, _) if kind.is_constant() => Self::UpvalueField,
            _ => Self::More,
        }
    }
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
    /// Bits that are zero: those, and what registers in no frame have.
    zero: u64,
    /// What must be looked at besides.
    also: Also,
    /// The kind of constant that the operation takes, as a bit, where its index stands,
    /// and which bits that has.
    constant: u32,
    constant_shift: u32,
    constant_mask: u32,
    /// Whether it may go elsewhere than to the next one.
    pub(super) jumps: bool,
    /// Whether it goes back, if it jumps.
    pub(super) is_back: bool,
    /// Fields, by bits 0 to 2, that need more than masks.
    special: u8,
    /// Which fields are registers that are read.
    pub(super) reads: [bool; 3],
    /// Whether `a` is a register that is written.
    pub(super) writes: bool,
    /// Nothing to know but its operands.
    pub(super) is_plain: bool,
    /// The same, and the next instruction follows.
    pub(super) is_straight: bool,
    /// Whether the next instruction may follow.
    pub(super) goes_on: bool,
    jump: Jump,
}

/// By the number of the operation. Bytes that name none, and operations of the VM's
/// own, have [`Form::Internal`].
static ALL: [Info; 256] = INFOS;

const INFOS: [Info; 256] = {
    let mut all = [Info::of_operation(OpCode::Halt); 256];
    let mut n = 0;
    while n < OpCode::ALL.len() {
        all[n] = Info::of_operation(OpCode::ALL[n]);
        n += 1;
    }
    all
};

/// By the number of the operation: 1 if it jumps; in the upper half, 1 if back.
static JUMPS: [u64; 256] = {
    let mut all = [0; 256];
    let mut n = 0;
    while n < all.len() {
        all[n] = INFOS[n].jumps as u64 | (INFOS[n].is_back as u64) << 32;
        n += 1;
    }
    all
};

impl Info {
    /// Whether an instruction jumps, for sums: jumps, and in the upper half jumps back.
    #[inline(always)]
    pub(super) fn jumps_of(i: Instruction) -> u64 {
        JUMPS[usize::from(i.to_bits() as u8)]
    }

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
            zero: 0,
            also: match form {
                Form::Internal => Also::More,
                _ => Also::Nothing,
            },
            constant: 0,
            constant_shift: 0,
            constant_mask: 0,
            jumps: false,
            is_back: matches!(form, Form::JumpBack | Form::ForLoop | Form::TForLoop),
            special: 0,
            reads: [false; 3],
            writes: matches!(kinds[0], OperandKind::Target),
            is_plain: matches!(form, Form::Plain | Form::Compare | Form::Skip | Form::Jump),
            is_straight: false,
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
                        info.reads[i] = true;
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
                    info.also = info.also.with(i, kinds[i]);
                    if kinds[i].is_constant() || kinds[i].is_wide_constant() {
                        info.constant = bit(kinds[i]);
                        info.constant_shift = SHIFTS[i];
                        info.constant_mask = match kinds[i].is_wide_constant() {
                            true => u32::MAX,
                            false => FIELD as u32,
                        };
                    }
                }
            }
            i += 1;
        }
        info.zero = info.unused | info.registers & (UNALIGNED | HIGHEST);
        info.jumps = !matches!(info.jump, Jump::No);
        info.is_straight = info.is_plain && info.goes_on && !info.jumps;
        info
    }

    /// Whether a bit is set that must not be.
    #[inline(always)]
    pub(super) fn has_stray_bits(&self, i: Instruction) -> bool {
        i.to_bits() & self.unused != 0
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

/// What operands are held against in a quick look.
pub(super) struct Operands<'a> {
    /// See [`past`](Self::past).
    pub(super) past: u64,
    /// The kinds of operands that take each constant.
    pub(super) constants: &'a [u32],
    pub(super) n_upvalues: usize,
    pub(super) n_sites: usize,
}

/// The highest bit of each field.
const HIGHEST: u64 = 1 << 31 | 1 << 47 | 1 << 63;

impl Operands<'_> {
    /// What makes the highest bit of a field 1 when it is added, if the field is not
    /// below the end of a frame, in bytes. It has none that is set itself.
    pub(super) fn past(end: u64) -> u64 {
        debug_assert!(end < 1 << 15);
        ((1 << 15) - end) * (HIGHEST >> 15)
    }

    /// Whether all operands but jumps are right: those of which this says no may be
    /// right as well.
    #[inline(always)]
    pub(super) fn are_right(&self, info: &Info, i: Instruction) -> bool {
        let bits = i.to_bits();
        // Of fields that are not registers it is 0, which is below the end, too.
        let past = (bits & info.registers).wrapping_add(self.past);
        if bits & info.zero | past & HIGHEST != 0 {
            return false;
        }
        let is_constant = || {
            let index = (bits >> info.constant_shift) as u32 & info.constant_mask;
            let takers = self.constants.get(index as usize);
            takers.is_some_and(|takers| takers & info.constant != 0)
        };
        match info.also {
            Also::Nothing => true,
            Also::Constant => is_constant(),
            Also::Upvalue => usize::from(i.b()) < self.n_upvalues,
            Also::UpvalueField => usize::from(i.b()) < self.n_upvalues && is_constant(),
            Also::Count => i.b() != MULTI,
            Also::Counts => i.b() != MULTI && i.c() != MULTI,
            Also::Site => (i.bc() as u32 as usize) < self.n_sites,
            Also::More => false,
        }
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
            let reads = op.operands().map(|kind| kind == OperandKind::Register);
            assert_eq!(info.reads, reads, "{op:?}");
            let is_back = ["JMPBACK", "FORLOOP", "TFORLOOP"].contains(&op.name());
            assert_eq!(info.is_back, is_back, "{op:?}");
        }
    }
}
