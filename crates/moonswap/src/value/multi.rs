//! Lists of values: arguments and results.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use moonswap_vm::Context;

use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, Lua, Result, Value};

/// Any number of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiValue(pub(crate) VecDeque<Value>);

impl MultiValue {
    /// No values.
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// No values, with room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(VecDeque::with_capacity(capacity))
    }

    /// From a vector.
    pub fn from_vec(values: Vec<Value>) -> Self {
        Self(values.into())
    }

    /// As a vector.
    pub fn into_vec(self) -> Vec<Value> {
        self.0.into()
    }
}

impl Deref for MultiValue {
    type Target = VecDeque<Value>;
    fn deref(&self) -> &VecDeque<Value> {
        &self.0
    }
}
impl DerefMut for MultiValue {
    fn deref_mut(&mut self) -> &mut VecDeque<Value> {
        &mut self.0
    }
}
impl IntoIterator for MultiValue {
    type Item = Value;
    type IntoIter = std::collections::vec_deque::IntoIter<Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
impl<'a> IntoIterator for &'a MultiValue {
    type Item = &'a Value;
    type IntoIter = std::collections::vec_deque::Iter<'a, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
impl FromIterator<Value> for MultiValue {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}
impl From<Vec<Value>> for MultiValue {
    fn from(values: Vec<Value>) -> Self {
        Self::from_vec(values)
    }
}
impl From<MultiValue> for Vec<Value> {
    fn from(values: MultiValue) -> Self {
        values.into_vec()
    }
}

/// Any number of values of one type; last in a tuple it takes the rest.
///
/// ```
/// use moonswap::{Lua, Variadic};
/// let lua = Lua::new();
/// let sum = lua.create_function(|_, numbers: Variadic<i64>| Ok(numbers.iter().sum::<i64>()))?;
/// assert_eq!(sum.call::<i64>((1, 2, 3))?, 6);
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variadic<T>(Vec<T>);

impl<T> Variadic<T> {
    /// No values.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No values, with room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
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
impl<T> From<Vec<T>> for Variadic<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}
impl<T> From<Variadic<T>> for Vec<T> {
    fn from(values: Variadic<T>) -> Self {
        values.0
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

impl IntoLuaMulti for MultiValue {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(self)
    }
}
impl IntoLuaMulti for &MultiValue {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(self.clone())
    }
}
impl FromLuaMulti for MultiValue {
    fn from_lua_multi(values: MultiValue, _: &Lua) -> Result<Self> {
        Ok(values)
    }
}

impl<T: IntoLua> IntoLuaMulti for T {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        let mut values = MultiValue::with_capacity(1);
        values.push_back(self.into_lua(lua)?);
        Ok(values)
    }

    const IS_DIRECT: bool = T::IS_DIRECT;
    const N_DIRECT: usize = 1;

    fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<usize> {
        T::push_direct(self, lua, cx).map(|()| 1)
    }
}
impl<T: FromLua> FromLuaMulti for T {
    fn from_lua_multi(mut values: MultiValue, lua: &Lua) -> Result<Self> {
        T::from_lua(values.pop_front().unwrap_or_default(), lua)
    }

    fn from_lua_args(
        mut values: MultiValue,
        position: usize,
        to: Option<&str>,
        lua: &Lua,
    ) -> Result<Self> {
        let first = values.pop_front().unwrap_or_default();
        T::from_lua_arg(first, position, to, lua)
    }

    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        T::take_direct(lua, cx, at)
    }
}

/// `nil` and the error, as Lua's own functions fail.
fn failed(error: impl IntoLua, lua: &Lua) -> Result<MultiValue> {
    (Value::Nil, error).into_lua_multi(lua)
}

impl<T: IntoLua, E: IntoLua> IntoLuaMulti for std::result::Result<T, E> {
    /// The value, or `nil` and the error.
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        match self {
            Ok(value) => value.into_lua_multi(lua),
            Err(error) => failed(error, lua),
        }
    }
}
impl<E: IntoLua> IntoLuaMulti for std::result::Result<(), E> {
    /// Nothing, or `nil` and the error.
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        match self {
            Ok(()) => Ok(MultiValue::new()),
            Err(error) => failed(error, lua),
        }
    }
}

