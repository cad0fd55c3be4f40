//! The 64-bit instruction word: the only file that knows bit positions.
//!
//! Little end first: `op: 8 | x: 8 | a: 16 | b: 16 | c: 16`. Register operands
//! are stored as byte offsets into the frame (register * 16), so the machine
//! needs no shift; constants are stored as indices and become pc-relative when
//! a VM makes its copy of the code. At most 4095 registers exist, 255 are used.

use crate::opcode::OpCode;

/// In a count operand: "up to the top of the stack".
pub const MULTI: u16 = 0xFFFF;

/// Bytes of one register; register operands are multiples of it.
pub const REGISTER_BYTES: u16 = 16;

/// One instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Instruction(u64);

impl Instruction {
    /// Packs raw operand fields. Registers must be scaled already.
    pub const fn from_raw(op: OpCode, x: u8, a: u16, b: u16, c: u16) -> Self {
        Self((op as u64) | (x as u64) << 8 | (a as u64) << 16 | (b as u64) << 32 | (c as u64) << 48)
    }

    /// The word as it stands in memory.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// A word from memory; it may be no valid instruction.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The operation, if the byte names one.
    pub const fn opcode(self) -> Option<OpCode> {
        OpCode::from_u8(self.0 as u8)
    }

    /// Field `x`.
    pub const fn x(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// Raw field `a`.
    pub const fn a(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Raw field `b`.
    pub const fn b(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Raw field `c`.
    pub const fn c(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Fields `b` and `c` as one signed number.
    pub const fn bc(self) -> i32 {
        (self.0 >> 32) as i32
    }

    /// Field `a` as a register number.
    pub const fn register_a(self) -> u16 {
        self.a() / REGISTER_BYTES
    }

    /// Field `b` as a register number.
    pub const fn register_b(self) -> u16 {
        self.b() / REGISTER_BYTES
    }

    /// Field `c` as a register number.
    pub const fn register_c(self) -> u16 {
        self.c() / REGISTER_BYTES
    }

    /// The same instruction with another `x`.
    #[must_use]
    pub const fn with_x(self, x: u8) -> Self {
        Self(self.0 & !0xFF00 | (x as u64) << 8)
    }

    /// The same instruction with another raw `a`.
    #[must_use]
    pub const fn with_a(self, a: u16) -> Self {
        Self(self.0 & !(0xFFFF << 16) | (a as u64) << 16)
    }

    /// The same instruction with another raw `b`.
    #[must_use]
    pub const fn with_b(self, b: u16) -> Self {
        Self(self.0 & !(0xFFFF << 32) | (b as u64) << 32)
    }

    /// The same instruction with another raw `c`.
    #[must_use]
    pub const fn with_c(self, c: u16) -> Self {
        Self(self.0 & !(0xFFFF << 48) | (c as u64) << 48)
    }

    /// The same instruction with another `bc`.
    #[must_use]
    pub const fn with_bc(self, bc: i32) -> Self {
        Self(self.0 & 0xFFFF_FFFF | (bc as u32 as u64) << 32)
    }

    /// The same instruction with another operation.
    #[must_use]
    pub const fn with_opcode(self, op: OpCode) -> Self {
        Self(self.0 & !0xFF | op as u64)
    }
}

impl core::fmt::Debug for Instruction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.opcode() {
            Some(op) => write!(
                f,
                "{} x={} a={} b={} c={}",
                op.name(),
                self.x(),
                self.a(),
                self.b(),
                self.c()
            ),
            None => write!(f, "?{:#018x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_round_trip() {
        let i = Instruction::from_raw(OpCode::Add, 7, 0x1110, 0x2220, 0x3330);
        assert_eq!(
            (i.opcode(), i.x(), i.a(), i.b(), i.c()),
            (Some(OpCode::Add), 7, 0x1110, 0x2220, 0x3330)
        );
        assert_eq!(i.with_bc(-5).bc(), -5);
        assert_eq!(i.with_bc(-5).a(), 0x1110);
        assert_eq!(core::mem::size_of::<Instruction>(), 8);
    }
}
