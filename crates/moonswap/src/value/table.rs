//! `Table`: a handle of a Lua table.

use std::ffi::c_void;
use std::marker::PhantomData;

use moonswap_vm::{Context, View};

use crate::value::handle::Handle;
use crate::value::raise::checked;
use crate::value::table_iter::{TablePairs, TableSequence};
use crate::{Error, FromLua, IntoLua, Lua, Result, Value, WeakLua};

/// A table.
///
/// ```
/// use moonswap::{Lua, Table};
/// let lua = Lua::new();
/// let table: Table = lua.load("{ 10, 20, name = 'x' }").eval()?;
/// table.push(30)?;
/// assert_eq!(table.get::<i64>(3)?, 30);
/// assert_eq!(table.get::<String>("name")?, "x");
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Table(pub(crate) Handle);

/// What goes to the stack: as it is, or converted before the VM is entered.
enum Pushed<T> {
    Direct(T),
    Value(Value),
}

impl<T: IntoLua> Pushed<T> {
    fn new(value: T, lua: &Lua) -> Result<Self> {
        match T::IS_DIRECT {
            true => Ok(Self::Direct(value)),
            false => value.into_lua(lua).map(Self::Value),
        }
    }

    fn push(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
        match self {
            Self::Direct(value) => value.push_direct(lua, cx),
            Self::Value(value) => value.push(lua, cx),
        }
    }
}

