//! Rust values to Lua and back: handles and errors here, the others by kind.

mod collections;
mod numbers;
mod texts;

use std::ffi::c_void;

use either::Either;
use moonswap_vm::{Context, View};

use crate::value::handle::Handle;
use crate::{
    AnyUserData, Error, FromLua, Function, IntoLua, LightUserData, Lua, LuaString, RegistryKey,
    Result, Table, Thread, UserData, Value,
};

/// Name of a type in messages: without paths.
pub(crate) fn short_name<T: ?Sized>() -> String {
    short(std::any::type_name::<T>())
}

/// `a::b::C<d::E>` as `C<E>`, `C<'_>` as `C`.
fn short(name: &str) -> String {
    let mut out = String::new();
    let mut word = 0;
    for c in name.chars() {
        if c == ':' {
            out.truncate(word);
        } else if c == '>' && out.ends_with("<'_") {
            out.truncate(out.len() - 3);
        } else {
            out.push(c);
            // `{{closure}}` and `{impl#1}` are parts of paths.
            if !c.is_alphanumeric() && !"_{}#".contains(c) {
                word = out.len();
            }
        }
    }
    out
}

impl IntoLua for Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self)
    }

    const IS_DIRECT: bool = true;

    fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
        self.push(lua, cx)
    }
}
impl FromLua for Value {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        Ok(value)
    }

    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        cx.push_at(at);
        Some(Value::pop(lua, cx))
    }
}
impl IntoLua for &Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self.clone())
    }

    const IS_DIRECT: bool = true;

    fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
        self.push(lua, cx)
    }
}

/// What holds a value by a handle goes to the stack as it is, borrowed or not.
macro_rules! push_handles {
    ($($type:ident $variant:ident;)*) => { $(
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self))
            }

            const IS_DIRECT: bool = true;

            fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
                self.0.push(lua, cx)
            }
        }
        impl IntoLua for &$type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::$variant(self.clone()))
            }

            const IS_DIRECT: bool = true;

            fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
                self.0.push(lua, cx)
            }
        }
    )* };
}
push_handles! {
    LuaString String;
    Table Table;
    Function Function;
    Thread Thread;
    AnyUserData UserData;
}

/// Handles of which nothing but the type has to be right.
macro_rules! take_handles {
    ($($type:ident $variant:ident $view:ident $name:literal;)*) => { $(
        impl FromLua for $type {
            fn from_lua(value: Value, _: &Lua) -> Result<Self> {
                match value {
                    Value::$variant(handle) => Ok(handle),
                    other => Err(Error::conversion(other.type_name(), $name, None)),
                }
            }

            fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
                let View::$view(_) = cx.at(at) else {
                    return None;
                };
                cx.push_at(at);
                Some(Self(Handle::pop(lua, cx)))
            }
        }
    )* };
}
take_handles! {
    Table Table Table "table";
    Function Function Function "function";
    Thread Thread Coroutine "thread";
}

impl FromLua for AnyUserData {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        match value {
            Value::UserData(handle) => Ok(handle),
            other => Err(Error::conversion(other.type_name(), "userdata", None)),
        }
    }

    /// Errors are userdata for Lua, and another type here.
    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        match Value::take_direct(lua, cx, at) {
            Some(Value::UserData(handle)) => Some(handle),
            _ => None,
        }
    }
}

impl IntoLua for LightUserData {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::LightUserData(self))
    }
}
impl IntoLua for &LightUserData {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::LightUserData(*self))
    }
}
impl FromLua for LightUserData {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        match value {
            Value::LightUserData(light) => Ok(light),
            other => Err(Error::conversion(other.type_name(), "light userdata", None)),
        }
    }
}

impl IntoLua for *mut c_void {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::LightUserData(LightUserData(self)))
    }
}

impl IntoLua for Error {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Error(Box::new(self)))
    }
}
impl IntoLua for &Error {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Error(Box::new(self.clone())))
    }
}
impl FromLua for Error {
    /// Other values become errors with their text.
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        match value {
            Value::Error(error) => Ok(*error),
            other => Ok(Error::runtime(other.to_string()?)),
        }
    }
}

#[cfg(feature = "anyhow")]
impl IntoLua for anyhow::Error {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        Error::from(self).into_lua(lua)
    }
}

impl<T: UserData + 'static> IntoLua for T {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_userdata(self).map(Value::UserData)
    }
}

impl IntoLua for RegistryKey {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.registry_value(&self)
    }
}
impl IntoLua for &RegistryKey {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.registry_value(self)
    }
}
impl FromLua for RegistryKey {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        lua.create_registry_value(value)
    }
}

impl IntoLua for bool {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Boolean(self))
    }

    const IS_DIRECT: bool = true;

    fn push_direct(self, _: &Lua, cx: &mut Context<'_>) -> Result<()> {
        cx.push_bool(self);
        Ok(())
    }
}
impl FromLua for bool {
    /// Lua's truth: all but `nil` and `false`.
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        Ok(!matches!(value, Value::Nil | Value::Boolean(false)))
    }

    fn take_direct(_: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        Some(cx.at(at).truthy())
    }
}

impl<T: IntoLua> IntoLua for Option<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.map_or(Ok(Value::Nil), |value| value.into_lua(lua))
    }

    const IS_DIRECT: bool = T::IS_DIRECT;

    fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
        match self {
            Some(value) => value.push_direct(lua, cx),
            None => {
                cx.push_nil();
                Ok(())
            }
        }
    }
}
impl<T: FromLua> FromLua for Option<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        match value {
            Value::Nil => Ok(None),
            value => T::from_lua(value, lua).map(Some),
        }
    }

    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        match cx.at(at) {
            View::Nil => Some(None),
            _ => T::take_direct(lua, cx, at).map(Some),
        }
    }
}

impl<L: IntoLua, R: IntoLua> IntoLua for Either<L, R> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        match self {
            Either::Left(left) => left.into_lua(lua),
            Either::Right(right) => right.into_lua(lua),
        }
    }
}
impl<L: FromLua, R: FromLua> FromLua for Either<L, R> {
    /// The first that fits.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        let from = value.type_name();
        if let Ok(left) = L::from_lua(value.clone(), lua) {
            return Ok(Either::Left(left));
        }
        match R::from_lua(value, lua) {
            Ok(right) => Ok(Either::Right(right)),
            Err(_) => Err(Error::conversion(from, short_name::<Self>(), None)),
        }
    }
}

/// The text of a view of a string.
pub(crate) fn text_of(view: View<'_>) -> Option<String> {
    match view {
        View::String(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn names_without_paths() {
        assert_eq!(short("a::b::C<d::E, f::G>"), "C<E, G>");
        assert_eq!(short("a::B<'_>"), "B");
        assert_eq!(short("a::f::{{closure}}::B<c::{impl#0}::D>"), "B<D>");
        assert_eq!(short("&[core::option::Option<u8>]"), "&[Option<u8>]");
    }
}
