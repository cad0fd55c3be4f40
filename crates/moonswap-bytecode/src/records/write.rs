//! Making records: literal by literal, so that a chunk can be loaded while it is
//! compiled.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{HAS_HASH, HEAD, KNOWN, OUTERMOST, Records, width_of};
use crate::function_id::NumberedStep;
use crate::literal::{Literal, LiteralStep, Name};
use crate::prototype::{
    CodeHash, LocalVariable, Prototype, ScopeVariable, UpvalueDescription, VariableKind,
};
use crate::recent::Recent;
use crate::varint::{put_number, put_signed};

fn kind_byte(kind: VariableKind) -> u8 {
    match kind {
        VariableKind::Regular => 0,
        VariableKind::Const => 1,
        VariableKind::ToBeClosed => 2,
    }
}

/// Names that need not be looked up: the same ones come again and again.
const RECENT: usize = 64;

/// Makes the records of a chunk: of the literals written directly in it, each with
/// those in it, in their order, and at last of the main chunk (which has the
/// number 0 all the same).
#[derive(Debug)]
pub struct RecordsWriter {
    names: Vec<u8>,
    ends: Vec<u32>,
    known: NameTable,
    /// The indices of names that came before.
    recent: Recent<str, u64, RECENT>,
    /// Those of the numbered names of a binary chunk, from 1; 0: not known.
    numbered: Vec<u32>,
    /// Functions that have begun and not ended, of a binary chunk.
    open: Vec<u32>,
    records: Vec<u8>,
    starts: Vec<u32>,
}

/// Finds names among those that are listed: open addressing, four bytes an entry. A
/// large chunk has tens of thousands of names, all while it is being loaded.
#[derive(Debug, Default)]
struct NameTable {
    /// Which name, from 1; 0: free. A power of two, at most half of it used.
    entries: Vec<u32>,
    n_used: usize,
    /// Keyed: names come from the source text.
    hasher: RandomState,
}

impl NameTable {
    /// The place of a name, or a free one for it. The table is not empty.
    fn place(&self, name: &[u8], is_it: impl Fn(u32) -> bool) -> usize {
        let mask = self.entries.len() - 1;
        let mut at = self.hasher.hash_one(name) as usize & mask;
        while self.entries[at] != 0 && !is_it(self.entries[at] - 1) {
            at = (at + 1) & mask;
        }
        at
    }

    /// Room for one more. `name_of` answers the name with a number.
    fn grow<'a>(&mut self, name_of: impl Fn(u32) -> &'a [u8]) {
        if (self.n_used + 1) * 2 <= self.entries.len() {
            return;
        }
        let size = (self.entries.len() * 2).max(64);
        let old = std::mem::replace(&mut self.entries, vec![0; size]);
        for entry in old.into_iter().filter(|&entry| entry != 0) {
            let at = self.place(name_of(entry - 1), |_| false);
            self.entries[at] = entry;
        }
    }
}

impl Default for RecordsWriter {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            ends: Vec::new(),
            known: NameTable::default(),
            recent: Recent::default(),
            numbered: Vec::new(),
            open: Vec::new(),
            records: Vec::new(),
            // The main chunk's: it comes last.
            starts: vec![0],
        }
    }
}

impl RecordsWriter {
    /// Has room for a binary chunk of so many bytes: for most, more than its records take,
    /// and always less than the chunk.
    pub fn expect(&mut self, bytes: usize) {
        self.records.reserve(bytes / 8);
        self.names.reserve(bytes / 16);
        self.ends.reserve(bytes / 128);
        self.numbered.reserve(bytes / 64);
        self.starts.reserve(bytes / 256);
        self.open.reserve(8);
    }

    /// Bytes that it has, and that making records of it takes.
    pub fn heap_bytes(&self) -> usize {
        let numbers = self.ends.capacity() + self.starts.capacity() + self.numbered.capacity();
        let made = 4 * numbers + self.names.capacity() + self.records.capacity();
        // They are put behind one another, then shared.
        3 * made + 4 * self.known.entries.capacity()
    }

    /// Adds a literal written directly in the chunk, and all those in it.
    pub fn child(&mut self, child: &Prototype) {
        let mut todo = vec![(child, 0)];
        while let Some((prototype, parent)) = todo.pop() {
            let number = self.starts.len() as u64;
            self.starts.push(self.records.len() as u32);
            self.function(prototype, Some(parent));
            let children = prototype.children.iter().rev();
            todo.extend(children.map(|child| (&**child, number)));
        }
    }

    /// Adds the main chunk: the records are complete.
    pub fn main(&mut self, main: &Prototype) -> Records {
        self.starts[0] = self.records.len() as u32;
        self.function(main, None);
        let is_known = self.starts.len() > 1 && main.deep_hash != CodeHash::default();
        self.finish(is_known.then_some(main.deep_hash))
    }

