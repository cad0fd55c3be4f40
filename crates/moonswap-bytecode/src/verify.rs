//! The verifier: everything the interpreter relies on without looking.
//!
//! A machine runs only prototypes that passed. Checked are operations and
//! operands, windows of registers, kinds of constants, targets of jumps, that
//! code cannot run off its end, that instructions which pass an open list of
//! values stand in pairs (this file), that loops are entered at their heads
//! (`verify_loops`), and what registers hold along every path (`verify_flow`,
//! which lists what it proves). Types of values are checked where the machine
//! takes them for granted; elsewhere it looks at them itself.

use crate::instruction::{Instruction, MULTI, REGISTER_BYTES};
use crate::opcode::{OpCode, OperandKind};
use crate::prototype::{Capture, Constant, FunctionId, Prototype};
use crate::watch::Watch;

/// Most registers of one function.
pub const MAX_REGISTERS: u16 = 255;

/// The longest string that field instructions can have as key.
pub const MAX_KEY: usize = 40;

/// `x` bit of `RETURN` and `TAILCALL`: the function takes `...`.
const RETURN_VARARG: u8 = 2;

/// What is wrong with a prototype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{function}: instruction {}: {fault}", pc + 1)]
pub struct VerifyError {
    /// The function it was found in.
    pub function: FunctionId,
    /// The instruction, or 0 for what concerns the whole function.
    pub pc: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A byte that names no operation, or an internal one.
    #[error("unknown operation")]
    Operation,
    /// An operand that must be zero is not.
    #[error("unused operand is set")]
    Unused,
    /// A register beyond the frame, or not on a register boundary.
    #[error("register outside the frame")]
    Register,
    /// A window of registers reaches beyond the frame.
    #[error("window of registers outside the frame")]
    Window,
    /// A count that the operation does not allow.
    #[error("bad count")]
    Count,
    /// A constant index that does not exist.
    #[error("constant does not exist")]
    Constant,
    /// A constant of a kind that the operation does not take.
    #[error("wrong kind of constant")]
    ConstantKind,
    /// A captured variable that does not exist.
    #[error("captured variable does not exist")]
    Upvalue,
    /// A closure site or child that does not exist, or does not fit.
    #[error("bad closure site")]
    Site,
    /// A jump out of the code or in the wrong direction.
    #[error("bad jump")]
    Jump,
    /// Code can run off its end.
    #[error("code does not end in a return")]
    End,
    /// An open list of values without producer or consumer.
    #[error("open list of values is not paired")]
    Open,
    /// A loop whose instructions do not fit together.
    #[error("bad loop")]
    Loop,
    /// A form of return that this function must not have.
    #[error("wrong form of return")]
    Return,
    /// A register is read that need not hold a value.
    #[error("register is read before it is written")]
    Undefined,
    /// A call's window lies over variables that others can reach.
    #[error("call over captured or named variables")]
    Captured,
    /// Variables captured or to be closed outlive the frame, or are marked in
    /// the wrong order.
    #[error("variables are left open")]
    Close,
    /// Items for what is not the table under construction.
    #[error("items without a table")]
    Table,
    /// Numbers of the function that contradict each other.
    #[error("bad header")]
    Header,
    /// Whoever watches wanted no more of it.
    #[error("stopped")]
    Stopped,
    /// Debug information that does not fit the code.
    #[error("bad debug information")]
    Debug,
}

/// Checks a prototype and all its children.
pub fn verify(prototype: &Prototype) -> Result<(), VerifyError> {
    verify_watched(prototype, None)
}

/// As [`verify`], and `watch` may stop it ([`Fault::Stopped`]): what registers
/// hold in code made for the purpose takes long to find out.
pub fn verify_watched(prototype: &Prototype, watch: Option<&Watch<'_>>) -> Result<(), VerifyError> {
    let mut todo = vec![prototype];
    while let Some(prototype) = todo.pop() {
        one(prototype, watch)?;
        todo.extend(prototype.children.iter().map(|child| &**child));
    }
    Ok(())
}

