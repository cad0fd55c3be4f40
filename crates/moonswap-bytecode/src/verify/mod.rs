//! The verifier: everything the interpreter relies on without looking.
//!
//! A machine runs only prototypes that passed. Checked are operations and
//! operands, windows of registers, kinds of constants, targets of jumps, that
//! code cannot run off its end, that instructions which pass an open list of
//! values stand in pairs (this file), that loops are entered at their heads
//! (`loops`), and what registers hold along every path (`flow`,
//! which lists what it proves). Types of values are checked where the machine
//! takes them for granted; elsewhere it looks at them itself.

mod fault;
mod flow;
mod info;
mod loops;
mod variables;

use crate::effects::Effects;
use crate::form::Form;
use crate::function_id::FunctionId;
use crate::instruction::{Instruction, MULTI, REGISTER_BYTES};
use crate::opcode::{OpCode, OperandKind};
use crate::prototype::{
    Capture, ChildSummary, Constant, LocalVariable, Prototype, ScopeVariable, VariableKind,
};
pub use crate::registers::MAX_REGISTERS;
use crate::watch::Watch;
pub use fault::Fault;
use fault::{Work, go_on};
use flow::Flows;
use info::{Info, bit, is_of_loop};

/// The longest string that field instructions can have as key.
pub const MAX_KEY: usize = 40;

/// `x` bit of `RETURN` and `TAILCALL`: the function takes `...`.
const RETURN_VARARG: u8 = 2;

/// Bytes of lists that are not kept for the next function.
const LARGE: usize = 256 << 10;

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

/// Whether a function closes these variables wherever their frame or scope ends,
/// if they are captured from outside at any time.
pub fn closes(prototype: &Prototype, variables: &[LocalVariable]) -> bool {
    let mut opened = prototype.clone();
    let mut scope = opened.scope.into_vec();
    scope.extend(variables.iter().map(|variable| ScopeVariable {
        name: variable.name.clone(),
        declaration: 0,
        kind: VariableKind::Regular,
        register: Some(variable.register),
        start_pc: variable.start_pc,
        end_pc: variable.end_pc,
    }));
    opened.scope = scope.into();
    let mut work = Work::default();
    work.find_jumps(&opened);
    flow::check(&opened, None, &mut work, &mut Flows::default()).is_ok()
}

/// Checks a prototype and all its children.
pub fn verify(prototype: &Prototype) -> Result<(), VerifyError> {
    verify_watched(prototype, None)
}

/// As [`verify`], and `watch` may stop it ([`Fault::Stopped`]): what registers
/// hold in code made for the purpose takes long to find out.
pub fn verify_watched(prototype: &Prototype, watch: Option<&Watch<'_>>) -> Result<(), VerifyError> {
    Verifier::default().verify(prototype, watch)
}

/// Checks a prototype without its children, which were checked already.
pub fn verify_without(
    prototype: &Prototype,
    children: &[ChildSummary],
    watch: Option<&Watch<'_>>,
) -> Result<(), VerifyError> {
    Verifier::default().verify_without(prototype, children, watch)
}

/// Verifies one prototype after the other: its lists are used again.
#[derive(Default)]
pub(crate) struct Verifier {
    work: Work,
    flows: Flows,
}

impl Verifier {
    /// From here on it may take so many bytes ([`Fault::Memory`]).
    pub(crate) fn set_room(&mut self, room: usize) {
        self.work.room = room;
    }

    /// Gives large lists back: what comes next may need their memory.
    pub(crate) fn forget_large(&mut self) {
        if self.work.most > LARGE {
            *self = Self::default();
        }
    }

    /// See [`verify_watched`].
    pub(crate) fn verify(
        &mut self,
        prototype: &Prototype,
        watch: Option<&Watch<'_>>,
    ) -> Result<(), VerifyError> {
        let mut todo = vec![prototype];
        while let Some(prototype) = todo.pop() {
            let child = |i: usize| {
                let child = prototype.children.get(i)?;
                (!child.is_main()).then_some(child.upvalues.len())
            };
            one(prototype, child, watch, self)?;
            todo.extend(prototype.children.iter().map(|child| &**child));
        }
        Ok(())
    }

