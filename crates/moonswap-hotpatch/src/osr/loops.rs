//! Loops of a function, and which loop of the new text is which of the old one.
//!
//! A loop is recognised by its kind and head, among the loops in the same
//! recognised loop. Where only one is left on each side its head may have changed,
//! if most of what it does is the same.

use foldhash::HashMap;
use moonswap_bytecode::effects::jump_distance;
use moonswap_bytecode::prototype::{LoopInfo, LoopKind, Prototype};
use moonswap_bytecode::{Instruction, OpCode};

/// The loops of a function, each with the one around it.
pub(super) struct Loops<'a> {
    pub(super) all: Vec<&'a LoopInfo>,
    pub(super) parent: Vec<Option<usize>>,
}

impl<'a> Loops<'a> {
    pub(super) fn of(prototype: &'a Prototype) -> Self {
        let mut all: Vec<&LoopInfo> = prototype.debug.loops.iter().collect();
        // Several jumps back to one label are one loop.
        all.sort_by_key(|l| (l.start_pc, std::cmp::Reverse(l.end_pc)));
        let mut labels: Vec<u32> = Vec::new();
        all.retain(|l| {
            let is_new = l.kind != LoopKind::Label || !labels.contains(&l.start_pc);
            if l.kind == LoopKind::Label && is_new {
                labels.push(l.start_pc);
            }
            is_new
        });
        // A label's loop is no scope: others are not seen as inside it.
        let mut open: Vec<usize> = Vec::new();
        let mut parent = Vec::with_capacity(all.len());
        for (i, info) in all.iter().enumerate() {
            while open.last().is_some_and(|&o| all[o].end_pc < info.start_pc) {
                open.pop();
            }
            parent.push(open.last().copied());
            if info.kind != LoopKind::Label {
                open.push(i);
            }
        }
        Self { all, parent }
    }

    /// The loops around one, outermost first.
    pub(super) fn around(&self, at: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut next = self.parent[at];
        while let Some(outer) = next {
            found.push(outer);
            next = self.parent[outer];
        }
        found.reverse();
        found
    }
}

/// The instructions at which turns begin, with their loops.
pub(super) fn turns(prototype: &Prototype) -> Vec<(u32, usize)> {
    let loops = Loops::of(prototype);
    let mut found = Vec::new();
    for (at, info) in loops.all.iter().enumerate() {
        match info.kind {
            LoopKind::Numeric => found.push((info.end_pc, at)),
            // Before the iterator is called: what it answers has no variables yet.
            LoopKind::Generic => found.push((info.end_pc.saturating_sub(1), at)),
            LoopKind::While | LoopKind::Repeat | LoopKind::Label => {}
        }
    }
    for (pc, i) in prototype.code.iter().enumerate() {
        let Some(op) = i.opcode().filter(|op| *op == OpCode::JumpBack) else {
            continue;
        };
        let target = jump_distance(*i, op).map(|d| pc as i64 + 1 + i64::from(d));
        // Loops of one head: any of them is the same place. The innermost around.
        let of_head = loops.all.iter().enumerate().filter(|(_, l)| {
            let is_jump = match l.kind {
                LoopKind::While | LoopKind::Repeat | LoopKind::Label => true,
                LoopKind::Numeric | LoopKind::Generic => false,
            };
            is_jump && Some(i64::from(l.start_pc)) == target
        });
        let own = of_head.min_by_key(|(_, l)| (pc > l.end_pc as usize, l.end_pc));
        if let Some((at, _)) = own {
            found.push((pc as u32, at));
        }
    }
    found.sort_unstable();
    found.dedup_by_key(|(pc, _)| *pc);
    found
}

/// A loop of the new code that is one of the old code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Its place among the loops of the new code.
    pub(super) new: usize,
    /// Its head is written as it was.
    pub(super) same_head: bool,
}

/// What two loops with different heads must have in common.
const ALIKE: f64 = 0.5;

