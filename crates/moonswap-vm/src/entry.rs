//! What a VM `V` has to know of its owner: the way in, and the roots that were given
//! back.
//!
//! Invariants: M1 to M3 (`machine.rs`).

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

/// The one way into a VM (M1).
#[derive(Debug)]
pub(crate) struct Entry<V> {
    /// By which the VM may be reached now; `None`: somebody is inside.
    pub(crate) way: Cell<Option<NonNull<V>>>,
    /// M3.
    pub(crate) is_broken: Cell<bool>,
}

impl<V> Default for Entry<V> {
    fn default() -> Self {
        Self {
            way: Cell::new(None),
            is_broken: Cell::new(false),
        }
    }
}

impl<V> Entry<V> {
    /// Lets the host in by `vm` until the answer is dropped.
    ///
    /// # Safety
    /// M2; nothing else reaches the VM meanwhile.
    pub(crate) unsafe fn open(self: Rc<Self>, vm: NonNull<V>) -> OpenEntry<V> {
        let before = self.way.replace(Some(vm));
        OpenEntry {
            entry: self,
            before,
        }
    }
}

/// A entry that a native holds open.
pub(crate) struct OpenEntry<V> {
    entry: Rc<Entry<V>>,
    before: Option<NonNull<V>>,
}

impl<V> Drop for OpenEntry<V> {
    fn drop(&mut self) {
        self.entry.way.set(self.before);
        // The native would go on with a stack that is not its own. While a
        // panic is on its way it does not.
        assert!(
            !self.entry.is_broken.get() || std::thread::panicking(),
            "a panic left the Lua VM in the middle of something"
        );
    }
}

/// Roots that were dropped; the VM looks here before it collects. A `Root` may
/// be dropped at any moment, even by a destructor that the collector runs.
#[derive(Debug, Default)]
pub(crate) struct Released(pub(crate) RefCell<Vec<u32>>);