    /// See [`verify_without`].
    pub(crate) fn verify_without(
        &mut self,
        prototype: &Prototype,
        children: &[ChildSummary],
        watch: Option<&Watch<'_>>,
    ) -> Result<(), VerifyError> {
        let child = |i: usize| {
            let child = children.get(i)?;
            child.step.is_some().then_some(child.n_upvalues)
        };
        one(prototype, child, watch, self)
    }
}

/// `child` answers how many variables a literal in it captures.
fn one(
    prototype: &Prototype,
    child: impl Fn(usize) -> Option<usize>,
    watch: Option<&Watch<'_>>,
    verifier: &mut Verifier,
) -> Result<(), VerifyError> {
    let Verifier { work, flows } = verifier;
    let error = |pc, fault| VerifyError {
        function: prototype.id.clone(),
        pc,
        fault,
    };
    go_on(watch).map_err(|fault| error(0, fault))?;
    header(prototype, child).map_err(|fault| error(0, fault))?;
    // Where jumps go, where lists are open, in which loop it is; lists grow by half.
    work.ask(48 * prototype.code.len() + 8 * prototype.constants.len())
        .map_err(|fault| error(0, fault))?;
    work.jumps.clear();
    work.open.clear();
    let frame = Frame::of(prototype, &mut work.constants);
    let mut lists = OpenLists::default();
    let mut has_loops = false;
    let is_main = prototype.is_main();
    let n_code = prototype.code.len();
    for (pc, instruction) in prototype.code.iter().enumerate() {
        let i = *instruction;
        go_on(watch).map_err(|fault| error(pc, fault))?;
        let info = Info::of(i);
        if info.form == Form::Internal {
            return Err(error(pc, Fault::Operation));
        }
        let target = match info.jumps {
            true => info.target(pc, i),
            false => None,
        };
        if frame.is_large || !info.is_right(i, frame.end, &work.constants, frame.n_upvalues) {
            operands(&frame, &work.constants, pc, i, info).map_err(|fault| error(pc, fault))?;
        }
        if let Some(target) = target {
            jump(n_code, pc, info, target).map_err(|fault| error(pc, fault))?;
        }
        // Most have no windows and take and leave no lists.
        if info.is_plain {
            lists.pass(pc, work);
        } else {
            let op = i.opcode().ok_or_else(|| error(pc, Fault::Operation))?;
            let at = At {
                prototype,
                is_main,
                pc,
                i,
                op,
            };
            windows_and_lists(at, info.form, &mut lists, work).map_err(|fault| error(pc, fault))?;
            has_loops = has_loops || is_of_loop(info.form);
        }
        if let Some(target) = target {
            work.jumps.push((pc as u32, target as u32));
        }
    }
    let rest = lists.end(prototype, work).and_then(|()| {
        if has_loops {
            loops::check(prototype, work)?;
        }
        flow::check(prototype, watch, work, flows)
    });
    rest.map_err(|(pc, fault)| error(pc, fault))
}

/// What an instruction with windows or lists needs beyond its operands. The usual
/// forms are compiled one by one.
#[inline(always)]
fn windows_and_lists(
    at: At<'_>,
    form: Form,
    lists: &mut OpenLists,
    work: &mut Work,
) -> Result<(), Fault> {
    match form {
        Form::Call => of_form(at, Form::Call, lists, work),
        Form::Method => of_form(at, Form::Method, lists, work),
        Form::Return => of_form(at, Form::Return, lists, work),
        Form::ShortReturn => of_form(at, Form::ShortReturn, lists, work),
        Form::NewTable => of_form(at, Form::NewTable, lists, work),
        Form::Closure => of_form(at, Form::Closure, lists, work),
        Form::Nils => of_form(at, Form::Nils, lists, work),
        Form::SetList => of_form(at, Form::SetList, lists, work),
        Form::Concat => of_form(at, Form::Concat, lists, work),
        Form::BranchSet => of_form(at, Form::BranchSet, lists, work),
        _ => of_any_form(at, form, lists, work),
    }
}