impl<T: IntoLua> IntoLuaMulti for Variadic<T> {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        let values = self.0.into_iter().map(|value| value.into_lua(lua));
        values.collect::<Result<VecDeque<_>>>().map(MultiValue)
    }
}
impl<T: FromLua> FromLuaMulti for Variadic<T> {
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
        let values = values.into_iter().map(|value| T::from_lua(value, lua));
        values.collect::<Result<Vec<_>>>().map(Self)
    }

    fn from_lua_args(
        values: MultiValue,
        position: usize,
        to: Option<&str>,
        lua: &Lua,
    ) -> Result<Self> {
        let values = values.into_iter().zip(position..);
        let values = values.map(|(value, at)| T::from_lua_arg(value, at, to, lua));
        values.collect::<Result<Vec<_>>>().map(Self)
    }

    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        let all = at..cx.height().max(at);
        all.map(|at| T::take_direct(lua, cx, at))
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }
}

impl IntoLuaMulti for () {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(MultiValue::new())
    }

    const IS_DIRECT: bool = true;

    fn push_direct(self, _: &Lua, _: &mut Context<'_>) -> Result<usize> {
        Ok(0)
    }
}
impl FromLuaMulti for () {
    fn from_lua_multi(_: MultiValue, _: &Lua) -> Result<Self> {
        Ok(())
    }

    fn take_direct(_: &Lua, _: &Context<'_>, _: usize) -> Option<Self> {
        Some(())
    }
}

/// The last element of a tuple may be a list; the others are single values.
macro_rules! tuples {
    ($($($name:ident)* ; $last:ident,)*) => { $(
        impl<$($name: IntoLua,)* $last: IntoLuaMulti> IntoLuaMulti for ($($name,)* $last,) {
            #[allow(non_snake_case, unused_mut)]
            fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
                let ($($name,)* $last,) = self;
                let first = [$($name.into_lua(lua)?,)*];
                let mut values = $last.into_lua_multi(lua)?;
                for value in first.into_iter().rev() {
                    values.push_front(value);
                }
                Ok(values)
            }

            const IS_DIRECT: bool = $($name::IS_DIRECT &&)* $last::IS_DIRECT;
            const N_DIRECT: usize = 0 $(+ <$name as IntoLuaMulti>::N_DIRECT)* + $last::N_DIRECT;

            #[allow(non_snake_case, unused_mut)]
            fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<usize> {
                let ($($name,)* $last,) = self;
                let mut n = 0;
                $( $name.push_direct(lua, cx)?; n += 1; )*
                Ok(n + $last.push_direct(lua, cx)?)
            }
        }
        impl<$($name: FromLua,)* $last: FromLuaMulti> FromLuaMulti for ($($name,)* $last,) {
            #[allow(non_snake_case, unused_mut)]
            fn from_lua_multi(mut values: MultiValue, lua: &Lua) -> Result<Self> {
                $( let $name = $name::from_lua(values.pop_front().unwrap_or_default(), lua)?; )*
                let $last = $last::from_lua_multi(values, lua)?;
                Ok(($($name,)* $last,))
            }

            #[allow(non_snake_case, unused_mut)]
            fn from_lua_args(
                mut values: MultiValue,
                mut position: usize,
                to: Option<&str>,
                lua: &Lua,
            ) -> Result<Self> {
                $(
                    let first = values.pop_front().unwrap_or_default();
                    let $name = $name::from_lua_arg(first, position, to, lua)?;
                    position += 1;
                )*
                let $last = $last::from_lua_args(values, position, to, lua)?;
                Ok(($($name,)* $last,))
            }

            #[allow(non_snake_case, unused_mut)]
            fn take_direct(lua: &Lua, cx: &Context<'_>, mut at: usize) -> Option<Self> {
                $( let $name = $name::take_direct(lua, cx, at)?; at += 1; )*
                let $last = $last::take_direct(lua, cx, at)?;
                Some(($($name,)* $last,))
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
    A B C D E F G H I J; K,
    A B C D E F G H I J K; L,
    A B C D E F G H I J K L; M,
    A B C D E F G H I J K L M; N,
    A B C D E F G H I J K L M N; O,
    A B C D E F G H I J K L M N O; P,
}
