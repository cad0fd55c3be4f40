//! What a table is to other formats: a list or a map.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use super::DeserializeOptions;
use super::LuaSerdeExt as _;
use crate::value::show::order;
use crate::{Error, Result, Table, Value};

/// A table of integer keys is a list if it has at least every tenth item.
const SPARSE: i64 = 10;

pub(super) enum Shape {
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

/// The tables that a value is in.
#[derive(Clone, Default)]
pub(super) struct Path {
    tables: Rc<RefCell<HashSet<usize>>>,
    depth: usize,
}

/// Inside of a table.
pub(super) struct Inside {
    pub(super) path: Path,
    table: Option<usize>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(table) = self.table {
            self.path.tables.borrow_mut().remove(&table);
        }
    }
}

impl Path {
    /// Goes one level deeper.
    pub(super) fn enter(
        &self,
        table: Option<&Table>,
        options: &DeserializeOptions,
    ) -> Result<Inside, &'static str> {
        if self.depth >= options.recursion_limit {
            return Err("recursion limit exceeded");
        }
        let address = table.map(|table| table.to_pointer() as usize);
        let is_new = address.is_none_or(|address| self.tables.borrow_mut().insert(address));
        if !is_new && options.deny_recursive_tables {
            return Err("recursive table detected");
        }
        Ok(Inside {
            path: Self {
                tables: Rc::clone(&self.tables),
                depth: self.depth + 1,
            },
            table: address.filter(|_| is_new),
        })
    }

    /// Whether a value is left out of what it is in.
    pub(super) fn skips(&self, value: &Value, options: &DeserializeOptions) -> bool {
        match value {
            Value::Table(table) => {
                !options.deny_recursive_tables
                    && self
                        .tables
                        .borrow()
                        .contains(&(table.to_pointer() as usize))
            }
            other => !options.deny_unsupported_types && !is_supported(other),
        }
    }

    /// Whether an entry is left out.
    pub(super) fn skips_entry(
        &self,
        key: &Value,
        value: &Value,
        options: &DeserializeOptions,
    ) -> bool {
        let is_odd_key = !options.deny_unsupported_types && key.is_null();
        is_odd_key || self.skips(key, options) || self.skips(value, options)
    }
}

/// Whether other formats have such values.
pub(super) fn is_supported(value: &Value) -> bool {
    match value {
        Value::Function(_) | Value::Thread(_) | Value::Error(_) | Value::Other(_) => false,
        Value::LightUserData(light) => light.0.is_null(),
        Value::UserData(data) => data.serializable().is_some(),
        _ => true,
    }
}

/// The items of a table as a list.
pub(super) fn list(table: &Table) -> Result<Vec<Value>> {
    let end = i64::try_from(table.raw_len()).unwrap_or(i64::MAX);
    (1..=end).map(|at| table.raw_get(at)).collect()
}

/// The entries of a table.
pub(super) fn map(table: &Table, options: &DeserializeOptions) -> Result<Vec<(Value, Value)>> {
    let mut pairs = table.pairs().collect::<Result<Vec<(Value, Value)>>>()?;
    if options.sort_keys {
        pairs.sort_by(|(a, _), (b, _)| order(a, b));
    }
    Ok(pairs)
}

pub(super) fn shape(table: &Table, options: &DeserializeOptions) -> Result<Shape> {
    let lua = table.0.lua().map_err(|_| Error::Destroyed)?;
    if table
        .metatable()
        .is_some_and(|m| m == lua.array_metatable())
    {
        return list(table).map(Shape::List);
    }
    if options.detect_mixed_tables {
        let pairs = map(table, options)?;
        let mut keys = pairs.iter().map(|(key, _)| key.as_integer());
        let last = keys.try_fold(0, |last: i64, key| {
            key.filter(|key| *key > 0).map(|key| key.max(last))
        });
        let n = i64::try_from(pairs.len()).unwrap_or(i64::MAX);
        return match last {
            Some(last) if last > 0 && last / SPARSE < n => {
                let items = (1..=last).map(|at| table.raw_get(at));
                items.collect::<Result<Vec<_>>>().map(Shape::List)
            }
            _ if pairs.is_empty() && options.encode_empty_tables_as_array => {
                Ok(Shape::List(Vec::new()))
            }
            _ => Ok(Shape::Map(pairs)),
        };
    }
    if table.raw_len() > 0 {
        return list(table).map(Shape::List);
    }
    let pairs = map(table, options)?;
    Ok(
        match pairs.is_empty() && options.encode_empty_tables_as_array {
            true => Shape::List(Vec::new()),
            false => Shape::Map(pairs),
        },
    )
}
