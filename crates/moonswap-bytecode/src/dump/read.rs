//! Reading of binary chunks.

use super::format::{
    CHECK_INT, CHECK_NUM, HEADER, MAX_CELL, MAX_DEPTH, MAX_PATH, OPERATIONS, STEPS_PER_BYTE,
    UndumpError,
};
use std::sync::Arc;

use crate::code_hash;
use crate::function_id::{FunctionId, PathStep};
use crate::instruction::Instruction;
use crate::prototype::{
    Capture, ClosureSite, Constant, DebugInfo, LocalVariable, Prototype, ScopeVariable,
    UpvalueDescription, VariableKind,
};
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
    let prototype = read(bytes, watch)?;
    crate::verify::verify_watched(&prototype, watch)?;
    Ok(prototype)
}

/// Whether bytes behind these make no difference to [`undump`]: the chunk ends
/// here, or what is here is wrong. `false` if `watch` stopped the look.
pub fn is_decided(bytes: &[u8], watch: Option<&Watch<'_>>) -> bool {
    !matches!(
        read(bytes, watch),
        Err(UndumpError::Truncated | UndumpError::Stopped)
    )
}

/// Reads a binary chunk, unverified.
fn read(bytes: &[u8], watch: Option<&Watch<'_>>) -> Result<Arc<Prototype>, UndumpError> {
    let mut input = Reader {
        watch,
        bytes,
        strip: false,
        steps: MAX_DEPTH * MAX_DEPTH + bytes.len() * STEPS_PER_BYTE,
        names: Vec::new(),
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
    let mut path = Vec::with_capacity(n_steps);
    for _ in 0..n_steps {
        path.push(input.step()?);
    }
    let id = FunctionId::new(chunk, path);
    let prototype = input.function(id, 0)?;
    if prototype.upvalues.len() != usize::from(n_upvalues) {
        return Err(UndumpError::Corrupted);
    }
    Ok(prototype)
}

struct Reader<'a> {
    watch: Option<&'a Watch<'a>>,
    bytes: &'a [u8],
    strip: bool,
    /// Path steps that may still be made.
    steps: usize,
    /// Names that came before, each at the place its bytes tell: the same ones come
    /// again and again.
    names: Vec<Arc<str>>,
}

/// How many names are known at most.
const KNOWN: usize = 128;

fn place(name: &[u8]) -> usize {
    let first = name.first().map_or(0, |&c| usize::from(c));
    let last = name.last().map_or(0, |&c| usize::from(c));
    (first * 31 + last * 7 + name.len()) % KNOWN
}

type Read<T> = Result<T, UndumpError>;

impl<'a> Reader<'a> {
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

    fn string(&mut self) -> Read<&'a [u8]> {
        let n = self.count(1)?;
        self.take(n)
    }

    fn text(&mut self) -> Read<Arc<str>> {
        let n = self.count(1)?;
        let bytes = self.take(n)?;
        let place = place(bytes);
        if let Some(known) = self.names.get(place)
            && *known.as_bytes() == *bytes
        {
            return Ok(Arc::clone(known));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| UndumpError::Corrupted)?;
        let text: Arc<str> = text.into();
        if self.names.is_empty() {
            self.names.resize(KNOWN, Arc::default());
        }
        self.names[place] = Arc::clone(&text);
        Ok(text)
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
        let mut all = Vec::with_capacity(n);
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
        let code = self.take(8 * n_code)?.chunks_exact(8);
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let code: Box<[_]> = code.map(|i| Instruction::from_bits(word(i))).collect();
        let constants = self.items(1, Self::constant)?;
        let upvalues = self.items(4, Self::upvalue)?;
        let sites = self.items(2, |input| {
            Ok(ClosureSite {
                child: input.small()?,
                captures: input.items(2, Self::capture)?,
            })
        })?;
        let scope = self.items(6, Self::scope_variable)?;
        let debug = self.debug()?;
        // A chunk is stripped as a whole or not at all.
        if !self.strip && debug.lines.len() != code.len() {
            return Err(UndumpError::Corrupted);
        }
        let children = self.items(8, |input| {
            let step = input.step()?;
            input.steps = input
                .steps
                .checked_sub(id.path().len() + 1)
                .ok_or(UndumpError::Corrupted)?;
            input.function(id.child(step), depth + 1)
        })?;
        let mut prototype = Prototype {
            id,
            own_hash: Default::default(),
            deep_hash: Default::default(),
            code,
            constants,
            children,
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
        };
        code_hash::set(&mut prototype);
        Ok(Arc::new(prototype))
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
            5 => Constant::String(Arc::from(self.string()?)),
            6 => Constant::Cell(self.cell()?),
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

    fn debug(&mut self) -> Read<DebugInfo> {
        if self.strip {
            return Ok(DebugInfo::default());
        }
        let mut line: i64 = 0;
        let lines = self.items(1, |input| {
            line = line
                .checked_add(input.signed()?)
                .ok_or(UndumpError::Corrupted)?;
            u32::try_from(line).map_err(|_| UndumpError::Corrupted)
        })?;
        let locals = self.items(4, |input| {
            Ok(LocalVariable {
                name: input.text()?,
                register: input.small()?,
                start_pc: input.small()?,
                end_pc: input.small()?,
            })
        })?;
        Ok(DebugInfo {
            lines: lines.into_vec().into(),
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
