//! Part of the verifier: loops of `for`.
//!
//! Their instructions come in pairs that fit, loops nest, and no jump enters one
//! past its preparation. That nothing inside touches the hidden registers of a
//! numeric loop is for `flow`.

use super::fault::Fault;
use super::info::Info;
use crate::form::Form;
use crate::instruction::Instruction;
use crate::opcode::OpCode;

/// A loop: the code between its preparation and its last instruction.
struct Loop {
    first: usize,
    last: usize,
}

/// The loops around the instruction that is looked at, innermost last.
#[derive(Default)]
pub(super) struct Loops {
    around: Vec<Loop>,
}

impl Loops {
    pub(super) fn clear(&mut self) {
        self.around.clear();
    }

    /// Jumps arrive here, the first and the last from these instructions.
    #[inline]
    pub(super) fn arrive(&self, first: usize, last: usize) -> Result<(), Fault> {
        match self.around.last() {
            Some(around) if first < around.first - 1 || last > around.last => Err(Fault::Loop),
            Some(_) | None => Ok(()),
        }
    }

    /// The instruction at `pc`, which belongs to a loop. All before it were passed.
    pub(super) fn pass(
        &mut self,
        code: &[Instruction],
        pc: usize,
        form: Form,
    ) -> Result<(), Fault> {
        match form {
            Form::ForPrep | Form::TForPrep => {
                let last = end_of(code, pc).ok_or(Fault::Loop)?;
                if self.around.last().is_some_and(|outer| last >= outer.last) {
                    return Err(Fault::Loop);
                }
                self.around.push(Loop {
                    first: pc + 1,
                    last,
                });
            }
            Form::ForLoop | Form::TForLoop => match self.around.pop() {
                Some(ended) if ended.last == pc => {}
                Some(_) | None => return Err(Fault::Loop),
            },
            Form::TForCall if self.ends_at(pc + 1) => {}
            Form::TForCall => return Err(Fault::Loop),
            _ => {}
        }
        Ok(())
    }

    /// Whether the loop around ends there.
    fn ends_at(&self, pc: usize) -> bool {
        self.around.last().is_some_and(|around| around.last == pc)
    }

    /// The code ends: so have all loops.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.around.is_empty() {
            true => Ok(()),
            false => Err(Fault::Loop),
        }
    }
}

/// The last instruction of the loop that starts at `pc`.
fn end_of(code: &[Instruction], pc: usize) -> Option<usize> {
    let i = *code.get(pc)?;
    let op = i.opcode()?;
    let target = usize::try_from(Info::of(i).target(pc, i)?).ok()?;
    let back = |end: usize| {
        let last = code.get(end)?;
        let to = Info::of(*last).target(end, *last)?;
        (usize::try_from(to).ok()? == pc + 1).then_some(*last)
    };
    if op == OpCode::ForPrep {
        let end = target.checked_sub(1)?;
        let last = back(end)?;
        return (end > pc && last.opcode() == Some(OpCode::ForLoop) && last.a() == i.a())
            .then_some(end);
    }
    let call = code.get(target)?;
    let last = back(target + 1)?;
    let fits = call.opcode() == Some(OpCode::TForCall)
        && last.opcode() == Some(OpCode::TForLoop)
        && call.register_a() == i.register_a() + 4
        && last.a() == call.a();
    fits.then_some(target + 1)
}
