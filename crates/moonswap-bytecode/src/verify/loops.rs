//! Part of the verifier: loops of `for`.
//!
//! Their instructions come in pairs that fit, loops nest, and no jump enters one
//! past its preparation. That nothing inside touches the hidden registers of a
//! numeric loop is for `flow`.

use super::fault::{Fault, Work};
use super::info::{Info, is_of_loop};
use crate::instruction::Instruction;
use crate::opcode::OpCode;
use crate::prototype::Prototype;

/// A loop: the code between its preparation and its last instruction.
struct Loop {
    first: usize,
    last: usize,
    outer: Option<usize>,
}

type Check<T> = Result<T, (usize, Fault)>;

/// In no loop.
const NONE: u32 = u32::MAX;

/// Checks all loops of a function.
pub(crate) fn check(prototype: &Prototype, work: &mut Work) -> Check<()> {
    let code = &prototype.code;
    let mut loops: Vec<Loop> = Vec::new();
    let inside = &mut work.inside;
    inside.clear();
    let mut current: Option<usize> = None;
    let mut n_ends = 0;
    for (pc, i) in code.iter().enumerate() {
        inside.push(current.map_or(NONE, |index| index as u32));
        if !is_of_loop(Info::of(*i).form) {
            continue;
        }
        let Some(op) = i.opcode() else { continue };
        if op == OpCode::ForPrep || op == OpCode::TForPrep {
            let last = end_of(prototype, pc, *i, op).ok_or((pc, Fault::Loop))?;
            if current.is_some_and(|outer| last >= loops[outer].last) {
                return Err((pc, Fault::Loop));
            }
            loops.push(Loop {
                first: pc + 1,
                last,
                outer: current,
            });
            current = Some(loops.len() - 1);
        } else if op == OpCode::ForLoop || op == OpCode::TForLoop {
            n_ends += 1;
            match current {
                Some(index) if loops[index].last == pc => current = loops[index].outer,
                Some(_) | None => return Err((pc, Fault::Loop)),
            }
        } else if op == OpCode::TForCall && current.is_none_or(|index| loops[index].last != pc + 1)
        {
            return Err((pc, Fault::Loop));
        }
    }
    if n_ends != loops.len() {
        return Err((0, Fault::Loop));
    }
    for &(pc, target) in &work.jumps {
        let pc = pc as usize;
        let index = inside.get(target as usize).copied().unwrap_or(NONE);
        if let Some(around) = loops.get(index as usize)
            && (pc + 1 < around.first || pc > around.last)
        {
            return Err((pc, Fault::Loop));
        }
    }
    Ok(())
}

/// The last instruction of the loop that starts at `pc`.
fn end_of(prototype: &Prototype, pc: usize, i: Instruction, op: OpCode) -> Option<usize> {
    let target = usize::try_from(Info::of(i).target(pc, i)?).ok()?;
    let back = |end: usize| {
        let last = prototype.code.get(end)?;
        let to = Info::of(*last).target(end, *last)?;
        (usize::try_from(to).ok()? == pc + 1).then_some(*last)
    };
    if op == OpCode::ForPrep {
        let end = target.checked_sub(1)?;
        let last = back(end)?;
        return (end > pc && last.opcode() == Some(OpCode::ForLoop) && last.a() == i.a())
            .then_some(end);
    }
    let call = prototype.code.get(target)?;
    let last = back(target + 1)?;
    let fits = call.opcode() == Some(OpCode::TForCall)
        && last.opcode() == Some(OpCode::TForLoop)
        && call.register_a() == i.register_a() + 4
        && last.a() == call.a();
    fits.then_some(target + 1)
}