#[inline(never)]
fn of_any_form(
    at: At<'_>,
    form: Form,
    lists: &mut OpenLists,
    work: &mut Work,
) -> Result<(), Fault> {
    of_form(at, form, lists, work)
}

#[inline(always)]
fn of_form(at: At<'_>, form: Form, lists: &mut OpenLists, work: &mut Work) -> Result<(), Fault> {
    let effects = Effects::of_form(at.i, at.op, form);
    windows(at, form, &effects)?;
    returns(at, form)?;
    lists.go_on(at.pc, at.op, &effects, work);
    Ok(())
}

/// An instruction that is looked at.
#[derive(Clone, Copy)]
struct At<'a> {
    prototype: &'a Prototype,
    is_main: bool,
    pc: usize,
    i: Instruction,
    op: OpCode,
}

fn header(prototype: &Prototype, child: impl Fn(usize) -> Option<usize>) -> Result<(), Fault> {
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
        Form::Return,
        Form::ShortReturn,
        Form::TailCall,
        Form::JumpBack,
    ];
    if !last.is_some_and(|op| ends.contains(&op.form())) {
        return Err(Fault::End);
    }
    for site in &prototype.sites {
        if child(site.child as usize) != Some(site.captures.len()) {
            return Err(Fault::Site);
        }
        for capture in &site.captures {
            match capture {
                Capture::Register(register) if *register >= prototype.frame_size => {
                    return Err(Fault::Register);
                }
                Capture::Upvalue(index) | Capture::Late(index)
                    if usize::from(*index) >= prototype.upvalues.len() =>
                {
                    return Err(Fault::Upvalue);
                }
                Capture::Register(_)
                | Capture::Upvalue(_)
                | Capture::Late(_)
                | Capture::Cell(_)
                | Capture::Vacant => {}
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

/// What operands are checked against.
struct Frame<'a> {
    prototype: &'a Prototype,
    /// Behind the registers, in bytes.
    end: u64,
    n_upvalues: usize,
    /// Whether some constant may be too far away for 16 bits.
    is_large: bool,
}

impl<'a> Frame<'a> {
    /// Notes what kinds of operands take each constant, too.
    fn of(prototype: &'a Prototype, constants: &mut Vec<u32>) -> Self {
        constants.clear();
        constants.extend(prototype.constants.iter().map(takers));
        let words = prototype.code.len() + 2 * prototype.constants.len();
        Self {
            prototype,
            end: u64::from(prototype.frame_size) * u64::from(REGISTER_BYTES),
            n_upvalues: prototype.upvalues.len(),
            is_large: words > usize::from(u16::MAX),
        }
    }
}

/// Each operand by its kind.
fn operands(
    frame: &Frame<'_>,
    constants: &[u32],
    pc: usize,
    instruction: Instruction,
    info: &Info,
) -> Result<(), Fault> {
    let code = &frame.prototype.code;
    if info.has_stray_bits(instruction) {
        return Err(Fault::Unused);
    }
    if !info.fits(instruction, frame.end) {
        return Err(Fault::Register);
    }
    for (kind, value) in info.special(instruction) {
        match kind {
            OperandKind::Constant
            | OperandKind::Key
            | OperandKind::Number
            | OperandKind::Integer => {
                constant(constants, usize::from(value), kind)?;
                // The machine keeps the distance from here, in words, in 16 bits.
                if frame.is_large
                    && code.len() - pc + 2 * usize::from(value) > usize::from(u16::MAX)
                {
                    return Err(Fault::Constant);
                }
            }
            OperandKind::WideConstant | OperandKind::Cell => {
                constant(constants, instruction.bc() as u32 as usize, kind)?;
            }
            OperandKind::Upvalue => {
                if usize::from(value) >= frame.prototype.upvalues.len() {
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
                if index >= frame.prototype.sites.len() {
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

/// Where a jump goes.
#[inline(always)]
fn jump(n_code: usize, pc: usize, info: &Info, target: i64) -> Result<(), Fault> {
    let backward = matches!(info.form, Form::JumpBack | Form::ForLoop | Form::TForLoop);
    if target < 0 || target >= n_code as i64 || (target <= pc as i64) != backward {
        return Err(Fault::Jump);
    }
    Ok(())
}

/// The extent of register windows and the counts that define them.
#[inline(always)]
fn windows(at: At<'_>, form: Form, effects: &Effects) -> Result<(), Fault> {
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
    if effects.end > at.prototype.frame_size {
        return Err(Fault::Window);
    }
    Ok(())
}

/// That a constant exists and is what the kind of operand takes.
#[inline(always)]
fn constant(constants: &[u32], index: usize, kind: OperandKind) -> Result<(), Fault> {
    match constants.get(index) {
        Some(takers) if takers & bit(kind) != 0 => Ok(()),
        Some(_) => Err(Fault::ConstantKind),
        None => Err(Fault::Constant),
    }
}

/// The kinds of operands that take a constant, as bits.
fn takers(constant: &Constant) -> u32 {
    use OperandKind as K;
    match constant {
        Constant::Nil | Constant::Boolean(_) => bit(K::Constant),
        Constant::Integer(_) => {
            bit(K::Constant) | bit(K::Number) | bit(K::Integer) | bit(K::WideConstant)
        }
        Constant::Float(_) => bit(K::Constant) | bit(K::Number) | bit(K::WideConstant),
        Constant::String(s) => {
            let key = if s.len() <= MAX_KEY { bit(K::Key) } else { 0 };
            bit(K::Constant) | bit(K::WideConstant) | key
        }
        Constant::Cell(_) => bit(K::Cell),
    }
}

/// The forms of return, and `KEEPSCOPE` before each one of a main chunk.
#[inline(always)]
fn returns(at: At<'_>, form: Form) -> Result<(), Fault> {
    let At {
        prototype,
        is_main: main,
        pc,
        i,
        ..
    } = at;
    let short = form == Form::ShortReturn;
    let long = form == Form::Return || form == Form::TailCall;
    let keeps = form == Form::KeepScope;
    if !short && !long && !keeps {
        return Ok(());
    }
    if short && (prototype.is_vararg || main) {
        return Err(Fault::Return);
    }
    if long && ((i.x() & RETURN_VARARG != 0) != prototype.is_vararg || i.x() > 3) {
        return Err(Fault::Return);
    }
    let kept = pc > 0 && prototype.code[pc - 1].opcode() == Some(OpCode::KeepScope);
    if (long || short) && kept != main || keeps && !main {
        return Err(Fault::Return);
    }
    Ok(())
}

/// An instruction that leaves an open list of values is followed by one that
/// takes it (with at most `KEEPSCOPE` between), and no jump gets in between.
#[derive(Default)]
struct OpenLists {
    is_open: bool,
    /// The first instruction that does not fit.
    fault: Option<usize>,
}

impl OpenLists {
    /// An instruction that has nothing to do with lists.
    #[inline(always)]
    fn pass(&mut self, pc: usize, work: &mut Work) {
        if std::mem::take(&mut self.is_open) {
            work.open.push(pc as u32);
            self.fault.get_or_insert(pc);
        }
    }

    #[inline(always)]
    fn go_on(&mut self, pc: usize, op: OpCode, effects: &Effects, work: &mut Work) {
        if self.is_open {
            work.open.push(pc as u32);
            if op == OpCode::KeepScope {
                return;
            }
        }
        if effects.takes.is_some() != self.is_open {
            self.fault.get_or_insert(pc);
        }
        self.is_open = effects.next.opens.is_some();
    }

    fn end(self, prototype: &Prototype, work: &Work) -> Result<(), (usize, Fault)> {
        let last = prototype.code.len().saturating_sub(1);
        let fault = self.fault.or(self.is_open.then_some(last));
        let into = |&&(_, target): &&(u32, u32)| work.open.binary_search(&target).is_ok();
        let jump = || {
            let is_any = !work.open.is_empty();
            let jump = is_any.then(|| work.jumps.iter().find(into)).flatten();
            jump.map(|&(pc, _)| pc as usize)
        };
        match fault.or_else(jump) {
            Some(pc) => Err((pc, Fault::Open)),
            None => Ok(()),
        }
    }
}
