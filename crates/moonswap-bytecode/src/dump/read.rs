//! Reading of single functions of a binary chunk.

use super::budget::{ALLOCATION, Budget};
use super::format::{Flaw, MAX_CELL, MAX_PATH};
use super::input::{Input, Known, Read};
use crate::instruction::Instruction;
use crate::literal::{Literal, LiteralConstant, LiteralLines, LiteralSite, LiteralStep, Name};
use crate::positions::Positions;
use crate::prototype::{Capture, LocalVariable, ScopeVariable, UpvalueDescription, VariableKind};

/// What stands before the outermost function.
pub(super) struct Head<'a> {
    pub(super) chunk: Name<'a>,
    pub(super) path: Vec<LiteralStep<'a>>,
    pub(super) n_upvalues: usize,
}

/// Reads functions one after the other.
pub(super) struct Reader<'a> {
    pub(super) input: Input<'a>,
    strip: bool,
    /// Cells among the constants of the function that is read.
    cells: Vec<u32>,
}

/// Lists up to this length get room for a power of two: the next function may need more.
const SHORT: usize = 256;

/// Makes room for items in an empty list.
#[inline]
fn reserve<T>(list: &mut Vec<T>, n: usize, budget: &mut Budget, held: &mut usize) -> Read<()> {
    match n > list.capacity() {
        true => make_room(list, n, budget, held),
        false => Ok(()),
    }
}

#[inline(never)]
fn make_room<T>(list: &mut Vec<T>, n: usize, budget: &mut Budget, held: &mut usize) -> Read<()> {
    let n = match n <= SHORT {
        true => n.next_power_of_two().max(8),
        false => n,
    };
    let more = (n - list.capacity()).saturating_mul(size_of::<T>());
    let more = more.saturating_add(ALLOCATION);
    budget.take(more)?;
    *held += more;
    let is_there = list.try_reserve_exact(n);
    is_there.map_err(|_| Flaw::Memory)
}

impl<'a> Reader<'a> {
    /// Reads what stands before the outermost function.
    pub(super) fn begin(mut input: Input<'a>, cells: Vec<u32>) -> Read<(Self, Head<'a>)> {
        input.header()?;
        let n_upvalues = usize::from(input.byte()?);
        let strip = flag(input.byte()?)?;
        let chunk = input.name()?;
        let n_steps = input.count(4)?;
        if n_steps > MAX_PATH {
            return Err(Flaw::Corrupted);
        }
        input.budget.take(n_steps * size_of::<LiteralStep<'_>>())?;
        let mut reader = Self {
            input,
            strip,
            cells,
        };
        let mut path = Vec::with_capacity(n_steps);
        for _ in 0..n_steps {
            path.push(reader.step()?);
        }
        let head = Head {
            chunk,
            path,
            n_upvalues,
        };
        Ok((reader, head))
    }

    /// Its lists, empty again.
    pub(super) fn into_lists<'b>(mut self) -> (Vec<Known<'b>>, Vec<u32>) {
        self.cells.clear();
        (self.input.into_known(), self.cells)
    }

