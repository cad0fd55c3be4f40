//! Part of the verifier: loops of `for`.
//!
//! Their instructions come in pairs that fit, loops nest, and no jump enters one
//! past its preparation. That nothing inside touches the hidden registers of a
//! numeric loop is for `verify_flow`.

use crate::instruction::Instruction;
use crate::opcode::OpCode;
use crate::prototype::Prototype;
use crate::verify::{Fault, jump_target};

/// A loop: the code between its preparation and its last instruction.
struct Loop {
    first: usize,
    last: usize,
    outer: Option<usize>,
}

type Check<T> = Result<T, (usize, Fault)>;

/// Checks all loops of a function.
pub(crate) fn check(prototype: &Prototype) -> Check<()> {
    let code = &prototype.code;
    let mut loops: Vec<Loop> = Vec::new();
    // For each instruction the innermost loop it is in.
    let mut inside: Vec<Option<usize>> = Vec::with_capacity(code.len());
    let mut current: Option<usize> = None;
    let mut n_ends = 0;
    for (pc, i) in code.iter().enumerate() {
        inside.push(current);
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
    for (pc, i) in code.iter().enumerate() {
        let Some(op) = i.opcode() else { continue };
        if let Some(target) = jump_target(pc, *i, op).and_then(|t| usize::try_from(t).ok())
            && let Some(index) = inside.get(target).copied().flatten()
        {
            let around = &loops[index];
            if pc + 1 < around.first || pc > around.last {
                return Err((pc, Fault::Loop));
            }
        }
    }
    Ok(())
}

/// The last instruction of the loop that starts at `pc`.
fn end_of(prototype: &Prototype, pc: usize, i: Instruction, op: OpCode) -> Option<usize> {
    let target = usize::try_from(jump_target(pc, i, op)?).ok()?;
    let back = |end: usize| {
        let last = prototype.code.get(end)?;
        let to = jump_target(end, *last, last.opcode()?)?;
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
