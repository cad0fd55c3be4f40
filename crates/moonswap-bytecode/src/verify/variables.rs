//! Part of the verifier: which registers are variables that somebody else may reach,
//! the debug library by name or a patch.

use crate::prototype::Prototype;
use crate::registers::Registers;

/// Registers in foreign hands from an instruction on.
pub(super) struct Change<const W: usize> {
    pub(super) pc: u32,
    /// Named variables.
    pub(super) named: Registers<W>,
    /// Top-level locals, which a patch may open.
    pub(super) shared: Registers<W>,
}

/// An instruction at which a variable begins or ends, ordered by instructions, ends
/// first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge(u64);

impl Edge {
    fn new(pc: u32, begins: bool, register: u16, shared: bool) -> Self {
        let kind = u64::from(begins) << 17 | u64::from(register) << 1 | u64::from(shared);
        Self(u64::from(pc) << 18 | kind)
    }

    fn parts(self) -> (u32, bool, u16, bool) {
        let pc = (self.0 >> 18) as u32;
        (
            pc,
            self.0 >> 17 & 1 != 0,
            (self.0 >> 1) as u16,
            self.0 & 1 != 0,
        )
    }
}

/// Which registers are variables that somebody else may reach, by instruction.
pub(super) fn variables<const W: usize>(
    prototype: &Prototype,
    edges: &mut Vec<Edge>,
    changes: &mut Vec<Change<W>>,
) {
    edges.clear();
    changes.clear();
    let mut add = |register, start, end, shared| {
        if start < end {
            edges.push(Edge::new(start, true, register, shared));
            edges.push(Edge::new(end, false, register, shared));
        }
    };
    for local in &prototype.debug.locals {
        if !local.name.starts_with('(') {
            add(local.register, local.start_pc, local.end_pc, false);
        }
    }
    for variable in &prototype.scope {
        if let Some(register) = variable.register {
            add(register, variable.start_pc, variable.end_pc, true);
        }
    }
    edges.sort_unstable();
    let mut counts = [[[0u32; 64]; W]; 2];
    let mut now = [Registers::default(); 2];
    changes.push(Change {
        pc: 0,
        named: now[0],
        shared: now[1],
    });
    for edge in edges {
        let (pc, begins, register, shared) = edge.parts();
        let kind = usize::from(shared);
        let count = &mut counts[kind][usize::from(register / 64) % W][usize::from(register % 64)];
        if begins {
            *count += 1;
            now[kind] = now[kind].or(Registers::one(register));
        } else {
            *count -= 1;
            if *count == 0 {
                now[kind] = now[kind].without(Registers::one(register));
            }
        }
        let change = Change {
            pc,
            named: now[0].or(now[1]),
            shared: now[1],
        };
        match changes.last_mut() {
            Some(last) if last.pc == pc => *last = change,
            Some(_) | None => changes.push(change),
        }
    }
}
