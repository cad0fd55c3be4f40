//! Part of the verifier: which registers are variables that somebody else may reach,
//! the debug library by name or a patch.

use super::shape::{Reach, Variable};
use crate::registers::Registers;

/// Registers in foreign hands from an instruction on.
pub(super) struct Change<const W: usize> {
    pub(super) pc: u32,
    /// Named variables.
    pub(super) named: Registers<W>,
    /// Top-level locals, which a patch may open.
    pub(super) shared: Registers<W>,
}

/// Variables of one kind at an instruction: a register is in foreign hands until the
/// last of them that live in it ends.
struct Alive<const W: usize> {
    registers: Registers<W>,
    /// Of each of them, where that ends.
    until: [[u32; 64]; W],
}

impl<const W: usize> Alive<W> {
    fn new() -> Self {
        Self {
            registers: Registers::default(),
            until: [[0; 64]; W],
        }
    }

    fn until(&mut self, register: u16) -> &mut u32 {
        &mut self.until[usize::from(register / 64) % W][usize::from(register % 64)]
    }

    fn begin(&mut self, register: u16, end: u32) {
        self.registers.insert(register);
        let until = self.until(register);
        *until = end.max(*until);
    }

    /// Lets those go that end here; answers where the next one does.
    #[inline]
    fn end(&mut self, pc: u32) -> u32 {
        let mut next = u32::MAX;
        for word in 0..W {
            let mut left = self.registers.word(word);
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let until = self.until[word][bit as usize];
                if until <= pc {
                    self.registers.remove(64 * word as u16 + bit as u16);
                } else {
                    next = next.min(until);
                }
            }
        }
        next
    }
}

/// Which registers are variables that somebody else may reach, by instruction. The
/// variables are in the order of their beginnings.
pub(super) fn variables<const W: usize>(variables: &[Variable], changes: &mut Vec<Change<W>>) {
    changes.clear();
    changes.push(Change {
        pc: 0,
        named: Registers::default(),
        shared: Registers::default(),
    });
    if variables.is_empty() {
        return;
    }
    let mut named: Alive<W> = Alive::new();
    let mut shared: Alive<W> = Alive::new();
    let mut next_end = u32::MAX;
    let mut rest = variables.iter().peekable();
    loop {
        let next_start = rest.peek().map_or(u32::MAX, |variable| variable.start);
        let pc = next_start.min(next_end);
        if pc == u32::MAX {
            return;
        }
        if pc == next_end {
            next_end = named.end(pc).min(shared.end(pc));
        }
        while let Some(variable) = rest.next_if(|variable| variable.start == pc) {
            if variable.end <= pc {
                continue;
            }
            match variable.reach {
                Reach::Named => named.begin(variable.register, variable.end),
                Reach::Shared => shared.begin(variable.register, variable.end),
            }
            next_end = next_end.min(variable.end);
        }
        let change = Change {
            pc,
            named: named.registers.or(shared.registers),
            shared: shared.registers,
        };
        match changes.last_mut() {
            Some(last) if last.pc == pc => *last = change,
            Some(_) | None => changes.push(change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the changes say of every instruction is what the variables say.
    #[test]
    fn registers_are_in_foreign_hands_while_a_variable_lives() {
        let mut state = 7u64;
        let mut random = |n: u32| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32 % n
        };
        for _ in 0..500 {
            let mut all: Vec<Variable> = (0..random(12))
                .map(|_| Variable {
                    start: random(20),
                    end: random(24),
                    register: random(70) as u16,
                    reach: if random(4) == 0 {
                        Reach::Shared
                    } else {
                        Reach::Named
                    },
                })
                .collect();
            all.sort_by_key(|variable| variable.start);
            let mut changes: Vec<Change<2>> = Vec::new();
            variables(&all, &mut changes);
            assert!(changes.is_sorted_by(|a, b| a.pc < b.pc) && changes[0].pc == 0);
            for pc in 0..25 {
                let now = changes.iter().rfind(|change| change.pc <= pc);
                let now = now.expect("the first one is at 0");
                for register in 0..70 {
                    let lives = |variable: &&Variable| {
                        variable.register == register
                            && (variable.start..variable.end).contains(&pc)
                    };
                    let mut here = all.iter().filter(lives);
                    assert_eq!(now.named.has(register), here.clone().next().is_some());
                    let is_shared = here.any(|variable| variable.reach == Reach::Shared);
                    assert_eq!(now.shared.has(register), is_shared);
                }
            }
        }
    }
}
