//! `Prototype`: what the compiler makes of one `function … end` (a *literal*).
//!
//! Immutable after compilation, shared between threads by `Arc`. Captures are
//! listed at the closure-creation site, in the parent's code, so that an old
//! parent frame that makes a closure of a newer child reads the registers of
//! its own version.

use std::fmt;
use std::sync::Arc;

use crate::function_id::{FunctionId, NumberedStep};
use crate::instruction::Instruction;
use crate::positions::Positions;

/// Hash of what a literal *means*: code, constants, captured names, arity; no
/// line numbers and no names of local variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CodeHash(pub u128);

impl fmt::Display for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A constant of a prototype.
#[derive(Clone, Debug)]
pub enum Constant {
    /// `nil` (only in comparisons)
    Nil,
    /// `true` or `false` (only in comparisons)
    Boolean(bool),
    /// an integer
    Integer(i64),
    /// a float; equal only with the same bits
    Float(f64),
    /// a byte string
    String(Arc<[u8]>),
    /// the cell of a top-level local: index into the chunk's scope record
    Cell(u32),
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Cell(a), Self::Cell(b)) => a == b,
            (
                Self::Nil
                | Self::Boolean(_)
                | Self::Integer(_)
                | Self::Float(_)
                | Self::String(_)
                | Self::Cell(_),
                _,
            ) => false,
        }
    }
}
impl Eq for Constant {}

/// Where a new closure takes one captured variable from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Register of the creating frame.
    Register(u16),
    /// Captured variable of the creating closure.
    Upvalue(u16),
    /// Cell of the chunk's scope record (patched code only).
    Cell(u32),
    /// Captured variable that the creating closure may lack (patched code only).
    Late(u16),
    /// Index reserved by an older version whose variable is gone: a fresh nil.
    Vacant,
}

/// One place in a function's code that makes closures of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosureSite {
    /// Index into [`Prototype::children`].
    pub child: u32,
    /// One per captured variable of the child, in the child's order.
    pub captures: Box<[Capture]>,
}

/// How a variable was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableKind {
    /// plain local, parameter or loop variable
    Regular,
    /// `<const>`
    Const,
    /// `<close>`
    ToBeClosed,
}

/// A captured variable of a literal, by name and declaring scope. `N`: what names are;
/// those of binary chunks are borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpvalueDescription<N = Arc<str>> {
    /// Source name (`_ENV` for the environment).
    pub name: N,
    /// How it was declared.
    pub kind: VariableKind,
    /// How many functions outward it is declared: 1 = the direct parent.
    pub depth: u16,
    /// Position of its scope: the ordinal, among the declaring function's
    /// declarations of this name in source order (from 0).
    pub declaration: u32,
    /// Declared in the main chunk's outermost block (has a scope-record cell).
    pub top_level: bool,
    /// Declared inside a loop body of the declaring function (fresh per turn).
    pub in_loop: bool,
}

/// A local variable for debugging and error messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalVariable<N = Arc<str>> {
    /// Source name; hidden loop variables are called `(for state)`.
    pub name: N,
    /// Register it lives in.
    pub register: u16,
    /// First instruction at which it is alive.
    pub start_pc: u32,
    /// First instruction at which it is dead.
    pub end_pc: u32,
}

/// A top-level local of a main chunk: one cell of the scope record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeVariable<N = Arc<str>> {
    /// Source name.
    pub name: N,
    /// Ordinal among the chunk's top-level declarations of this name.
    pub declaration: u32,
    /// How it was declared.
    pub kind: VariableKind,
    /// Register in the main chunk's frame; `None` when it has none
    /// (compile-time constant).
    pub register: Option<u16>,
    /// First instruction at which it is alive.
    pub start_pc: u32,
    /// First instruction at which it is dead.
    pub end_pc: u32,
}

/// How a loop is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopKind {
    /// `while`
    While,
    /// `repeat`
    Repeat,
    /// `for` over numbers
    Numeric,
    /// `for … in`
    Generic,
    /// a label that some `goto` goes back to
    Label,
}

/// A loop of the text: what patches recognise it by when they move a running
/// activation to new code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopInfo {
    /// How it is written.
    pub kind: LoopKind,
    /// What is evaluated once at its head, as written but for blanks: the
    /// condition of `while`, the values of `for`, the name of a label. Empty for
    /// `repeat`.
    pub header: Arc<str>,
    /// Hash of its whole text without blanks.
    pub text: u64,
    /// Line it begins on.
    pub line: u32,
    /// Where a turn begins; of `for` loops the instruction that prepares them.
    pub start_pc: u32,
    /// The instruction that goes back.
    pub end_pc: u32,
}

