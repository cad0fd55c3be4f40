//! `LuaString`: a byte string of the VM, and what is borrowed of it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ffi::c_void;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use moonswap_vm::{HeldBytes, HeldText};

use crate::value::handle::Handle;
use crate::{Error, IntoLua, Lua, Result, Value, WeakLua};

/// A byte string of the VM.
#[derive(Clone)]
pub struct LuaString(pub(crate) Handle);

impl LuaString {
    fn held(&self) -> Option<HeldBytes> {
        let lua = self.0.lua.try_upgrade()?;
        Some(HeldBytes::new(lua.machine().clone(), self.0.root.clone()))
    }

    /// The bytes, without a copy. Lua may run meanwhile: strings never change, and
    /// what is returned keeps this one and its VM. None if the VM is gone.
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
    pub fn as_bytes(&self) -> BorrowedBytes {
        BorrowedBytes(match self.held() {
            Some(held) => Bytes::Held(held),
            None => Bytes::Copied(Vec::new()),
        })
    }

    /// A copy of the bytes with a NUL behind them.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// assert_eq!(Lua::new().create_string("a")?.as_bytes_with_nul(), b"a\0");
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn as_bytes_with_nul(&self) -> BorrowedBytes {
        let mut bytes = self.to_bytes();
        bytes.push(0);
        BorrowedBytes(Bytes::Copied(bytes))
    }

    /// Calls `f` with the bytes, without a copy.
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(&self.as_bytes())
    }

    /// A copy of the bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    /// The text, without a copy, if it is UTF-8.
    ///
    /// # Errors
    /// If it is not, or the VM is gone.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// assert_eq!(lua.create_string("text")?.to_str()?, "text");
    /// assert!(lua.create_string(b"\xff")?.to_str().is_err());
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn to_str(&self) -> Result<BorrowedStr> {
        let text = self.held().ok_or(Error::Destroyed)?.into_text();
        text.map(BorrowedStr)
            .map_err(|e| Error::conversion("string", "&str", Some(&e.to_string())))
    }

    /// The text, with replacement characters where it is no UTF-8.
    pub fn to_string_lossy(&self) -> String {
        String::from_utf8_lossy(&self.as_bytes()).into_owned()
    }

    /// For `{}`: the text, with replacement characters where it is no UTF-8.
    pub fn display(&self) -> impl fmt::Display + '_ {
        self.to_string_lossy()
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Identity of the object.
    pub fn to_pointer(&self) -> *const c_void {
        self.0.pointer()
    }

    /// Its VM.
    pub fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }

    /// Bytes that become a string when they are given to Lua: what `Vec<u8>` and
    /// `&[u8]` do not, which are tables of numbers there.
    ///
    /// ```
    /// use moonswap::{Lua, LuaString};
    /// let lua = Lua::new();
    /// lua.globals().set("s", LuaString::wrap(b"\xff\0"))?;
    /// assert_eq!(lua.load("#s").eval::<i64>()?, 2);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn wrap(bytes: impl AsRef<[u8]>) -> impl IntoLua {
        Wrapped(bytes)
    }
}

struct Wrapped<T>(T);

impl<T: AsRef<[u8]>> IntoLua for Wrapped<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_string(self.0).map(Value::String)
    }
}

impl fmt::Debug for LuaString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes();
        match std::str::from_utf8(&bytes) {
            Ok(text) => text.fmt(f),
            Err(_) => {
                let escaped = bytes.escape_ascii().to_string().replace("\\x00", "\\0");
                write!(f, "b\"{escaped}\"")
            }
        }
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

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for LuaString {
    fn eq(&self, other: &T) -> bool {
        *self.as_bytes() == *other.as_ref()
    }
}

impl PartialOrd for LuaString {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialOrd<T> for LuaString {
    fn partial_cmp(&self, other: &T) -> Option<Ordering> {
        Some((*self.as_bytes()).cmp(other.as_ref()))
    }
}

impl Ord for LuaString {
    fn cmp(&self, other: &Self) -> Ordering {
        (*self.as_bytes()).cmp(&*other.as_bytes())
    }
}

impl Hash for LuaString {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// The bytes of a string of a VM, which keep both alive.
#[derive(Clone)]
pub struct BorrowedBytes(Bytes);

#[derive(Clone)]
enum Bytes {
    Held(HeldBytes),
    Copied(Vec<u8>),
}

/// The text of a string of a VM, which keeps both alive.
#[derive(Clone)]
pub struct BorrowedStr(HeldText);

impl Deref for BorrowedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Held(held) => held,
            Bytes::Copied(bytes) => bytes,
        }
    }
}

impl Deref for BorrowedStr {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

macro_rules! borrowed {
    ($type:ident $target:ty) => {
        impl Borrow<$target> for $type {
            fn borrow(&self) -> &$target {
                self
            }
        }
        impl AsRef<$target> for $type {
            fn as_ref(&self) -> &$target {
                self
            }
        }
        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                (**self).hash(state);
            }
        }
        impl<T: AsRef<$target>> PartialEq<T> for $type {
            fn eq(&self, other: &T) -> bool {
                **self == *other.as_ref()
            }
        }
        impl Eq for $type {}
        impl<T: AsRef<$target>> PartialOrd<T> for $type {
            fn partial_cmp(&self, other: &T) -> Option<Ordering> {
                Some((**self).cmp(other.as_ref()))
            }
        }
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                (**self).cmp(&**other)
            }
        }
    };
}
borrowed! { BorrowedBytes [u8] }
borrowed! { BorrowedStr str }

impl fmt::Debug for BorrowedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Debug for BorrowedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for BorrowedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<'a> IntoIterator for &'a BorrowedBytes {
    type Item = &'a u8;
    type IntoIter = std::slice::Iter<'a, u8>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<&LuaString> for BorrowedBytes {
    fn from(string: &LuaString) -> Self {
        string.as_bytes()
    }
}

impl TryFrom<&LuaString> for BorrowedStr {
    type Error = Error;
    fn try_from(string: &LuaString) -> Result<Self> {
        string.to_str()
    }
}
