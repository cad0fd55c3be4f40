//! `ObjectLike`: what tables and userdata have in common.

#[cfg(feature = "async")]
use crate::asynchronous::AsyncCallFuture;
use crate::sealed::Sealed;
use crate::value::raise::checked;
use crate::{
    AnyUserData, Error, FromLua, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Result, Table,
    Value, WeakLua,
};

/// What can be indexed and called: tables and userdata.
///
/// ```
/// use moonswap::{Lua, ObjectLike, Table};
/// let lua = Lua::new();
/// let shop: Table = lua
///     .load("{ tax = 5, price = function(self, x) return x + self.tax end }")
///     .eval()?;
/// assert_eq!(shop.call_method::<i64>("price", 10)?, 15);
/// # Ok::<(), moonswap::Error>(())
/// ```
pub trait ObjectLike: Sealed {
    /// `object[key]`, with metamethods.
    ///
    /// # Errors
    /// If it cannot be indexed, what `__index` raises, or the conversion.
    fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V>;

    /// `object[key] = value`, with metamethods.
    ///
    /// # Errors
    /// If it cannot be indexed, or what `__newindex` raises.
    fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()>;

    /// `object(arguments)`, by `__call`.
    ///
    /// # Errors
    /// If it cannot be called, or what the call raises.
    fn call<R: FromLuaMulti>(&self, arguments: impl IntoLuaMulti) -> Result<R> {
        let lua = self.weak_lua().try_upgrade().ok_or(Error::Destroyed)?;
        let arguments = arguments.into_lua_multi(&lua)?;
        let results = super::callback::call(&lua, &self.to_value(), &arguments)?;
        R::from_lua_multi(results, &lua)
    }

    /// `object:name(arguments)`
    ///
    /// # Errors
    /// If there is no such method, or what it raises.
    fn call_method<R: FromLuaMulti>(&self, name: &str, arguments: impl IntoLuaMulti) -> Result<R> {
        let lua = self.weak_lua().try_upgrade().ok_or(Error::Destroyed)?;
        let mut values = arguments.into_lua_multi(&lua)?;
        values.push_front(self.to_value());
        self.call_function(name, values)
    }

    /// `object.name(arguments)`
    ///
    /// # Errors
    /// If there is no such function, or what it raises.
    fn call_function<R: FromLuaMulti>(
        &self,
        name: &str,
        arguments: impl IntoLuaMulti,
    ) -> Result<R> {
        callee(self, name)?.call(arguments)
    }

    /// [`ObjectLike::call`] on an executor.
    #[cfg(feature = "async")]
    fn call_async<R: FromLuaMulti>(&self, arguments: impl IntoLuaMulti) -> AsyncCallFuture<R> {
        crate::asynchronous::call(&self.to_value(), arguments)
    }

    /// [`ObjectLike::call_method`] on an executor.
    #[cfg(feature = "async")]
    fn call_async_method<R: FromLuaMulti>(
        &self,
        name: &str,
        arguments: impl IntoLuaMulti,
    ) -> AsyncCallFuture<R> {
        let lua = self.weak_lua().try_upgrade().ok_or(Error::Destroyed);
        let arguments = lua.and_then(|lua| {
            let mut arguments = arguments.into_lua_multi(&lua)?;
            arguments.push_front(self.to_value());
            Ok(arguments)
        });
        match arguments {
            Ok(arguments) => self.call_async_function(name, arguments),
            Err(error) => AsyncCallFuture::failed(error),
        }
    }

    /// [`ObjectLike::call_function`] on an executor.
    #[cfg(feature = "async")]
    fn call_async_function<R: FromLuaMulti>(
        &self,
        name: &str,
        arguments: impl IntoLuaMulti,
    ) -> AsyncCallFuture<R> {
        match callee(self, name) {
            Ok(function) => function.call_async(arguments),
            Err(error) => AsyncCallFuture::failed(error),
        }
    }

    /// The value at a path as in Lua: `a.b[1]["c d"]`, and `a?.b`, which is `nil` if `a`
    /// is.
    ///
    /// # Errors
    /// If the path is none, or leads through what cannot be indexed.
    ///
    /// ```
    /// use moonswap::{Lua, ObjectLike};
    /// let lua = Lua::new();
    /// lua.load("config = { ports = { 80, 443 } }").exec()?;
    /// assert_eq!(lua.globals().get_path::<u16>("config.ports[2]")?, 443);
    /// assert_eq!(lua.globals().get_path::<Option<u16>>("nothing?.ports[2]")?, None);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    fn get_path<V: FromLua>(&self, path: &str) -> Result<V> {
        let lua = self.weak_lua().try_upgrade().ok_or(Error::Destroyed)?;
        let value = super::path::follow(self.to_value(), path)?;
        V::from_lua(value, &lua)
    }

    /// Its text, as `tostring` gives it.
    ///
    /// # Errors
    /// What `__tostring` raises.
    fn to_string(&self) -> Result<String> {
        self.to_value().to_string()
    }

    /// It as a value.
    fn to_value(&self) -> Value;

    /// Its VM.
    fn weak_lua(&self) -> &WeakLua;
}

impl Sealed for Table {}
impl Sealed for AnyUserData {}

/// The function in a field.
fn callee(object: &(impl ObjectLike + ?Sized), name: &str) -> Result<Function> {
    match object.get::<Value>(name)? {
        Value::Function(function) => Ok(function),
        other => Err(Error::runtime(format_args!(
            "attempt to call a {} value (function '{name}')",
            other.type_name()
        ))),
    }
}

impl ObjectLike for Table {
    fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        Table::get(self, key)
    }

    fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        Table::set(self, key, value)
    }

    fn to_value(&self) -> Value {
        Value::Table(self.clone())
    }

    fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }
}

impl ObjectLike for AnyUserData {
    fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua()?;
        let key = key.into_lua(&lua)?;
        let value = self.0.attempt(|lua, cx, at| {
            key.push(lua, cx)?;
            checked(cx, |cx| cx.index(at, at + 1))?;
            Ok(Value::pop(lua, cx))
        })?;
        V::from_lua(value, &lua)
    }

    fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua()?;
        let (key, value) = (key.into_lua(&lua)?, value.into_lua(&lua)?);
        self.0.attempt(|lua, cx, at| {
            key.push(lua, cx)?;
            value.push(lua, cx)?;
            checked(cx, |cx| cx.set_index(at))
        })
    }

    fn to_value(&self) -> Value {
        Value::UserData(self.clone())
    }

    fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }
}