impl Table {
    /// `table[key]`, with metamethods.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        self.take(key, |cx, table| {
            checked(cx, |cx| cx.index(table, table + 1))?;
            Ok(())
        })
    }

    /// `table[key] = value`, with metamethods.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        self.put(key, value, |cx, table| {
            checked(cx, |cx| cx.set_index(table))
        })
    }

    /// `table[key]` without metamethods.
    pub fn raw_get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        self.take(key, |cx, table| {
            match cx.at(table) {
                View::Table(view) => cx.push(view.get(cx.at(table + 1))),
                _ => cx.push_nil(),
            }
            Ok(())
        })
    }

    /// `table[key] = value` without metamethods.
    pub fn raw_set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        self.put(key, value, |cx, table| checked(cx, |cx| cx.raw_set(table)))
    }

    /// Appends the elements of the list from an index on, as far as they are there and
    /// need no conversion; the index of the first that is not taken.
    pub(crate) fn take_plain<V: FromLua>(&self, first: i64, values: &mut Vec<V>) -> Result<i64> {
        self.0.attempt(|lua, cx, table| {
            let mut next = first;
            loop {
                let View::Table(view) = cx.at(table) else {
                    return Ok(next);
                };
                let element = view.get(View::Integer(next));
                if let View::Nil = element {
                    return Ok(next);
                }
                cx.push(element);
                let Some(value) = V::take_direct(lua, cx, table + 1) else {
                    return Ok(next);
                };
                values.push(value);
                cx.set_height(table + 1);
                next += 1;
            }
        })
    }

    /// The value that `get` leaves on the stack, where it finds the key above the table.
    fn take<V: FromLua>(
        &self,
        key: impl IntoLua,
        get: impl FnOnce(&mut Context<'_>, usize) -> Result<()>,
    ) -> Result<V> {
        let lua = self.0.lua()?;
        let key = Pushed::new(key, &lua)?;
        let value = lua.attempt(|cx| {
            let table = cx.height();
            self.0.push(&lua, cx)?;
            key.push(&lua, cx)?;
            get(cx, table)?;
            let top = cx.height() - 1;
            Ok(match V::take_direct(&lua, cx, top) {
                Some(value) => Ok(value),
                None => Err(Value::pop(&lua, cx)),
            })
        })?;
        value.or_else(|value| V::from_lua(value, &lua))
    }

    /// `set` finds key and value on the stack, above the table.
    fn put(
        &self,
        key: impl IntoLua,
        value: impl IntoLua,
        set: impl FnOnce(&mut Context<'_>, usize) -> Result<()>,
    ) -> Result<()> {
        let lua = self.0.lua()?;
        let (key, value) = (Pushed::new(key, &lua)?, Pushed::new(value, &lua)?);
        lua.attempt(|cx| {
            let table = cx.height();
            self.0.push(&lua, cx)?;
            key.push(&lua, cx)?;
            value.push(&lua, cx)?;
            set(cx, table)
        })
    }

    /// Whether `table[key]` is not nil, with metamethods.
    pub fn contains_key(&self, key: impl IntoLua) -> Result<bool> {
        Ok(!self.get::<Value>(key)?.is_nil())
    }

    /// Appends a value, with metamethods.
    pub fn push(&self, value: impl IntoLua) -> Result<()> {
        // The conversion may change what there is.
        let value = value.into_lua(&self.0.lua()?)?;
        self.set(after(self.len()?)?, value)
    }

    /// Takes the last value away, with metamethods; `nil` of an empty list.
    pub fn pop<V: FromLua>(&self) -> Result<V> {
        let last = self.len()?;
        let value = match last {
            0 => Value::Nil,
            _ => {
                let value = self.get::<Value>(last)?;
                self.set(last, Value::Nil)?;
                value
            }
        };
        V::from_lua(value, &self.0.lua()?)
    }

    /// Appends a value without metamethods.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let table = lua.create_sequence_from([1, 2])?;
    /// table.raw_push(3)?;
    /// assert_eq!(table.raw_pop::<i64>()?, 3);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn raw_push(&self, value: impl IntoLua) -> Result<()> {
        let value = value.into_lua(&self.0.lua()?)?;
        self.raw_set(after(self.raw_length()?)?, value)
    }

    /// Takes the last value away without metamethods; `nil` of an empty list.
    pub fn raw_pop<V: FromLua>(&self) -> Result<V> {
        let last = self.raw_length()?;
        let value = match last {
            0 => Value::Nil,
            _ => {
                let value = self.raw_get::<Value>(last)?;
                self.raw_set(last, Value::Nil)?;
                value
            }
        };
        V::from_lua(value, &self.0.lua()?)
    }

    /// Puts a value into the list at `index` and shifts up what is there, without
    /// metamethods.
    ///
    /// # Errors
    /// Outside of the list and the place behind it.
    pub fn raw_insert(&self, index: i64, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua()?;
        let value = value.into_lua(&lua)?;
        let size = self.raw_length()?;
        if index < 1 || index > after(size)? {
            return Err(Error::runtime("index out of bounds"));
        }
        self.0.attempt(|lua, cx, table| {
            for at in (index..=size).rev() {
                move_entry(cx, table, at, at + 1)?;
            }
            value.push(lua, cx)?;
            checked(cx, |cx| cx.raw_set_int(table, index))
        })
    }

    /// Removes an entry of the list and shifts down what is behind it, or the entry
    /// of another key, without metamethods.
    ///
    /// # Errors
    /// For an integer outside of the list.
    pub fn raw_remove(&self, key: impl IntoLua) -> Result<()> {
        let lua = self.0.lua()?;
        let key = key.into_lua(&lua)?;
        let Value::Integer(index) = key else {
            return self.raw_set(key, Value::Nil);
        };
        let size = self.raw_length()?;
        if index < 1 || index > size {
            return Err(Error::runtime("index out of bounds"));
        }
        self.0.attempt(|_, cx, table| {
            for at in index..size {
                move_entry(cx, table, at + 1, at)?;
            }
            cx.push_nil();
            checked(cx, |cx| cx.raw_set_int(table, size))
        })
    }

    /// [`Self::raw_remove`] with metamethods.
    pub fn remove(&self, key: impl IntoLua) -> Result<()> {
        let lua = self.0.lua()?;
        let key = key.into_lua(&lua)?;
        let Value::Integer(index) = key else {
            return self.set(key, Value::Nil);
        };
        let size = self.len()?;
        if index < 1 || index > size {
            return Err(Error::runtime("index out of bounds"));
        }
        for at in index..size {
            self.set(at, self.get::<Value>(at + 1)?)?;
        }
        self.set(size, Value::Nil)
    }

    /// Removes all entries, without metamethods.
    pub fn clear(&self) -> Result<()> {
        self.0.attempt(|_, cx, table| {
            cx.push_nil();
            while checked(cx, |cx| cx.next(table))? {
                cx.pop(1);
                cx.push_at(cx.height() - 1);
                cx.push_nil();
                checked(cx, |cx| cx.raw_set(table))?;
            }
            Ok(())
        })
    }

    /// `self == other`, with metamethods.
    pub fn equals(&self, other: &Self) -> Result<bool> {
        Value::Table(self.clone()).equals(&Value::Table(other.clone()))
    }

    /// `#table`, with metamethods.
    pub fn len(&self) -> Result<i64> {
        self.0
            .attempt(|_, cx, table| checked(cx, |cx| cx.length(table)))
    }

    fn raw_length(&self) -> Result<i64> {
        self.0.with(|_, cx, table| cx.raw_len(table))
    }

    /// `#table` without metamethods; 0 if the VM is gone.
    pub fn raw_len(&self) -> usize {
        self.raw_length().map_or(0, |length| length as usize)
    }

    /// Whether it has no entries at all.
    pub fn is_empty(&self) -> bool {
        self.pairs::<Value, Value>().next().is_none()
    }

    /// Its metatable.
    pub fn metatable(&self) -> Option<Table> {
        let found = self
            .0
            .with(|lua, cx, table| cx.push_metatable(table).then(|| Value::pop(lua, cx)));
        match found {
            Ok(Some(Value::Table(metatable))) => Some(metatable),
            _ => None,
        }
    }

    /// Whether it has a metatable.
    pub fn has_metatable(&self) -> bool {
        self.metatable().is_some()
    }

    /// Sets or takes away its metatable.
    pub fn set_metatable(&self, metatable: Option<Table>) -> Result<()> {
        self.0.attempt(|lua, cx, table| {
            metatable.map_or(Value::Nil, Value::Table).push(lua, cx)?;
            cx.set_metatable(table);
            Ok(())
        })
    }

    /// Identity of the object.
    pub fn to_pointer(&self) -> *const c_void {
        self.0.pointer()
    }

    /// Its VM.
    pub fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }

    /// All entries, without metamethods. Entries may be changed meanwhile, not
    /// added.
    pub fn pairs<K: FromLua, V: FromLua>(&self) -> TablePairs<'_, K, V> {
        TablePairs {
            table: self,
            key: Some(Value::Nil),
            types: PhantomData,
        }
    }

    /// Calls `f` for all entries, without metamethods.
    ///
    /// # Errors
    /// The first of `f`, or of the conversions.
    pub fn for_each<K: FromLua, V: FromLua>(
        &self,
        mut f: impl FnMut(K, V) -> Result<()>,
    ) -> Result<()> {
        self.pairs().try_for_each(|pair| {
            let (key, value) = pair?;
            f(key, value)
        })
    }

    /// The values at 1, 2, … up to the first `nil`, without metamethods.
    pub fn sequence_values<V: FromLua>(&self) -> TableSequence<'_, V> {
        self.sequence_from(1)
    }

    /// [`sequence_values`](Self::sequence_values) from an index on.
    pub(crate) fn sequence_from<V: FromLua>(&self, first: i64) -> TableSequence<'_, V> {
        TableSequence {
            table: self,
            next: Some(first),
            types: PhantomData,
        }
    }

    /// Calls `f` for the values at 1, 2, … up to the first `nil`.
    #[doc(hidden)]
    pub fn for_each_value<V: FromLua>(&self, mut f: impl FnMut(V) -> Result<()>) -> Result<()> {
        self.sequence_values().try_for_each(|value| f(value?))
    }
}

