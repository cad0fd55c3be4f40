//! The function being compiled: its code so far, its registers, and what
//! becomes of it in the end.
//!
//! Limits are noted when hit and reported at the next statement or argument:
//! until then code generation goes on with saturated numbers, so that the many
//! small helpers need no error path.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{
    ChildSummary, ClosureSite, DebugInfo, FunctionId, Instruction, LocalVariable, LoopInfo, OpCode,
    Prototype, ScopeVariable, instruction::REGISTER_BYTES,
};

use crate::codegen::constant::ConstantPool;
use crate::codegen::label::Labels;
use crate::error::Span;
use crate::resolve::identity::Siblings;
use crate::resolve::scope::{ConstantValue, Scope};
use crate::resolve::upvalue::Upvalues;
use crate::syntax::ast::{Ast, Symbol};

/// Most registers that a text may ask for in one function.
const MAX_REGISTERS: u16 = 254;

/// A VM puts the constants (two words each) behind the code and addresses them
/// relative to the instruction with 16 bits; more than this many words needs
/// the forms with 32-bit operands.
const MAX_NEAR_WORDS: usize = 60_000;

/// The longest string that field instructions can have as key.
pub(crate) const MAX_SHORT_STRING: usize = 40;

/// `x` bit of `RETURN` and `TAILCALL`: variables must be closed first.
const RETURN_CLOSES: u8 = 1;

/// `x` bit of `RETURN` and `TAILCALL`: the function takes `...`.
const RETURN_VARARG: u8 = 2;

/// A register as an operand field.
pub(crate) fn reg(register: u16) -> u16 {
    register.wrapping_mul(REGISTER_BYTES)
}

/// Where in the text the reference, which makes code while it parses, is now: the
/// token that it looks at is the first one behind byte `offset` and `skip` tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) offset: u32,
    pub(crate) skip: u8,
}

impl From<u32> for Reached {
    fn from(offset: u32) -> Self {
        Self { offset, skip: 0 }
    }
}

/// A limit that was exceeded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Too many registers, when the parser of the reference is there.
    Registers(Reached),
    /// Too many captured variables.
    Upvalues(Span),
}

/// A function being compiled.
pub(crate) struct FunctionState<'a> {
    pub(crate) ast: &'a Ast,
    pub(crate) id: FunctionId,
    pub(crate) code: Vec<Instruction>,
    pub(crate) lines: Vec<u32>,
    /// Empty if nobody wants them.
    columns: Vec<u32>,
    has_columns: bool,
    /// The next jump of a list, for all but the last one of each.
    pub(crate) links: HashMap<u32, u32>,
    pub(crate) constants: ConstantPool,
    /// First free register.
    pub(crate) free: u16,
    frame_size: u16,
    /// How many of the registers in use the reference has no use for: links of
    /// calls that are being prepared, and constants where it has a form of the
    /// instruction for them. They do not count for the limit.
    pub(crate) uncounted: u16,
    /// The newest jump target: code before it must not be merged with.
    pub(crate) last_target: u32,
    pub(crate) scope: Scope,
    pub(crate) labels: Labels,
    pub(crate) upvalues: Upvalues,
    pub(crate) locals: Vec<LocalVariable>,
    pub(crate) loops: Vec<LoopInfo>,
    pub(crate) scope_variables: Vec<ScopeVariable>,
    pub(crate) children: Vec<Arc<Prototype>>,
    /// How many more there were, which were given away.
    pub(crate) n_given: u32,
    pub(crate) sites: Vec<ClosureSite>,
    pub(crate) siblings: Siblings,
    pub(crate) n_params: u8,
    pub(crate) is_vararg: bool,
    pub(crate) is_main: bool,
    /// Some variable is captured or to be closed.
    pub(crate) needs_close: bool,
    /// 16-bit operands for constants and jumps are not used.
    pub(crate) big: bool,
    /// It turned out that they do not suffice.
    pub(crate) needs_big: bool,
    /// The place in the text that new instructions belong to.
    pub(crate) here: Span,
    /// Where the reference is.
    pub(crate) reached: Reached,
    /// The first limit that was exceeded.
    pub(crate) limit: Option<Limit>,
    pub(crate) line_defined: u32,
}

impl<'a> FunctionState<'a> {
    /// An empty function.
    pub(crate) fn new(ast: &'a Ast, id: FunctionId, big: bool) -> Self {
        Self {
            ast,
            is_main: id.path().is_empty(),
            id,
            code: Vec::new(),
            lines: Vec::new(),
            columns: Vec::new(),
            has_columns: true,
            links: HashMap::default(),
            constants: ConstantPool::default(),
            free: 0,
            frame_size: 2,
            uncounted: 0,
            last_target: 0,
            scope: Scope::default(),
            labels: Labels::default(),
            upvalues: Upvalues::default(),
            locals: Vec::new(),
            loops: Vec::new(),
            scope_variables: Vec::new(),
            children: Vec::new(),
            n_given: 0,
            sites: Vec::new(),
            siblings: Siblings::default(),
            n_params: 0,
            is_vararg: false,
            needs_close: false,
            big,
            needs_big: false,
            here: Span::default(),
            reached: Reached::default(),
            limit: None,
            line_defined: 0,
        }
    }

