//! The undo log: what the code that a patch runs before its commit (new
//! initialisers, definitions, chosen statements, modules they `require`,
//! `migrate`) does to what was there before it. A patch that fails is undone by
//! it, newest write first.
//!
//! The interpreter sends the operations of [`moonswap_bytecode::Written`] here
//! while such code runs (`interp/watched.rs`), and every native that writes asks
//! here (`record`): a test of one flag when no patch is being prepared. What is not
//! written down, because it cannot be taken back: input and output, data of the
//! host, coroutines that went on or were closed, registered finalizers, patches asked
//! for. A table gets its entries back, not its order of traversal.
//!
//! The log knows objects and the heap only. What of the VM's state is copied as a
//! whole, and who opens the log, is in `hotpatch/apply/checkpoint.rs`.
//!
//! Invariants:
//! - J1 While the log is open nothing is collected (`set_busy`) and no finalizer
//!   runs, so all that entries point to is live.
//! - J2 The entry is made before the write. Where there is no memory for it, table
//!   writes fail; entries of other kinds are few between two safe points and made
//!   past the limit, as small allocations are.
//! - J3 Tables named by entries are written by keeping stores only (T5): undoing
//!   finds every key in its place, allocates nothing and cannot fail.
//! - J4 A table with the log's number was made while it is open, and since its
//!   last mark: nobody can miss what stood in it.

mod record;
mod revert;

use std::sync::Arc;

use crate::heap::{Heap, OutOfMemory};
use crate::object::{
    Closure, Coroutine, Header, Hook, Instance, Kind, Native, PrototypeSlot, Table, Upvalue,
};
use crate::value::Value;

pub(crate) use record::Recorder;

/// Entries that memory is taken for at a time.
const PIECE: usize = 128;
/// Writes remembered, so that a loop that counts makes one entry.
const RECENT: usize = 64;

/// Something as it was before a write.
enum Entry {
    Field {
        table: *mut Table,
        key: Value,
        old: Value,
    },
    Metatable {
        object: *mut Header,
        old: *mut Table,
    },
    Variable {
        upvalue: *mut Upvalue,
        old: Value,
    },
    NativeVariable {
        native: *mut Native,
        index: usize,
        old: Value,
    },
    /// Which variable a closure has; null: it lacks it.
    Captured {
        closure: *mut Closure,
        index: usize,
        old: *mut Upvalue,
    },
    Scope(Box<Scope>),
    Outer(Outer),
}

/// What the parts above have to take back.
pub(crate) enum Outer {
    Local(Box<Local>),
    Hook(*mut Coroutine, Box<Hook>),
    /// The instance of a module that patches kept alive; null: none.
    Module(Box<Arc<str>>, *mut Instance),
    /// A function's flags.
    Slot(*mut PrototypeSlot, u8),
}

const _: () = assert!(size_of::<Entry>() <= 48);

impl Entry {
    /// Bytes beside those of the entry itself.
    fn boxed_bytes(&self) -> usize {
        match self {
            Entry::Field { .. }
            | Entry::Metatable { .. }
            | Entry::Variable { .. }
            | Entry::NativeVariable { .. }
            | Entry::Captured { .. }
            | Entry::Outer(Outer::Slot(..)) => 0,
            Entry::Outer(Outer::Local(_)) => size_of::<Local>(),
            Entry::Outer(Outer::Hook(..)) => size_of::<Hook>(),
            Entry::Scope(scope) => {
                size_of::<Scope>() + size_of_val(&scope.cells[..]) + size_of_val(&scope.names[..])
            }
            Entry::Outer(Outer::Module(..)) => size_of::<Arc<str>>(),
        }
    }
}

/// A local variable of an activation that exists, by the debug library.
pub(crate) struct Local {
    pub(crate) coroutine: *mut Coroutine,
    /// The activation: place on the stack and instruction.
    pub(crate) base: usize,
    pub(crate) pc: *const u64,
    pub(crate) slot: usize,
    pub(crate) is_variable: bool,
    pub(crate) old: Value,
}

/// The scope record of an instance.
struct Scope {
    instance: *mut Instance,
    cells: Vec<*mut Upvalue>,
    names: Vec<(Arc<str>, u32)>,
    n_runs: u32,
}

/// The undo log of the patch that is being prepared.
#[derive(Default)]
pub(crate) struct UndoLog {
    is_open: bool,
    pieces: Vec<Vec<Entry>>,
    /// Bytes that entries have elsewhere.
    boxed: usize,
    /// Bytes of the pieces and of those, which are on the account.
    counted: usize,
    /// Owner, payload and tag of keys that have an entry.
    recent: Vec<(usize, u64, u8)>,
    /// Another one for each log that watches writes, and for each mark; not 0.
    number: u32,
    /// The first one of this log.
    first_number: u32,
}

impl UndoLog {
    /// A patch is being prepared.
    pub(crate) fn open(&mut self) {
        debug_assert!(!self.is_open);
        self.is_open = true;
    }

