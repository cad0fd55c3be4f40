//! `Records`: what is to be known of functions while they run beyond their code:
//! lines, names of variables, where they stand in the text. A few bytes for each
//! function, all functions of a chunk in one allocation.
//!
//! Numbers are variable-length (`varint`), names indices into one list. The
//! numbers of lines have a fixed size in each function, so that one is found
//! without reading those before it.

mod write;

use std::sync::Arc;

use crate::function_id::{FunctionId, NumberedStep, PathStep};
use crate::prototype::{
    CodeHash, DebugInfo, LocalVariable, Prototype, ScopeVariable, UpvalueDescription, VariableKind,
};
pub use write::RecordsWriter;

/// Names that stand in no list: they have the first indices.
const KNOWN: [&str; 3] = ["_ENV", "(for state)", "self"];

/// The index of a function that stands in none of the others.
const OUTERMOST: u64 = 0;

/// Records of functions, by number: each before those in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records(Arc<[u8]>);

impl Default for Records {
    /// Of no function.
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

/// What stands in front: how many bytes an offset takes and [`HAS_HASH`], then as such numbers how
/// many functions and names there are, where each record begins, where each name
/// ends. Names follow, then the records (offsets count from the names on), and the
/// hash of all code, if it is known and there are several functions.
const HEAD: usize = 1;

/// That the hash is there.
const HAS_HASH: u8 = 0x80;

impl Records {
    /// Of a literal and all those in it, numbered in the order of the text.
    ///
    /// ```
    /// # use moonswap_bytecode::{FunctionId, Prototype, Records};
    /// # fn show(main: &Prototype) {
    /// let records = Records::of(main);
    /// assert_eq!(records.get(0).line_at(0), main.line_at(0));
    /// # }
    /// ```
    pub fn of(main: &Prototype) -> Self {
        let mut writer = RecordsWriter::default();
        for child in &main.children {
            writer.child(child);
        }
        writer.main(main)
    }

    /// Of a literal without those in it.
    pub fn of_one(prototype: &Prototype) -> Self {
        RecordsWriter::default().main(prototype)
    }

    /// Ids of all functions in the chunk of this name, by number.
    pub fn ids(&self, chunk: &Arc<str>) -> Vec<FunctionId> {
        let n = All(&self.0).counts().map_or(0, |(functions, _)| functions);
        let mut ids: Vec<FunctionId> = Vec::with_capacity(n);
        for number in 0..n as u32 {
            let record = self.get(number);
            let mut at = record.after_locals();
            let parent = at.number().checked_sub(1);
            let id = match parent.and_then(|parent| ids.get(parent as usize)) {
                Some(parent) => parent.child(at.step(&record.all)),
                None => record.id(chunk),
            };
            ids.push(id);
        }
        ids
    }

    /// Hash of all code, of chunks with several functions; `None` if the prototype
    /// that was loaded had none.
    pub fn deep_hash(&self) -> Option<CodeHash> {
        let has_hash = self.0.first()? & HAS_HASH != 0;
        let hash = has_hash.then(|| self.0.last_chunk::<16>())??;
        Some(CodeHash(u128::from_le_bytes(*hash)))
    }

    /// Bytes that it has on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.len() + 2 * size_of::<usize>()
    }

    /// The record of a function; of no function if there is none with that number.
    pub fn get(&self, number: u32) -> Record<'_> {
        let all = All(&self.0);
        let start = all.record(number as usize);
        let mut at = Reader(start.and_then(|start| self.0.get(start..)).unwrap_or(&[]));
        let is_stripped = at.byte() == 1;
        let line_defined = at.number() as u32;
        let last_line_defined = line_defined.wrapping_add(at.signed() as u32);
        let lines = at.lines();
        Record {
            all,
            number,
            is_stripped,
            line_defined,
            last_line_defined,
            lines,
            rest: at,
        }
    }
}

