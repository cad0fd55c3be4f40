//! `LuaString`: a byte string of the VM.

use std::fmt;

use crate::value::handle::Handle;
use crate::{Error, Result};

/// A byte string of the VM.
#[derive(Clone)]
pub struct LuaString(pub(crate) Handle);

impl LuaString {
    /// The bytes, without a copy. Lua may run meanwhile: strings never change, and
    /// the handle keeps this one.
    ///
    /// ```
    /// # use moonswap::{Lua, LuaString};
    /// let lua = Lua::new();
    /// let text: LuaString = lua.load("return ('x'):rep(1000)").eval()?;
    /// let bytes = text.as_bytes();
    /// lua.gc_collect()?;
    /// assert_eq!(bytes.len(), 1000);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        let handle = &self.0;
        handle
            .lua
            .machine()
            .string_bytes(&handle.root)
            .unwrap_or(b"")
    }

    /// Calls `f` with the bytes, without a copy.
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self.as_bytes())
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// The text, if it is UTF-8.
    pub fn to_str(&self) -> Result<String> {
        String::from_utf8(self.to_bytes()).map_err(|_| {
            Error::conversion_text("string", "string", "string is not valid UTF-8".into())
        })
    }

    /// The text, with replacement characters where it is no UTF-8.
    pub fn to_string_lossy(&self) -> String {
        self.with_bytes(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.with_bytes(<[u8]>::len)
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string_lossy())
    }
}

impl fmt::Display for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl PartialEq for LuaString {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for LuaString {}

impl AsRef<[u8]> for LuaString {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq<str> for LuaString {
    fn eq(&self, other: &str) -> bool {
        self.with_bytes(|bytes| bytes == other.as_bytes())
    }
}

impl PartialEq<&str> for LuaString {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}
