//! Lists of values: arguments and results.

use std::ops::{Deref, DerefMut};

use crate::{FromLua, IntoLua, Lua, Result, Value};

/// Any number of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiValue(pub(crate) Vec<Value>);

impl MultiValue {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// As a vector.
    pub fn into_vec(self) -> Vec<Value> {
        self.0
    }
}

impl Deref for MultiValue {
    type Target = Vec<Value>;
    fn deref(&self) -> &Vec<Value> {
        &self.0
    }
}
impl DerefMut for MultiValue {
    fn deref_mut(&mut self) -> &mut Vec<Value> {
        &mut self.0
    }
}
impl IntoIterator for MultiValue {
    type Item = Value;
    type IntoIter = std::vec::IntoIter<Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
impl FromIterator<Value> for MultiValue {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}
impl From<Vec<Value>> for MultiValue {
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}

/// Any number of values of one type; last in a tuple it takes the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variadic<T>(pub Vec<T>);

impl<T> Variadic<T> {
    /// No values.
    pub fn new() -> Self {
        Self(Vec::new())
    }
}
impl<T> Deref for Variadic<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}
impl<T> DerefMut for Variadic<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}
impl<T> FromIterator<T> for Variadic<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}
impl<T> IntoIterator for Variadic<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Rust values as arguments or results.
pub trait IntoLuaMulti: Sized {
    /// Converts.
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue>;
}

/// Rust values from arguments or results; missing ones are `nil`, further ones
/// are dropped.
pub trait FromLuaMulti: Sized {
    /// Converts.
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self>;
}

impl IntoLuaMulti for MultiValue {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(self)
    }
}
impl FromLuaMulti for MultiValue {
    fn from_lua_multi(values: MultiValue, _: &Lua) -> Result<Self> {
        Ok(values)
    }
}

impl<T: IntoLua> IntoLuaMulti for T {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        Ok(MultiValue(vec![self.into_lua(lua)?]))
    }
}
impl<T: FromLua> FromLuaMulti for T {
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
        T::from_lua(values.into_iter().next().unwrap_or_default(), lua)
            .map_err(|e| e.at_position(0))
    }
}

impl<T: IntoLua> IntoLuaMulti for Variadic<T> {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        self.0
            .into_iter()
            .map(|value| value.into_lua(lua))
            .collect::<Result<Vec<_>>>()
            .map(MultiValue)
    }
}
impl<T: FromLua> FromLuaMulti for Variadic<T> {
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
        let convert = |(at, value)| T::from_lua(value, lua).map_err(|e| e.at_position(at));
        values
            .into_iter()
            .enumerate()
            .map(convert)
            .collect::<Result<Vec<_>>>()
            .map(Self)
    }
}

impl IntoLuaMulti for () {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(MultiValue::new())
    }
}
impl FromLuaMulti for () {
    fn from_lua_multi(_: MultiValue, _: &Lua) -> Result<Self> {
        Ok(())
    }
}

/// The last element of a tuple may be a list; the others are single values.
macro_rules! tuples {
    ($($($name:ident)* ; $last:ident,)*) => { $(
        impl<$($name: IntoLua,)* $last: IntoLuaMulti> IntoLuaMulti for ($($name,)* $last,) {
            #[allow(non_snake_case, unused_mut, clippy::vec_init_then_push)]
            fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
                let ($($name,)* $last,) = self;
                let mut values: Vec<Value> = Vec::new();
                $( values.push($name.into_lua(lua)?); )*
                values.extend($last.into_lua_multi(lua)?);
                Ok(MultiValue(values))
            }
        }
        impl<$($name: FromLua,)* $last: FromLuaMulti> FromLuaMulti for ($($name,)* $last,) {
            #[allow(non_snake_case, unused_mut, unused_variables, unused_assignments)]
            fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
                let mut values = values.into_iter();
                let mut at = 0;
                $(
                    let $name = $name::from_lua(values.next().unwrap_or_default(), lua)
                        .map_err(|e| e.at_position(at))?;
                    at += 1;
                )*
                let $last = $last::from_lua_multi(values.collect(), lua).map_err(|e| e.shift_position(at))?;
                Ok(($($name,)* $last,))
            }
        }
    )* };
}
tuples! {
    ; A,
    A; B,
    A B; C,
    A B C; D,
    A B C D; E,
    A B C D E; F,
    A B C D E F; G,
    A B C D E F G; H,
    A B C D E F G H; I,
    A B C D E F G H I; J,
}
