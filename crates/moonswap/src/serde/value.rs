//! Lua values as something that serde writes.

use std::fmt;

use ::serde::Serialize;
use ::serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};

use super::DeserializeOptions;
use super::shape::{Path, Shape, is_supported, shape};
use crate::{AnyUserData, LuaString, Table, Value};

/// A value with options of how it is written; [`Value::to_serializable`].
pub struct SerializableValue<'a> {
    value: &'a Value,
    options: DeserializeOptions,
    path: Path,
}

impl fmt::Debug for SerializableValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SerializableValue")
            .field(self.value)
            .finish()
    }
}

impl Value {
    /// The value with options of how it is written to other formats.
    ///
    /// ```
    /// # use moonswap::{Lua, Value};
    /// let lua = Lua::new();
    /// let value: Value = lua.load("{ print }").eval()?;
    /// let lenient = value.to_serializable().deny_unsupported_types(false);
    /// # let _ = lenient;
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn to_serializable(&self) -> SerializableValue<'_> {
        SerializableValue {
            value: self,
            options: DeserializeOptions::default(),
            path: Path::default(),
        }
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl SerializableValue<'_> {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, to: $type) -> Self {
                    self.options.$name = to;
                    self
                }
            )*
        }
    };
}
options! {
    /// How deep tables may be nested; 128 unless set.
    recursion_limit: usize;
    /// Whether functions, coroutines and the like are errors (yes unless set), or left
    /// out.
    deny_unsupported_types: bool;
    /// Whether a table in itself is an error (yes unless set), or left out.
    deny_recursive_tables: bool;
    /// Whether the entries of maps are in the order of their keys; no unless set.
    sort_keys: bool;
    /// Whether an empty table is a list; no unless set.
    encode_empty_tables_as_array: bool;
    /// Whether a table that is list and map is a map with all entries, and a list with
    /// holes a list; no unless set: then what is behind the list is left out.
    detect_mixed_tables: bool;
}

impl Serialize for SerializableValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Nil => serializer.serialize_unit(),
            value if value.is_null() => serializer.serialize_unit(),
            Value::Boolean(b) => serializer.serialize_bool(*b),
            Value::Integer(i) => serializer.serialize_i64(*i),
            Value::Number(n) => serializer.serialize_f64(*n),
            Value::String(text) => text.serialize(serializer),
            Value::Table(table) => self.table(table, serializer),
            Value::UserData(data) => match data.serializable() {
                Some(data) => data.serialize(serializer),
                None => self.unsupported(serializer),
            },
            _ => self.unsupported(serializer),
        }
    }
}

impl SerializableValue<'_> {
    fn unsupported<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        debug_assert!(!is_supported(self.value));
        match self.options.deny_unsupported_types {
            true => Err(S::Error::custom(format_args!(
                "cannot serialize <{}>",
                self.value.type_name()
            ))),
            false => serializer.serialize_unit(),
        }
    }

    fn table<S: Serializer>(&self, table: &Table, serializer: S) -> Result<S::Ok, S::Error> {
        let inside = self.path.enter(Some(table), &self.options);
        let inside = inside.map_err(S::Error::custom)?;
        let part = |value| SerializableValue {
            value,
            options: self.options,
            path: inside.path.clone(),
        };
        match shape(table, &self.options).map_err(S::Error::custom)? {
            Shape::List(items) => {
                let mut list = serializer.serialize_seq(None)?;
                for item in &items {
                    if !inside.path.skips(item, &self.options) {
                        list.serialize_element(&part(item))?;
                    }
                }
                list.end()
            }
            Shape::Map(pairs) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in &pairs {
                    if !inside.path.skips_entry(key, value, &self.options) {
                        map.serialize_entry(&part(key), &part(value))?;
                    }
                }
                map.end()
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_serializable().serialize(serializer)
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Table(self.clone()).serialize(serializer)
    }
}

impl Serialize for AnyUserData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::UserData(self.clone()).serialize(serializer)
    }
}

impl Serialize for LuaString {
    /// As text, or as bytes if it is none.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.as_bytes();
        match std::str::from_utf8(&bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(&bytes),
        }
    }
}