    /// A function of a binary chunk begins; those in it come before it ends.
    pub fn begins(&mut self) {
        match self.open.is_empty() {
            // The outermost one has its place.
            true => self.open.push(0),
            false => {
                self.open.push(self.starts.len() as u32);
                self.starts.push(0);
            }
        }
    }

    /// The function of a binary chunk ends that began last.
    pub fn ends(&mut self, literal: &Literal<'_>) {
        let number = self.open.pop().unwrap_or(0);
        if let Some(start) = self.starts.get_mut(number as usize) {
            *start = self.records.len() as u32;
        }
        self.lines_defined(
            literal.is_stripped,
            literal.line_defined,
            literal.last_line_defined,
        );
        let lines = &literal.lines;
        self.number(lines.n as u64);
        self.number(u64::from(lines.first));
        self.records.push(lines.width);
        self.records.extend_from_slice(lines.distances);
        self.upvalues(&literal.upvalues);
        self.locals(&literal.locals);
        match self.open.last() {
            Some(parent) => self.number(u64::from(*parent) + 1),
            None => {
                self.number(OUTERMOST);
                self.number(literal.path.len() as u64);
            }
        }
        for step in &literal.path {
            self.literal_step(step);
        }
        if self.open.is_empty() {
            self.scope(&literal.scope);
        }
    }

    /// All functions of a binary chunk have ended: the records are complete. There is no
    /// hash of their code. Afterwards there are none, and room for those of another chunk.
    pub fn ended(&mut self) -> Records {
        let records = self.finish(None);
        self.names.clear();
        self.ends.clear();
        self.numbered.clear();
        self.open.clear();
        self.records.clear();
        self.starts.clear();
        self.starts.push(0);
        if self.known.n_used > 0 {
            self.known = NameTable::default();
        }
        records
    }

    fn number(&mut self, n: u64) {
        put_number(&mut self.records, n);
    }

    #[inline]
    fn name(&mut self, name: &impl Listed) {
        let index = name.index(self);
        self.number(index);
    }

    /// The name with a number, from 0.
    fn listed(&self, i: u32) -> Option<&[u8]> {
        let start = match i {
            0 => 0,
            _ => *self.ends.get(i as usize - 1)?,
        };
        let end = *self.ends.get(i as usize)?;
        self.names.get(start as usize..end as usize)
    }

    fn index_of(&mut self, name: &Arc<str>) -> u64 {
        if let Some(index) = self.recent.get(name) {
            return index;
        }
        let index = self.look_up(name);
        self.recent.put(name, index);
        index
    }

    /// The index of a name of a binary chunk, which is noted if it has a number.
    #[inline(never)]
    fn index_of_name(&mut self, name: Name<'_>) -> u64 {
        let Some(number) = name.number() else {
            return self.look_up(name.text());
        };
        // A chunk has those with numbers once: they need not be looked for.
        let known = KNOWN.iter().position(|known| *known == name.text());
        let index = known.map_or_else(|| self.add(name.text()), |index| index as u64);
        let noted = index as u32 + 1;
        match self.numbered.get_mut(number) {
            Some(known) => *known = noted,
            None => {
                // Much of what is numbered is no name.
                self.numbered.resize(2 * number + 1, 0);
                self.numbered[number] = noted;
            }
        }
        index
    }

    /// Adds a name to the list; answers its index.
    fn add(&mut self, name: &str) -> u64 {
        self.names.extend_from_slice(name.as_bytes());
        self.ends.push(self.names.len() as u32);
        (KNOWN.len() + self.ends.len() - 1) as u64
    }

    fn look_up(&mut self, name: &str) -> u64 {
        if let Some(index) = KNOWN.iter().position(|known| *known == name) {
            return index as u64;
        }
        let bytes = name.as_bytes();
        let mut known = std::mem::take(&mut self.known);
        known.grow(|i| self.listed(i).unwrap_or_default());
        let at = known.place(bytes, |i| self.listed(i) == Some(bytes));
        if known.entries[at] == 0 {
            self.add(name);
            known.entries[at] = self.ends.len() as u32;
            known.n_used += 1;
        }
        let index = KNOWN.len() as u64 + u64::from(known.entries[at]) - 1;
        self.known = known;
        index
    }

    fn lines_defined(&mut self, is_stripped: bool, first: u32, last: u32) {
        self.records.push(u8::from(is_stripped));
        self.number(u64::from(first));
        put_signed(&mut self.records, i64::from(last) - i64::from(first));
    }

