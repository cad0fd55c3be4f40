//! The listing: prototypes as text, for people and for snapshot tests.
//!
//! Deterministic; depends on nothing but the prototype. Instructions are
//! numbered from 1; constants and jump targets are shown as comments.

use std::fmt::Write;

use crate::instruction::{Instruction, MULTI};
use crate::opcode::{OpCode, OperandKind};
use crate::prototype::{Capture, Constant, Prototype, VariableKind};

/// Longest string shown in a comment, in bytes.
const MAX_SHOWN: usize = 48;

/// The listing of a prototype and, behind it, its children.
pub fn listing(prototype: &Prototype) -> String {
    let mut out = String::new();
    let mut todo = vec![prototype];
    while let Some(prototype) = todo.pop() {
        if !out.is_empty() {
            out.push('\n');
        }
        one(&mut out, prototype);
        todo.extend(prototype.children.iter().rev().map(|child| &**child));
    }
    out
}

/// One instruction as text, without its number.
pub fn instruction_text(prototype: &Prototype, pc: usize) -> String {
    let mut out = String::new();
    if let Some(instruction) = prototype.code.get(pc) {
        instruction_line(&mut out, prototype, pc, *instruction);
    }
    out
}

// Writing to a `String` cannot fail; the results are dropped for that reason.
fn one(out: &mut String, prototype: &Prototype) {
    let _ = writeln!(
        out,
        "{} <{},{}> ({} instructions)",
        prototype.id,
        prototype.line_defined,
        prototype.last_line_defined,
        prototype.code.len()
    );
    let _ = writeln!(
        out,
        "{}{} params, {} registers, {} upvalues, {} constants, {} functions",
        prototype.n_params,
        if prototype.is_vararg { "+" } else { "" },
        prototype.frame_size,
        prototype.upvalues.len(),
        prototype.constants.len(),
        prototype.children.len()
    );
    for (pc, instruction) in prototype.code.iter().enumerate() {
        match prototype.line_at(pc) {
            Some(line) => {
                let _ = write!(out, "{:>5} [{line}]\t", pc + 1);
            }
            None => {
                let _ = write!(out, "{:>5} [-]\t", pc + 1);
            }
        }
        instruction_line(out, prototype, pc, *instruction);
        out.push('\n');
    }
    tables(out, prototype);
}

fn tables(out: &mut String, prototype: &Prototype) {
    if !prototype.sites.is_empty() {
        out.push_str("closures:\n");
        for (i, site) in prototype.sites.iter().enumerate() {
            let _ = write!(out, "  {i}: ");
            match prototype.children.get(site.child as usize) {
                Some(child) => match child.id.path().last() {
                    Some((step, 0)) => {
                        let _ = write!(out, "{step}");
                    }
                    Some((step, n)) => {
                        let _ = write!(out, "{step}#{}", n + 1);
                    }
                    None => out.push('?'),
                },
                None => out.push('?'),
            }
            for capture in &site.captures {
                let _ = match capture {
                    Capture::Register(register) => write!(out, " R{register}"),
                    Capture::Upvalue(index) => write!(out, " U{index}"),
                    Capture::Cell(cell) => write!(out, " C{cell}"),
                    Capture::Late(index) => write!(out, " L{index}"),
                    Capture::Vacant => write!(out, " -"),
                };
            }
            out.push('\n');
        }
    }
    if !prototype.debug.locals.is_empty() {
        out.push_str("locals:\n");
        for (i, local) in prototype.debug.locals.iter().enumerate() {
            let _ = writeln!(
                out,
                "  {i}: {} R{} {}..{}",
                local.name,
                local.register,
                local.start_pc + 1,
                local.end_pc + 1
            );
        }
    }
    if !prototype.upvalues.is_empty() {
        out.push_str("upvalues:\n");
        for (i, upvalue) in prototype.upvalues.iter().enumerate() {
            let _ = write!(out, "  {i}: {} depth {}", upvalue.name, upvalue.depth);
            if upvalue.declaration > 0 {
                let _ = write!(out, " #{}", upvalue.declaration + 1);
            }
            out.push_str(kind_text(upvalue.kind));
            if upvalue.top_level {
                out.push_str(" top-level");
            }
            if upvalue.in_loop {
                out.push_str(" in-loop");
            }
            out.push('\n');
        }
    }
    if !prototype.scope.is_empty() {
        out.push_str("scope:\n");
        for (i, variable) in prototype.scope.iter().enumerate() {
            let _ = write!(out, "  {i}: {}", variable.name);
            if variable.declaration > 0 {
                let _ = write!(out, " #{}", variable.declaration + 1);
            }
            out.push_str(kind_text(variable.kind));
            match variable.register {
                Some(register) => {
                    let _ = write!(out, " R{register}");
                }
                None => out.push_str(" -"),
            }
            out.push('\n');
        }
    }
}

