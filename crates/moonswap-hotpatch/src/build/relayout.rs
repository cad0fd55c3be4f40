//! Fits the code of a literal to closures that are some captured variables
//! short: uses of these become uses of a scope-record cell, or of a variable
//! that the closure may lack.
//!
//! Code generation does this for top-level locals; what is left is the
//! environment, which old closures of code without globals do not have, and
//! locals of enclosing functions. An access `U[b][K[c]]` then needs two
//! instructions, so jumps are adjusted.

use std::sync::Arc;

use moonswap_bytecode::effects::jump_distance;
use moonswap_bytecode::instruction::REGISTER_BYTES;
use moonswap_bytecode::opcode::{OpCode, OperandKind};
use moonswap_bytecode::prototype::{Capture, Constant, Prototype};
use moonswap_bytecode::verify::MAX_REGISTERS;
use moonswap_bytecode::{Instruction, Positions};

/// A jump or constant index no longer fits its field.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// Where a captured variable of the compiled code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In every closure.
    Own,
    /// In closures made since it was first captured; others may get it.
    Late,
    /// In a cell of the scope record.
    Cell(u32),
    /// In no instruction, only handed on to nested literals that reserve it:
    /// those get nothing.
    Nowhere,
}

/// Fits the code to such captured variables; cells and what is nowhere stand
/// behind the others and are no captured variables afterwards.
pub(crate) fn relayout(prototype: &Prototype, places: &[Place]) -> Result<Prototype, TooLarge> {
    let place = |index: u16| {
        places
            .get(usize::from(index))
            .copied()
            .unwrap_or(Place::Own)
    };
    let is_kept = |place: &&Place| matches!(place, Place::Own | Place::Late);
    let mut result = prototype.clone();
    result.upvalues = prototype.upvalues[..places.iter().take_while(is_kept).count()].into();
    for site in &mut result.sites {
        for capture in &mut site.captures {
            if let Capture::Upvalue(u) = *capture {
                *capture = match place(u) {
                    Place::Own => *capture,
                    Place::Late => Capture::Late(u),
                    Place::Cell(cell) => Capture::Cell(cell),
                    Place::Nowhere => Capture::Vacant,
                };
            }
        }
    }
    let mut constants = prototype.constants.to_vec();
    let mut cell_constant = |cell: u32| {
        let wanted = Constant::Cell(cell);
        let index = constants.iter().position(|c| *c == wanted);
        i32::try_from(index.unwrap_or_else(|| {
            constants.push(wanted);
            constants.len() - 1
        }))
        .map_err(|_| TooLarge)
    };

    // A register above all others, for the table of a store.
    let scratch_register = prototype.frame_size;
    let scratch = scratch_register
        .checked_mul(REGISTER_BYTES)
        .ok_or(TooLarge)?;
    let mut code: Vec<Instruction> = Vec::with_capacity(prototype.code.len() + 8);
    let mut start_of: Vec<usize> = Vec::with_capacity(prototype.code.len() + 1);
    let mut from: Vec<usize> = Vec::new();
    let mut access = |upvalue: u16, register: u16, write: bool| {
        let (cell_op, backfilled_op) = if write {
            (OpCode::SetCell, OpCode::SetBackfilled)
        } else {
            (OpCode::GetCell, OpCode::GetBackfilled)
        };
        Ok(match place(upvalue) {
            Place::Cell(cell) => Some(
                Instruction::from_raw(cell_op, 0, register, 0, 0).with_bc(cell_constant(cell)?),
            ),
            Place::Late => Some(Instruction::from_raw(
                backfilled_op,
                0,
                register,
                upvalue,
                0,
            )),
            Place::Own | Place::Nowhere => None,
        })
    };
    for (pc, &word) in prototype.code.iter().enumerate() {
        start_of.push(code.len());
        let op = word.opcode();
        let register = if op == Some(OpCode::SetTabUp) {
            scratch
        } else {
            word.a()
        };
        let fetched = match op {
            Some(OpCode::GetUpvalue | OpCode::GetTabUp | OpCode::SetTabUp) => {
                access(word.b(), register, false)?
            }
            Some(OpCode::SetUpvalue) => access(word.b(), register, true)?,
            _ => None,
        };
        code.push(fetched.unwrap_or(word));
        if fetched.is_some() && op == Some(OpCode::GetTabUp) {
            code.push(Instruction::from_raw(
                OpCode::GetField,
                0,
                word.a(),
                word.a(),
                word.c(),
            ));
        } else if fetched.is_some() && op == Some(OpCode::SetTabUp) {
            if scratch_register >= MAX_REGISTERS {
                return Err(TooLarge);
            }
            result.frame_size = scratch_register + 1;
            code.push(Instruction::from_raw(
                OpCode::SetField,
                0,
                scratch,
                word.c(),
                word.a(),
            ));
        }
        from.resize(code.len(), pc);
    }
    start_of.push(code.len());
    for (pc, word) in prototype.code.iter().enumerate() {
        let Some(op) = word.opcode() else { continue };
        let new_pc = start_of[pc];
        let Some(distance) = jump_distance(*word, op) else {
            continue;
        };
        let target = pc as i64 + 1 + i64::from(distance);
        let target = usize::try_from(target)
            .ok()
            .and_then(|t| start_of.get(t))
            .ok_or(TooLarge)?;
        let moved = *target as i64 - new_pc as i64 - 1;
        code[new_pc] = if op.operands()[1] == OperandKind::WideJump {
            code[new_pc].with_bc(i32::try_from(moved).map_err(|_| TooLarge)?)
        } else {
            code[new_pc].with_c(u16::try_from(moved).map_err(|_| TooLarge)?)
        };
    }
    let at = |positions: &Positions| -> Positions {
        from.iter().filter_map(|pc| positions.get(*pc)).collect()
    };
    if !prototype.debug.lines.is_empty() {
        result.debug.lines = at(&prototype.debug.lines);
    }
    if !prototype.debug.columns.is_empty() {
        result.debug.columns = at(&prototype.debug.columns);
    }
    let shift = |pc: &mut u32| *pc = start_of.get(*pc as usize).map_or(code.len(), |at| *at) as u32;
    for local in &mut result.debug.locals {
        shift(&mut local.start_pc);
        shift(&mut local.end_pc);
    }
    for noted in &mut result.debug.loops {
        shift(&mut noted.start_pc);
        shift(&mut noted.end_pc);
    }
    for variable in &mut result.scope {
        shift(&mut variable.start_pc);
        shift(&mut variable.end_pc);
    }
    result.code = code.into();
    result.constants = constants.into();
    Ok(result)
}

/// The tree with every prototype passed through `change`, children first.
/// Nesting is bounded by the parser.
pub(crate) fn rebuild<E>(
    prototype: &Arc<Prototype>,
    change: &mut impl FnMut(Prototype) -> Result<Prototype, E>,
) -> Result<Arc<Prototype>, E> {
    let mut copy = Prototype::clone(prototype);
    for child in &mut copy.children {
        *child = rebuild(child, change)?;
    }
    change(copy).map(Arc::new)
}
