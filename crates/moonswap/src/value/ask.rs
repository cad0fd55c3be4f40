//! Questions to a `Value`: what it is, as what it can be taken.

use std::ffi::c_void;

use crate::value::raise::caught;
use crate::{
    AnyUserData, Error, Function, LightUserData, Lua, LuaString, Result, Table, Thread, Value,
    WeakLua,
};

/// `is_x` and `as_x` of one variant.
macro_rules! ask {
    ($($variant:ident $is:ident $as:ident $type:ty, $what:literal;)*) => { $(
        #[doc = concat!("Whether it is ", $what, ".")]
        pub fn $is(&self) -> bool {
            matches!(self, Self::$variant(_))
        }

        #[doc = concat!("The value, if it is ", $what, ".")]
        pub fn $as(&self) -> Option<$type> {
            match self {
                Self::$variant(value) => Some(value),
                _ => None,
            }
        }
    )* };
}

/// `as_x` of the number types of Rust, for what fits.
macro_rules! integers {
    ($($as:ident $type:ty;)*) => { $(
        #[doc = concat!("The value as `", stringify!($type), "`, if it is an integer that fits.")]
        pub fn $as(&self) -> Option<$type> {
            <$type>::try_from(self.as_integer()?).ok()
        }
    )* };
}

impl Value {
    /// The light userdata of address 0, which stands for `null` of other formats.
    pub const NULL: Self = Self::LightUserData(LightUserData(std::ptr::null_mut()));

    /// Whether it is `nil`.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether it is [`Value::NULL`].
    pub fn is_null(&self) -> bool {
        *self == Self::NULL
    }

    /// Whether it is a boolean.
    pub fn is_boolean(&self) -> bool {
        matches!(self, Self::Boolean(_))
    }

    /// The value, if it is a boolean.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(b) => Some(*b),
            _ => None,
        }
    }

    /// Whether it is a light userdata.
    pub fn is_light_userdata(&self) -> bool {
        matches!(self, Self::LightUserData(_))
    }

    /// The value, if it is a light userdata.
    pub fn as_light_userdata(&self) -> Option<LightUserData> {
        match self {
            Self::LightUserData(light) => Some(*light),
            _ => None,
        }
    }

    /// Whether it is an integer (a float is none).
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::Integer(_))
    }

    /// The value, if it is an integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(i) => Some(*i),
            _ => None,
        }
    }

    integers! {
        as_i32 i32; as_u32 u32; as_i64 i64; as_u64 u64; as_isize isize; as_usize usize;
    }

    /// Whether it is a float (an integer is none).
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// The value, if it is a float.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// The value as `f32`, if it is a float.
    pub fn as_f32(&self) -> Option<f32> {
        self.as_number().map(|n| n as f32)
    }

    /// The value, if it is a float.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()
    }

    ask! {
        String is_string as_string &LuaString, "a string";
        Table is_table as_table &Table, "a table";
        Function is_function as_function &Function, "a function";
        Thread is_thread as_thread &Thread, "a coroutine";
        UserData is_userdata as_userdata &AnyUserData, "a userdata";
    }

    /// Whether it is an error of Rust code.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The error, if it is one of Rust code.
    pub fn as_error(&self) -> Option<&Error> {
        match self {
            Self::Error(error) => Some(error),
            _ => None,
        }
    }

    /// The text of a string, if it is one and is UTF-8.
    pub fn as_text(&self) -> Option<String> {
        self.as_string()?
            .to_str()
            .ok()
            .map(|text| (*text).to_owned())
    }

    /// Identity of the object; null for plain values.
    pub fn to_pointer(&self) -> *const c_void {
        match self {
            Self::LightUserData(light) => light.0,
            other => other
                .handle()
                .map_or(std::ptr::null(), |handle| handle.pointer()),
        }
    }

    /// The VM of an object; `None` for plain values.
    pub fn weak_lua(&self) -> Option<&WeakLua> {
        self.handle().map(|handle| &handle.lua)
    }

    /// `self == other`, with metamethods.
    ///
    /// # Errors
    /// What `__eq` raises, and [`Error::Destroyed`].
    ///
    /// ```
    /// # use moonswap::{Lua, Value};
    /// let lua = Lua::new();
    /// let (a, b): (Value, Value) = lua
    ///     .load("local mt = { __eq = function() return true end } return setmetatable({}, mt), setmetatable({}, mt)")
    ///     .eval()?;
    /// assert!(a != b && a.equals(&b)?);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn equals(&self, other: &Self) -> Result<bool> {
        let Some(handle) = self.handle() else {
            return Ok(self == other);
        };
        handle.attempt(|lua, cx, at| {
            other.push(lua, cx)?;
            cx.equal(at, at + 1).map_err(|raised| caught(cx, raised))
        })
    }

    /// Equality without metamethods, as `rawequal`.
    ///
    /// # Errors
    /// For values of another VM.
    pub fn raw_equal(&self, other: &Self, lua: &Lua) -> Result<bool> {
        lua.with(|cx| {
            let at = cx.height();
            self.push(lua, cx)?;
            other.push(lua, cx)?;
            Ok(cx.raw_equal(at, at + 1))
        })
    }

    /// The text that `tostring` gives; errors of Rust code say their own.
    ///
    /// # Errors
    /// What `__tostring` raises, if the text is no UTF-8, and [`Error::Destroyed`].
    ///
    /// ```
    /// # use moonswap::Value;
    /// assert_eq!(Value::Number(3.0).to_string()?, "3.0");
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    #[allow(clippy::inherent_to_string_shadow_display)]
    pub fn to_string(&self) -> Result<String> {
        Ok(match self {
            Self::Nil | Self::Other(_) => "nil".into(),
            Self::Boolean(b) => b.to_string(),
            Self::LightUserData(light) if light.0.is_null() => "null".into(),
            Self::LightUserData(light) => format!("lightuserdata: {:?}", light.0),
            Self::Integer(i) => i.to_string(),
            Self::Number(n) => {
                String::from_utf8_lossy(moonswap_number::NumberBuffer::new().format_float(*n))
                    .into_owned()
            }
            Self::String(text) => (*text.to_str()?).to_owned(),
            Self::Error(error) => error.to_string(),
            Self::Table(_) | Self::Function(_) | Self::Thread(_) | Self::UserData(_) => {
                let handle = self.handle().ok_or(Error::Destroyed)?;
                let lua = handle.lua()?;
                String::from_utf8(lua.to_display(self)?)
                    .map_err(|e| Error::conversion("string", "String", Some(&e.to_string())))?
            }
        })
    }
}