/// Looks whether to stop, once an instruction.
pub(crate) fn go_on(watch: Option<&Watch<'_>>) -> Result<(), Fault> {
    match watch {
        Some(watch) if watch.says_stop() => Err(Fault::Stopped),
        Some(_) | None => Ok(()),
    }
}

fn one(prototype: &Prototype, watch: Option<&Watch<'_>>) -> Result<(), VerifyError> {
    let error = |pc, fault| VerifyError {
        function: prototype.id.clone(),
        pc,
        fault,
    };
    go_on(watch).map_err(|fault| error(0, fault))?;
    header(prototype).map_err(|fault| error(0, fault))?;
    for (pc, instruction) in prototype.code.iter().enumerate() {
        go_on(watch).map_err(|fault| error(pc, fault))?;
        let op = instruction.opcode().filter(|op| !op.is_internal());
        let op = op.ok_or_else(|| error(pc, Fault::Operation))?;
        operands(prototype, pc, *instruction, op).map_err(|fault| error(pc, fault))?;
        windows(prototype, *instruction, op).map_err(|fault| error(pc, fault))?;
        constants(prototype, *instruction, op).map_err(|fault| error(pc, fault))?;
        returns(prototype, pc, *instruction, op).map_err(|fault| error(pc, fault))?;
    }
    open_lists(prototype).map_err(|(pc, fault)| error(pc, fault))?;
    crate::verify_loops::check(prototype).map_err(|(pc, fault)| error(pc, fault))?;
    crate::verify_flow::check(prototype, watch).map_err(|(pc, fault)| error(pc, fault))
}

fn header(prototype: &Prototype) -> Result<(), Fault> {
    let code = prototype.code.len();
    if prototype.frame_size > MAX_REGISTERS
        || u16::from(prototype.n_params) > prototype.frame_size
        || prototype.upvalues.len() > usize::from(u8::MAX)
        || i32::try_from(code).is_err()
        || prototype.is_main() && prototype.upvalues.len() != 1
        || !prototype.is_main() && !prototype.scope.is_empty()
    {
        return Err(Fault::Header);
    }
    let last = prototype.code.last().and_then(|i| i.opcode());
    let ends = [
        OpCode::Return,
        OpCode::Return0,
        OpCode::Return1,
        OpCode::TailCall,
        OpCode::JumpBack,
    ];
    if !last.is_some_and(|op| ends.contains(&op)) {
        return Err(Fault::End);
    }
    for site in &prototype.sites {
        let child = prototype
            .children
            .get(site.child as usize)
            .ok_or(Fault::Site)?;
        if child.upvalues.len() != site.captures.len() || child.is_main() {
            return Err(Fault::Site);
        }
        for capture in &site.captures {
            match capture {
                Capture::Register(register) if *register >= prototype.frame_size => {
                    return Err(Fault::Register);
                }
                Capture::Upvalue(index) if usize::from(*index) >= prototype.upvalues.len() => {
                    return Err(Fault::Upvalue);
                }
                Capture::Register(_) | Capture::Upvalue(_) | Capture::Cell(_) | Capture::Vacant => {
                }
            }
        }
    }
    let debug = &prototype.debug;
    let fits = |n: usize| n == 0 || n == code;
    let local_fits = |register: u16, start: u32, end: u32| {
        register < prototype.frame_size && start <= end && end as usize <= code
    };
    let locals = debug
        .locals
        .iter()
        .all(|l| local_fits(l.register, l.start_pc, l.end_pc));
    let scope = prototype
        .scope
        .iter()
        .all(|v| local_fits(v.register.unwrap_or(0), v.start_pc, v.end_pc));
    if !fits(debug.lines.len()) || !fits(debug.columns.len()) || !locals || !scope {
        return Err(Fault::Debug);
    }
    Ok(())
}

