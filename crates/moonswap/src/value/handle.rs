//! A reference to a value of a VM. It keeps the value alive as long as the VM
//! lives, and not the VM.

use std::ffi::c_void;
use std::fmt;

use moonswap_vm::{Context, Root};

use crate::{Error, Lua, Result, WeakLua};

/// A value that the host holds, with the VM it belongs to.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) lua: WeakLua,
    pub(crate) root: Root,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({:#x})", self.address())
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.lua == other.lua && self.address() == other.address()
    }
}

impl Handle {
    /// Pops the top of the stack into a handle.
    pub(crate) fn pop(lua: &Lua, cx: &Context<'_>) -> Self {
        Self {
            lua: lua.weak(),
            root: cx.root_top(),
        }
    }

    /// The VM; an error if it is gone.
    pub(crate) fn lua(&self) -> Result<Lua> {
        self.lua.try_upgrade().ok_or(Error::Destroyed)
    }

    pub(crate) fn push(&self, lua: &Lua, cx: &Context<'_>) -> Result<()> {
        if !self.lua.is_of(lua) {
            return Err(Error::ForeignHandle);
        }
        cx.push_root(&self.root);
        Ok(())
    }

    /// Runs `f` with the value at the given stack index, for what may allocate.
    pub(crate) fn attempt<R>(
        &self,
        f: impl FnOnce(&Lua, &mut Context<'_>, usize) -> Result<R>,
    ) -> Result<R> {
        let lua = self.lua()?;
        lua.attempt(|cx| {
            let at = cx.height();
            cx.push_root(&self.root);
            f(&lua, cx, at)
        })
    }

    /// Runs `f` with the value at the given stack index.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Lua, &mut Context<'_>, usize) -> R) -> Result<R> {
        let lua = self.lua()?;
        Ok(lua.with(|cx| {
            let at = cx.height();
            cx.push_root(&self.root);
            f(&lua, cx, at)
        }))
    }

    /// Identity of the object.
    pub(crate) fn address(&self) -> usize {
        self.root.address()
    }

    /// Identity of the object, as mlua spells it.
    pub(crate) fn pointer(&self) -> *const c_void {
        self.address() as *const c_void
    }
}
