//! What the verifier looks at of a function, whoever has it.

use super::fault::Fault;
use super::info::bit;
use crate::form::Form;
use crate::instruction::{Instruction, REGISTER_BYTES};
use crate::literal::{Literal, LiteralConstant};
use crate::opcode::OperandKind;
use crate::prototype::{Capture, Constant, LocalVariable, Prototype, ScopeVariable};
use crate::registers::MAX_REGISTERS;

/// The longest string that field instructions can have as key.
pub const MAX_KEY: usize = 40;

/// A closure-creation site.
pub(super) struct Site {
    child: u32,
    /// Where its captures end in the list of all.
    end: u32,
}

/// Who may reach a variable besides the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The debug library, by its name.
    Named,
    /// A patch, too: it is a top-level local.
    Shared,
}

/// A variable that somebody else may reach.
#[derive(Clone, Copy)]
pub(super) struct Variable {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) register: u16,
    pub(super) reach: Reach,
}

/// Lists of a function; one function after the other uses them.
#[derive(Default)]
pub(super) struct Lists {
    /// For each constant, the kinds of operands that take it, as bits.
    pub(super) constants: Vec<u32>,
    sites: Vec<Site>,
    captures: Vec<Capture>,
    /// In the order of their beginnings.
    pub(super) variables: Vec<Variable>,
}

impl Lists {
    pub(super) fn clear(&mut self) {
        self.constants.clear();
        self.sites.clear();
        self.captures.clear();
        self.variables.clear();
    }

    pub(super) fn site(&mut self, child: u32, captures: &[Capture]) {
        self.captures.extend_from_slice(captures);
        let end = self.captures.len() as u32;
        self.sites.push(Site { child, end });
    }

    pub(super) fn n_sites(&self) -> usize {
        self.sites.len()
    }

    /// What a site captures.
    #[inline]
    pub(super) fn captures(&self, site: usize) -> Option<&[Capture]> {
        let end = self.sites.get(site)?.end as usize;
        let start = match site {
            0 => 0,
            _ => self.sites.get(site - 1)?.end as usize,
        };
        self.captures.get(start..end)
    }

    /// Bytes that those of a function take: of so many constants, sites, captures and
    /// variables.
    pub(super) const fn bytes([constants, sites, captures, variables]: [usize; 4]) -> usize {
        size_of::<u32>() * constants
            + size_of::<Site>() * sites
            + size_of::<Capture>() * captures
            + size_of::<Variable>() * variables
    }

    /// Bytes that they take.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<u32>() * self.constants.capacity()
            + size_of::<Site>() * self.sites.capacity()
            + size_of::<Capture>() * self.captures.capacity()
            + size_of::<Variable>() * self.variables.capacity()
    }

    fn fill(&mut self, prototype: &Prototype) {
        self.clear();
        self.constants
            .extend(prototype.constants.iter().map(takers));
        for site in &prototype.sites {
            self.site(site.child, &site.captures);
        }
        self.variables(&prototype.debug.locals, &prototype.scope);
    }

    fn fill_from(&mut self, literal: &Literal<'_>) {
        self.clear();
        let constants = literal.constants.iter();
        self.constants.extend(constants.map(literal_takers));
        for (child, captures) in literal.sites() {
            self.site(child, captures);
        }
        self.variables(&literal.locals, &literal.scope);
    }

    fn variables<N: AsRef<str>>(
        &mut self,
        locals: &[LocalVariable<N>],
        scope: &[ScopeVariable<N>],
    ) {
        self.variables.reserve(locals.len() + scope.len());
        for local in locals {
            // Nobody asks for variables that have no name of the text.
            if !local.name.as_ref().starts_with('(') {
                self.variables.push(Variable {
                    start: local.start_pc,
                    end: local.end_pc,
                    register: local.register,
                    reach: Reach::Named,
                });
            }
        }
        for variable in scope {
            if let Some(register) = variable.register {
                self.variables.push(Variable {
                    start: variable.start_pc,
                    end: variable.end_pc,
                    register,
                    reach: Reach::Shared,
                });
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        // Compilers write them so.
        if !self.variables.is_sorted_by_key(|variable| variable.start) {
            self.variables
                .sort_unstable_by_key(|variable| variable.start);
        }
    }
}

/// The kinds of operands that take a constant, as bits.
fn takers(constant: &Constant) -> u32 {
    match constant {
        Constant::Nil | Constant::Boolean(_) => TAKE_SIMPLE,
        Constant::Integer(_) => TAKE_INTEGER,
        Constant::Float(_) => TAKE_FLOAT,
        Constant::String(s) => take_string(s.len()),
        Constant::Cell(_) => TAKE_CELL,
    }
}

/// The same of a literal's.
fn literal_takers(constant: &LiteralConstant<'_>) -> u32 {
    match constant {
        LiteralConstant::Nil | LiteralConstant::Boolean(_) => TAKE_SIMPLE,
        LiteralConstant::Integer(_) => TAKE_INTEGER,
        LiteralConstant::Float(_) => TAKE_FLOAT,
        LiteralConstant::String(s) => take_string(s.text().len()),
        LiteralConstant::Cell(_) => TAKE_CELL,
    }
}

/// Those that take `nil`, `true` and `false`.
const TAKE_SIMPLE: u32 = bit(OperandKind::Constant);
const TAKE_FLOAT: u32 = TAKE_SIMPLE | bit(OperandKind::Number) | bit(OperandKind::WideConstant);
const TAKE_INTEGER: u32 = TAKE_FLOAT | bit(OperandKind::Integer);
const TAKE_CELL: u32 = bit(OperandKind::Cell);

/// Those that take a string of so many bytes.
fn take_string(n: usize) -> u32 {
    let key = if n <= MAX_KEY {
        bit(OperandKind::Key)
    } else {
        0
    };
    TAKE_SIMPLE | bit(OperandKind::WideConstant) | key
}

/// A function without those in it.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) code: &'a [Instruction],
    pub(super) lists: &'a Lists,
    pub(super) n_params: u8,
    pub(super) is_vararg: bool,
    pub(super) is_main: bool,
    pub(super) frame_size: u16,
    pub(super) n_upvalues: usize,
    /// Whether some constant may be too far away for 16 bits.
    pub(super) is_large: bool,
}

