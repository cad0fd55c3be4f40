//! Part of the verifier: what a single instruction must be by itself, and what stands
//! right before it.

use super::fault::Fault;
use super::info::{Info, bit};
use super::shape::Shape;
use crate::effects::Effects;
use crate::form::Form;
use crate::instruction::{Instruction, MULTI};
use crate::opcode::{OpCode, OperandKind};

/// `x` bit of `RETURN` and `TAILCALL`: the function takes `...`.
const RETURN_VARARG: u8 = 2;

/// An instruction that is looked at.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) shape: &'a Shape<'a>,
    pub(super) pc: usize,
    pub(super) i: Instruction,
    pub(super) op: OpCode,
}

/// Each operand by its kind.
#[inline(never)]
pub(super) fn check(
    shape: &Shape<'_>,
    pc: usize,
    instruction: Instruction,
    info: &Info,
) -> Result<(), Fault> {
    if info.form == Form::Internal {
        return Err(Fault::Operation);
    }
    if info.has_stray_bits(instruction) {
        return Err(Fault::Unused);
    }
    if !info.fits(instruction, shape.frame_end()) {
        return Err(Fault::Register);
    }
    let constants = &shape.lists.constants[..];
    for (kind, value) in info.special(instruction) {
        match kind {
            OperandKind::Constant
            | OperandKind::Key
            | OperandKind::Number
            | OperandKind::Integer => {
                constant(constants, usize::from(value), kind)?;
                // The machine keeps the distance from here, in words, in 16 bits.
                if shape.is_large
                    && shape.code.len() - pc + 2 * usize::from(value) > usize::from(u16::MAX)
                {
                    return Err(Fault::Constant);
                }
            }
            OperandKind::WideConstant | OperandKind::Cell => {
                constant(constants, instruction.bc() as u32 as usize, kind)?;
            }
            OperandKind::Upvalue => {
                if usize::from(value) >= shape.n_upvalues {
                    return Err(Fault::Upvalue);
                }
            }
            OperandKind::Count => {
                if value == MULTI {
                    return Err(Fault::Count);
                }
            }
            OperandKind::Shift => {
                if value >= 64 {
                    return Err(Fault::Count);
                }
            }
            OperandKind::Site => {
                let index = instruction.bc() as u32 as usize;
                if index >= shape.lists.n_sites() {
                    return Err(Fault::Site);
                }
            }
            // By masks, or below.
            OperandKind::Unused
            | OperandKind::Register
            | OperandKind::Target
            | OperandKind::Window
            | OperandKind::Immediate
            | OperandKind::WideImmediate
            | OperandKind::Unsigned
            | OperandKind::List
            | OperandKind::Jump
            | OperandKind::WideJump => {}
        }
    }
    Ok(())
}

/// That a constant exists and is what the kind of operand takes.
fn constant(constants: &[u32], index: usize, kind: OperandKind) -> Result<(), Fault> {
    match constants.get(index) {
        Some(takers) if takers & bit(kind) != 0 => Ok(()),
        Some(_) => Err(Fault::ConstantKind),
        None => Err(Fault::Constant),
    }
}

/// Where a jump goes.
#[inline(always)]
pub(super) fn jump(n_code: usize, pc: usize, info: &Info, target: i64) -> Result<usize, Fault> {
    if target < 0 || target >= n_code as i64 || (target <= pc as i64) != info.is_back {
        return Err(Fault::Jump);
    }
    Ok(target as usize)
}

/// The extent of register windows and the counts that define them.
#[inline(always)]
pub(super) fn windows(at: &At<'_>, form: Form, effects: &Effects) -> Result<(), Fault> {
    let (a, b, c) = (at.i.register_a(), at.i.b(), at.i.c());
    let counted = match form {
        Form::Nils => b >= 1,
        Form::Concat => c >= 2,
        Form::TForCall => a >= 4 && b == 2 && c >= 1,
        Form::TForLoop => a >= 4,
        Form::Internal => return Err(Fault::Operation),
        Form::Plain
        | Form::Compare
        | Form::Skip
        | Form::Method
        | Form::NewTable
        | Form::SetList
        | Form::Jump
        | Form::JumpBack
        | Form::BranchSet
        | Form::Call
        | Form::TailCall
        | Form::Return
        | Form::ShortReturn
        | Form::Vararg
        | Form::Closure
        | Form::Close
        | Form::ToBeClosed
        | Form::KeepScope
        | Form::ForPrep
        | Form::ForLoop
        | Form::TForPrep => true,
    };
    if !counted {
        return Err(Fault::Count);
    }
    if effects.end > at.shape.frame_size {
        return Err(Fault::Window);
    }
    Ok(())
}

/// The forms of return, and `KEEPSCOPE` before each one of a main chunk.
#[inline(always)]
pub(super) fn returns(at: &At<'_>, form: Form) -> Result<(), Fault> {
    let short = form == Form::ShortReturn;
    let long = form == Form::Return || form == Form::TailCall;
    let keeps = form == Form::KeepScope;
    if !short && !long && !keeps {
        return Ok(());
    }
    let (shape, main) = (at.shape, at.shape.is_main);
    if short && (shape.is_vararg || main) {
        return Err(Fault::Return);
    }
    let x = at.i.x();
    if long && ((x & RETURN_VARARG != 0) != shape.is_vararg || x > 3) {
        return Err(Fault::Return);
    }
    let before = at.pc.checked_sub(1).map(|pc| shape.code[pc]);
    let kept = before.and_then(Instruction::opcode) == Some(OpCode::KeepScope);
    if (long || short) && kept != main || keeps && !main {
        return Err(Fault::Return);
    }
    Ok(())
}

/// An instruction that leaves an open list of values is followed by one that takes it
/// (with at most `KEEPSCOPE` between), and no jump gets in between.
#[derive(Default)]
pub(super) struct OpenLists {
    is_open: bool,
}

impl OpenLists {
    /// Control arrives by a jump.
    #[inline(always)]
    pub(super) fn arrive(&self) -> Result<(), Fault> {
        match self.is_open {
            true => Err(Fault::Open),
            false => Ok(()),
        }
    }

    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// An instruction that has nothing to do with lists.
    #[inline(always)]
    pub(super) fn pass(&self) -> Result<(), Fault> {
        self.arrive()
    }

    #[inline(always)]
    pub(super) fn go_on(&mut self, op: OpCode, effects: &Effects) -> Result<(), Fault> {
        if self.is_open && op == OpCode::KeepScope {
            return Ok(());
        }
        if effects.takes.is_some() != self.is_open {
            return Err(Fault::Open);
        }
        self.is_open = effects.next.opens.is_some();
        Ok(())
    }
}