/// What is known of one function.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    all: All<'a>,
    number: u32,
    /// Debugging information was removed.
    pub is_stripped: bool,
    /// Line of `function`; 0 for a main chunk.
    pub line_defined: u32,
    /// Line of the matching `end`; 0 for a main chunk.
    pub last_line_defined: u32,
    lines: Lines<'a>,
    /// From the captured variables on.
    rest: Reader<'a>,
}

impl<'a> Record<'a> {
    /// Source line of an instruction, if known.
    pub fn line_at(&self, pc: usize) -> Option<u32> {
        self.lines.get(pc)
    }

    /// The lines of all instructions.
    pub fn lines(&self) -> impl Iterator<Item = u32> + use<'a> {
        let lines = self.lines;
        (0..lines.n).map_while(move |pc| lines.get(pc))
    }

    /// How many captured variables it has.
    pub fn n_upvalues(&self) -> usize {
        self.rest.clone().number() as usize
    }

    /// Name of a captured variable.
    pub fn upvalue_name(&self, index: usize) -> Option<&'a str> {
        let mut at = self.rest;
        let n = at.number() as usize;
        for _ in 0..index.min(n) {
            at.upvalue();
        }
        (index < n).then(|| self.all.name(at.upvalue().name))
    }

    /// Local variables in order of their beginnings.
    pub fn locals(&self) -> impl Iterator<Item = Local<'a>> + use<'a> {
        let mut at = self.rest;
        at.skip_upvalues();
        let all = self.all;
        let mut last = 0;
        let n = at.number();
        (0..n).map(move |_| {
            let name = all.name(at.number());
            let register = at.number() as u16;
            let start_pc = last + at.signed();
            last = start_pc;
            Local {
                name,
                register,
                start_pc: start_pc as u32,
                end_pc: start_pc as u32 + at.number() as u32,
            }
        })
    }

    /// Name of the local variable that lives in a register at an instruction: the
    /// last one that says so.
    pub fn local_name(&self, register: u16, pc: usize) -> Option<&'a str> {
        let mut at = self.rest;
        at.skip_upvalues();
        let (mut last, mut found) = (0, None);
        for _ in 0..at.number() {
            let name = at.number();
            let lives_in = at.number();
            last += at.signed();
            let length = at.number();
            let is_alive = (last as u64..last as u64 + length).contains(&(pc as u64));
            if is_alive && lives_in == u64::from(register) {
                found = Some(name);
            }
        }
        found.map(|name| self.all.name(name))
    }

    /// Behind the local variables.
    fn after_locals(&self) -> Reader<'a> {
        let mut at = self.rest;
        at.skip_upvalues();
        for _ in 0..at.number() {
            at.number();
            at.number();
            at.signed();
            at.number();
        }
        at
    }

    /// Whether it is a main chunk.
    pub fn is_main(&self) -> bool {
        let mut at = self.after_locals();
        at.number() == OUTERMOST && at.number() == 0
    }

    /// Who it is in the chunk of this name.
    pub fn id(&self, chunk: &Arc<str>) -> FunctionId {
        let mut inner: Vec<NumberedStep> = Vec::new();
        let mut at = self.after_locals();
        let outer = loop {
            match at.number() {
                OUTERMOST => {
                    let n = at.number();
                    break (0..n).map(|_| at.step(&self.all)).collect::<Vec<_>>();
                }
                parent => {
                    inner.push(at.step(&self.all));
                    at = Reader(self.all.bytes(parent as usize - 1)).after_head();
                }
            }
        };
        let path: Vec<_> = outer.into_iter().chain(inner.into_iter().rev()).collect();
        FunctionId::new(Arc::clone(chunk), path)
    }

    /// Top-level locals of a main chunk, in order.
    pub fn top_level(&self) -> impl Iterator<Item = TopLevel<'a>> + use<'a> {
        let mut at = self.after_locals();
        let mut n = 0;
        if at.number() == OUTERMOST {
            for _ in 0..at.number() {
                at.skip_step();
            }
            n = at.number();
        }
        let all = self.all;
        (0..n).map(move |_| TopLevel {
            name: all.name(at.number()),
            declaration: at.number() as u32,
            kind: kind(at.byte()),
            register: (at.number() as u16).checked_sub(1),
            start_pc: at.number() as u32,
            end_pc: at.number() as u32,
        })
    }

    /// The same as a prototype has them.
    pub fn scope(&self) -> Box<[ScopeVariable]> {
        self.top_level()
            .map(|v| ScopeVariable {
                name: v.name.into(),
                declaration: v.declaration,
                kind: v.kind,
                register: v.register,
                start_pc: v.start_pc,
                end_pc: v.end_pc,
            })
            .collect()
    }

    /// Captured variables.
    pub fn upvalues(&self) -> Box<[UpvalueDescription]> {
        let mut at = self.rest;
        (0..at.number())
            .map(|_| {
                let u = at.upvalue();
                UpvalueDescription {
                    name: self.all.name(u.name).into(),
                    kind: kind(u.flags & 3),
                    depth: u.depth as u16,
                    declaration: u.declaration as u32,
                    top_level: u.flags & 4 != 0,
                    in_loop: u.flags & 8 != 0,
                }
            })
            .collect()
    }

    /// Lines and names as a prototype has them; no columns and no loops.
    pub fn debug(&self) -> DebugInfo {
        DebugInfo {
            lines: self.lines().collect(),
            locals: self
                .locals()
                .map(|v| LocalVariable {
                    name: v.name.into(),
                    register: v.register,
                    start_pc: v.start_pc,
                    end_pc: v.end_pc,
                })
                .collect(),
            ..DebugInfo::default()
        }
    }

    /// Its number among the chunk's.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// A local variable: see [`LocalVariable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local<'a> {
    /// Source name.
    pub name: &'a str,
    /// Register it lives in.
    pub register: u16,
    /// First instruction at which it is alive.
    pub start_pc: u32,
    /// First instruction at which it is dead.
    pub end_pc: u32,
}

