//! Lists, maps and sets as tables.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use crate::value::convert::short_name;
use crate::{Error, FromLua, IntoLua, Lua, Result, Table, Value};

/// The table of a value; an error names `T`.
fn table<T>(value: Value) -> Result<Table> {
    match value {
        Value::Table(table) => Ok(table),
        other => Err(Error::conversion(
            other.type_name(),
            short_name::<T>(),
            Some("expected table"),
        )),
    }
}

/// The elements of a list.
fn list<T: FromLua>(table: &Table) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let mut next = 1;
    loop {
        next = table.take_plain(next, &mut values)?;
        // What takes more than a look is converted outside of the VM.
        match table.sequence_from(next).next() {
            None => return Ok(values),
            Some(value) => values.push(value?),
        }
        next += 1;
    }
}

impl<T: IntoLua + Clone> IntoLua for &[T] {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self.iter().cloned())
            .map(Value::Table)
    }
}
impl<T: IntoLua> IntoLua for Vec<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self).map(Value::Table)
    }
}
impl<T: IntoLua> IntoLua for Box<[T]> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self.into_vec()).map(Value::Table)
    }
}
impl<T: IntoLua, const N: usize> IntoLua for [T; N] {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self).map(Value::Table)
    }
}
impl<T: FromLua> FromLua for Vec<T> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        list(&table::<Self>(value)?)
    }
}
impl<T: FromLua> FromLua for Box<[T]> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        Vec::from_lua(value, lua).map(Into::into)
    }
}
impl<T: FromLua, const N: usize> FromLua for [T; N] {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        let table = table::<Self>(value)?;
        let list = list::<T>(&table)?;
        list.try_into().map_err(|list: Vec<T>| {
            let message = format!("expected table of length {N}, got {}", list.len());
            Error::conversion("table", short_name::<Self>(), Some(&message))
        })
    }
}

impl<K: IntoLua + Eq + Hash, V: IntoLua, S: BuildHasher> IntoLua for HashMap<K, V, S> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self).map(Value::Table)
    }
}
impl<K: FromLua + Eq + Hash, V: FromLua, S: BuildHasher + Default> FromLua for HashMap<K, V, S> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        table::<Self>(value)?.pairs().collect()
    }
}
impl<K: IntoLua + Ord, V: IntoLua> IntoLua for BTreeMap<K, V> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self).map(Value::Table)
    }
}
impl<K: FromLua + Ord, V: FromLua> FromLua for BTreeMap<K, V> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        table::<Self>(value)?.pairs().collect()
    }
}

/// The elements of a list (`{ a, b }`) or of a set (`{ [a] = true }`).
fn elements<T: FromLua, C: FromIterator<T>>(value: Value) -> Result<C> {
    let table = table::<C>(value)?;
    // `{ true, … }` is the set of 1, …
    if table.raw_len() > 0 && table.raw_get::<Value>(1)? != Value::Boolean(true) {
        return table.sequence_values().collect();
    }
    let pairs = table.pairs::<T, Value>();
    pairs.map(|pair| pair.map(|(key, _)| key)).collect()
}

impl<T: IntoLua + Eq + Hash, S: BuildHasher> IntoLua for HashSet<T, S> {
    /// `{ [element] = true }`
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self.into_iter().map(|key| (key, true)))
            .map(Value::Table)
    }
}
impl<T: FromLua + Eq + Hash, S: BuildHasher + Default> FromLua for HashSet<T, S> {
    /// From a list or a set.
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        elements::<T, Self>(value)
    }
}
impl<T: IntoLua + Ord> IntoLua for BTreeSet<T> {
    /// `{ [element] = true }`
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self.into_iter().map(|key| (key, true)))
            .map(Value::Table)
    }
}
impl<T: FromLua + Ord> FromLua for BTreeSet<T> {
    /// From a list or a set.
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        elements::<T, Self>(value)
    }
}
