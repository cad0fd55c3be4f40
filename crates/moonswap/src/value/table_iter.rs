//! Walks over tables.

use std::fmt;
use std::marker::PhantomData;

use crate::value::raise::checked;
use crate::{FromLua, Result, Table, Value};

/// Iterator of [`Table::pairs`].
pub struct TablePairs<'a, K, V> {
    pub(crate) table: &'a Table,
    /// Where the walk is; `None` at its end.
    pub(crate) key: Option<Value>,
    pub(crate) types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> fmt::Debug for TablePairs<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TablePairs").field(self.table).finish()
    }
}

impl<K: FromLua, V: FromLua> Iterator for TablePairs<'_, K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.key.take()?;
        let found = self.table.0.attempt(|lua, cx, table| {
            key.push(lua, cx)?;
            if !checked(cx, |cx| cx.next(table))? {
                return Ok(None);
            }
            let value = Value::pop(lua, cx);
            Ok(Some((Value::pop(lua, cx), value)))
        });
        match found {
            Ok(None) => None,
            Err(error) => Some(Err(error)),
            Ok(Some((key, value))) => {
                self.key = Some(key.clone());
                Some(self.table.0.lua().and_then(|lua| {
                    let key = K::from_lua(key, &lua)?;
                    Ok((key, V::from_lua(value, &lua)?))
                }))
            }
        }
    }
}

/// Iterator of [`Table::sequence_values`].
pub struct TableSequence<'a, V> {
    pub(crate) table: &'a Table,
    pub(crate) next: Option<i64>,
    pub(crate) types: PhantomData<fn() -> V>,
}

impl<V> fmt::Debug for TableSequence<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TableSequence").field(self.table).finish()
    }
}

impl<V: FromLua> Iterator for TableSequence<'_, V> {
    type Item = Result<V>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next.take()?;
        match self.table.raw_get::<Value>(at) {
            Ok(Value::Nil) => None,
            Ok(value) => {
                self.next = at.checked_add(1);
                Some(self.table.0.lua().and_then(|lua| V::from_lua(value, &lua)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