    /// Code of the patch is about to run: the table of handlers and `logged` of
    /// the heap are set next.
    pub(crate) fn watch(&mut self) {
        self.recent.clear();
        self.recent.resize(RECENT, (0, 0, 0));
        self.next_number();
        self.first_number = self.number;
    }

    fn next_number(&mut self) {
        self.number = self.number.wrapping_add(1).max(1);
    }

    /// The end: the entries that are left are dropped.
    pub(crate) fn close(&mut self, heap: &Heap) {
        self.is_open = false;
        self.recent.clear();
        self.pieces = Vec::new();
        self.boxed = 0;
        self.count(heap);
    }

    /// Whether a patch is being prepared.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether there is an entry for this, as far as is remembered; from now on
    /// there is.
    fn is_known(&mut self, owner: *const (), key: u64, key_tag: u8) -> bool {
        if self.recent.is_empty() {
            return false;
        }
        let mixed = (owner as u64 ^ key.rotate_left(24)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let this = (owner as usize, key, key_tag);
        let place = &mut self.recent[(mixed >> 58) as usize % RECENT];
        std::mem::replace(place, this) == this
    }

    fn has_room(&self) -> bool {
        self.pieces.last().is_some_and(|piece| piece.len() < PIECE)
    }

    /// Memory for more entries; with `ask`, only if the limit allows it.
    #[cold]
    fn grow(&mut self, heap: &mut Heap, ask: bool) -> Result<(), OutOfMemory> {
        let bytes = PIECE * size_of::<Entry>();
        let mut piece = Vec::new();
        if ask {
            heap.permit(bytes)?;
            piece.try_reserve_exact(PIECE).map_err(|_| heap.refuse())?;
        } else {
            heap.reserve_small(&mut piece, PIECE);
        }
        if self.pieces.len() == self.pieces.capacity() {
            let more = self.pieces.len().max(8);
            heap.reserve_small(&mut self.pieces, more);
        }
        self.pieces.push(piece);
        self.count(heap);
        if !heap.permit_quietly(0) {
            heap.ask_relief();
        }
        Ok(())
    }

    /// Brings the account up to date.
    fn count(&mut self, heap: &Heap) {
        let bytes = self.pieces.len() * PIECE * size_of::<Entry>()
            + self.pieces.capacity() * size_of::<Vec<Entry>>()
            + self.boxed;
        let buffers = &heap.reserve().buffers;
        buffers.set(buffers.get() - self.counted + bytes);
        self.counted = bytes;
    }

    /// There is room for it, or small allocations are due.
    fn push(&mut self, heap: &mut Heap, entry: Entry) {
        if !self.has_room() {
            // Not asking, it cannot be refused.
            let _ = self.grow(heap, false);
        }
        // On the account with the next piece.
        self.boxed += entry.boxed_bytes();
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(entry);
        }
    }

    /// The newest entry, taken out.
    fn pop(&mut self) -> Option<Entry> {
        loop {
            match self.pieces.last_mut()?.pop() {
                Some(entry) => return Some(entry),
                None => drop(self.pieces.pop()),
            }
        }
    }
}

/// A place in the log.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

impl UndoLog {
    /// The place where the next entry comes. From here on each write of something
    /// that is there makes an entry again.
    pub(crate) fn mark(&mut self) -> Mark {
        self.forget_recent();
        self.next_number();
        Mark(self.pieces.iter().map(Vec::len).sum())
    }

    fn forget_recent(&mut self) {
        self.recent.fill((0, 0, 0));
    }

    fn since(&self, mark: Mark) -> impl Iterator<Item = &Entry> {
        self.pieces.iter().flatten().skip(mark.0)
    }

    /// Fields of tables that were written since, with what stood there.
    pub(crate) fn fields_since(&self, mark: Mark) -> Vec<(*mut Table, Value, Value)> {
        let field = |entry: &Entry| match entry {
            Entry::Field { table, key, old } => Some((*table, *key, *old)),
            _ => None,
        };
        self.since(mark).filter_map(field).collect()
    }

    /// Whether anything that is older than the log was written since, other than
    /// these variables.
    ///
    /// # Safety
    /// The log is open (J1).
    pub(crate) unsafe fn touches_old(&self, mark: Mark, new: &[*mut Upvalue]) -> bool {
        // SAFETY: J1, J4.
        let is_new = |table: *mut Table| unsafe {
            (*table).made_in.wrapping_sub(self.first_number)
                <= self.number.wrapping_sub(self.first_number)
        };
        let is_old = |entry: &Entry| match entry {
            Entry::Variable { upvalue, .. } => !new.contains(upvalue),
            Entry::Field { table, .. } => !is_new(*table),
            Entry::Metatable { object, .. } => {
                // SAFETY: J1.
                unsafe { (**object).kind != Kind::Table || !is_new(object.cast()) }
            }
            _ => true,
        };
        self.since(mark).any(is_old)
    }
}
