//! The journal of writes: what the code that a patch runs before its commit (new
//! initialisers, definitions, chosen statements, modules they `require`,
//! `migrate`) does to what was there before it. A patch that fails is undone by
//! it, newest write first.
//!
//! The interpreter sends the operations of [`moonswap_bytecode::Written`] here
//! while such code runs (`interp/journal.rs`), and every native that writes asks
//! here: a test of one flag when no patch is being prepared. What is not written
//! down, because it cannot be taken back: input and output, data of the host,
//! coroutines that went on or were closed, registered finalizers, patches asked
//! for. A table gets its entries back, not its order of traversal.
//!
//! Invariants: HP2.
//! - J1 While a journal is open nothing is collected (`set_busy`) and no finalizer
//!   runs, so all that entries point to is live.
//! - J2 The entry is made before the write. Where there is no memory for it, table
//!   writes fail; entries of other kinds are few between two safe points and made
//!   past the limit, as small allocations are.
//! - J3 Tables named by entries are written by keeping stores only (T5): undoing
//!   finds every key in its place, allocates nothing and cannot fail.
//! - J4 A table with the journal's number was made while it is open, and since its
//!   last mark: nobody can miss what stood in it.

use std::sync::Arc;

use super::event::Listener;
use crate::debug::{local, walk};
use crate::frame::Frame;
use crate::heap::{Heap, OutOfMemory, Settings};
use crate::hook;
use crate::object::{
    Closure, Coroutine, Header, Hook, Instance, Kind, Native, PrototypeSlot, Table, Upvalue, UserData,
};
use crate::table::{self, TableError};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

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
    Local(Box<Local>),
    Hook(*mut Coroutine, Box<Hook>),
    Scope(Box<Scope>),
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
            | Entry::Slot(..) => 0,
            Entry::Local(_) => size_of::<Local>(),
            Entry::Hook(..) => size_of::<Hook>(),
            Entry::Scope(scope) => {
                size_of::<Scope>() + size_of_val(&scope.cells[..]) + size_of_val(&scope.names[..])
            }
            Entry::Module(..) => size_of::<Arc<str>>(),
        }
    }
}

/// A local variable of an activation that exists, by the debug library.
struct Local {
    coroutine: *mut Coroutine,
    /// The activation: place on the stack and instruction.
    base: usize,
    pc: *const u64,
    slot: usize,
    is_variable: bool,
    old: Value,
}

/// The scope record of an instance.
struct Scope {
    instance: *mut Instance,
    cells: Vec<*mut Upvalue>,
    names: Vec<(Arc<str>, u32)>,
    n_runs: u32,
}

/// What is copied as a whole.
struct World {
    gc: Settings,
    type_metatables: [*mut Table; 16],
    warn_on: bool,
    warn_continues: bool,
    /// Once one has come or gone: those before.
    listeners: Option<Vec<(u64, Listener)>>,
}

/// The journal of the patch that is being prepared.
#[derive(Default)]
pub(crate) struct Journal {
    /// `Some` while it is open.
    world: Option<World>,
    pieces: Vec<Vec<Entry>>,
    /// Bytes that entries have elsewhere.
    boxed: usize,
    /// Bytes of the pieces and of those, which are on the account.
    counted: usize,
    /// Owner, payload and tag of keys that have an entry.
    recent: Vec<(usize, u64, u8)>,
    /// Another one for each journal that watches writes, and for each mark; not 0.
    number: u32,
    /// The first one of this journal.
    first_number: u32,
}

