//! Reading of binary chunks.

use super::budget::{ALLOCATION, Budget};
use super::format::{
    CHECK_INT, CHECK_NUM, HEADER, MAX_CELL, MAX_DEPTH, MAX_PATH, MAX_SHARED, MIN_FUNCTION,
    OPERATIONS, STEPS_PER_BYTE, UndumpError,
};
use std::sync::Arc;

use crate::code_hash;
use crate::function_id::{FunctionId, NumberedStep, PathStep};
use crate::instruction::Instruction;
use crate::positions::Positions;
use crate::prototype::{
    Capture, ChildSummary, ClosureSite, Constant, DebugInfo, LocalVariable, Prototype,
    ScopeVariable, UpvalueDescription, VariableKind,
};
use crate::verify::Verifier;
use crate::watch::Watch;

/// Reads and verifies a binary chunk. Bytes after its end are ignored.
pub fn undump(bytes: &[u8]) -> Result<Arc<Prototype>, UndumpError> {
    undump_watched(bytes, None)
}

/// As [`undump`], and `watch` may stop it ([`UndumpError::Stopped`]).
pub fn undump_watched(
    bytes: &[u8],
    watch: Option<&Watch<'_>>,
) -> Result<Arc<Prototype>, UndumpError> {
    let prototype = read(bytes, watch, usize::MAX, true)?;
    crate::verify::verify_watched(&prototype, watch)?;
    Ok(prototype)
}

/// What [`undump_in_parts`] gives a function to, and how many bytes all takes that was
/// read and is held. It answers how much room there is for everything from here on, when
/// the function is gone; `None`: there is none for the function.
pub type Give<'a> = &'a mut dyn FnMut(&Prototype, usize) -> Option<usize>;

/// As [`undump_watched`], for a VM that loads the chunk while it is read: `give` gets
/// the functions written directly in it, one after the other. Answers the chunk
/// without them, after the last one. All are verified; of none there are hashes of
/// code (they are 0), and the paths of functions inside others have their last step
/// only. After an error, what was given is of no use.
///
/// `room`: how many bytes may be taken at first ([`UndumpError::Memory`]), `usize::MAX`
/// for no limit.
pub fn undump_in_parts(
    bytes: &[u8],
    watch: Option<&Watch<'_>>,
    room: usize,
    give: Give<'_>,
) -> Result<Prototype, UndumpError> {
    let mut verifier = Verifier::default();
    let (mut input, id, n_upvalues) = Reader::begin(bytes, watch, room, false)?;
    let main = input.body(id)?;
    let mut children = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..input.n_children()? {
        // Lists grow by half of what they have.
        input
            .budget
            .take(2 * (size_of::<ChildSummary>() + size_of::<u64>()))?;
        let own = input.budget.own();
        let id = input.child_id(&main.id)?;
        ids.push(id.hash());
        let child = input.function(id, 1)?;
        verifier.set_room(input.budget.left());
        verifier.verify(&child, watch)?;
        verifier.forget_large();
        let room = give(&child, input.budget.held()).ok_or(UndumpError::Memory)?;
        children.push(ChildSummary::of(&child));
        input.budget.go_back(own, room);
    }
    differ(&mut ids)?;
    if main.upvalues.len() != n_upvalues {
        return Err(UndumpError::Corrupted);
    }
    verifier.set_room(input.budget.left());
    verifier.verify_without(&main, &children, watch)?;
    Ok(main)
}

/// Whether bytes behind these make no difference to [`undump_in_parts`] with as much
/// room: the chunk ends here, or what is here is wrong. `false` if `watch` stopped the
/// look.
pub fn is_decided(bytes: &[u8], watch: Option<&Watch<'_>>, room: usize) -> bool {
    !matches!(
        read(bytes, watch, room, false),
        Err(UndumpError::Truncated | UndumpError::Stopped)
    )
}

/// Reads a binary chunk, unverified.
fn read(
    bytes: &[u8],
    watch: Option<&Watch<'_>>,
    room: usize,
    whole: bool,
) -> Result<Arc<Prototype>, UndumpError> {
    let (mut input, id, n_upvalues) = Reader::begin(bytes, watch, room, whole)?;
    let prototype = input.function(id, 0)?;
    if prototype.upvalues.len() != n_upvalues {
        return Err(UndumpError::Corrupted);
    }
    Ok(prototype)
}

/// Functions side by side are all different: their hashes are. Everything knows
/// functions by their ids.
fn differ(ids: &mut [u64]) -> Read<()> {
    ids.sort_unstable();
    match ids.is_sorted_by(|a, b| a < b) {
        true => Ok(()),
        false => Err(UndumpError::Corrupted),
    }
}