/// Each operand by its kind.
fn operands(
    prototype: &Prototype,
    pc: usize,
    instruction: Instruction,
    op: OpCode,
) -> Result<(), Fault> {
    let raw = [instruction.a(), instruction.b(), instruction.c()];
    let kinds = op.operands();
    for (i, (kind, value)) in kinds.into_iter().zip(raw).enumerate() {
        match kind {
            OperandKind::Unused => {
                let wide = i == 2
                    && matches!(
                        kinds[1],
                        OperandKind::WideConstant
                            | OperandKind::WideImmediate
                            | OperandKind::WideJump
                            | OperandKind::Site
                    );
                if value != 0 && !wide {
                    return Err(Fault::Unused);
                }
            }
            OperandKind::Register | OperandKind::Target | OperandKind::Window => {
                if value % REGISTER_BYTES != 0 || value / REGISTER_BYTES >= prototype.frame_size {
                    return Err(Fault::Register);
                }
            }
            OperandKind::Constant => {
                prototype
                    .constants
                    .get(usize::from(value))
                    .ok_or(Fault::Constant)?;
                // The machine keeps the distance from here, in words, in 16 bits.
                if prototype.code.len() - pc + 2 * usize::from(value) > usize::from(u16::MAX) {
                    return Err(Fault::Constant);
                }
            }
            OperandKind::WideConstant => {
                prototype
                    .constants
                    .get(instruction.bc() as u32 as usize)
                    .ok_or(Fault::Constant)?;
            }
            OperandKind::Upvalue => {
                prototype
                    .upvalues
                    .get(usize::from(value))
                    .ok_or(Fault::Upvalue)?;
            }
            OperandKind::Immediate | OperandKind::WideImmediate | OperandKind::Count => {}
            OperandKind::Jump | OperandKind::WideJump => {
                let target = jump_target(pc, instruction, op).ok_or(Fault::Jump)?;
                let backward =
                    op == OpCode::JumpBack || op == OpCode::ForLoop || op == OpCode::TForLoop;
                if target < 0
                    || target >= prototype.code.len() as i64
                    || (target <= pc as i64) != backward
                {
                    return Err(Fault::Jump);
                }
            }
            OperandKind::Site => {
                prototype
                    .sites
                    .get(instruction.bc() as u32 as usize)
                    .ok_or(Fault::Site)?;
            }
        }
    }
    if op == OpCode::LoadFalseSkip && pc + 2 >= prototype.code.len() {
        return Err(Fault::Jump);
    }
    Ok(())
}

/// Where an instruction may go besides the next one.
pub(crate) fn jump_target(pc: usize, instruction: Instruction, op: OpCode) -> Option<i64> {
    let next = pc as i64 + 1;
    if op == OpCode::LoadFalseSkip {
        return Some(next + 1);
    }
    op.operands().into_iter().find_map(|kind| match kind {
        OperandKind::Jump => Some(next + i64::from(instruction.c())),
        OperandKind::WideJump => Some(next + i64::from(instruction.bc())),
        OperandKind::Unused
        | OperandKind::Register
        | OperandKind::Target
        | OperandKind::Window
        | OperandKind::Constant
        | OperandKind::WideConstant
        | OperandKind::Upvalue
        | OperandKind::Immediate
        | OperandKind::WideImmediate
        | OperandKind::Count
        | OperandKind::Site => None,
    })
}