impl Local<'_> {
    /// Whether it is alive at an instruction.
    pub fn is_alive(&self, pc: usize) -> bool {
        self.start_pc as usize <= pc && pc < self.end_pc as usize
    }
}

/// A top-level local: see [`ScopeVariable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopLevel<'a> {
    /// Source name.
    pub name: &'a str,
    /// Ordinal among the chunk's top-level declarations of this name.
    pub declaration: u32,
    /// How it was declared.
    pub kind: VariableKind,
    /// Register in the main chunk's frame, if it has one.
    pub register: Option<u16>,
    /// First instruction at which it is alive.
    pub start_pc: u32,
    /// First instruction at which it is dead.
    pub end_pc: u32,
}

#[derive(Clone, Copy, Debug)]
struct Lines<'a> {
    n: usize,
    /// The smallest; the others are distances from it.
    first: u32,
    /// Bytes of a distance.
    width: usize,
    distances: &'a [u8],
}

impl Lines<'_> {
    fn get(&self, pc: usize) -> Option<u32> {
        let distance = number_at(self.distances, pc * self.width, self.width)?;
        (pc < self.n).then(|| self.first + distance as u32)
    }
}

/// All bytes of a chunk's records.
#[derive(Clone, Copy, Debug)]
struct All<'a>(&'a [u8]);

impl<'a> All<'a> {
    fn width(self) -> usize {
        self.0
            .first()
            .map_or(0, |&width| usize::from(width & !HAS_HASH))
    }

    /// The `i`-th number of the head.
    fn number(self, i: usize) -> Option<usize> {
        number_at(self.0, HEAD + i * self.width(), self.width())
    }

    fn counts(self) -> Option<(usize, usize)> {
        Some((self.number(0)?, self.number(1)?))
    }