impl<'a> Shape<'a> {
    /// That of a prototype; the lists become its lists.
    pub(super) fn of(prototype: &'a Prototype, lists: &'a mut Lists) -> Self {
        lists.fill(prototype);
        Self {
            code: &prototype.code,
            lists,
            n_params: prototype.n_params,
            is_vararg: prototype.is_vararg,
            is_main: prototype.is_main(),
            frame_size: prototype.frame_size,
            n_upvalues: prototype.upvalues.len(),
            is_large: is_large(prototype.code.len(), prototype.constants.len()),
        }
    }

    /// That of a literal; the lists become its lists.
    pub(super) fn of_literal(literal: &'a Literal<'_>, lists: &'a mut Lists) -> Self {
        lists.fill_from(literal);
        Self {
            code: &literal.code,
            lists,
            n_params: literal.n_params,
            is_vararg: literal.is_vararg,
            is_main: literal.is_main(),
            frame_size: literal.frame_size,
            n_upvalues: literal.upvalues.len(),
            is_large: is_large(literal.code.len(), literal.constants.len()),
        }
    }

    /// Behind the registers, in bytes.
    pub(super) fn frame_end(&self) -> u64 {
        u64::from(self.frame_size) * u64::from(REGISTER_BYTES)
    }

    /// Numbers of the function that must fit together. `child` answers how many
    /// variables a literal in it captures.
    pub(super) fn header(&self, child: impl Fn(usize) -> Option<usize>) -> Result<(), Fault> {
        if self.frame_size > MAX_REGISTERS
            || u16::from(self.n_params) > self.frame_size
            || self.n_upvalues > usize::from(u8::MAX)
            || i32::try_from(self.code.len()).is_err()
            || self.is_main && self.n_upvalues != 1
        {
            return Err(Fault::Header);
        }
        let last = self.code.last().and_then(|i| i.opcode());
        let ends = [
            Form::Return,
            Form::ShortReturn,
            Form::TailCall,
            Form::JumpBack,
        ];
        if !last.is_some_and(|op| ends.contains(&op.form())) {
            return Err(Fault::End);
        }
        let mut start = 0;
        for site in &self.lists.sites {
            let n = (site.end - start) as usize;
            if child(site.child as usize) != Some(n) {
                return Err(Fault::Site);
            }
            start = site.end;
        }
        for capture in &self.lists.captures {
            match capture {
                Capture::Register(register) if *register >= self.frame_size => {
                    return Err(Fault::Register);
                }
                Capture::Upvalue(index) | Capture::Late(index)
                    if usize::from(*index) >= self.n_upvalues =>
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
        Ok(())
    }

    /// Whether a local variable is one of this frame and code.
    pub(super) fn has_local(&self, register: u16, start: u32, end: u32) -> bool {
        register < self.frame_size && start <= end && end as usize <= self.code.len()
    }

    /// Debug information of a function with this shape: how many lines and columns it
    /// has, its local variables, those at its top level.
    pub(super) fn debug<N>(
        &self,
        positions: [usize; 2],
        locals: &[LocalVariable<N>],
        scope: &[ScopeVariable<N>],
    ) -> Result<(), Fault> {
        if !self.is_main && !scope.is_empty() {
            return Err(Fault::Header);
        }
        let n = self.code.len();
        let fits = |lines: usize| lines == 0 || lines == n;
        let mut locals = locals.iter();
        let locals = locals.all(|l| self.has_local(l.register, l.start_pc, l.end_pc));
        let mut scope = scope.iter();
        let scope = scope.all(|v| self.has_local(v.register.unwrap_or(0), v.start_pc, v.end_pc));
        if !positions.into_iter().all(fits) || !locals || !scope {
            return Err(Fault::Debug);
        }
        Ok(())
    }
}

/// Whether constants may be too far away for 16 bits.
const fn is_large(n_code: usize, n_constants: usize) -> bool {
    n_code + 2 * n_constants > u16::MAX as usize
}
