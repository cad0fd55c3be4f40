//! The traits by which Rust values become Lua values and back.

use moonswap_vm::Context;

use crate::{Lua, MultiValue, Result, Value};

/// A Rust value as a Lua value.
///
/// ```
/// use moonswap::{IntoLua, Lua, Result, Value};
/// struct Point(i64, i64);
/// impl IntoLua for Point {
///     fn into_lua(self, lua: &Lua) -> Result<Value> {
///         [self.0, self.1].into_lua(lua)
///     }
/// }
/// let lua = Lua::new();
/// lua.globals().set("p", Point(3, 4))?;
/// assert_eq!(lua.load("p[1] * p[2]").eval::<i64>()?, 12);
/// # Ok::<(), moonswap::Error>(())
/// ```
pub trait IntoLua: Sized {
    /// Converts.
    ///
    /// # Errors
    /// If the value has no form in Lua, or the memory limit is in the way.
    fn into_lua(self, lua: &Lua) -> Result<Value>;

    /// Whether [`push_direct`](Self::push_direct) may be called: the conversion does not
    /// enter the VM.
    #[doc(hidden)]
    const IS_DIRECT: bool = false;

    /// Puts the value on the stack, without a [`Value`] between.
    #[doc(hidden)]
    fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<()> {
        self.into_lua(lua)?.push(lua, cx)
    }
}

/// A Rust value from a Lua value.
pub trait FromLua: Sized {
    /// Converts.
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`](crate::Error::FromLuaConversionError), which
    /// says what was expected.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self>;

    /// Converts argument `position` (from 1) of the function `to`.
    #[doc(hidden)]
    fn from_lua_arg(value: Value, position: usize, to: Option<&str>, lua: &Lua) -> Result<Self> {
        Self::from_lua(value, lua).map_err(|error| error.argument(position, to))
    }

    /// The value at a place of the stack (nil behind the end), which stays there.
    /// `None`: it takes more than a look ([`from_lua`](Self::from_lua)).
    #[doc(hidden)]
    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        let _ = (lua, cx, at);
        None
    }
}

/// Rust values as arguments or results.
pub trait IntoLuaMulti: Sized {
    /// Converts.
    ///
    /// # Errors
    /// As [`IntoLua::into_lua`].
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue>;

    /// As [`IntoLua::IS_DIRECT`].
    #[doc(hidden)]
    const IS_DIRECT: bool = false;

    /// How many values [`push_direct`](Self::push_direct) pushes at most.
    #[doc(hidden)]
    const N_DIRECT: usize = 0;

    /// Puts the values on the stack; how many.
    #[doc(hidden)]
    fn push_direct(self, lua: &Lua, cx: &mut Context<'_>) -> Result<usize> {
        let values = self.into_lua_multi(lua)?;
        for value in &values {
            value.push(lua, cx)?;
        }
        Ok(values.len())
    }
}

/// Rust values from arguments or results; missing ones are `nil`, further ones
/// are dropped.
pub trait FromLuaMulti: Sized {
    /// Converts.
    ///
    /// # Errors
    /// As [`FromLua::from_lua`].
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self>;

    /// Converts the arguments from `position` (from 1) on of the function `to`.
    #[doc(hidden)]
    fn from_lua_args(
        values: MultiValue,
        position: usize,
        to: Option<&str>,
        lua: &Lua,
    ) -> Result<Self> {
        let _ = (position, to);
        Self::from_lua_multi(values, lua)
    }

    /// The values from a place of the stack on, as [`FromLua::take_direct`].
    #[doc(hidden)]
    fn take_direct(lua: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
        let _ = (lua, cx, at);
        None
    }
}

/// Every type: a VM stays on its thread. Programs written for mlua name it in bounds.
pub trait MaybeSend {}
impl<T: ?Sized> MaybeSend for T {}

/// As [`MaybeSend`].
pub trait MaybeSync {}
impl<T: ?Sized> MaybeSync for T {}