/// For each old loop the new one, or why there is none.
pub(super) fn match_loops(
    (old, old_code): (&Loops<'_>, &Prototype),
    (new, new_code): (&Loops<'_>, &Prototype),
) -> Vec<Result<Match, String>> {
    let mut found: Vec<Result<Match, String>> = Vec::with_capacity(old.all.len());
    for (at, info) in old.all.iter().enumerate() {
        let parent = match old.parent[at] {
            None => None,
            Some(outer) => match &found[outer] {
                Ok(outer) => Some(outer.new),
                Err(_) => {
                    found.push(Err("the loop around it has no counterpart".to_owned()));
                    continue;
                }
            },
        };
        let siblings = Siblings {
            old: within(old, old.parent[at], info.kind),
            new: within(new, parent, info.kind),
        };
        let same_head = siblings.with_head(old, new, &info.header);
        found.push(if same_head.new.is_empty() {
            let others = siblings.with_other_heads(old, new);
            changed_head(at, &others, (old, old_code), (new, new_code))
        } else {
            in_order(at, &same_head, old, new).map(|new| Match {
                new,
                same_head: true,
            })
        });
    }
    found
}

/// Loops of one kind directly within one loop, of both texts.
struct Siblings {
    old: Vec<usize>,
    new: Vec<usize>,
}

fn within(loops: &Loops<'_>, parent: Option<usize>, kind: LoopKind) -> Vec<usize> {
    (0..loops.all.len())
        .filter(|&i| loops.parent[i] == parent && loops.all[i].kind == kind)
        .collect()
}

impl Siblings {
    fn with_head(&self, old: &Loops<'_>, new: &Loops<'_>, head: &str) -> Siblings {
        let of = |loops: &Loops<'_>, all: &[usize]| {
            let all = all.iter().copied();
            all.filter(|&i| &*loops.all[i].header == head).collect()
        };
        Siblings {
            old: of(old, &self.old),
            new: of(new, &self.new),
        }
    }

    /// Those whose heads the other text does not have.
    fn with_other_heads(&self, old: &Loops<'_>, new: &Loops<'_>) -> Siblings {
        let without = |loops: &Loops<'_>, all: &[usize], others: &Loops<'_>, them: &[usize]| {
            let known = |i: usize| {
                let head = &loops.all[i].header;
                them.iter().any(|&j| others.all[j].header == *head)
            };
            all.iter().copied().filter(|&i| !known(i)).collect()
        };
        Siblings {
            old: without(old, &self.old, new, &self.new),
            new: without(new, &self.new, old, &self.old),
        }
    }
}

/// Which of several loops with one head: as many, in the same order.
fn in_order(
    at: usize,
    siblings: &Siblings,
    old: &Loops<'_>,
    new: &Loops<'_>,
) -> Result<usize, String> {
    let (was, is) = (&siblings.old, &siblings.new);
    let text = |loops: &Loops<'_>, i: usize| loops.all[i].text;
    if was.len() != is.len() {
        return Err(format!(
            "which loop it is in the new text is not certain: {} with this head became {}",
            was.len(),
            is.len()
        ));
    }
    let crossed = was.iter().zip(is).enumerate().any(|(i, (&o, &n))| {
        text(old, o) != text(new, n)
            && is
                .iter()
                .enumerate()
                .any(|(j, &other)| i != j && text(new, other) == text(old, o))
    });
    match was.iter().position(|&o| o == at) {
        Some(ordinal) if !crossed => Ok(is[ordinal]),
        _ => Err("which loop it is in the new text is not certain: \
                  loops of the same head changed places"
            .to_owned()),
    }
}

/// The loop whose head was replaced by another.
fn changed_head(
    at: usize,
    others: &Siblings,
    (old, old_code): (&Loops<'_>, &Prototype),
    (new, new_code): (&Loops<'_>, &Prototype),
) -> Result<Match, String> {
    let none = || Err("the new text has no loop with this head here".to_owned());
    match old.all[at].kind {
        LoopKind::While | LoopKind::Numeric => {}
        // The values of a generic loop come from the old head; a label is its name.
        LoopKind::Generic | LoopKind::Repeat | LoopKind::Label => return none(),
    }
    let [is] = others.new[..] else {
        return match others.new.len() {
            0 => none(),
            n => Err(format!(
                "which loop it is in the new text is not certain: its head changed, \
                 and {n} loops with new heads are there"
            )),
        };
    };
    if others.old.len() > 1 {
        return Err(format!(
            "which loop it is in the new text is not certain: the heads of {} loops changed",
            others.old.len()
        ));
    }
    if likeness((old_code, old.all[at]), (new_code, new.all[is])) < ALIKE {
        return Err(
            "its head changed, and too little else of it is left to recognise it by".to_owned(),
        );
    }
    Ok(Match {
        new: is,
        same_head: false,
    })
}

/// How much of what two loops do is the same, from 0 to 1: operations and
/// constants, wherever they stand.
fn likeness(old: (&Prototype, &LoopInfo), new: (&Prototype, &LoopInfo)) -> f64 {
    let (was, is) = (steps(old.0, old.1), steps(new.0, new.1));
    let total: usize = was.values().sum::<usize>() + is.values().sum::<usize>();
    let both = was.iter().map(|(step, n)| {
        let there = is.get(step).copied().unwrap_or(0);
        there.min(*n)
    });
    2.0 * both.sum::<usize>() as f64 / total.max(1) as f64
}

/// An operation and its constant, as text; registers and distances do not count.
fn steps(prototype: &Prototype, info: &LoopInfo) -> HashMap<String, usize> {
    let mut found = HashMap::default();
    let all = prototype.code.iter();
    let within = all
        .take(info.end_pc as usize + 1)
        .skip(info.start_pc as usize);
    for i in within {
        let Some(op) = i.opcode() else { continue };
        let constant = constant_of(*i, op).and_then(|at| prototype.constants.get(at));
        *found.entry(format!("{op:?} {constant:?}")).or_insert(0) += 1;
    }
    found
}

/// Index of the constant that an instruction uses.
fn constant_of(i: Instruction, op: OpCode) -> Option<usize> {
    let [_, b, c] = op.operands();
    if b.is_wide_constant() {
        usize::try_from(i.bc()).ok()
    } else if b.is_constant() {
        Some(usize::from(i.b()))
    } else {
        c.is_constant().then(|| usize::from(i.c()))
    }
}