/// The extent of register windows and the counts that define them.
fn windows(prototype: &Prototype, i: Instruction, op: OpCode) -> Result<(), Fault> {
    let (a, b, c) = (
        u32::from(i.register_a()),
        u32::from(i.b()),
        u32::from(i.c()),
    );
    let multi = u32::from(MULTI);
    let within = |end: u32| {
        if end <= u32::from(prototype.frame_size) {
            Ok(())
        } else {
            Err(Fault::Window)
        }
    };
    let counted = |ok: bool| if ok { Ok(()) } else { Err(Fault::Count) };
    match op {
        OpCode::LoadNil => {
            counted(b >= 1 && b != multi)?;
            within(a + b)
        }
        OpCode::SelfField => within(a + 3),
        OpCode::SetList => within(if b == multi { a + 1 } else { a + 1 + b }),
        OpCode::Concat => {
            counted(c >= 2 && c != multi)?;
            within(u32::from(i.register_b()) + c)
        }
        OpCode::Call => {
            counted(b != multi)?;
            within(a + 2 + b)?;
            within(if c == multi { a } else { a + c })
        }
        OpCode::CallMulti => {
            within(a + 2)?;
            within(if c == multi { a } else { a + c })
        }
        OpCode::TailCall => within(if b == multi { a + 2 } else { a + 2 + b }),
        OpCode::Return | OpCode::Vararg => within(if b == multi { a } else { a + b }),
        OpCode::ForPrep | OpCode::ForLoop | OpCode::TForPrep => within(a + 4),
        OpCode::TForCall => {
            counted(a >= 4 && b == 2 && c >= 1 && c != multi)?;
            within(a + 4)?;
            within(a + c)
        }
        OpCode::TForLoop => counted(a >= 4),
        OpCode::JumpBack => within(u32::from(i.a())),
        OpCode::NewTable => counted(b != multi && c != multi),
        OpCode::GetIndex
        | OpCode::SetIndex
        | OpCode::Move
        | OpCode::LoadInt
        | OpCode::LoadFloat
        | OpCode::LoadConst
        | OpCode::LoadFalse
        | OpCode::LoadTrue
        | OpCode::LoadFalseSkip
        | OpCode::GetUpvalue
        | OpCode::SetUpvalue
        | OpCode::GetCell
        | OpCode::SetCell
        | OpCode::GetTabUp
        | OpCode::SetTabUp
        | OpCode::GetTable
        | OpCode::GetField
        | OpCode::SetTable
        | OpCode::SetField
        | OpCode::Add
        | OpCode::Sub
        | OpCode::Mul
        | OpCode::Mod
        | OpCode::Pow
        | OpCode::Div
        | OpCode::IntDiv
        | OpCode::BitAnd
        | OpCode::BitOr
        | OpCode::BitXor
        | OpCode::ShiftLeft
        | OpCode::ShiftRight
        | OpCode::AddImm
        | OpCode::SubImm
        | OpCode::AddConst
        | OpCode::SubConst
        | OpCode::MulConst
        | OpCode::ModConst
        | OpCode::PowConst
        | OpCode::DivConst
        | OpCode::IntDivConst
        | OpCode::BitAndConst
        | OpCode::BitOrConst
        | OpCode::BitXorConst
        | OpCode::Negate
        | OpCode::BitNot
        | OpCode::Not
        | OpCode::Length
        | OpCode::Jump
        | OpCode::JumpEq
        | OpCode::JumpNotEq
        | OpCode::JumpLt
        | OpCode::JumpNotLt
        | OpCode::JumpLe
        | OpCode::JumpNotLe
        | OpCode::JumpEqConst
        | OpCode::JumpNotEqConst
        | OpCode::JumpLtImm
        | OpCode::JumpNotLtImm
        | OpCode::JumpLeImm
        | OpCode::JumpNotLeImm
        | OpCode::JumpGtImm
        | OpCode::JumpNotGtImm
        | OpCode::JumpGeImm
        | OpCode::JumpNotGeImm
        | OpCode::JumpIf
        | OpCode::JumpIfNot
        | OpCode::JumpIfSet
        | OpCode::JumpIfNotSet
        | OpCode::Return0
        | OpCode::Return1
        | OpCode::Closure
        | OpCode::Close
        | OpCode::ToBeClosed
        | OpCode::KeepScope => Ok(()),
        OpCode::ShiftLeftImm | OpCode::ShiftRightImm => counted(c < 64),
        OpCode::Halt
        | OpCode::FinishMeta
        | OpCode::FinishPcall
        | OpCode::FinishXpcall
        | OpCode::FinishCoroutine
        | OpCode::FinishClose
        | OpCode::FinishUnwind
        | OpCode::FinishTail
        | OpCode::EnterCall
        | OpCode::Trap => Err(Fault::Operation),
    }
}