fn kind_text(kind: VariableKind) -> &'static str {
    match kind {
        VariableKind::Regular => "",
        VariableKind::Const => " <const>",
        VariableKind::ToBeClosed => " <close>",
    }
}

fn instruction_line(out: &mut String, prototype: &Prototype, pc: usize, instruction: Instruction) {
    let Some(op) = instruction.opcode() else {
        let _ = write!(out, "?{:#018x}", instruction.to_bits());
        return;
    };
    let _ = write!(out, "{:<10}", op.name());
    let mut comment = String::new();
    let raw = [instruction.a(), instruction.b(), instruction.c()];
    for (kind, value) in op.operands().into_iter().zip(raw) {
        let _ = match kind {
            OperandKind::Unused => Ok(()),
            OperandKind::Register | OperandKind::Target | OperandKind::Window => {
                write!(out, " R{}", value / crate::instruction::REGISTER_BYTES)
            }
            OperandKind::Constant
            | OperandKind::Key
            | OperandKind::Number
            | OperandKind::Integer => {
                constant_comment(&mut comment, prototype, u32::from(value));
                write!(out, " K{value}")
            }
            OperandKind::WideConstant | OperandKind::Cell => {
                let index = instruction.bc() as u32;
                constant_comment(&mut comment, prototype, index);
                write!(out, " K{index}")
            }
            OperandKind::Upvalue => {
                if let Some(upvalue) = prototype.upvalues.get(usize::from(value)) {
                    space(&mut comment);
                    comment.push_str(&upvalue.name);
                }
                write!(out, " U{value}")
            }
            OperandKind::Immediate => write!(out, " {}", value as i16),
            OperandKind::WideImmediate => write!(out, " {}", instruction.bc()),
            OperandKind::List if value == MULTI => write!(out, " *"),
            OperandKind::List | OperandKind::Count | OperandKind::Unsigned | OperandKind::Shift => {
                write!(out, " {value}")
            }
            OperandKind::Jump => {
                let target = pc + 2 + usize::from(value);
                space(&mut comment);
                let _ = write!(comment, "to {target}");
                write!(out, " {value}")
            }
            OperandKind::WideJump => {
                let target = pc as i64 + 2 + i64::from(instruction.bc());
                space(&mut comment);
                let _ = write!(comment, "to {target}");
                write!(out, " {}", instruction.bc())
            }
            OperandKind::Site => {
                let index = instruction.bc() as u32 as usize;
                let child = prototype
                    .sites
                    .get(index)
                    .and_then(|s| prototype.children.get(s.child as usize));
                if let Some((step, _)) = child.and_then(|c| c.id.path().last()) {
                    space(&mut comment);
                    let _ = write!(comment, "{step}");
                }
                write!(out, " {index}")
            }
        };
    }
    if shows_x(op) && instruction.x() != 0 {
        let _ = write!(out, " x={}", instruction.x());
    }
    if !comment.is_empty() {
        let _ = write!(out, "\t; {comment}");
    }
}

/// `x` is part of the meaning, or set by nobody: shown either way, but never
/// for field accesses, where a VM keeps its cache.
fn shows_x(op: OpCode) -> bool {
    let field = op == OpCode::GetField || op == OpCode::SetField || op == OpCode::GetTabUp;
    !field && op != OpCode::SetTabUp && op != OpCode::SelfField
}

fn space(comment: &mut String) {
    if !comment.is_empty() {
        comment.push(' ');
    }
}

fn constant_comment(comment: &mut String, prototype: &Prototype, index: u32) {
    space(comment);
    let Some(constant) = prototype.constants.get(index as usize) else {
        comment.push('?');
        return;
    };
    let _ = match constant {
        Constant::Nil => write!(comment, "nil"),
        Constant::Boolean(b) => write!(comment, "{b}"),
        Constant::Integer(i) => write!(comment, "{i}"),
        Constant::Float(f) => write!(comment, "{f:?}"),
        Constant::Cell(cell) => write!(comment, "cell {cell}"),
        Constant::String(s) => {
            let shown = &s[..s.len().min(MAX_SHOWN)];
            let dots = if s.len() > MAX_SHOWN { "..." } else { "" };
            write!(comment, "\"{}\"{dots}", shown.escape_ascii())
        }
    };
}
