//! Taking entries back.
//!
//! Invariants: J1, J3.

use super::{Entry, Mark, Outer, Scope, UndoLog};
use crate::heap::Heap;
use crate::object::{Instance, Kind, Table, UserData};
use crate::table;
use crate::value::store;

impl UndoLog {
    /// Takes the newest entries back, to the mark if there is one, until one comes
    /// that the caller has to take back before it goes on.
    ///
    /// # Safety
    /// The log is open (J1).
    pub(crate) unsafe fn revert(&mut self, heap: &mut Heap, mark: Option<Mark>) -> Option<Outer> {
        while mark.is_none_or(|mark| self.since(mark).next().is_some()) {
            match self.pop() {
                Some(Entry::Outer(outer)) => return Some(outer),
                // SAFETY: by the caller.
                Some(entry) => unsafe { revert(heap, entry) },
                None => break,
            }
        }
        self.forget_recent();
        None
    }
}

/// # Safety
/// J1, J3: an entry of the open log.
unsafe fn revert(heap: &mut Heap, entry: Entry) {
    // SAFETY: J1: objects are live; barriers right after the stores.
    unsafe {
        match entry {
            Entry::Field { table, key, old } => {
                let reverted = table::set_keeping(heap, table, key, old);
                debug_assert!(reverted.is_ok(), "J3");
            }
            Entry::Metatable { object, old } => {
                match (*object).kind {
                    Kind::Table => (*object.cast::<Table>()).metatable = old,
                    _ => (*object.cast::<UserData>()).metatable = old,
                }
                if !old.is_null() {
                    heap.barrier_object(object, old.cast());
                }
            }
            Entry::Variable { upvalue, old } => {
                store((*upvalue).value, old);
                heap.barrier(upvalue.cast(), old);
            }
            Entry::NativeVariable { native, index, old } => {
                (&mut (*native).upvalues)[index] = old;
                heap.barrier(native.cast(), old);
            }
            Entry::Captured {
                closure,
                index,
                old,
            } => {
                if old.is_null() {
                    heap.clear_backfilled_upvalue(closure, index);
                } else {
                    heap.set_backfilled_upvalue(closure, index, old);
                }
            }
            Entry::Scope(scope) => {
                let Scope {
                    instance,
                    cells,
                    names,
                    n_runs,
                } = *scope;
                (*instance).header.word = n_runs;
                if Instance::more(instance).is_some() {
                    // As long as it was at most: nothing is allocated.
                    heap.more(instance, |more| {
                        *more.cell_names.list() = names;
                        more.cells.truncate(0);
                        more.cells.extend_from_slice(&cells);
                    });
                }
                for cell in cells {
                    if !cell.is_null() {
                        heap.barrier_object(instance.cast(), cell.cast());
                    }
                }
            }
            Entry::Outer(_) => {}
        }
    }
}