/// What is only needed to tell people about the code.
#[derive(Clone, Debug, Default)]
pub struct DebugInfo {
    /// Line of each instruction; empty when stripped.
    pub lines: Positions,
    /// Column (from 1, in bytes) of each instruction; empty when stripped.
    pub columns: Positions,
    /// Local variables in order of `start_pc`; empty when stripped.
    pub locals: Box<[LocalVariable]>,
    /// Loops in the order of their ends. Binary chunks have none, so what stands
    /// here comes from the compiler.
    pub loops: Box<[LoopInfo]>,
}

/// The compiled form of one literal.
#[derive(Clone, Debug)]
pub struct Prototype {
    /// Who it is.
    pub id: FunctionId,
    /// Hash of its own code, children by path only.
    pub own_hash: CodeHash,
    /// Hash including all children.
    pub deep_hash: CodeHash,
    /// The instructions. Constants are indices here.
    pub code: Box<[Instruction]>,
    /// Constants.
    pub constants: Box<[Constant]>,
    /// Literals written directly inside this one, in source order.
    pub children: Box<[Arc<Prototype>]>,
    /// Closure-creation sites.
    pub sites: Box<[ClosureSite]>,
    /// Captured variables. A main chunk has exactly one: `_ENV`.
    pub upvalues: Box<[UpvalueDescription]>,
    /// Number of fixed parameters.
    pub n_params: u8,
    /// Takes `...`.
    pub is_vararg: bool,
    /// Registers needed, parameters included (2 more are always available for
    /// the machine above them); at most 255.
    pub frame_size: u16,
    /// Line of `function`; 0 for a main chunk.
    pub line_defined: u32,
    /// Line of the matching `end`; 0 for a main chunk.
    pub last_line_defined: u32,
    /// Lines, names, columns.
    pub debug: DebugInfo,
    /// Top-level locals, of a main chunk only, in source order.
    pub scope: Box<[ScopeVariable]>,
    /// Of a patched function: expressions for captured variables that closures
    /// made before a patch lack, by index. They are in the code; later patches
    /// compile them again.
    pub initialisers: Box<[(u16, Arc<str>)]>,
}

/// What a parent must know of a literal in it that it does not have any more: chunks
/// are loaded while they are compiled.
#[derive(Clone, Debug)]
pub struct ChildSummary {
    /// Who it is in its parent.
    pub step: Option<NumberedStep>,
    /// Its hash, all in it included.
    pub deep_hash: CodeHash,
    /// How many variables it captures.
    pub n_upvalues: usize,
}

impl ChildSummary {
    /// Of a literal inside another one.
    pub fn of(child: &Prototype) -> Self {
        Self {
            step: child.id.path().last().cloned(),
            deep_hash: child.deep_hash,
            n_upvalues: child.upvalues.len(),
        }
    }
}

impl Prototype {
    /// Whether debugging information was removed.
    pub fn is_stripped(&self) -> bool {
        self.debug.lines.is_empty() && !self.code.is_empty()
    }

    /// Whether this is a main chunk.
    pub fn is_main(&self) -> bool {
        self.id.path().is_empty()
    }

    /// Bytes that it takes without its children, about.
    pub fn heap_bytes(&self) -> usize {
        let strings = self.constants.iter().map(|c| match c {
            Constant::String(s) => s.len() + 16,
            _ => 0,
        });
        let loops = self.debug.loops.iter();
        let loops = loops.map(|l| size_of_val(l) + l.header.len() + 16);
        // A dozen small allocations with their headers, names among them.
        256 + size_of_val(self)
            + size_of_val(self.id.path())
            + size_of_val(&*self.code)
            + size_of_val(&*self.constants)
            + size_of_val(&*self.children)
            + size_of_val(&*self.sites)
            + size_of_val(&*self.upvalues)
            + size_of_val(&*self.scope)
            + self.debug.lines.heap_bytes()
            + self.debug.columns.heap_bytes()
            + size_of_val(&*self.debug.locals)
            + loops.sum::<usize>()
            + strings.sum::<usize>()
    }

    /// Source line of an instruction, if known.
    pub fn line_at(&self, pc: usize) -> Option<u32> {
        self.debug.lines.get(pc)
    }
}
