//! Writing down: what everybody calls who writes something that a patch's code may
//! have found there.
//!
//! Invariants: J2, J3, J4.

use std::sync::Arc;

use super::{Entry, Local, Outer, Scope, UndoLog};
use crate::frame::Frame;
use crate::heap::Heap;
use crate::object::{Closure, Coroutine, Instance, Native, PrototypeSlot, Table, Upvalue};
use crate::table::{self, TableError};
use crate::value::{Value, tag};

/// The log, and the heap that its entries are about.
pub(crate) struct Recorder<'vm> {
    pub(crate) log: &'vm mut UndoLog,
    pub(crate) heap: &'vm mut Heap,
}

impl Recorder<'_> {
    /// `table[key] = value` without metamethods: how all code of the program, and
    /// natives for it, write tables.
    ///
    /// # Safety
    /// As [`table::set`].
    #[inline(always)]
    pub(crate) unsafe fn set(
        &mut self,
        table: *mut Table,
        key: Value,
        value: Value,
    ) -> Result<(), TableError> {
        // SAFETY: by the caller.
        unsafe {
            if self.heap.logged {
                return self.set_logged(table, key, value);
            }
            table::set(self.heap, table, key, value)
        }
    }

    /// # Safety
    /// A live table of this heap's, live key and value; the log is open (J1).
    #[cold]
    #[inline(never)]
    unsafe fn set_logged(
        &mut self,
        table: *mut Table,
        key: Value,
        value: Value,
    ) -> Result<(), TableError> {
        // SAFETY: by the caller; J2, J3.
        unsafe {
            let log = &mut *self.log;
            let is_nan = key.tag == tag::FLOAT && key.as_f64().is_nan();
            if (*table).made_in == log.number || key.is_nil() || is_nan {
                return table::set(self.heap, table, key, value);
            }
            if !log.is_known(table.cast(), key.payload, key.tag) {
                if !log.has_room() && log.grow(self.heap, true).is_err() {
                    // It is not known after all.
                    log.forget_recent();
                    return Err(TableError::OutOfMemory);
                }
                let old = table::get(table, key);
                log.push(self.heap, Entry::Field { table, key, old });
            }
            table::set_keeping(self.heap, table, key, value)
        }
    }

    /// A table was made (J4).
    ///
    /// # Safety
    /// It is live and nobody else has it yet.
    #[inline(always)]
    pub(crate) unsafe fn made(&self, table: *mut Table) {
        if self.heap.logged {
            // SAFETY: by the caller.
            unsafe { (*table).made_in = self.log.number };
        }
    }

    /// The metatable of a table or userdata is about to be set.
    ///
    /// # Safety
    /// The object is live.
    pub(crate) unsafe fn metatable(&mut self, object: Value) {
        if !self.heap.logged {
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
            self.log.push(self.heap, entry);
        }
    }

    /// A captured variable is about to be written.
    ///
    /// # Safety
    /// It is live.
    #[inline]
    pub(crate) unsafe fn variable(&mut self, upvalue: *mut Upvalue) {
        if self.heap.logged && !self.log.is_known(upvalue.cast(), 0, tag::NIL) {
            // SAFETY: by the caller.
            let old = unsafe { *(*upvalue).value };
            let entry = Entry::Variable { upvalue, old };
            self.log.push(self.heap, entry);
        }
    }

    /// A captured value of a native is about to be written.
    ///
    /// # Safety
    /// It is live, the index in range.
    pub(crate) unsafe fn native_variable(&mut self, native: *mut Native, index: usize) {
        if self.heap.logged && !self.log.is_known(native.cast(), index as u64, tag::NIL) {
            // SAFETY: by the caller.
            let old = unsafe { (&(*native).upvalues)[index] };
            let entry = Entry::NativeVariable { native, index, old };
            self.log.push(self.heap, entry);
        }
    }

    /// A closure is about to get another variable, or one that it lacks.
    ///
    /// # Safety
    /// It is live; it may have a variable of that index.
    pub(crate) unsafe fn captured(&mut self, closure: *mut Closure, index: usize) {
        if self.heap.logged {
            // SAFETY: by the caller.
            let old = unsafe { self.heap.find_upvalue(closure, index) };
            let entry = Entry::Captured {
                closure,
                index,
                old: old.unwrap_or(std::ptr::null_mut()),
            };
            self.log.push(self.heap, entry);
        }
    }

    /// Captured variable `index`; made (nil) if the closure lacks it.
    ///
    /// # Safety
    /// As [`Heap::backfilled_upvalue`].
    pub(crate) unsafe fn backfilled_upvalue(
        &mut self,
        closure: *mut Closure,
        index: usize,
    ) -> *mut Upvalue {
        // SAFETY: by the caller.
        unsafe {
            if self.heap.logged && self.heap.find_upvalue(closure, index).is_none() {
                self.captured(closure, index);
            }
            self.heap.backfilled_upvalue(closure, index)
        }
    }

    /// A slot of an activation of `coroutine` is about to be written.
    ///
    /// # Safety
    /// Frame and slot are the coroutine's.
    pub(crate) unsafe fn local(
        &mut self,
        coroutine: *mut Coroutine,
        frame: Frame,
        slot: *mut Value,
        is_variable: bool,
    ) {
        if !self.heap.logged {
            return;
        }
        // SAFETY: by the caller.
        unsafe {
            let stack = (&(*coroutine).stack).as_ptr();
            let index = |p: *mut Value| p.cast_const().offset_from(stack) as usize;
            let entry = Entry::Outer(Outer::Local(Box::new(Local {
                coroutine,
                base: index(frame.base),
                pc: frame.pc,
                slot: index(slot),
                is_variable,
                old: *slot,
            })));
            self.log.push(self.heap, entry);
        }
    }

    /// The debug hook of a coroutine is about to be set.
    ///
    /// # Safety
    /// It is live.
    pub(crate) unsafe fn hook_of(&mut self, coroutine: *mut Coroutine) {
        if self.heap.logged {
            // SAFETY: by the caller.
            let old = Box::new(unsafe { (*coroutine).hook });
            let entry = Entry::Outer(Outer::Hook(coroutine, old));
            self.log.push(self.heap, entry);
        }
    }

    /// The scope record of an instance is about to change.
    ///
    /// # Safety
    /// It is live.
    pub(crate) unsafe fn scope(&mut self, instance: *mut Instance) {
        if !self.log.is_open() || self.log.is_known(instance.cast(), 0, tag::NIL) {
            return;
        }
        // SAFETY: by the caller.
        unsafe {
            let entry = Entry::Scope(Box::new(Scope {
                instance,
                cells: Instance::cells(instance).to_vec(),
                names: Instance::cell_names(instance).to_vec(),
                n_runs: (*instance).header.word,
            }));
            self.log.push(self.heap, entry);
        }
    }

    /// A function's flags are about to change.
    ///
    /// # Safety
    /// It is live.
    pub(crate) unsafe fn flags(&mut self, slot: *mut PrototypeSlot) {
        if self.heap.logged {
            // SAFETY: by the caller.
            let old = unsafe { (*slot).header.flags };
            self.log
                .push(self.heap, Entry::Outer(Outer::Slot(slot, old)));
        }
    }

    /// Another instance of a module is about to be kept alive than `old`; null: none
    /// was.
    pub(crate) fn module(&mut self, chunk: &Arc<str>, old: *mut Instance) {
        if self.heap.logged {
            let entry = Entry::Outer(Outer::Module(Box::new(Arc::clone(chunk)), old));
            self.log.push(self.heap, entry);
        }
    }
}
