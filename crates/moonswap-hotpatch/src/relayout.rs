//! Fits the code of a literal to closures that are one captured variable
//! short: uses of that variable become uses of a scope-record cell.
//!
//! Code generation does this for top-level locals; what is left is the
//! environment, which old closures of code without globals do not have. An
//! access `U[b][K[c]]` then needs two instructions, so jumps are adjusted.

use std::sync::Arc;

use moonswap_bytecode::Instruction;
use moonswap_bytecode::effects::jump_distance;
use moonswap_bytecode::instruction::REGISTER_BYTES;
use moonswap_bytecode::opcode::{OpCode, OperandKind};
use moonswap_bytecode::prototype::{Capture, Constant, Prototype};
use moonswap_bytecode::verify::MAX_REGISTERS;

/// A jump or constant index no longer fits its field.
#[derive(Debug)]
pub(crate) struct TooLarge;

/// Turns the captured variables from index `keep` on into accesses of `cell`
/// if they are the environment. Others are in no instruction, only handed on
/// to nested literals that reserve them: those get nothing.
pub(crate) fn upvalues_to_cell(
    prototype: &Prototype,
    keep: usize,
    cell: Option<u32>,
) -> Result<Prototype, TooLarge> {
    let mut result = prototype.clone();
    result.upvalues = prototype.upvalues[..keep].into();
    for site in &mut result.sites {
        for capture in &mut site.captures {
            if let Capture::Upvalue(u) = *capture
                && usize::from(u) >= keep
            {
                *capture = match cell {
                    Some(cell) if &*prototype.upvalues[usize::from(u)].name == "_ENV" => {
                        Capture::Cell(cell)
                    }
                    _ => Capture::Vacant,
                };
            }
        }
    }
    let Some(cell) = cell else { return Ok(result) };
    let mut constants = prototype.constants.to_vec();
    let wanted = Constant::Cell(cell);
    let index = constants
        .iter()
        .position(|c| *c == wanted)
        .unwrap_or_else(|| {
            constants.push(wanted);
            constants.len() - 1
        });
    let index = i32::try_from(index).map_err(|_| TooLarge)?;
    result.constants = constants.into();

    // A register above all others, for the table of a store.
    let scratch_register = prototype.frame_size;
    let scratch = scratch_register
        .checked_mul(REGISTER_BYTES)
        .ok_or(TooLarge)?;
    let mut code: Vec<Instruction> = Vec::with_capacity(prototype.code.len() + 8);
    let mut start_of: Vec<usize> = Vec::with_capacity(prototype.code.len() + 1);
    let mut from: Vec<usize> = Vec::new();
    let get =
        |register: u16| Instruction::from_raw(OpCode::GetCell, 0, register, 0, 0).with_bc(index);
    for (pc, &word) in prototype.code.iter().enumerate() {
        start_of.push(code.len());
        match word.opcode() {
            Some(OpCode::GetUpvalue) if usize::from(word.b()) >= keep => code.push(get(word.a())),
            Some(OpCode::SetUpvalue) if usize::from(word.b()) >= keep => {
                code.push(get(word.a()).with_opcode(OpCode::SetCell));
            }
            Some(OpCode::GetTabUp) if usize::from(word.b()) >= keep => {
                code.push(get(word.a()));
                code.push(Instruction::from_raw(
                    OpCode::GetField,
                    0,
                    word.a(),
                    word.a(),
                    word.c(),
                ));
            }
            Some(OpCode::SetTabUp) if usize::from(word.b()) >= keep => {
                if scratch_register >= MAX_REGISTERS {
                    return Err(TooLarge);
                }
                result.frame_size = scratch_register + 1;
                code.push(get(scratch));
                code.push(Instruction::from_raw(
                    OpCode::SetField,
                    0,
                    scratch,
                    word.c(),
                    word.a(),
                ));
            }
            _ => code.push(word),
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
    if !prototype.debug.lines.is_empty() {
        result.debug.lines = from.iter().map(|pc| prototype.debug.lines[*pc]).collect();
    }
    if !prototype.debug.columns.is_empty() {
        result.debug.columns = from.iter().map(|pc| prototype.debug.columns[*pc]).collect();
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