impl Journal {
    /// A patch is being prepared.
    pub(crate) fn is_open(&self) -> bool {
        self.world.is_some()
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

/// Opens the journal of a patch.
pub(super) fn begin(vm: &mut Vm) {
    debug_assert!(!vm.hot.journal.is_open());
    vm.hot.journal.world = Some(World {
        gc: vm.heap.settings(),
        type_metatables: vm.type_metatables,
        warn_on: vm.warn_on,
        warn_continues: vm.warn_continues,
        listeners: None,
    });
}

/// Code of the patch is about to run: its writes are watched until the end.
pub(super) fn watch(vm: &mut Vm) {
    if vm.heap.journaled || !vm.hot.journal.is_open() {
        return;
    }
    let journal = &mut vm.hot.journal;
    journal.recent.clear();
    journal.recent.resize(RECENT, (0, 0, 0));
    journal.number = journal.number.wrapping_add(1).max(1);
    journal.first_number = journal.number;
    vm.heap.journaled = true;
    vm.poll.table.set_journaled(true);
    vm.poll.rearm();
}

/// The patch is sure to be committed: what it did stays.
pub(super) fn forget(vm: &mut Vm) {
    close(vm);
}

/// The patch has failed: all is as it was when the journal was opened.
pub(super) unsafe fn undo(vm: &mut Vm) {
    // SAFETY: J1, J3.
    unsafe {
        while let Some(entry) = vm.hot.journal.pop() {
            revert(vm, entry);
        }
        if let Some(world) = vm.hot.journal.world.take() {
            vm.type_metatables = world.type_metatables;
            vm.warn_on = world.warn_on;
            vm.warn_continues = world.warn_continues;
            vm.heap.set_settings(world.gc);
            if let Some(listeners) = world.listeners {
                vm.hot.events.set_listeners(listeners);
            }
        }
    }
    close(vm);
}

/// A place in the journal.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

/// The place where the next entry comes. From here on each write of something
/// that is there makes an entry again.
pub(super) fn mark(vm: &mut Vm) -> Mark {
    let journal = &mut vm.hot.journal;
    journal.recent.fill((0, 0, 0));
    journal.number = journal.number.wrapping_add(1).max(1);
    Mark(journal.pieces.iter().map(Vec::len).sum())
}

impl Journal {
    fn since(&self, mark: Mark) -> impl Iterator<Item = &Entry> {
        self.pieces.iter().flatten().skip(mark.0)
    }
}

/// Fields of older tables that were written since, with what stood there.
pub(super) fn fields_since(vm: &Vm, mark: Mark) -> Vec<(*mut Table, Value, Value)> {
    let field = |entry: &Entry| match entry {
        Entry::Field { table, key, old } => Some((*table, *key, *old)),
        _ => None,
    };
    vm.hot.journal.since(mark).filter_map(field).collect()
}

/// Whether anything that is older than the journal was written since, other than
/// these variables.
pub(super) unsafe fn touches_old(vm: &Vm, mark: Mark, new: &[*mut Upvalue]) -> bool {
    let journal = &vm.hot.journal;
    // SAFETY: J1, J4.
    let is_new = |table: *mut Table| unsafe {
        (*table).made_in.wrapping_sub(journal.first_number)
            <= journal.number.wrapping_sub(journal.first_number)
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
    vm.hot.journal.since(mark).any(is_old)
}

/// All is as it was at the mark.
pub(super) unsafe fn undo_to(vm: &mut Vm, mark: Mark) {
    // SAFETY: J1, J3.
    unsafe {
        while vm.hot.journal.since(mark).next().is_some() {
            if let Some(entry) = vm.hot.journal.pop() {
                revert(vm, entry);
            }
        }
    }
    vm.hot.journal.recent.fill((0, 0, 0));
}

fn close(vm: &mut Vm) {
    vm.hot.journal.world = None;
    if vm.heap.journaled {
        vm.heap.journaled = false;
        vm.poll.table.set_journaled(false);
        vm.poll.rearm();
    }
    vm.hot.journal.recent.clear();
    vm.hot.journal.pieces = Vec::new();
    vm.hot.journal.boxed = 0;
    vm.hot.journal.count(&vm.heap);
    if vm.heap.has_pending_finalizers() {
        // Polls in the patch's code left them alone.
        vm.poll.request();
    }
}

unsafe fn revert(vm: &mut Vm, entry: Entry) {
    // SAFETY: J1: objects are live; barriers right after the stores.
    unsafe {
        match entry {
            Entry::Field { table, key, old } => {
                let reverted = table::set_keeping(&mut vm.heap, table, key, old);
                debug_assert!(reverted.is_ok(), "J3");
            }
            Entry::Metatable { object, old } => {
                match (*object).kind {
                    Kind::Table => (*object.cast::<Table>()).metatable = old,
                    _ => (*object.cast::<UserData>()).metatable = old,
                }
                if !old.is_null() {
                    vm.heap.barrier_object(object, old.cast());
                }
            }
            Entry::Variable { upvalue, old } => {
                store((*upvalue).value, old);
                vm.heap.barrier(upvalue.cast(), old);
            }
            Entry::NativeVariable { native, index, old } => {
                (&mut (*native).upvalues)[index] = old;
                vm.heap.barrier(native.cast(), old);
            }
            Entry::Captured {
                closure,
                index,
                old,
            } => {
                if old.is_null() {
                    vm.heap.clear_late_upvalue(closure, index);
                } else {
                    vm.heap.set_late_upvalue(closure, index, old);
                }
            }
            Entry::Local(local) => revert_local(vm, &local),
            Entry::Hook(coroutine, old) => hook::put(vm, coroutine, *old),
            Entry::Scope(scope) => {
                let Scope {
                    instance,
                    cells,
                    names,
                    n_runs,
                } = *scope;
                (*instance).cell_names = names;
                (*instance).n_runs = n_runs;
                // As long as it was at most: nothing is allocated.
                vm.heap.change_boxed(instance, |i| {
                    i.cells.truncate(0);
                    i.cells.extend_from_slice(&cells);
                });
                for cell in cells {
                    if !cell.is_null() {
                        vm.heap.barrier_object(instance.cast(), cell.cast());
                    }
                }
            }
            Entry::Module(chunk, old) => {
                if old.is_null() {
                    vm.hot.modules.remove(&*chunk);
                } else {
                    vm.hot.modules.insert(*chunk, old);
                }
            }
            Entry::Slot(slot, flags) => {
                (*slot).header.flags = flags;
                vm.hot.touch((*slot).instance);
            }
        }
    }
}

/// The activation may have ended or gone on, if its coroutine did.
unsafe fn revert_local(vm: &mut Vm, entry: &Local) {
    // SAFETY: J1; the activation is looked for, and has the same registers where
    // it is at the same instruction (D2 for those that are no variables).
    unsafe {
        let stack = (&mut (*entry.coroutine).stack).as_mut_ptr();
        let is_it = |frame: Frame| {
            frame.base.offset_from(stack) as usize == entry.base && frame.pc == entry.pc
        };
        if walk::levels(vm, Some(entry.coroutine)).any(|(frame, _)| is_it(frame)) {
            local::put(stack.add(entry.slot), entry.is_variable, entry.old);
            if let Some(other) = walk::other(vm, Some(entry.coroutine)) {
                vm.heap.note_resumed(other);
            }
        }
    }
}

/// `table[key] = value` without metamethods: how all code of the program, and
/// natives for it, write tables.
///
/// # Safety
/// As [`table::set`].
#[inline(always)]
pub(crate) unsafe fn set(
    vm: &mut Vm,
    table: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe {
        if vm.heap.journaled {
            return set_journaled(vm, table, key, value);
        }
        table::set(&mut vm.heap, table, key, value)
    }
}

#[cold]
#[inline(never)]
unsafe fn set_journaled(
    vm: &mut Vm,
    table: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller; J2, J3.
    unsafe {
        let journal = &mut vm.hot.journal;
        let is_nan = key.tag == tag::FLOAT && key.as_f64().is_nan();
        if (*table).made_in == journal.number || key.is_nil() || is_nan {
            return table::set(&mut vm.heap, table, key, value);
        }
        if !journal.is_known(table.cast(), key.payload, key.tag) {
            if !journal.has_room() && journal.grow(&mut vm.heap, true).is_err() {
                // It is not known after all.
                journal.recent.fill((0, 0, 0));
                return Err(TableError::OutOfMemory);
            }
            let old = table::get(table, key);
            journal.push(&mut vm.heap, Entry::Field { table, key, old });
        }
        table::set_keeping(&mut vm.heap, table, key, value)
    }
}

/// A table was made (J4).
///
/// # Safety
/// It is live and nobody else has it yet.
#[inline(always)]
pub(crate) unsafe fn made(vm: &Vm, table: *mut Table) {
    if vm.heap.journaled {
        // SAFETY: by the caller.
        unsafe { (*table).made_in = vm.hot.journal.number };
    }
}

/// The metatable of a table or userdata is about to be set.
///
/// # Safety
/// The object is live.
pub(crate) unsafe fn metatable(vm: &mut Vm, object: Value) {
    if !vm.heap.journaled {
        return;
    }
    // SAFETY: by the caller.
    unsafe {
        let old = match object.tag {
            tag::TABLE => (*object.as_table()).metatable,
            _ => (*object.as_userdata()).metatable,
        };
        let object = object.header();
        let entry = Entry::Metatable { object, old };
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// A captured variable is about to be written.
///
/// # Safety
/// It is live.
#[inline]
pub(crate) unsafe fn variable(vm: &mut Vm, upvalue: *mut Upvalue) {
    if vm.heap.journaled && !vm.hot.journal.is_known(upvalue.cast(), 0, tag::NIL) {
        // SAFETY: by the caller.
        let old = unsafe { *(*upvalue).value };
        let entry = Entry::Variable { upvalue, old };
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// A captured value of a native is about to be written.
///
/// # Safety
/// It is live, the index in range.
pub(crate) unsafe fn native_variable(vm: &mut Vm, native: *mut Native, index: usize) {
    if vm.heap.journaled
        && !vm
            .hot
            .journal
            .is_known(native.cast(), index as u64, tag::NIL)
    {
        // SAFETY: by the caller.
        let old = unsafe { (&(*native).upvalues)[index] };
        let entry = Entry::NativeVariable { native, index, old };
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// A closure is about to get another variable, or one that it lacks.
///
/// # Safety
/// It is live; it may have a variable of that index.
pub(crate) unsafe fn captured(vm: &mut Vm, closure: *mut Closure, index: usize) {
    if vm.heap.journaled {
        // SAFETY: by the caller.
        let old = unsafe { vm.heap.find_upvalue(closure, index) };
        let entry = Entry::Captured {
            closure,
            index,
            old: old.unwrap_or(std::ptr::null_mut()),
        };
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// Captured variable `index`; made (nil) if the closure lacks it.
///
/// # Safety
/// As [`Heap::late_upvalue`].
pub(crate) unsafe fn late_upvalue(
    vm: &mut Vm,
    closure: *mut Closure,
    index: usize,
) -> *mut Upvalue {
    // SAFETY: by the caller.
    unsafe {
        if vm.heap.journaled && vm.heap.find_upvalue(closure, index).is_none() {
            captured(vm, closure, index);
        }
        vm.heap.late_upvalue(closure, index)
    }
}

/// A slot of an activation of `coroutine` is about to be written.
///
/// # Safety
/// Frame and slot are the coroutine's.
pub(crate) unsafe fn local(
    vm: &mut Vm,
    coroutine: *mut Coroutine,
    frame: Frame,
    slot: *mut Value,
    is_variable: bool,
) {
    if !vm.heap.journaled {
        return;
    }
    // SAFETY: by the caller.
    unsafe {
        let stack = (&(*coroutine).stack).as_ptr();
        let index = |p: *mut Value| p.cast_const().offset_from(stack) as usize;
        let entry = Entry::Local(Box::new(Local {
            coroutine,
            base: index(frame.base),
            pc: frame.pc,
            slot: index(slot),
            is_variable,
            old: *slot,
        }));
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// The debug hook of a coroutine is about to be set.
///
/// # Safety
/// It is live.
pub(crate) unsafe fn hook_of(vm: &mut Vm, coroutine: *mut Coroutine) {
    if vm.heap.journaled {
        // SAFETY: by the caller.
        let old = Box::new(unsafe { (*coroutine).hook });
        let entry = Entry::Hook(coroutine, old);
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// The scope record of an instance is about to change.
///
/// # Safety
/// It is live.
pub(crate) unsafe fn scope(vm: &mut Vm, instance: *mut Instance) {
    if !vm.hot.journal.is_open() || vm.hot.journal.is_known(instance.cast(), 0, tag::NIL) {
        return;
    }
    // SAFETY: by the caller.
    unsafe {
        let entry = Entry::Scope(Box::new(Scope {
            instance,
            cells: (*instance).cells.clone(),
            names: (*instance).cell_names.clone(),
            n_runs: (*instance).n_runs,
        }));
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// Another instance of a module is about to be kept alive.
pub(crate) fn module(vm: &mut Vm, chunk: &Arc<str>) {
    if vm.heap.journaled {
        let old = vm.hot.modules.get(chunk).copied();
        let old = old.unwrap_or(std::ptr::null_mut());
        let entry = Entry::Module(Box::new(Arc::clone(chunk)), old);
        vm.hot.journal.push(&mut vm.heap, entry);
    }
}

/// A listener is about to come or go.
pub(crate) fn listeners(vm: &mut Vm) {
    if vm.heap.journaled
        && let Some(world) = &mut vm.hot.journal.world
    {
        let now = || vm.hot.events.listeners().to_vec();
        world.listeners.get_or_insert_with(now);
    }
}

/// A function's flags are about to change.
///
/// # Safety
/// It is live.
pub(crate) unsafe fn flags(vm: &mut Vm, slot: *mut PrototypeSlot) {
    if vm.heap.journaled {
        // SAFETY: by the caller.
        let old = unsafe { (*slot).header.flags };
        vm.hot.journal.push(&mut vm.heap, Entry::Slot(slot, old));
    }
}
