//! `LuaBuilder`: a VM that is not the plain one.

use crate::Lua;

/// Options of a VM that have to be known when it is made; [`Lua::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "`build` makes the VM"]
pub struct LuaBuilder {
    compat: bool,
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

    /// The VM, with all standard libraries and the `moonswap` module.
    pub fn build(self) -> Lua {
        Lua::with_libraries(self.compat)
    }
}
