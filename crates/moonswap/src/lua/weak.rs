//! `WeakLua`: a handle of a VM that does not keep it alive.

use std::fmt;
use std::rc::{Rc, Weak};

use super::Inner;
use crate::Lua;

/// A handle of a VM that does not keep it alive. Every value has one, so that
/// closures and userdata may own values of the VM that owns them.
///
/// ```
/// use moonswap::Lua;
/// let lua = Lua::new();
/// let weak = lua.weak();
/// assert!(weak.try_upgrade().is_some());
/// drop(lua);
/// assert!(weak.try_upgrade().is_none());
/// ```
#[derive(Clone, Default)]
pub struct WeakLua(pub(crate) Weak<Inner>);

impl WeakLua {
    /// The VM.
    ///
    /// # Panics
    /// If it is gone.
    pub fn upgrade(&self) -> Lua {
        self.try_upgrade().expect("Lua instance is destroyed")
    }

    /// The VM, if it is still there.
    pub fn try_upgrade(&self) -> Option<Lua> {
        self.0.upgrade().map(Lua)
    }

    /// Whether it is a handle of `lua`.
    pub(crate) fn is_of(&self, lua: &Lua) -> bool {
        std::ptr::eq(self.0.as_ptr(), Rc::as_ptr(&lua.0))
    }
}

impl PartialEq for WeakLua {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}
impl Eq for WeakLua {}

impl fmt::Debug for WeakLua {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakLua")
    }
}
