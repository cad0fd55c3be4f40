//! Damage to prototypes by what their parts mean: operations, registers,
//! constants, jumps, captures, sizes, debug information.

use std::sync::Arc;

use moonswap_bytecode::{
    Capture, Constant, Instruction, MULTI, OpCode, OperandKind, Prototype, ScopeVariable,
};

use crate::data::Data;

/// Changes one thing in the prototype or in one of its children.
pub(crate) fn mutate(data: &mut Data<'_>, prototype: &mut Prototype) {
    if !prototype.children.is_empty() && data.chance(2) {
        let child = data.below(prototype.children.len());
        let child = &mut prototype.children[child];
        return mutate(data, Arc::make_mut(child));
    }
    match data.below(16) {
        0..=10 => instruction(data, prototype),
        11 => numbers(data, prototype),
        12 => captures(data, prototype),
        13 => names(data, prototype),
        14 => constants(data, prototype),
        _ => order(data, prototype),
    }
}

fn any_register(data: &mut Data<'_>, prototype: &Prototype) -> u16 {
    data.below(usize::from(prototype.frame_size).max(1)) as u16
}

/// One instruction: another operation, another operand.
fn instruction(data: &mut Data<'_>, prototype: &mut Prototype) {
    let n = prototype.code.len();
    if n == 0 {
        return;
    }
    let pc = data.below(n);
    let i = prototype.code[pc];
    // The size of the frame may be damaged, too.
    let register = any_register(data, prototype).wrapping_mul(16);
    let changed = match data.below(12) {
        0 => i.with_a(register),
        1 => i.with_b(register),
        2 => i.with_c(register),
        3 => OpCode::from_u8(data.byte()).map_or(i, |op| i.with_opcode(op)),
        4 => i.with_x(i.x() ^ 1 << data.below(8)),
        5 => i.with_bc(data.below(2 * n) as i32 - n as i32),
        6 => i.with_c(data.below(n) as u16),
        7 => i.with_b(if data.chance(3) {
            MULTI
        } else {
            data.below(6) as u16
        }),
        8 => i.with_c(if data.chance(3) {
            MULTI
        } else {
            data.below(6) as u16
        }),
        9 => prototype.code[data.below(n)],
        10 => fresh(data, prototype),
        _ => Instruction::from_bits(i.to_bits() ^ 1 << data.below(64)),
    };
    prototype.code[pc] = changed;
}

/// An instruction with operands of the right kinds.
fn fresh(data: &mut Data<'_>, prototype: &Prototype) -> Instruction {
    let op = OpCode::ALL[data.below(OpCode::ALL.len())];
    let n = prototype.code.len();
    let mut fields = [0u16; 3];
    let mut wide = None;
    for (kind, field) in op.operands().into_iter().zip(&mut fields) {
        let mut index = |length: usize| data.below(length.max(1));
        match kind {
            OperandKind::Unused => {}
            OperandKind::Register | OperandKind::Target | OperandKind::Window => {
                *field = index(usize::from(prototype.frame_size)) as u16 * 16;
            }
            OperandKind::Constant
            | OperandKind::Key
            | OperandKind::Number
            | OperandKind::Integer => *field = index(prototype.constants.len()) as u16,
            OperandKind::WideConstant | OperandKind::Cell => {
                wide = Some(index(prototype.constants.len()) as i32)
            }
            OperandKind::Upvalue => *field = index(prototype.upvalues.len()) as u16,
            OperandKind::Immediate | OperandKind::Unsigned => *field = index(65_536) as u16,
            OperandKind::Shift => *field = index(66) as u16,
            OperandKind::WideImmediate => wide = Some(index(9) as i32 - 4),
            OperandKind::Count | OperandKind::List => {
                *field = match index(5) {
                    4 => MULTI,
                    count => count as u16,
                }
            }
            OperandKind::Jump => *field = index(n) as u16,
            OperandKind::WideJump => wide = Some(index(2 * n) as i32 - n as i32),
            OperandKind::Site => wide = Some(index(prototype.sites.len()) as i32),
        }
    }
    let i = Instruction::from_raw(op, 0, fields[0], fields[1], fields[2]);
    wide.map_or(i, |wide| i.with_bc(wide))
}

fn numbers(data: &mut Data<'_>, prototype: &mut Prototype) {
    match data.below(4) {
        0 => prototype.frame_size = data.below(260) as u16,
        1 => prototype.n_params = data.byte(),
        2 => prototype.is_vararg ^= true,
        _ => {
            prototype.frame_size = prototype
                .frame_size
                .wrapping_add_signed(data.below(5) as i16 - 2)
        }
    }
}

fn captures(data: &mut Data<'_>, prototype: &mut Prototype) {
    let register = any_register(data, prototype);
    let n = prototype.sites.len();
    if n == 0 {
        return;
    }
    let at = data.below(n);
    let site = &mut prototype.sites[at];
    let count = site.captures.len();
    let capture = match data.below(5) {
        0..=1 => Capture::Register(register),
        2 => Capture::Upvalue(data.below(4) as u16),
        3 => Capture::Cell(data.below(3) as u32),
        _ => Capture::Vacant,
    };
    if count == 0 || data.chance(6) {
        site.child = data.below(prototype.children.len() + 1) as u32;
    } else {
        site.captures[data.below(count)] = capture;
    }
}

fn names(data: &mut Data<'_>, prototype: &mut Prototype) {
    let register = any_register(data, prototype);
    let pc = data.below(prototype.code.len() + 1) as u32;
    let n = prototype.debug.locals.len();
    if n > 0 && data.chance(2) {
        let local = &mut prototype.debug.locals[data.below(n)];
        match data.below(4) {
            0 => local.register = register,
            1 => local.start_pc = pc.min(local.end_pc),
            2 => local.end_pc = pc.max(local.start_pc),
            _ => local.name = "x".into(),
        }
        return;
    }
    if !prototype.is_main() {
        return;
    }
    let mut scope: Vec<ScopeVariable> = prototype.scope.to_vec();
    if let Some(variable) = scope.first_mut() {
        match data.below(3) {
            0 => variable.register = Some(register),
            1 => variable.start_pc = pc.min(variable.end_pc),
            _ => variable.end_pc = pc.max(variable.start_pc),
        }
    }
    prototype.scope = scope.into();
}

fn constants(data: &mut Data<'_>, prototype: &mut Prototype) {
    let n = prototype.constants.len();
    if n == 0 {
        return;
    }
    let at = data.below(n);
    prototype.constants[at] = match data.below(8) {
        0 => Constant::Nil,
        1 => Constant::Boolean(true),
        2 => Constant::Integer(data.word() as i64),
        3 => Constant::Float(f64::from_bits(data.word())),
        4 => Constant::String(data.pick(&["", "x", "__index", "_ENV"]).as_bytes().into()),
        5 => Constant::String(vec![b'y'; data.below(100)].into()),
        6 => Constant::Cell(data.below(70_000) as u32),
        _ => prototype.constants[data.below(n)].clone(),
    };
}

/// Instructions change places, go or come twice.
fn order(data: &mut Data<'_>, prototype: &mut Prototype) {
    let mut code = prototype.code.to_vec();
    if code.is_empty() {
        return;
    }
    let at = data.below(code.len());
    match data.below(3) {
        0 => {
            let other = data.below(code.len());
            code.swap(at, other);
        }
        1 => drop(code.remove(at)),
        _ => code.insert(at, code[data.below(code.len())]),
    }
    prototype.code = code.into();
}
