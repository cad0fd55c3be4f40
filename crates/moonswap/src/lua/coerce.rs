//! Conversions between values, asked for directly.

use moonswap_vm::View;

use crate::value::raise::caught;
use crate::{
    FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, Lua, LuaString, MultiValue, Result, Value,
};

impl Lua {
    /// The string that a value is or, being a number, becomes.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    ///
    /// ```
    /// # use moonswap::{Lua, Value};
    /// let lua = Lua::new();
    /// assert_eq!(lua.coerce_string(Value::Integer(7))?.unwrap(), "7");
    /// assert!(lua.coerce_string(Value::Nil)?.is_none());
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn coerce_string(&self, value: Value) -> Result<Option<LuaString>> {
        match value {
            Value::String(string) => Ok(Some(string)),
            Value::Integer(_) | Value::Number(_) => self.attempt(|cx| {
                value.push(self, cx)?;
                match cx.push_tostring(cx.height() - 1) {
                    Ok(()) => match Value::pop(self, cx) {
                        Value::String(string) => Ok(Some(string)),
                        _ => Ok(None),
                    },
                    Err(raised) => Err(caught(cx, raised)),
                }
            }),
            _ => Ok(None),
        }
    }

    /// The integer that a value is or, being an integral float or the text of one,
    /// becomes.
    ///
    /// # Errors
    /// For values of another VM.
    pub fn coerce_integer(&self, value: Value) -> Result<Option<i64>> {
        self.view(&value, |view| view.to_integer())
    }

    /// The float that a value is or, being an integer or the text of a number, becomes.
    ///
    /// # Errors
    /// For values of another VM.
    pub fn coerce_number(&self, value: Value) -> Result<Option<f64>> {
        self.view(&value, |view| view.to_number())
    }

    fn view<R>(&self, value: &Value, f: impl FnOnce(View<'_>) -> Option<R>) -> Result<Option<R>> {
        match value {
            Value::Integer(i) => Ok(f(View::Integer(*i))),
            Value::Number(n) => Ok(f(View::Float(*n))),
            Value::String(_) => self.with(|cx| {
                value.push(self, cx)?;
                Ok(f(cx.at(cx.height() - 1)))
            }),
            _ => Ok(None),
        }
    }

    /// A Rust value as a Lua value.
    ///
    /// # Errors
    /// The conversion.
    pub fn pack(&self, value: impl IntoLua) -> Result<Value> {
        value.into_lua(self)
    }

    /// A Lua value as a Rust value.
    ///
    /// # Errors
    /// The conversion.
    pub fn unpack<T: FromLua>(&self, value: Value) -> Result<T> {
        T::from_lua(value, self)
    }

    /// A Rust value as another one, by way of its Lua value.
    ///
    /// # Errors
    /// The conversions.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// assert_eq!(Lua::new().convert::<i64>("12")?, 12);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn convert<U: FromLua>(&self, value: impl IntoLua) -> Result<U> {
        U::from_lua(value.into_lua(self)?, self)
    }

    /// Rust values as Lua values.
    ///
    /// # Errors
    /// The conversions.
    pub fn pack_multi(&self, values: impl IntoLuaMulti) -> Result<MultiValue> {
        values.into_lua_multi(self)
    }

    /// Lua values as Rust values.
    ///
    /// # Errors
    /// The conversions.
    pub fn unpack_multi<T: FromLuaMulti>(&self, values: MultiValue) -> Result<T> {
        T::from_lua_multi(values, self)
    }
}
