//! `LuaString`: a byte string of the VM.

use std::fmt;

use moonswap_vm::View;

use crate::value::Handle;
use crate::{Error, Result};

/// A byte string of the VM. The bytes are copied out when read, for a handle
/// has no lifetime.
#[derive(Clone)]
pub struct LuaString(pub(crate) Handle);

impl LuaString {
    /// Calls `f` with the bytes, without a copy.
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        self.0.lua.with(|cx| {
            cx.push_root(&self.0.root);
            match cx.at(cx.height() - 1) {
                View::String(string) => f(string.as_bytes()),
                _ => f(b""),
            }
        })
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
        self.to_bytes() == other.to_bytes()
    }
}
impl Eq for LuaString {}

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