struct Reader<'a> {
    watch: Option<&'a Watch<'a>>,
    /// Whether hashes of code are computed, and ids have their whole paths.
    whole: bool,
    budget: Budget,
    bytes: &'a [u8],
    strip: bool,
    /// Path steps that may still be made.
    steps: usize,
    /// Short strings that came before: the others say which they are.
    known: Vec<Known<'a>>,
    /// Cells among the constants of the function that is read.
    cells: Vec<u32>,
}

/// A short string of the chunk, with what was made of it so far.
struct Known<'a> {
    bytes: &'a [u8],
    string: Option<Arc<[u8]>>,
    text: Option<Arc<str>>,
}

/// A string, as it stands in the chunk.
enum Written<'a> {
    Short(usize),
    Long(&'a [u8]),
}

type Read<T> = Result<T, UndumpError>;

impl<'a> Reader<'a> {
    /// Reads what stands before the outermost function: who that is, and how many
    /// variables it captures.
    fn begin(
        bytes: &'a [u8],
        watch: Option<&'a Watch<'a>>,
        room: usize,
        whole: bool,
    ) -> Read<(Self, FunctionId, usize)> {
        let mut input = Self {
            watch,
            whole,
            budget: Budget::new(room),
            bytes,
            strip: false,
            steps: MAX_DEPTH * MAX_DEPTH + bytes.len() * STEPS_PER_BYTE,
            known: Vec::new(),
            cells: Vec::new(),
        };
        input.header()?;
        let n_upvalues = input.byte()?;
        input.strip = match input.byte()? {
            0 => false,
            1 => true,
            _ => return Err(UndumpError::Corrupted),
        };
        let chunk = input.text()?;
        let n_steps = input.count(4)?;
        if n_steps > MAX_PATH {
            return Err(UndumpError::Corrupted);
        }
        input.budget.take_list::<NumberedStep>(2 * n_steps)?;
        let mut path = Vec::with_capacity(n_steps);
        for _ in 0..n_steps {
            path.push(input.step()?);
        }
        Ok((input, FunctionId::new(chunk, path), usize::from(n_upvalues)))
    }

    fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(n)
            .ok_or(UndumpError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn byte(&mut self) -> Read<u8> {
        let (&byte, rest) = self.bytes.split_first().ok_or(UndumpError::Truncated)?;
        self.bytes = rest;
        Ok(byte)
    }

    fn word(&mut self) -> Read<u64> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    fn header(&mut self) -> Read<()> {
        const PARTS: [(usize, &str); 6] = [
            (4, "not a binary chunk"),
            (1, "version mismatch"),
            (1, "format mismatch"),
            (6, "corrupted chunk"),
            (1, "Instruction size mismatch"),
            (1, "lua_Integer size mismatch"),
        ];
        let mut expected = &HEADER[..];
        for (n, problem) in PARTS {
            let (part, rest) = expected.split_at(n);
            if self.take(n)? != part {
                return Err(UndumpError::Header(problem));
            }
            expected = rest;
        }
        if self.take(expected.len())? != expected {
            return Err(UndumpError::Header("lua_Number size mismatch"));
        }
        if self.word()? != CHECK_INT as u64 {
            return Err(UndumpError::Header("integer format mismatch"));
        }
        if self.word()? != CHECK_NUM.to_bits() {
            return Err(UndumpError::Header("float format mismatch"));
        }
        if self.take(4)? != OPERATIONS.to_le_bytes() {
            return Err(UndumpError::Header(
                "made by another version of moonswap; compile the source again",
            ));
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Read<u64> {
        // Most are small.
        if let Some((&byte @ ..0x80, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            return Ok(u64::from(byte));
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Read<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(UndumpError::Corrupted);
            }
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(UndumpError::Corrupted)
    }

    fn signed(&mut self) -> Read<i64> {
        Ok(crate::varint::signed(self.number()?))
    }

    #[inline]
    fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| UndumpError::Corrupted)
    }

    /// A number of items of at least `size` bytes each, all of which must be
    /// there: no more is allocated than the chunk could fill.
    fn count(&mut self, size: usize) -> Read<usize> {
        let n = self.number()?;
        if n > (self.bytes.len() / size) as u64 {
            return Err(UndumpError::Truncated);
        }
        Ok(n as usize)
    }

    #[inline]
    fn written(&mut self) -> Read<Written<'a>> {
        let index = match self.number()? {
            0 => {
                let n = self.count(1)?;
                let bytes = self.take(n)?;
                if n > MAX_SHARED {
                    self.budget.take(n + ALLOCATION)?;
                    return Ok(Written::Long(bytes));
                }
                // The list grows by as much as it has; each is made as bytes or text
                // once, or as both.
                self.budget
                    .take_shared(3 * size_of::<Known>() + 2 * (n + ALLOCATION))?;
                self.known.push(Known {
                    bytes,
                    string: None,
                    text: None,
                });
                self.known.len() - 1
            }
            n if n <= self.known.len() as u64 => n as usize - 1,
            _ => return Err(UndumpError::Corrupted),
        };
        Ok(Written::Short(index))
    }

    fn string(&mut self) -> Read<Arc<[u8]>> {
        Ok(match self.written()? {
            Written::Short(index) => {
                let known = &mut self.known[index];
                Arc::clone(known.string.get_or_insert_with(|| known.bytes.into()))
            }
            Written::Long(bytes) => bytes.into(),
        })
    }

    fn text(&mut self) -> Read<Arc<str>> {
        let text = |bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Arc::from(text)),
            Err(_) => Err(UndumpError::Corrupted),
        };
        match self.written()? {
            Written::Short(index) => {
                let known = &mut self.known[index];
                if known.text.is_none() {
                    known.text = Some(text(known.bytes)?);
                }
                known.text.clone().ok_or(UndumpError::Corrupted)
            }
            Written::Long(bytes) => text(bytes),
        }
    }

    fn step(&mut self) -> Read<(PathStep, u32)> {
        let kind = self.byte()?;
        let name = self.text()?;
        let n = self.small()?;
        let step = PathStep::from_parts(kind, name, n).ok_or(UndumpError::Corrupted)?;
        Ok((step, self.small()?))
    }

    fn items<T>(
        &mut self,
        size: usize,
        mut item: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Box<[T]>> {
        let n = self.count(size)?;
        if n == 0 {
            return Ok(Box::default());
        }
        self.budget.take_list::<T>(n)?;
        let mut all = Vec::new();
        let is_there = all.try_reserve_exact(n);
        is_there.map_err(|_| UndumpError::Memory)?;
        for _ in 0..n {
            if self.watch.is_some_and(Watch::says_stop) {
                return Err(UndumpError::Stopped);
            }
            all.push(item(self)?);
        }
        Ok(all.into())
    }

    fn function(&mut self, id: FunctionId, depth: usize) -> Read<Arc<Prototype>> {
        if depth > MAX_DEPTH {
            return Err(UndumpError::Corrupted);
        }
        let mut prototype = self.body(id)?;
        let n = self.n_children()?;
        // Grows with what is there: a chain of functions could claim as many each.
        let mut children = Vec::new();
        for _ in 0..n {
            let id = self.child_id(&prototype.id)?;
            children.push(self.function(id, depth + 1)?);
        }
        if n > 1 {
            let mut ids: Vec<u64> = children.iter().map(|child| child.id.hash()).collect();
            differ(&mut ids)?;
        }
        prototype.children = children.into();
        if self.whole {
            code_hash::set(&mut prototype);
        }
        Ok(Arc::new(prototype))
    }

    /// How many functions are written in the one that was just read.
    fn n_children(&mut self) -> Read<usize> {
        self.count(MIN_FUNCTION)
    }

    fn child_id(&mut self, parent: &FunctionId) -> Read<FunctionId> {
        if self.watch.is_some_and(Watch::says_stop) {
            return Err(UndumpError::Stopped);
        }
        let step = self.step()?;
        // With its places in the parent's list and in that of ids, which grow.
        const FUNCTION: usize = size_of::<Prototype>() + 4 * size_of::<u64>() + 2 * ALLOCATION;
        if !self.whole {
            self.budget.take(FUNCTION + size_of::<NumberedStep>())?;
            return Ok(parent.child_by_step(step));
        }
        let n = parent.path().len() + 1;
        self.steps = self.steps.checked_sub(n).ok_or(UndumpError::Corrupted)?;
        Ok(parent.child(step))
    }

    /// A function without those in it.
    fn body(&mut self, id: FunctionId) -> Read<Prototype> {
        let n_params = self.byte()?;
        let is_vararg = match self.byte()? {
            0 => false,
            1 => true,
            _ => return Err(UndumpError::Corrupted),
        };
        let frame_size = self.small()?;
        let line_defined = self.small()?;
        let last_line_defined = self.small()?;
        let n_code = self.count(8)?;
        let (code, _) = self.take(8 * n_code)?.as_chunks();
        self.budget.take_list::<Instruction>(n_code)?;
        let code = code.iter();
        let code = code.map(|word| Instruction::from_bits(u64::from_le_bytes(*word)));
        let code: Box<[_]> = code.collect();
        self.cells.clear();
        let constants = self.items(1, Self::constant)?;
        self.cells.sort_unstable();
        if !self.cells.is_sorted_by(|a, b| a < b) {
            return Err(UndumpError::Corrupted);
        }
        let upvalues = self.items(4, Self::upvalue)?;
        let sites = self.items(2, |input| {
            Ok(ClosureSite {
                child: input.small()?,
                captures: input.items(2, Self::capture)?,
            })
        })?;
        let scope = self.items(6, Self::scope_variable)?;
        let debug = self.debug(n_code)?;
        Ok(Prototype {
            id,
            own_hash: Default::default(),
            deep_hash: Default::default(),
            code,
            constants,
            children: Box::default(),
            sites,
            upvalues,
            n_params,
            is_vararg,
            frame_size,
            line_defined,
            last_line_defined,
            debug,
            scope,
            // A function that is loaded again has all its variables.
            initialisers: Box::default(),
        })
    }

    fn cell(&mut self) -> Read<u32> {
        match self.number()? {
            n if n <= MAX_CELL => Ok(n as u32),
            _ => Err(UndumpError::Corrupted),
        }
    }

    fn constant(&mut self) -> Read<Constant> {
        Ok(match self.byte()? {
            0 => Constant::Nil,
            1 => Constant::Boolean(false),
            2 => Constant::Boolean(true),
            3 => Constant::Integer(self.signed()?),
            4 => Constant::Float(f64::from_bits(self.word()?)),
            5 => Constant::String(self.string()?),
            6 => {
                let cell = self.cell()?;
                self.cells.push(cell);
                Constant::Cell(cell)
            }
            _ => return Err(UndumpError::Corrupted),
        })
    }

    fn capture(&mut self) -> Read<Capture> {
        Ok(match self.byte()? {
            0 => Capture::Register(self.small()?),
            1 => Capture::Upvalue(self.small()?),
            2 => Capture::Cell(self.cell()?),
            3 if self.number()? == 0 => Capture::Vacant,
            4 => Capture::Late(self.small()?),
            _ => return Err(UndumpError::Corrupted),
        })
    }

    /// The name of a variable, of which a stripped chunk has none.
    fn variable_name(&mut self) -> Read<Arc<str>> {
        let name = self.text()?;
        if self.strip && !name.is_empty() {
            return Err(UndumpError::Corrupted);
        }
        Ok(name)
    }

    fn upvalue(&mut self) -> Read<UpvalueDescription> {
        let name = self.variable_name()?;
        let bits = self.byte()?;
        if bits > 15 {
            return Err(UndumpError::Corrupted);
        }
        Ok(UpvalueDescription {
            name,
            kind: kind(bits & 3)?,
            depth: self.small()?,
            declaration: self.small()?,
            top_level: bits & 4 != 0,
            in_loop: bits & 8 != 0,
        })
    }

    fn scope_variable(&mut self) -> Read<ScopeVariable> {
        let name = self.variable_name()?;
        let kind = kind(self.byte()?)?;
        let declaration = self.small()?;
        let register: u16 = self.small()?;
        Ok(ScopeVariable {
            name,
            declaration,
            kind,
            register: register.checked_sub(1),
            start_pc: self.small()?,
            end_pc: self.small()?,
        })
    }

    fn lines(&mut self, n_code: usize) -> Read<Positions> {
        // A chunk is stripped as a whole or not at all.
        if self.number()? != n_code as u64 {
            return Err(UndumpError::Corrupted);
        }
        let first = self.small()?;
        let width = self.byte()?;
        let bytes = self.take(n_code.saturating_mul(usize::from(width)))?;
        self.budget.take_list::<u8>(bytes.len().max(n_code))?;
        Positions::from_distances(first, n_code, width, bytes).ok_or(UndumpError::Corrupted)
    }

    fn debug(&mut self, n_code: usize) -> Read<DebugInfo> {
        if self.strip {
            return Ok(DebugInfo::default());
        }
        let lines = self.lines(n_code)?;
        let locals = self.items(4, |input| {
            Ok(LocalVariable {
                name: input.text()?,
                register: input.small()?,
                start_pc: input.small()?,
                end_pc: input.small()?,
            })
        })?;
        Ok(DebugInfo {
            lines,
            locals,
            ..DebugInfo::default()
        })
    }
}

fn kind(byte: u8) -> Read<VariableKind> {
    match byte {
        0 => Ok(VariableKind::Regular),
        1 => Ok(VariableKind::Const),
        2 => Ok(VariableKind::ToBeClosed),
        _ => Err(UndumpError::Corrupted),
    }
}
