//! Tables and metatables without metamethods.
//!
//! Invariants: CX1–CX3.

use std::any::{Any, TypeId};
use std::cell::RefCell;

use super::{Context, Outcome, View};
use crate::meta;
use crate::meta_event::Event;
use crate::object::Table;
use crate::table;
use crate::value::{Value, tag};

impl Context<'_> {
    fn table_at(&self, i: usize) -> Option<*mut Table> {
        let v = self.value(i);
        (v.tag == tag::TABLE).then(|| v.as_table())
    }

    fn raw_store(&self, i: usize, key: Value, value: Value) -> Outcome<()> {
        let Some(t) = self.table_at(i) else {
            return Err(self.type_error(i, "table"));
        };
        // SAFETY: CX2.
        match unsafe { self.vm().undo().set(t, key, value) } {
            Ok(()) => Ok(()),
            Err(e) => Err(meta::raise_table_error(&mut self.vm(), e)),
        }
    }

    /// `t[key] = value`, key and value popped from the top. Errors: nil or NaN
    /// key, table overflow.
    pub fn raw_set(&self, table: usize) -> Outcome<()> {
        let value = self.pop_value();
        let key = self.pop_value();
        self.raw_store(table, key, value)
    }

    /// `t[k] = top`, popped.
    #[inline]
    pub fn raw_set_int(&self, table: usize, k: i64) -> Outcome<()> {
        let value = self.pop_value();
        self.raw_store(table, Value::integer(k), value)
    }

    /// `t.k = top`, popped.
    pub fn raw_set_field(&self, table: usize, k: &str) -> Outcome<()> {
        let value = self.pop_value();
        let key = self.vm().string_value(k.as_bytes());
        self.raw_store(table, key, value)
    }

    /// Primitive `t.k`.
    pub fn raw_get_field(&self, table: usize, k: &str) -> View<'_> {
        let key = self.vm().string_value(k.as_bytes());
        match self.table_at(table) {
            // SAFETY: CX2.
            Some(t) => View::of(unsafe { table::get(t, key) }),
            None => View::Nil,
        }
    }

    /// Pops a key, pushes the next key and value; at the end pushes nothing and
    /// answers false. Errors: "invalid key to 'next'".
    pub fn next(&self, table: usize) -> Outcome<bool> {
        let key = self.pop_value();
        let Some(t) = self.table_at(table) else {
            return Err(self.type_error(table, "table"));
        };
        // SAFETY: CX2.
        match unsafe { table::next(t, key) } {
            Ok(Some((k, v))) => {
                self.push_value(k);
                self.push_value(v);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(_) => Err(self.error_plain("invalid key to 'next'")),
        }
    }

    /// Primitive length of a table, string or (0) anything else.
    pub fn raw_len(&self, i: usize) -> i64 {
        let v = self.value(i);
        // SAFETY: CX2.
        unsafe {
            match v.tag {
                tag::TABLE => table::len(v.as_table()),
                tag::STRING => (*v.as_string()).len as i64,
                _ => 0,
            }
        }
    }

    /// Primitive equality.
    pub fn raw_equal(&self, a: usize, b: usize) -> bool {
        self.value(a).raw_equal(self.value(b))
    }

    /// The array part of a table without metatable whose border is exactly its
    /// used length.
    fn plain_array(&self, i: usize) -> Option<*mut Table> {
        let t = self.table_at(i)?;
        // Moving entries is not written down.
        if self.vm().heap.logged {
            return None;
        }
        // SAFETY: CX2.
        unsafe {
            ((*t).metatable.is_null() && table::len(t) == i64::from((*t).array_len)).then_some(t)
        }
    }

    /// Inserts the top value at `pos` of a plain array and pops it; false (and
    /// nothing done) if the table has a metatable or is no plain array there.
    pub fn array_insert(&self, table: usize, pos: i64) -> bool {
        let Some(t) = self.plain_array(table) else {
            return false;
        };
        // SAFETY: CX2; array entries are moved within 1..=n, n grown by one.
        unsafe {
            let n = i64::from((*t).array_len);
            if pos < 1 || pos > n + 1 {
                return false;
            }
            let v = self.below_top(1);
            if v.is_nil() {
                return false;
            }
            if table::set_int(&mut self.vm().heap, t, n + 1, v).is_err()
                || i64::from((*t).array_len) <= n
            {
                // It went to the hash part: still right for an append only.
                if pos != n + 1 {
                    let _ = table::set_int(&mut self.vm().heap, t, n + 1, Value::NIL);
                    return false;
                }
                self.pop(1);
                return true;
            }
            let count = (n + 1 - pos) as usize;
            if count > 0 {
                let at = (pos - 1) as usize;
                let values = (*t).array.add(at);
                let tags = (*t).array.add((*t).array_cap as usize).cast::<u8>().add(at);
                std::ptr::copy(values, values.add(1), count);
                std::ptr::copy(tags, tags.add(1), count);
                // Upward nothing slips behind a traversal; `v` was marked by its store.
                *values = v.payload;
                *tags = v.tag;
            }
            self.pop(1);
            true
        }
    }

    /// Removes entry `pos` of a plain array and pushes it; false if not
    /// applicable.
    pub fn array_remove(&self, table: usize, pos: i64) -> bool {
        let Some(t) = self.plain_array(table) else {
            return false;
        };
        // SAFETY: as array_insert.
        unsafe {
            let n = i64::from((*t).array_len);
            if pos < 1 || pos > n {
                return false;
            }
            let removed = table::get_int(t, pos);
            let count = (n - pos) as usize;
            let at = (pos - 1) as usize;
            let values = (*t).array.add(at);
            let tags = (*t).array.add((*t).array_cap as usize).cast::<u8>().add(at);
            std::ptr::copy(values.add(1), values, count);
            std::ptr::copy(tags.add(1), tags, count);
            self.vm().heap.moved_down(t.cast(), at);
            self.push_value(removed);
            table::set_int(&mut self.vm().heap, t, n, Value::NIL).is_ok()
        }
    }

    /// Sorts entries 1..=n of a plain array if all are numbers or all strings;
    /// false if not applicable: NaNs, or no memory for a copy.
    pub fn array_sort_plain(&self, table: usize, n: i64) -> bool {
        let Some(t) = self.table_at(table) else {
            return false;
        };
        // SAFETY: CX2; only a permutation of the same values is written back.
        unsafe {
            if self.vm().heap.logged
                || !(*t).metatable.is_null()
                || n < 1
                || n > i64::from((*t).array_len)
            {
                return false;
            }
            let n = n as usize;
            let values = (*t).array;
            let tags = values.add((*t).array_cap as usize).cast::<u8>();
            let mut items: Vec<Value> = Vec::new();
            if !self.vm().heap.permit_quietly(n * size_of::<Value>())
                || items.try_reserve_exact(n).is_err()
            {
                return false;
            }
            items.extend((0..n).map(|i| Value::raw(*values.add(i), *tags.add(i))));
            let ints = items.iter().all(|v| v.tag == tag::INTEGER);
            let floats = items
                .iter()
                .all(|v| v.tag == tag::FLOAT && !v.as_f64().is_nan());
            let strings = items.iter().all(|v| v.tag == tag::STRING);
            if ints {
                items.sort_unstable_by_key(|v| v.as_i64());
            } else if floats {
                items.sort_unstable_by(|a, b| a.as_f64().total_cmp(&b.as_f64()));
            } else if strings {
                items.sort_unstable_by(|a, b| {
                    crate::object::StringObject::bytes(a.as_string())
                        .cmp(crate::object::StringObject::bytes(b.as_string()))
                });
            } else {
                return false;
            }
            for (i, v) in items.iter().enumerate() {
                *values.add(i) = v.payload;
                *tags.add(i) = v.tag;
            }
            // The collector may stand in the middle of this array.
            self.vm().heap.retrace(t.cast());
            true
        }
    }

    /// Pushes the metatable of value `i`; false and nothing if it has none.
    pub fn push_metatable(&self, i: usize) -> bool {
        let mt = self.vm().metatable(self.value(i));
        if mt.is_null() {
            return false;
        }
        self.push_value(Value::table(mt));
        true
    }

    /// Pops a table or nil and makes it the metatable of value `i`; registers
    /// finalizers; for basic types sets the type's metatable.
    pub fn set_metatable(&self, i: usize) {
        let mt = self.pop_value();
        let pointer = if mt.tag == tag::TABLE {
            mt.as_table()
        } else {
            std::ptr::null_mut()
        };
        let v = self.value(i);
        let mut vm = self.vm();
        // SAFETY: CX2; barriers after the stores.
        unsafe {
            match v.tag {
                tag::TABLE => {
                    vm.undo().metatable(v);
                    (*v.as_table()).metatable = pointer;
                    vm.heap.barrier(v.header(), mt);
                }
                tag::USERDATA => {
                    vm.undo().metatable(v);
                    (*v.as_userdata()).metatable = pointer;
                    vm.heap.barrier(v.header(), mt);
                }
                tag::NIL => vm.type_metatables[0] = pointer,
                tag::FALSE | tag::TRUE => vm.type_metatables[tag::TRUE as usize] = pointer,
                tag::INTEGER | tag::FLOAT => vm.type_metatables[tag::INTEGER as usize] = pointer,
                tag::CLOSURE | tag::NATIVE => vm.type_metatables[tag::CLOSURE as usize] = pointer,
                t => vm.type_metatables[(t & 15) as usize] = pointer,
            }
            if matches!(v.tag, tag::TABLE | tag::USERDATA)
                && !meta::fast(&vm, pointer, Event::Gc).is_nil()
            {
                vm.heap.register_finalizer(v.header());
            }
        }
    }

    /// Whether a metamethod makes the text of argument `i` (strings and numbers
    /// may have one too).
    #[inline]
    pub fn has_tostring(&self, i: usize) -> bool {
        !meta::of(&self.vm(), self.value(i), Event::ToString).is_nil()
    }

    /// Metafield by name, nil if absent.
    pub fn metafield(&self, i: usize, name: &str) -> View<'_> {
        let mt = self.vm().metatable(self.value(i));
        if mt.is_null() {
            return View::Nil;
        }
        let key = self.vm().string_value(name.as_bytes());
        // SAFETY: CX2.
        View::of(unsafe { table::get(mt, key) })
    }

    /// Pushes the named metatable of the registry, made if new (then true).
    pub fn new_metatable(&self, name: &str) -> bool {
        self.push_registry();
        let registry = self.height() - 1;
        let found = self.raw_get_field(registry, name);
        if !found.is_nil() {
            let v = found.raw();
            self.pop(1);
            self.push_value(v);
            return false;
        }
        self.push_table(0, 4);
        self.push_bytes(name.as_bytes());
        let _ = self.raw_set_field(registry + 1, "__name");
        self.push_at(registry + 1);
        let _ = self.raw_set_field(registry, name);
        self.remove(registry);
        true
    }

    /// State of type `T` the VM keeps for a library, made on first use.
    pub fn host_state<T: Any + Default>(&self) -> &RefCell<T> {
        let state: *const RefCell<T> = {
            let vm = self.vm();
            let mut all = vm.host_state.borrow_mut();
            let entry = all
                .entry(TypeId::of::<T>())
                .or_insert_with(|| Box::new(RefCell::new(T::default())));
            let entry: &Box<dyn Any> = entry;
            // The map is keyed by the type, so the entry is a RefCell<T>.
            std::ptr::from_ref::<dyn Any>(entry.as_ref()).cast()
        };
        // SAFETY: entries are boxed and never removed while the VM lives.
        unsafe { &*state }
    }
}
