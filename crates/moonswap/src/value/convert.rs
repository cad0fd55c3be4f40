//! Rust values to Lua and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use moonswap_vm::View;

use crate::{
    AnyUserData, Error, Function, LightUserData, Lua, LuaString, Result, Table, Thread, Value,
};

/// A Rust value as a Lua value.
pub trait IntoLua: Sized {
    /// Converts.
    fn into_lua(self, lua: &Lua) -> Result<Value>;
}

/// A Rust value from a Lua value.
pub trait FromLua: Sized {
    /// Converts; an error says what was expected.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self>;
}

impl IntoLua for Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self)
    }
}
impl FromLua for Value {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        Ok(value)
    }
}
impl IntoLua for &Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self.clone())
    }
}

macro_rules! handles {
    ($($type:ident $variant:ident $name:literal;)*) => { $(
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self))
            }
        }
        impl IntoLua for &$type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self.clone()))
            }
        }
        impl FromLua for $type {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                match value {
                    Value::$variant(handle) => Ok(handle),
                    other => Err(Error::conversion($name, other.type_name())),
                }
            }
        }
    )* };
}
handles! {
    Table Table "table";
    Function Function "function";
    Thread Thread "thread";
    AnyUserData UserData "userdata";
    LightUserData LightUserData "light userdata";
    Error Error "error";
}

impl IntoLua for LuaString {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::String(self))
    }
}
impl IntoLua for &LuaString {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::String(self.clone()))
    }
}
impl FromLua for LuaString {
    /// Numbers are converted, as everywhere in Lua.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        match value {
            Value::String(string) => Ok(string),
            Value::Integer(_) | Value::Number(_) => lua.attempt(|cx| {
                value.push(lua, cx)?;
                match cx.push_tostring(cx.height() - 1) {
                    Ok(()) => match Value::pop(lua, cx) {
                        Value::String(string) => Ok(string),
                        other => Err(Error::conversion("string", other.type_name())),
                    },
                    Err(raised) => Err(crate::value::callback::caught(cx, raised)),
                }
            }),
            other => Err(Error::conversion("string", other.type_name())),
        }
    }
}

impl IntoLua for bool {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Boolean(self))
    }
}
impl FromLua for bool {
    /// Lua's truth: all but `nil` and `false`.
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        Ok(!matches!(value, Value::Nil | Value::Boolean(false)))
    }
}

/// The integer value of a number or numeric string.
fn integer(value: &Value, lua: &Lua) -> Result<i64> {
    match value {
        Value::Integer(i) => Ok(*i),
        Value::Number(_) | Value::String(_) => lua.with(|cx| {
            value.push(lua, cx)?;
            let view = cx.at(cx.height() - 1);
            match (view.to_integer(), view.to_number()) {
                (Some(i), _) => Ok(i),
                (None, Some(_)) => Err(Error::conversion_text(
                    "integer",
                    value.type_name(),
                    "number has no integer representation".into(),
                )),
                (None, None) => Err(Error::conversion("number", value.type_name())),
            }
        }),
        other => Err(Error::conversion("number", other.type_name())),
    }
}

macro_rules! integers {
    ($($type:ident)*) => { $(
        impl IntoLua for $type {
            /// What fits no Lua integer is an error.
            fn into_lua(self, _: &Lua) -> Result<Value> {
                i64::try_from(self).map(Value::Integer).map_err(|_| {
                    Error::conversion_text("integer", stringify!($type), format!("{self} is out of range of a Lua integer"))
                })
            }
        }
        impl FromLua for $type {
            fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
                let i = integer(&value, lua)?;
                $type::try_from(i).map_err(|_| {
                    Error::conversion_text("integer", "number", format!(concat!("{} is out of range of ", stringify!($type)), i))
                })
            }
        }
    )* };
}
integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

macro_rules! floats {
    ($($type:ident)*) => { $(
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::Number(self.into()))
            }
        }
        impl FromLua for $type {
            fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
                match &value {
                    Value::Number(n) => Ok(*n as $type),
                    Value::Integer(i) => Ok(*i as $type),
                    Value::String(_) => lua.with(|cx| {
                        value.push(lua, cx)?;
                        let number = cx.at(cx.height() - 1).to_number();
                        number.map(|n| n as $type).ok_or_else(|| Error::conversion("number", "string"))
                    }),
                    other => Err(Error::conversion("number", other.type_name())),
                }
            }
        }
    )* };
}
floats! { f32 f64 }

impl IntoLua for &str {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        Ok(Value::String(lua.create_string(self)?))
    }
}
impl IntoLua for String {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_str().into_lua(lua)
    }
}
impl IntoLua for &String {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_str().into_lua(lua)
    }
}
impl IntoLua for Box<str> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (*self).into_lua(lua)
    }
}
impl IntoLua for Cow<'_, str> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (*self).into_lua(lua)
    }
}
impl IntoLua for &[u8] {
    /// A byte string, not a table.
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        Ok(Value::String(lua.create_string(self)?))
    }
}
impl FromLua for String {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        LuaString::from_lua(value, lua)?.to_str()
    }
}
impl FromLua for Box<str> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        String::from_lua(value, lua).map(Into::into)
    }
}

impl<T: IntoLua> IntoLua for Option<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.map_or(Ok(Value::Nil), |value| value.into_lua(lua))
    }
}
impl<T: FromLua> FromLua for Option<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        if value.is_nil() {
            Ok(None)
        } else {
            T::from_lua(value, lua).map(Some)
        }
    }
}

impl<T: IntoLua> IntoLua for Vec<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self).map(Value::Table)
    }
}
impl<T: IntoLua, const N: usize> IntoLua for [T; N] {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_sequence_from(self).map(Value::Table)
    }
}
impl<T: FromLua> FromLua for Vec<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        Table::from_lua(value, lua)?.sequence_values().collect()
    }
}

impl<K: IntoLua, V: IntoLua, S> IntoLua for HashMap<K, V, S> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self).map(Value::Table)
    }
}
impl<K: FromLua + Eq + Hash, V: FromLua, S: BuildHasher + Default> FromLua for HashMap<K, V, S> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        Table::from_lua(value, lua)?.pairs().collect()
    }
}
impl<K: IntoLua + Ord, V: IntoLua> IntoLua for BTreeMap<K, V> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self).map(Value::Table)
    }
}
impl<K: FromLua + Ord, V: FromLua> FromLua for BTreeMap<K, V> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        Table::from_lua(value, lua)?.pairs().collect()
    }
}
impl<K: IntoLua, S> IntoLua for HashSet<K, S> {
    /// `{ [element] = true }`
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_table_from(self.into_iter().map(|key| (key, true)))
            .map(Value::Table)
    }
}

/// `Value` of a view, for callers outside of this module that hold none.
pub(crate) fn text_of(view: View<'_>) -> Option<String> {
    match view {
        View::String(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}
