//! A reference to a value of a VM, which keeps both alive.

use std::fmt;

use moonswap_vm::{Context, Root};

use crate::{Error, Lua, Result};

/// A value that the host keeps alive, with the VM it belongs to.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) lua: Lua,
    pub(crate) root: Root,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.address())
    }
}

impl Handle {
    /// Pops the top of the stack into a handle.
    pub(crate) fn pop(lua: &Lua, cx: &Context<'_>) -> Self {
        Self {
            lua: lua.clone(),
            root: cx.root_top(),
        }
    }

    pub(crate) fn push(&self, lua: &Lua, cx: &Context<'_>) -> Result<()> {
        if !self.lua.is_same(lua) {
            return Err(Error::foreign_handle());
        }
        cx.push_root(&self.root);
        Ok(())
    }

    /// Identity of the object.
    pub(crate) fn address(&self) -> usize {
        self.root.address()
    }
}