    fn upvalues(&mut self, upvalues: &[UpvalueDescription<impl Listed>]) {
        self.number(upvalues.len() as u64);
        for u in upvalues {
            self.name(&u.name);
            self.records
                .push(kind_byte(u.kind) | u8::from(u.top_level) << 2 | u8::from(u.in_loop) << 3);
            self.number(u64::from(u.depth));
            self.number(u64::from(u.declaration));
        }
    }

    fn locals(&mut self, locals: &[LocalVariable<impl Listed>]) {
        self.number(locals.len() as u64);
        let mut last = 0;
        for v in locals {
            self.name(&v.name);
            self.number(u64::from(v.register));
            put_signed(&mut self.records, i64::from(v.start_pc) - last);
            last = i64::from(v.start_pc);
            self.number(u64::from(v.end_pc.saturating_sub(v.start_pc)));
        }
    }

    fn scope(&mut self, scope: &[ScopeVariable<impl Listed>]) {
        self.number(scope.len() as u64);
        for v in scope {
            self.name(&v.name);
            self.number(u64::from(v.declaration));
            self.records.push(kind_byte(v.kind));
            self.number(v.register.map_or(0, |r| u64::from(r) + 1));
            self.number(u64::from(v.start_pc));
            self.number(u64::from(v.end_pc));
        }
    }

    fn function(&mut self, p: &Prototype, parent: Option<u64>) {
        self.lines_defined(p.is_stripped(), p.line_defined, p.last_line_defined);
        self.lines(p);
        self.upvalues(&p.upvalues);
        self.locals(&p.debug.locals);
        match (parent, p.id.path().last()) {
            (Some(parent), Some(step)) => {
                self.number(parent + 1);
                self.step(step);
            }
            _ => {
                self.number(OUTERMOST);
                self.number(p.id.path().len() as u64);
                for step in p.id.path() {
                    self.step(step);
                }
                self.scope(&p.scope);
            }
        }
    }

    fn lines(&mut self, p: &Prototype) {
        let lines = &p.debug.lines;
        self.number(lines.len() as u64);
        self.number(u64::from(lines.first()));
        lines.put_distances(&mut self.records);
    }

    fn step(&mut self, (step, ordinal): &NumberedStep) {
        let (kind, name, n) = step.parts();
        self.records.push(kind);
        match name {
            Some(name) => self.name(name),
            None => self.number(0),
        }
        self.number(u64::from(n));
        self.number(u64::from(*ordinal));
    }

    fn literal_step(&mut self, step: &LiteralStep<'_>) {
        self.records.push(step.kind);
        match &step.name {
            Some(name) => self.name(name),
            None => self.number(0),
        }
        self.number(u64::from(step.n));
        self.number(u64::from(step.ordinal));
    }

    /// All of it behind one another.
    fn finish(&self, deep_hash: Option<CodeHash>) -> Records {
        let offset = self.names.len();
        let width = width_of(offset + self.records.len());
        let counts = [self.starts.len(), self.ends.len()];
        let starts = self.starts.iter().map(|&start| offset + start as usize);
        let numbers = counts.into_iter().chain(starts);
        let numbers = numbers.chain(self.ends.iter().map(|&end| end as usize));
        let size = HEAD + (2 + self.starts.len() + self.ends.len()) * width;
        let size = size + self.names.len() + self.records.len() + size_of::<CodeHash>();
        let mut bytes = Vec::with_capacity(size);
        let has_hash = if deep_hash.is_some() { HAS_HASH } else { 0 };
        bytes.push(width as u8 | has_hash);
        match width {
            1 => bytes.extend(numbers.map(|number| number as u8)),
            2 => numbers.for_each(|number| {
                bytes.extend_from_slice(&(number as u16).to_le_bytes());
            }),
            _ => numbers.for_each(|number| {
                bytes.extend_from_slice(&(number as u32).to_le_bytes());
            }),
        }
        bytes.extend_from_slice(&self.names);
        bytes.extend_from_slice(&self.records);
        if let Some(CodeHash(hash)) = deep_hash {
            bytes.extend_from_slice(&hash.to_le_bytes());
        }
        Records(bytes.into())
    }
}

/// A name that can be listed.
trait Listed {
    /// Its index among the names.
    fn index(&self, writer: &mut RecordsWriter) -> u64;
}

impl Listed for Arc<str> {
    fn index(&self, writer: &mut RecordsWriter) -> u64 {
        writer.index_of(self)
    }
}

impl Listed for Name<'_> {
    #[inline]
    fn index(&self, writer: &mut RecordsWriter) -> u64 {
        let known = self.number().and_then(|number| writer.numbered.get(number));
        match known {
            Some(&index @ 1..) => u64::from(index) - 1,
            _ => writer.index_of_name(*self),
        }
    }
}