    /// Where names and records begin.
    fn body(self) -> Option<usize> {
        let (functions, names) = self.counts()?;
        Some(HEAD + (2 + functions + names) * self.width())
    }

    fn record(self, i: usize) -> Option<usize> {
        let (functions, _) = self.counts()?;
        let start = self.number(2 + i)?;
        (i < functions).then_some(self.body()? + start)
    }

    fn bytes(self, i: usize) -> &'a [u8] {
        let start = self.record(i);
        start.and_then(|start| self.0.get(start..)).unwrap_or(&[])
    }

    fn name(self, index: u64) -> &'a str {
        let index = index as usize;
        if let Some(known) = KNOWN.get(index) {
            return known;
        }
        let find = || {
            let i = index - KNOWN.len();
            let ends = 2 + self.counts()?.0;
            let start = match i {
                0 => 0,
                _ => self.number(ends + i - 1)?,
            };
            let body = self.body()?;
            let bytes = self.0.get(body + start..body + self.number(ends + i)?)?;
            str::from_utf8(bytes).ok()
        };
        find().unwrap_or("?")
    }
}

/// A number of 0, 1, 2 or 4 bytes.
fn number_at(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    // No copies of a length that is not known: reads are on the path of errors.
    let rest = bytes.get(at..)?;
    Some(match width {
        0 => 0,
        1 => usize::from(*rest.first()?),
        2 => usize::from(u16::from_le_bytes(*rest.first_chunk()?)),
        4 => u32::from_le_bytes(*rest.first_chunk()?) as usize,
        _ => return None,
    })
}

/// Bytes that numbers up to `most` take: 1, 2 or 4.
fn width_of(most: usize) -> usize {
    match most {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        _ => 4,
    }
}

struct Upvalue {
    name: u64,
    flags: u8,
    depth: u64,
    declaration: u64,
}

/// Reads what [`Writer`] wrote.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    #[inline]
    fn number(&mut self) -> u64 {
        if let Some((&byte @ ..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return u64::from(byte);
        }
        self.long_number()
    }

    fn long_number(&mut self) -> u64 {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            n |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                return n;
            }
        }
    }

    fn signed(&mut self) -> i64 {
        crate::varint::signed(self.number())
    }

    fn lines(&mut self) -> Lines<'a> {
        let n = self.number() as usize;
        let first = self.number() as u32;
        let width = usize::from(self.byte());
        let (distances, rest) = self.0.split_at_checked(n * width).unwrap_or_default();
        self.0 = rest;
        Lines {
            n,
            first,
            width,
            distances,
        }
    }

    fn upvalue(&mut self) -> Upvalue {
        Upvalue {
            name: self.number(),
            flags: self.byte(),
            depth: self.number(),
            declaration: self.number(),
        }
    }

    fn skip_upvalues(&mut self) {
        for _ in 0..self.number() {
            self.upvalue();
        }
    }

    /// From the beginning of a record to behind its local variables.
    fn after_head(mut self) -> Self {
        self.byte();
        self.number();
        self.signed();
        self.lines();
        self.skip_upvalues();
        for _ in 0..self.number() {
            self.number();
            self.number();
            self.signed();
            self.number();
        }
        self
    }

    fn skip_step(&mut self) {
        self.byte();
        for _ in 0..3 {
            self.number();
        }
    }

    fn step(&mut self, all: &All<'a>) -> NumberedStep {
        let kind = self.byte();
        let name: Arc<str> = all.name(self.number()).into();
        let n = self.number() as u32;
        let ordinal = self.number() as u32;
        let step = PathStep::from_parts(kind, name, n).unwrap_or(PathStep::Anonymous);
        (step, ordinal)
    }
}

fn kind(byte: u8) -> VariableKind {
    match byte {
        0 => VariableKind::Regular,
        1 => VariableKind::Const,
        _ => VariableKind::ToBeClosed,
    }
}