    /// One step of a path.
    pub(super) fn step(&mut self) -> Read<LiteralStep<'a>> {
        let input = &mut self.input;
        let kind = input.byte()?;
        let name = input.name()?;
        let n = input.small()?;
        let ordinal = input.small()?;
        LiteralStep::new(kind, name, n, ordinal).ok_or(Flaw::Corrupted)
    }

    /// A list in the place of another; `size`: how many bytes an item has at least.
    #[inline(always)]
    fn items<T>(
        &mut self,
        size: usize,
        list: &mut Vec<T>,
        held: &mut usize,
        mut item: impl FnMut(&mut Self, &mut Vec<T>) -> Read<()>,
    ) -> Read<()> {
        list.clear();
        let n = self.input.count(size)?;
        reserve(list, n, &mut self.input.budget, held)?;
        let is_short = n <= SHORT;
        if is_short {
            self.input.count_done(n);
        }
        for _ in 0..n {
            if !is_short {
                self.input.go_on()?;
            }
            item(self, list)?;
        }
        Ok(())
    }

    /// A function without those in it, in the place of another. Its path stays.
    pub(super) fn function(&mut self, to: &mut Literal<'a>) -> Read<()> {
        let Literal { held, .. } = to;
        let input = &mut self.input;
        to.n_params = input.byte()?;
        to.is_vararg = flag(input.byte()?)?;
        to.frame_size = input.small()?;
        to.line_defined = input.small()?;
        to.last_line_defined = input.small()?;
        let n_code = input.count(8)?;
        let (code, _) = input.take(8 * n_code)?.as_chunks();
        to.code.clear();
        reserve(&mut to.code, n_code, &mut input.budget, held)?;
        let code = code.iter();
        let code = code.map(|word| Instruction::from_bits(u64::from_le_bytes(*word)));
        to.code.extend(code);
        self.cells.clear();
        self.items(1, &mut to.constants, held, Self::constant)?;
        self.cells.sort_unstable();
        if !self.cells.is_sorted_by(|a, b| a < b) {
            return Err(Flaw::Corrupted);
        }
        self.items(4, &mut to.upvalues, held, Self::upvalue)?;
        to.captures.clear();
        let captures = &mut to.captures;
        let mut more = 0;
        self.items(2, &mut to.sites, held, |reader, sites| {
            sites.push(reader.site(captures, &mut more)?);
            Ok(())
        })?;
        *held += more;
        self.items(6, &mut to.scope, held, Self::scope_variable)?;
        to.is_stripped = self.strip;
        to.locals.clear();
        to.lines = LiteralLines::default();
        if !self.strip {
            to.lines = self.lines(n_code)?;
            self.items(4, &mut to.locals, held, Self::local)?;
        }
        Ok(())
    }

    fn site(&mut self, captures: &mut Vec<Capture>, held: &mut usize) -> Read<LiteralSite> {
        let child = self.input.small()?;
        let n = self.input.count(2)?;
        if captures.len() + n > captures.capacity() {
            // Grows by at least as much as it has.
            let more = n.max(captures.len()).max(8);
            let bytes = more * size_of::<Capture>() + ALLOCATION;
            self.input.budget.take(bytes)?;
            *held += bytes;
            let is_there = captures.try_reserve_exact(more);
            is_there.map_err(|_| Flaw::Memory)?;
        }
        for _ in 0..n {
            self.input.go_on()?;
            captures.push(self.capture()?);
        }
        let end = captures.len() as u32;
        Ok(LiteralSite { child, end })
    }

    fn cell(&mut self) -> Read<u32> {
        match self.input.number()? {
            n if n <= MAX_CELL => Ok(n as u32),
            _ => Err(Flaw::Corrupted),
        }
    }

    #[inline(always)]
    fn constant(&mut self, list: &mut Vec<LiteralConstant<'a>>) -> Read<()> {
        let constant = match self.input.byte()? {
            0 => LiteralConstant::Nil,
            1 => LiteralConstant::Boolean(false),
            2 => LiteralConstant::Boolean(true),
            3 => LiteralConstant::Integer(self.input.signed()?),
            4 => LiteralConstant::Float(f64::from_bits(self.input.word()?)),
            5 => LiteralConstant::String(self.input.string()?),
            6 => {
                let cell = self.cell()?;
                self.cells.push(cell);
                LiteralConstant::Cell(cell)
            }
            _ => return Err(Flaw::Corrupted),
        };
        list.push(constant);
        Ok(())
    }

    #[inline]
    fn capture(&mut self) -> Read<Capture> {
        Ok(match self.input.byte()? {
            0 => Capture::Register(self.input.small()?),
            1 => Capture::Upvalue(self.input.small()?),
            2 => Capture::Cell(self.cell()?),
            3 if self.input.number()? == 0 => Capture::Vacant,
            4 => Capture::Late(self.input.small()?),
            _ => return Err(Flaw::Corrupted),
        })
    }

    /// The name of a variable, of which a stripped chunk has none.
    #[inline]
    fn variable_name(&mut self) -> Read<Name<'a>> {
        let name = self.input.name()?;
        if self.strip && !name.text().is_empty() {
            return Err(Flaw::Corrupted);
        }
        Ok(name)
    }

    #[inline(always)]
    fn upvalue(&mut self, list: &mut Vec<UpvalueDescription<Name<'a>>>) -> Read<()> {
        let name = self.variable_name()?;
        let bits = self.input.byte()?;
        if bits > 15 {
            return Err(Flaw::Corrupted);
        }
        list.push(UpvalueDescription {
            name,
            kind: kind(bits & 3)?,
            depth: self.input.small()?,
            declaration: self.input.small()?,
            top_level: bits & 4 != 0,
            in_loop: bits & 8 != 0,
        });
        Ok(())
    }

    fn scope_variable(&mut self, list: &mut Vec<ScopeVariable<Name<'a>>>) -> Read<()> {
        let name = self.variable_name()?;
        let input = &mut self.input;
        let kind = kind(input.byte()?)?;
        let declaration = input.small()?;
        let register: u16 = input.small()?;
        list.push(ScopeVariable {
            name,
            declaration,
            kind,
            register: register.checked_sub(1),
            start_pc: input.small()?,
            end_pc: input.small()?,
        });
        Ok(())
    }

    fn lines(&mut self, n_code: usize) -> Read<LiteralLines<'a>> {
        let input = &mut self.input;
        // A chunk is stripped as a whole or not at all.
        if input.number()? != n_code as u64 {
            return Err(Flaw::Corrupted);
        }
        let first = input.small()?;
        let width = input.byte()?;
        let distances = input.take(n_code.saturating_mul(usize::from(width)))?;
        if !Positions::are_distances(first, n_code, width, distances) {
            return Err(Flaw::Corrupted);
        }
        Ok(LiteralLines {
            n: n_code,
            first,
            width,
            distances,
        })
    }

    #[inline(always)]
    fn local(&mut self, list: &mut Vec<LocalVariable<Name<'a>>>) -> Read<()> {
        let input = &mut self.input;
        list.push(LocalVariable {
            name: input.name()?,
            register: input.small()?,
            start_pc: input.small()?,
            end_pc: input.small()?,
        });
        Ok(())
    }
}

fn flag(byte: u8) -> Read<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Flaw::Corrupted),
    }
}

fn kind(byte: u8) -> Read<VariableKind> {
    match byte {
        0 => Ok(VariableKind::Regular),
        1 => Ok(VariableKind::Const),
        2 => Ok(VariableKind::ToBeClosed),
        _ => Err(Flaw::Corrupted),
    }
}
