//! Weak tables: decided in the atomic step. Invariants: see `marker.rs`.

use super::marker::{Marker, Weak};
use crate::object::{Node, Table};
use crate::table::{node_count, tag_at};
use crate::value::{Value, tag};

impl Marker {
    /// Mode now; it may have changed since the traversal.
    ///
    /// # Safety
    /// M1: a live table that was marked in this cycle.
    unsafe fn mode_of(&self, t: *mut Table) -> Weak {
        // SAFETY: t was marked in this cycle.
        unsafe {
            let metatable = (*t).metatable;
            if metatable.is_null() {
                Weak::No
            } else {
                self.weak_mode(metatable)
            }
        }
    }

    /// Marks everything that weak tables keep alive: keys of weak-value
    /// tables, values whose keys are alive; until nothing changes.
    ///
    /// # Safety
    /// Called in the atomic step.
    pub(super) unsafe fn converge(&mut self) {
        // SAFETY: M1.
        unsafe {
            self.drain(usize::MAX);
            let mut i = 0;
            // Tables are added while draining.
            while i < self.weak.len() {
                let t = self.weak[i];
                match self.mode_of(t) {
                    // Became strong meanwhile.
                    Weak::No => self.retrace(t),
                    Weak::Values => self.mark_keys(t),
                    Weak::Keys => self.mark_array(t),
                    Weak::All => {}
                }
                self.drain(usize::MAX);
                i += 1;
            }
            // Alternating directions: chains in table order need two rounds.
            let mut backwards = false;
            loop {
                self.drain(usize::MAX);
                let mut changed = false;
                let n = self.weak.len();
                for i in 0..n {
                    let t = self.weak[if backwards { n - 1 - i } else { i }];
                    if self.mode_of(t) == Weak::Keys {
                        changed |= self.ephemerons(t, backwards);
                        self.drain(usize::MAX);
                    }
                }
                if !changed && self.weak.len() == n {
                    return;
                }
                backwards = !backwards;
            }
        }
    }

    /// # Safety
    /// M1: a live table that was marked in this cycle.
    unsafe fn mark_keys(&mut self, t: *mut Table) {
        // SAFETY: M1.
        unsafe {
            for i in 0..node_count(t) {
                let n = (*t).nodes.add(i);
                if (*n).value_tag != tag::NIL {
                    self.mark_value(Value::raw((*n).key, (*n).key_tag));
                }
            }
        }
    }

    /// # Safety
    /// M1: a live table that was marked in this cycle.
    unsafe fn mark_array(&mut self, t: *mut Table) {
        // SAFETY: M1.
        unsafe {
            for i in 0..(*t).array_len as usize {
                self.mark_value(Value::raw(*(*t).array.add(i), *tag_at(t, i)));
            }
        }
    }

    /// One pass; true if a value was marked.
    ///
    /// # Safety
    /// M1: a live table that was marked in this cycle.
    unsafe fn ephemerons(&mut self, t: *mut Table, backwards: bool) -> bool {
        // SAFETY: M1.
        unsafe {
            let count = node_count(t);
            let mut changed = false;
            for i in 0..count {
                let n = (*t).nodes.add(if backwards { count - 1 - i } else { i });
                if (*n).value_tag == tag::NIL {
                    continue;
                }
                let key = Value::raw((*n).key, (*n).key_tag);
                let value = Value::raw((*n).value, (*n).value_tag);
                if !self.is_white(value) {
                    continue;
                }
                if key.tag == tag::STRING {
                    self.mark_value(key);
                }
                if !self.is_white(key) {
                    self.mark_value(value);
                    // Follow at once: a chain within one table is then done
                    // in one pass in good order.
                    self.drain(usize::MAX);
                    changed = true;
                }
            }
            changed
        }
    }

    /// Removes entries with dead values from the weak-value tables from
    /// `start` on.
    ///
    /// # Safety
    /// Marking is complete but for what finalizers will resurrect.
    pub(super) unsafe fn clear_values(&mut self, start: usize) {
        // SAFETY: M1.
        unsafe {
            for i in start..self.weak.len() {
                let t = self.weak[i];
                if !matches!(self.mode_of(t), Weak::Values | Weak::All) {
                    continue;
                }
                for i in 0..(*t).array_len as usize {
                    let value_tag = tag_at(t, i);
                    if self.dies(Value::raw(*(*t).array.add(i), *value_tag)) {
                        *value_tag = tag::NIL;
                    }
                }
                let count = node_count(t);
                for i in 0..count {
                    let n = (*t).nodes.add(i);
                    if self.dies(Value::raw((*n).value, (*n).value_tag)) {
                        self.remove(n, count);
                    }
                }
            }
        }
    }

    /// Removes entries with dead keys from weak-key tables.
    ///
    /// # Safety
    /// Marking is complete.
    pub(super) unsafe fn clear_keys(&mut self) {
        // SAFETY: M1.
        unsafe {
            for i in 0..self.weak.len() {
                let t = self.weak[i];
                if !matches!(self.mode_of(t), Weak::Keys | Weak::All) {
                    continue;
                }
                let count = node_count(t);
                for i in 0..count {
                    let n = (*t).nodes.add(i);
                    if (*n).value_tag == tag::NIL {
                        self.removed_key(n, count);
                    } else if self.dies(Value::raw((*n).key, (*n).key_tag)) {
                        self.remove(n, count);
                    }
                }
            }
        }
    }

    /// White and not a string (strings in use are kept: marked now).
    ///
    /// # Safety
    /// V1.
    unsafe fn dies(&mut self, value: Value) -> bool {
        // SAFETY: M1.
        unsafe {
            if value.tag == tag::STRING {
                self.mark_value(value);
                return false;
            }
            self.is_white(value)
        }
    }

    /// # Safety
    /// M1: `count` nodes of a live table.
    unsafe fn remove(&mut self, n: *mut Node, count: usize) {
        // SAFETY: M1.
        unsafe {
            (*n).value_tag = tag::NIL;
            self.removed_key(n, count);
        }
    }
}
