//! `LuaBuilder`: a VM that is not the plain one.

use crate::Lua;

/// Options of a VM that have to be known when it is made; [`Lua::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "`build` makes the VM"]
pub struct LuaBuilder {
    compat: bool,
    error_texts: bool,
}

impl LuaBuilder {
    /// Adds what older code expects and Lua 5.4 no longer has: `loadstring`,
    /// `unpack`, `table.getn`, `table.maxn`, `setfenv` and `getfenv` (of
    /// functions with an `_ENV` upvalue), `math.pow`, `cosh`, `sinh`, `tanh`,
    /// `frexp`, `ldexp`, `log10`. Off by default.
    pub fn compat(mut self, on: bool) -> Self {
        self.compat = on;
        self
    }

    /// Makes errors what they are in the stand-alone interpreter from where they
    /// are raised: text that ends in the traceback. `__close` methods that run
    /// because of an error that nobody catches get that text. Without it they
    /// get the value that was raised. [`crate::Error`]s that reach the host are
    /// the same either way. Off by default.
    pub fn error_texts(mut self, on: bool) -> Self {
        self.error_texts = on;
        self
    }

    /// The VM, with all standard libraries and the `moonswap` module.
    pub fn build(self) -> Lua {
        let lua = Lua::with_libraries(self.compat);
        if self.error_texts {
            lua.with(crate::value::raise::make_error_texts);
        }
        lua
    }
}
