//! Strings of every kind.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice, ByteVec};

use moonswap_vm::{Context, View};

use crate::value::convert::short_name;
use crate::value::handle::Handle;
use crate::value::raise::caught;
use crate::{BorrowedBytes, BorrowedStr, Error, FromLua, IntoLua, Lua, LuaString, Result, Value};

impl FromLua for LuaString {
    /// Numbers are converted, as everywhere in Lua.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        string(value, lua, "string")
    }

    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        let View::String(_) = cx.at(at) else {
            return None;
        };
        cx.push_at(at);
        Some(Self(Handle::pop(lua, cx)))
    }
}

/// The string that a value is or, being a number, becomes.
fn string(value: Value, lua: &Lua, to: &str) -> Result<LuaString> {
    let from = value.type_name();
    lua.coerce_string(value)?
        .ok_or_else(|| Error::conversion(from, to, Some("expected string or number")))
}

/// What is made of the bytes of a string.
fn bytes<T>(value: Value, lua: &Lua, make: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T> {
    let from = value.type_name();
    let text = string(value, lua, &short_name::<T>())?;
    make(&text.as_bytes()).map_err(|why| Error::conversion(from, short_name::<T>(), Some(&why)))
}

/// Values that have their bytes at hand.
macro_rules! into {
    ($($type:ty)*) => { $(
        impl IntoLua for $type {
            fn into_lua(self, lua: &Lua) -> Result<Value> {
                lua.create_string(&self[..]).map(Value::String)
            }

            const IS_DIRECT: bool = true;

            fn push_direct(self, _: &Lua, cx: &mut Context<'_>) -> Result<()> {
                // Where the memory limit is in the way this fails before anybody sees it.
                match cx.push_large(self[..].as_ref()) {
                    Ok(()) => Ok(()),
                    Err(raised) => Err(caught(cx, raised)),
                }
            }
        }
    )* };
}
into! { &str String &String Box<str> Cow<'_, str> BString &BStr BorrowedStr &BorrowedStr BorrowedBytes &BorrowedBytes }

impl FromLua for BorrowedStr {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        string(value, lua, "BorrowedStr")?.to_str()
    }
}
impl FromLua for BorrowedBytes {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        Ok(string(value, lua, "BorrowedBytes")?.as_bytes())
    }
}

impl FromLua for String {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        bytes(value, lua, |bytes| {
            let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
            Ok(text.to_owned())
        })
    }

    fn take_direct(_: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        match cx.at(at) {
            View::String(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
            _ => None,
        }
    }
}
impl FromLua for Box<str> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        String::from_lua(value, lua).map(Into::into)
    }
}
impl FromLua for BString {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        bytes(value, lua, |bytes| Ok(bytes.into()))
    }

    fn take_direct(_: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        match cx.at(at) {
            View::String(text) => Some(text.as_bytes().into()),
            _ => None,
        }
    }
}

impl IntoLua for CString {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_c_str().into_lua(lua)
    }
}
impl IntoLua for &CStr {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_string(self.to_bytes()).map(Value::String)
    }
}
impl IntoLua for Cow<'_, CStr> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (*self).into_lua(lua)
    }
}
impl FromLua for CString {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        bytes(value, lua, |bytes| {
            CString::new(bytes).map_err(|e| e.to_string())
        })
    }
}

impl IntoLua for OsString {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_os_str().into_lua(lua)
    }
}
impl IntoLua for &OsStr {
    /// Where names are not bytes, what is not Unicode is replaced.
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        let bytes = <[u8]>::from_os_str(self).map_or_else(
            || self.to_string_lossy().into_owned().into_bytes(),
            <[u8]>::to_vec,
        );
        lua.create_string(bytes).map(Value::String)
    }
}
impl FromLua for OsString {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        bytes(value, lua, |bytes| {
            bytes
                .to_vec()
                .into_os_string()
                .map_err(|_| "invalid utf-8 encoding".to_owned())
        })
    }
}
impl IntoLua for PathBuf {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_os_str().into_lua(lua)
    }
}
impl IntoLua for &Path {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.as_os_str().into_lua(lua)
    }
}
impl FromLua for PathBuf {
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        OsString::from_lua(value, lua).map(Self::from)
    }
}

impl IntoLua for char {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (&*self.encode_utf8(&mut [0; 4])).into_lua(lua)
    }
}
impl FromLua for char {
    /// A string of one character, or the number of one.
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        let wrong = |message: &str| Error::conversion(value.type_name(), "char", Some(message));
        match &value {
            Value::Integer(i) => u32::try_from(*i)
                .ok()
                .and_then(char::from_u32)
                .ok_or_else(|| wrong("integer out of range when converting to char")),
            Value::String(text) => {
                let text = text.to_str()?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(wrong(
                        "expected string to have exactly one char when converting to char",
                    )),
                }
            }
            _ => Err(wrong("expected string or integer")),
        }
    }
}
