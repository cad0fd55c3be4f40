//! `Table`: a handle of a Lua table.

use std::marker::PhantomData;

use moonswap_vm::{Context, Outcome, View};

use crate::value::callback::caught;
use crate::value::handle::Handle;
use crate::{Error, FromLua, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Result, Value};

/// A table.
#[derive(Clone, Debug)]
pub struct Table(pub(crate) Handle);

impl Table {
    /// Runs `f` with the table at the given stack index.
    fn with<R>(&self, f: impl FnOnce(&mut Context<'_>, usize) -> Result<R>) -> Result<R> {
        self.0.lua.attempt(|cx| {
            let at = cx.height();
            cx.push_root(&self.0.root);
            f(cx, at)
        })
    }

    /// `table[key]`, with metamethods.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = &self.0.lua;
        let key = key.into_lua(lua)?;
        let value = self.with(|cx, table| {
            key.push(lua, cx)?;
            checked(cx, |cx| cx.index(table, table + 1))?;
            Ok(Value::pop(lua, cx))
        })?;
        V::from_lua(value, lua)
    }

    /// `table[key] = value`, with metamethods.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = &self.0.lua;
        let (key, value) = (key.into_lua(lua)?, value.into_lua(lua)?);
        self.with(|cx, table| {
            key.push(lua, cx)?;
            value.push(lua, cx)?;
            checked(cx, |cx| cx.set_index(table))
        })
    }

    /// `table[key]` without metamethods.
    pub fn raw_get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = &self.0.lua;
        let key = key.into_lua(lua)?;
        let value = self.with(|cx, table| {
            key.push(lua, cx)?;
            if let View::Table(view) = cx.at(table) {
                cx.push(view.get(cx.at(table + 1)));
            } else {
                cx.push_nil();
            }
            Ok(Value::pop(lua, cx))
        })?;
        V::from_lua(value, lua)
    }

    /// `table[key] = value` without metamethods.
    pub fn raw_set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = &self.0.lua;
        let (key, value) = (key.into_lua(lua)?, value.into_lua(lua)?);
        self.with(|cx, table| {
            key.push(lua, cx)?;
            value.push(lua, cx)?;
            checked(cx, |cx| cx.raw_set(table))
        })
    }

    /// Whether `table[key]` is not nil, with metamethods.
    pub fn contains_key(&self, key: impl IntoLua) -> Result<bool> {
        Ok(!self.get::<Value>(key)?.is_nil())
    }

    /// Appends a value.
    pub fn push(&self, value: impl IntoLua) -> Result<()> {
        let next = self
            .len()?
            .checked_add(1)
            .ok_or_else(|| Error::runtime("table overflow"))?;
        self.set(next, value)
    }

    /// `#table`, with metamethods.
    pub fn len(&self) -> Result<i64> {
        self.with(|cx, table| checked(cx, |cx| cx.length(table)))
    }

    /// `#table` without metamethods.
    pub fn raw_len(&self) -> i64 {
        self.with(|cx, table| Ok(cx.raw_len(table))).unwrap_or(0)
    }

    /// Whether it has no entries at all.
    pub fn is_empty(&self) -> bool {
        self.pairs::<Value, Value>().next().is_none()
    }

    /// Its metatable.
    pub fn metatable(&self) -> Option<Table> {
        let lua = &self.0.lua;
        let found =
            self.with(|cx, table| Ok(cx.push_metatable(table).then(|| Value::pop(lua, cx))));
        match found {
            Ok(Some(Value::Table(metatable))) => Some(metatable),
            _ => None,
        }
    }

    /// Sets or takes away its metatable.
    pub fn set_metatable(&self, metatable: Option<Table>) -> Result<()> {
        let lua = &self.0.lua;
        self.with(|cx, table| {
            metatable.map_or(Value::Nil, Value::Table).push(lua, cx)?;
            cx.set_metatable(table);
            Ok(())
        })
    }

    /// All entries, without metamethods. Entries may be changed meanwhile, not
    /// added.
    pub fn pairs<K: FromLua, V: FromLua>(&self) -> Pairs<K, V> {
        Pairs {
            table: self.clone(),
            key: Some(Value::Nil),
            types: PhantomData,
        }
    }

    /// The values at 1, 2, … up to the first `nil`, without metamethods.
    pub fn sequence_values<V: FromLua>(&self) -> Sequence<V> {
        Sequence {
            table: self.clone(),
            next: Some(1),
            types: PhantomData,
        }
    }

    /// Calls the function in a field.
    pub fn call_function<R: FromLuaMulti>(
        &self,
        name: &str,
        arguments: impl IntoLuaMulti,
    ) -> Result<R> {
        self.get::<Function>(name)?.call(arguments)
    }

    /// Calls the function in a field with the table as first argument.
    pub fn call_method<R: FromLuaMulti>(
        &self,
        name: &str,
        arguments: impl IntoLuaMulti,
    ) -> Result<R> {
        let mut values = arguments.into_lua_multi(&self.0.lua)?;
        values.insert(0, Value::Table(self.clone()));
        self.get::<Function>(name)?.call(values)
    }
}

/// Runs an operation that may raise.
fn checked<R>(cx: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> Outcome<R>) -> Result<R> {
    match f(cx) {
        Ok(result) => Ok(result),
        Err(raised) => Err(caught(cx, raised)),
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.0.lua.is_same(&other.0.lua) && self.0.address() == other.0.address()
    }
}

/// Iterator of [`Table::pairs`].
#[derive(Debug)]
pub struct Pairs<K, V> {
    table: Table,
    /// Where the walk is; `None` at its end.
    key: Option<Value>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: FromLua, V: FromLua> Iterator for Pairs<K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.key.take()?;
        let lua = &self.table.0.lua;
        let found = self.table.with(|cx, table| {
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
                Some(K::from_lua(key, lua).and_then(|key| Ok((key, V::from_lua(value, lua)?))))
            }
        }
    }
}

/// Iterator of [`Table::sequence_values`].
#[derive(Debug)]
pub struct Sequence<V> {
    table: Table,
    next: Option<i64>,
    types: PhantomData<fn() -> V>,
}

impl<V: FromLua> Iterator for Sequence<V> {
    type Item = Result<V>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next.take()?;
        match self.table.raw_get::<Value>(at) {
            Ok(Value::Nil) => None,
            Ok(value) => {
                self.next = at.checked_add(1);
                Some(V::from_lua(value, &self.table.0.lua))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
