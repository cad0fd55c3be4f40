//! Sets of registers, as the verifier's passes need them.

use crate::effects::Span;

/// Most registers of one function: the 254 that a text may ask for, as in standard
/// Lua, and the links of the at most 200 calls that are being prepared inside
/// each other.
pub const MAX_REGISTERS: u16 = 511;

/// Words of the sets for frames of any size.
pub(crate) const WORDS: usize = (MAX_REGISTERS as usize + 1).div_ceil(64);

/// Words of the sets that do for large functions: those of frames smaller than 64
/// registers for each word. One word does for nearly all.
pub(crate) const FEW_WORDS: usize = 4;

/// A set of register numbers below 64 times `W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers<const W: usize>([u64; W]);

impl<const W: usize> Default for Registers<W> {
    fn default() -> Self {
        Self([0; W])
    }
}

impl<const W: usize> Registers<W> {
    /// The registers from `first` to before `end`.
    #[inline(always)]
    pub(crate) fn range(first: u16, end: u16) -> Self {
        Self::from(first).without(Self::from(end))
    }

    /// Those of a span.
    #[inline(always)]
    pub(crate) fn of(span: Span) -> Self {
        Self::range(span.first, span.end)
    }

    #[inline(always)]
    pub(crate) fn one(register: u16) -> Self {
        let mut words = [0; W];
        if let Some(word) = words.get_mut(usize::from(register / 64)) {
            *word = 1 << (register % 64);
        }
        Self(words)
    }

    /// Whether a register is in it.
    #[inline(always)]
    pub(crate) fn has(self, register: u16) -> bool {
        let word = self.0.get(usize::from(register / 64));
        word.is_some_and(|word| word >> (register % 64) & 1 != 0)
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, register: u16) {
        if let Some(word) = self.0.get_mut(usize::from(register / 64)) {
            *word |= 1 << (register % 64);
        }
    }

    pub(crate) fn remove(&mut self, register: u16) {
        if let Some(word) = self.0.get_mut(usize::from(register / 64)) {
            *word &= !(1 << (register % 64));
        }
    }

    /// The 64 registers from 64 times `n` on, the first as the lowest bit.
    pub(crate) fn word(&self, n: usize) -> u64 {
        self.0.get(n).copied().unwrap_or(0)
    }

    /// Whether a register below 64 times `W` is in it.
    #[inline(always)]
    pub(crate) fn has_one(&self, register: u16) -> bool {
        self.0[usize::from(register / 64) % W] >> (register % 64) & 1 != 0
    }

    /// Adds a register below 64 times `W`.
    #[inline(always)]
    pub(crate) fn insert_one(&mut self, register: u16) {
        self.0[usize::from(register / 64) % W] |= 1 << (register % 64);
    }

    /// All from `first` on.
    #[inline(always)]
    pub(crate) fn from(first: u16) -> Self {
        let mut words = [0; W];
        for (i, word) in words.iter_mut().enumerate() {
            let n = u32::from(first).saturating_sub(64 * i as u32);
            *word = u64::MAX.checked_shl(n).unwrap_or(0);
        }
        Self(words)
    }

    #[inline(always)]
    fn each(mut self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = join(*word, other);
        }
        self
    }

    #[inline(always)]
    pub(crate) fn and(self, other: Self) -> Self {
        self.each(other, |a, b| a & b)
    }

    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        self.each(other, |a, b| a | b)
    }

    #[inline(always)]
    pub(crate) fn without(self, other: Self) -> Self {
        self.each(other, |a, b| a & !b)
    }

    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == [0; W]
    }

    #[inline(always)]
    pub(crate) fn contains(self, other: Self) -> bool {
        other.without(self).is_empty()
    }

    #[inline(always)]
    pub(crate) fn meets(self, other: Self) -> bool {
        !self.and(other).is_empty()
    }

    /// Each register's number less one; 0 falls out.
    #[inline(always)]
    pub(crate) fn lowered(self) -> Self {
        let mut words = self.0;
        let mut above = 0;
        for word in words.iter_mut().rev() {
            let lowest = *word & 1;
            *word = *word >> 1 | above << 63;
            above = lowest;
        }
        Self(words)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REGISTERS, WORDS};

    type Registers = super::Registers<WORDS>;

    #[test]
    fn sets_are_sets() {
        let model = |set: Registers| -> Vec<u16> {
            (0..=MAX_REGISTERS)
                .filter(|&r| set.meets(Registers::one(r)))
                .collect()
        };
        for (first, end) in [
            (0, 0),
            (0, 64),
            (63, 65),
            (64, 128),
            (3, 256),
            (255, 256),
            (250, MAX_REGISTERS + 1),
            (MAX_REGISTERS, MAX_REGISTERS + 1),
            (9, 4),
        ] {
            let set = Registers::range(first, end);
            assert_eq!(model(set), (first..end).collect::<Vec<_>>());
            let lowered: Vec<_> = (first..end).filter_map(|r| r.checked_sub(1)).collect();
            assert_eq!(model(set.lowered()), lowered);
        }
        for register in [0, 63, 64, MAX_REGISTERS] {
            let one = Registers::one(register);
            assert_eq!(model(one), [register]);
            assert!(one.has(register) && !one.has(register ^ 1));
        }
        assert!(!Registers::from(0).has(64 * WORDS as u16));
        assert!(Registers::from(7).contains(Registers::one(MAX_REGISTERS)));
        assert!(!Registers::from(7).contains(Registers::one(6)));
        assert!(Registers::default().is_empty());
    }
}