/// The kinds of constants.
fn constants(prototype: &Prototype, i: Instruction, op: OpCode) -> Result<(), Fault> {
    let near = |index: u16| {
        prototype
            .constants
            .get(usize::from(index))
            .ok_or(Fault::Constant)
    };
    let wide = || {
        prototype
            .constants
            .get(i.bc() as u32 as usize)
            .ok_or(Fault::Constant)
    };
    use OpCode as O;
    let fits = if [O::GetTabUp, O::SetTabUp, O::GetField, O::SelfField].contains(&op) {
        is_key(near(i.c())?)
    } else if op == O::SetField {
        is_key(near(i.b())?)
    } else if [O::BitAndConst, O::BitOrConst, O::BitXorConst].contains(&op) {
        matches!(near(i.c())?, Constant::Integer(_))
    } else if op.operands()[2] == OperandKind::Constant {
        matches!(near(i.c())?, Constant::Integer(_) | Constant::Float(_))
    } else if op.operands()[1] == OperandKind::Constant {
        !matches!(near(i.b())?, Constant::Cell(_))
    } else if op == O::LoadConst {
        matches!(
            wide()?,
            Constant::Integer(_) | Constant::Float(_) | Constant::String(_)
        )
    } else if op.operands()[1] == OperandKind::WideConstant {
        matches!(wide()?, Constant::Cell(_))
    } else {
        true
    };
    if fits {
        Ok(())
    } else {
        Err(Fault::ConstantKind)
    }
}

fn is_key(constant: &Constant) -> bool {
    matches!(constant, Constant::String(s) if s.len() <= MAX_KEY)
}

/// The forms of return, and `KEEPSCOPE` before each one of a main chunk.
fn returns(prototype: &Prototype, pc: usize, i: Instruction, op: OpCode) -> Result<(), Fault> {
    let main = prototype.is_main();
    let short = op == OpCode::Return0 || op == OpCode::Return1;
    let long = op == OpCode::Return || op == OpCode::TailCall;
    if short && (prototype.is_vararg || main) {
        return Err(Fault::Return);
    }
    if long && ((i.x() & RETURN_VARARG != 0) != prototype.is_vararg || i.x() > 3) {
        return Err(Fault::Return);
    }
    let kept = pc > 0 && prototype.code[pc - 1].opcode() == Some(OpCode::KeepScope);
    if (long || short) && kept != main || op == OpCode::KeepScope && !main {
        return Err(Fault::Return);
    }
    Ok(())
}

/// An instruction that leaves an open list of values is followed by one that
/// takes it (with at most `KEEPSCOPE` between), and no jump gets in between.
fn open_lists(prototype: &Prototype) -> Result<(), (usize, Fault)> {
    let mut open = false;
    let mut inside = vec![false; prototype.code.len()];
    for (pc, i) in prototype.code.iter().enumerate() {
        let Some(op) = i.opcode() else { continue };
        inside[pc] = open;
        if open && op == OpCode::KeepScope {
            continue;
        }
        let takes = op == OpCode::CallMulti
            || i.b() == MULTI && [OpCode::TailCall, OpCode::Return, OpCode::SetList].contains(&op);
        if takes != open {
            return Err((pc, Fault::Open));
        }
        open = op == OpCode::Vararg && i.b() == MULTI
            || i.c() == MULTI && (op == OpCode::Call || op == OpCode::CallMulti);
    }
    if open {
        return Err((prototype.code.len().saturating_sub(1), Fault::Open));
    }
    for (pc, i) in prototype.code.iter().enumerate() {
        let target = i.opcode().and_then(|op| jump_target(pc, *i, op));
        let target = target.and_then(|t| usize::try_from(t).ok());
        if target.and_then(|t| inside.get(t).copied()).unwrap_or(false) {
            return Err((pc, Fault::Open));
        }
    }
    Ok(())
}