/// The place behind the last one.
fn after(last: i64) -> Result<i64> {
    last.checked_add(1)
        .ok_or_else(|| Error::runtime("table overflow"))
}

fn move_entry(cx: &mut Context<'_>, table: usize, from: i64, to: i64) -> Result<()> {
    if let View::Table(view) = cx.at(table) {
        cx.push(view.get_int(from));
    }
    checked(cx, |cx| cx.raw_set_int(table, to))
}

impl<T: IntoLua + Clone> PartialEq<[T]> for Table {
    /// Whether it is a list of these values, without metamethods.
    fn eq(&self, other: &[T]) -> bool {
        let Ok(lua) = self.0.lua() else {
            return false;
        };
        let mut values = self.sequence_values::<Value>();
        let same = other.iter().all(|wanted| {
            let wanted = wanted.clone().into_lua(&lua);
            matches!((values.next(), wanted), (Some(Ok(found)), Ok(wanted)) if found == wanted)
        });
        same && values.next().is_none()
    }
}
impl<T: IntoLua + Clone> PartialEq<&[T]> for Table {
    fn eq(&self, other: &&[T]) -> bool {
        *self == **other
    }
}
impl<T: IntoLua + Clone, const N: usize> PartialEq<[T; N]> for Table {
    fn eq(&self, other: &[T; N]) -> bool {
        *self == other[..]
    }
}