    /// The same function with another tree: that of its next statement.
    pub(crate) fn on_tree<'b>(self, ast: &'b Ast) -> FunctionState<'b> {
        FunctionState {
            ast,
            id: self.id,
            code: self.code,
            lines: self.lines,
            columns: self.columns,
            has_columns: self.has_columns,
            links: self.links,
            constants: self.constants,
            free: self.free,
            frame_size: self.frame_size,
            uncounted: self.uncounted,
            last_target: self.last_target,
            scope: self.scope,
            labels: self.labels,
            upvalues: self.upvalues,
            locals: self.locals,
            loops: self.loops,
            scope_variables: self.scope_variables,
            children: self.children,
            n_given: self.n_given,
            sites: self.sites,
            siblings: self.siblings,
            n_params: self.n_params,
            is_vararg: self.is_vararg,
            is_main: self.is_main,
            needs_close: self.needs_close,
            big: self.big,
            needs_big: self.needs_big,
            here: self.here,
            reached: self.reached,
            limit: self.limit,
            line_defined: self.line_defined,
        }
    }

    /// No columns of instructions are kept.
    pub(crate) fn without_columns(mut self) -> Self {
        self.has_columns = false;
        self
    }

    /// Index of the next instruction.
    pub(crate) fn pc(&self) -> u32 {
        self.code.len() as u32
    }

    /// Adds an instruction; register operands are scaled already.
    pub(crate) fn emit(&mut self, op: OpCode, x: u8, a: u16, b: u16, c: u16) -> u32 {
        let pc = self.pc();
        self.code.push(Instruction::from_raw(op, x, a, b, c));
        self.lines.push(self.here.line);
        if self.has_columns {
            self.columns.push(self.here.column);
        }
        pc
    }

    /// Adds an instruction with a 32-bit operand.
    pub(crate) fn emit_wide(&mut self, op: OpCode, a: u16, bc: u32) -> u32 {
        self.emit(op, 0, a, bc as u16, (bc >> 16) as u16)
    }

    /// Adds an instruction that belongs to another place of the text.
    pub(crate) fn emit_at(&mut self, span: Span, op: OpCode, x: u8, a: u16, b: u16, c: u16) -> u32 {
        let pc = self.emit(op, x, a, b, c);
        self.set_place(pc, span);
        pc
    }

    /// Says which place of the text an instruction belongs to.
    pub(crate) fn set_place(&mut self, pc: u32, span: Span) {
        if let Some(line) = self.lines.get_mut(pc as usize) {
            *line = span.line;
        }
        if let Some(column) = self.columns.get_mut(pc as usize) {
            *column = span.column;
        }
    }

    /// Takes back the newest instruction.
    pub(crate) fn remove_last(&mut self) {
        self.code.pop();
        self.lines.pop();
        self.columns.pop();
        self.links.remove(&self.pc());
    }

    /// Takes back all instructions from `start` on.
    pub(crate) fn truncate(&mut self, start: usize) {
        self.code.truncate(start);
        self.lines.truncate(start);
        self.columns.truncate(start);
        self.links.retain(|&pc, _| (pc as usize) < start);
        self.last_target = start as u32;
    }

    /// Changes an instruction.
    pub(crate) fn modify(&mut self, pc: u32, change: impl FnOnce(Instruction) -> Instruction) {
        if let Some(i) = self.code.get_mut(pc as usize) {
            *i = change(*i);
        }
    }

    /// Makes sure the frame has `n` registers above the free one.
    pub(crate) fn need_registers(&mut self, n: u16) {
        let top = self.free.saturating_add(n);
        let counted = top.saturating_sub(self.uncounted);
        if counted > MAX_REGISTERS || top > moonswap_bytecode::verify::MAX_REGISTERS {
            let reached = self.reached;
            self.limit.get_or_insert(Limit::Registers(reached));
        } else {
            self.frame_size = self.frame_size.max(top);
        }
    }

    /// Takes `n` registers.
    pub(crate) fn reserve(&mut self, n: u16) {
        self.need_registers(n);
        self.free = self.free.saturating_add(n);
    }

    /// Gives back a register if it is a temporary.
    pub(crate) fn free_register(&mut self, register: u16) {
        if register >= self.scope.active_registers() {
            self.free = self.free.saturating_sub(1);
        }
    }

    /// Gives back two registers, whichever order they were taken in.
    pub(crate) fn free_registers(&mut self, a: u16, b: u16) {
        self.free_register(a.max(b));
        self.free_register(a.min(b));
    }

    /// Whether a string can be the key of a field instruction here.
    pub(crate) fn is_field_key(&self, symbol: Symbol) -> bool {
        !self.big
            && self
                .ast
                .symbols
                .get(symbol.0 as usize)
                .is_none_or(|s| s.len() <= MAX_SHORT_STRING)
    }

    /// A string constant as a 16-bit operand.
    pub(crate) fn string_operand(&mut self, symbol: Symbol) -> u16 {
        let index = self.constants.string(self.ast, symbol);
        self.near_constant(index)
    }

    /// A constant as a 16-bit operand.
    pub(crate) fn value_operand(&mut self, value: ConstantValue) -> u16 {
        let index = self.constants.value(self.ast, value);
        self.near_constant(index)
    }

    fn near_constant(&mut self, index: u32) -> u16 {
        u16::try_from(index).unwrap_or_else(|_| {
            self.needs_big = true;
            0
        })
    }

    /// Closes variables from the register `level` on. There may be none: the
    /// operand must be a register of the frame all the same.
    pub(crate) fn close_from(&mut self, level: u16) {
        self.frame_size = self.frame_size.max((level + 1).min(MAX_REGISTERS));
        self.emit(OpCode::Close, 0, reg(level), 0, 0);
    }

    /// Emits what ends a call with the values in `n` registers from `first`.
    pub(crate) fn emit_return(&mut self, first: u16, n: u16) {
        if self.is_main {
            self.emit(OpCode::KeepScope, 0, 0, 0, 0);
            self.emit(OpCode::Return, 0, reg(first), n, 0);
            return;
        }
        match n {
            0 => self.emit(OpCode::Return0, 0, 0, 0, 0),
            1 => self.emit(OpCode::Return1, 0, reg(first), 0, 0),
            _ => self.emit(OpCode::Return, 0, reg(first), n, 0),
        };
    }

    /// The forms of return depend on what the whole function turned out to be.
    fn finish_returns(&mut self) {
        let mut x = 0;
        // A patch may open captures on any top-level local of a running main
        // chunk.
        let has_scope = self.scope_variables.iter().any(|v| v.register.is_some());
        if self.needs_close || has_scope {
            x |= RETURN_CLOSES;
        }
        if self.is_vararg {
            x |= RETURN_VARARG;
        }
        for i in &mut self.code {
            let op = i.opcode();
            if op == Some(OpCode::Return) || op == Some(OpCode::TailCall) {
                *i = i.with_x(x);
            } else if x != 0 && op == Some(OpCode::Return0) {
                *i = Instruction::from_raw(OpCode::Return, x, 0, 0, 0);
            } else if x != 0 && op == Some(OpCode::Return1) {
                *i = Instruction::from_raw(OpCode::Return, x, i.a(), 1, 0);
            }
        }
    }

    /// Whether the function must be compiled again in its big form.
    pub(crate) fn must_grow(&self) -> bool {
        !self.big
            && (self.needs_big || self.code.len() + 2 * self.constants.len() >= MAX_NEAR_WORDS)
    }

    /// The finished function.
    pub(crate) fn finish(self, last_line_defined: u32) -> Prototype {
        let mut prototype = self.finish_without_hashes(last_line_defined);
        moonswap_bytecode::code_hash::set(&mut prototype);
        prototype
    }

    /// The finished function, in which were these literals.
    pub(crate) fn finish_with(self, last_line_defined: u32, given: &[ChildSummary]) -> Prototype {
        let mut prototype = self.finish_without_hashes(last_line_defined);
        moonswap_bytecode::code_hash::set_with(&mut prototype, given);
        prototype
    }

    fn finish_without_hashes(mut self, last_line_defined: u32) -> Prototype {
        self.finish_returns();
        self.thread_jumps();
        let upvalues = self
            .upvalues
            .entries
            .into_iter()
            .map(|e| e.description)
            .collect();
        Prototype {
            id: self.id,
            own_hash: Default::default(),
            deep_hash: Default::default(),
            code: self.code.into_boxed_slice(),
            constants: self.constants.into_boxed(),
            children: self.children.into_boxed_slice(),
            sites: self.sites.into_boxed_slice(),
            upvalues,
            n_params: self.n_params,
            is_vararg: self.is_vararg,
            frame_size: self.frame_size,
            line_defined: self.line_defined,
            last_line_defined,
            debug: DebugInfo {
                lines: self.lines.into(),
                columns: self.columns.into(),
                locals: self.locals.into_boxed_slice(),
                loops: self.loops.into_boxed_slice(),
            },
            scope: self.scope_variables.into_boxed_slice(),
            initialisers: Box::default(),
        }
    }
}
