//! Host data that Lua owns and the host borrows: a cell whose guards own it, so
//! that what is borrowed outlives the userdata and the VM.
//!
//! Invariants: HC1 `state` is the number of readers, or `WRITTEN` while one
//! writes: a guard counts itself before it reaches the value and discounts itself
//! when it is dropped; HC2 a reader exists only while `state` is positive, a writer
//! only while it is `WRITTEN`, and the value is there as long as a guard is; HC3 a
//! guard of a lock is dropped before the `Keep` that the lock lives in, whose
//! address does not change.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

/// `state` of a cell with a writer.
const WRITTEN: isize = -1;

struct Inner<T> {
    state: Cell<isize>,
    value: UnsafeCell<Option<T>>,
}

/// Why a cell could not be borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Somebody else has borrowed it.
    Busy,
    /// The value was taken out.
    Gone,
}

/// A value that is borrowed by guards of its own lifetime. Clones share it.
///
/// ```
/// use moonswap_vm::HostCell;
/// let cell = HostCell::new(String::from("text"));
/// let read = cell.read().unwrap();
/// assert!(cell.write().is_err());
/// drop(cell); // the guard keeps the value
/// assert_eq!(*read, "text");
/// ```
pub struct HostCell<T>(Rc<Inner<T>>);

impl<T> Clone for HostCell<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> fmt::Debug for HostCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostCell").field(&self.0.state).finish()
    }
}

impl<T> HostCell<T> {
    /// A cell of `value`.
    pub fn new(value: T) -> Self {
        Self(Rc::new(Inner {
            state: Cell::new(0),
            value: UnsafeCell::new(Some(value)),
        }))
    }

    /// Whether there is a value. While it is written there is.
    fn is_there(&self) -> bool {
        let state = self.0.state.get();
        // SAFETY: HC2: nobody writes in that case.
        state == WRITTEN || unsafe { (*self.0.value.get()).is_some() }
    }

    /// Borrows it for reading.
    ///
    /// # Errors
    /// While somebody writes, and after the value was taken.
    pub fn read(&self) -> Result<HostRef<T>, Unavailable> {
        let state = self.0.state.get();
        match state {
            WRITTEN => Err(Unavailable::Busy),
            _ if !self.is_there() => Err(Unavailable::Gone),
            _ => {
                self.0
                    .state
                    .set(state.checked_add(1).ok_or(Unavailable::Busy)?);
                Ok(HostRef(Read::Cell(Shared(Rc::clone(&self.0)))))
            }
        }
    }

    /// Borrows it for writing.
    ///
    /// # Errors
    /// While somebody reads or writes, and after the value was taken.
    pub fn write(&self) -> Result<HostMut<T>, Unavailable> {
        match self.0.state.get() {
            _ if !self.is_there() => Err(Unavailable::Gone),
            0 => {
                self.0.state.set(WRITTEN);
                Ok(HostMut(Write::Cell(Exclusive(Rc::clone(&self.0)))))
            }
            _ => Err(Unavailable::Busy),
        }
    }

    /// Takes the value out.
    ///
    /// # Errors
    /// While somebody has borrowed it, and after it was taken.
    pub fn take(&self) -> Result<T, Unavailable> {
        if self.0.state.get() != 0 {
            return Err(Unavailable::Busy);
        }
        // SAFETY: HC1: nobody reads or writes.
        unsafe { (*self.0.value.get()).take() }.ok_or(Unavailable::Gone)
    }
}

struct Shared<T>(Rc<Inner<T>>);

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: HC2.
        unsafe { (*self.0.value.get()).as_ref().unwrap_unchecked() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        self.0.state.set(self.0.state.get() - 1);
    }
}

struct Exclusive<T>(Rc<Inner<T>>);

impl<T> Deref for Exclusive<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: HC2.
        unsafe { (*self.0.value.get()).as_ref().unwrap_unchecked() }
    }
}

impl<T> DerefMut for Exclusive<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: HC2: this guard is the only one, and borrowed exclusively.
        unsafe { (*self.0.value.get()).as_mut().unwrap_unchecked() }
    }
}

impl<T> Drop for Exclusive<T> {
    fn drop(&mut self) {
        self.0.state.set(0);
    }
}

enum Read<T> {
    Cell(Shared<T>),
    Inner(Box<dyn Deref<Target = T>>),
}

enum Write<T> {
    Cell(Exclusive<T>),
    Inner(Box<dyn DerefMut<Target = T>>),
}

/// A value of the host's that is borrowed for reading.
pub struct HostRef<T: 'static>(Read<T>);

/// A value of the host's that is borrowed for writing.
pub struct HostMut<T: 'static>(Write<T>);

impl<T> HostRef<T> {
    /// A part of what `outer` has borrowed.
    pub fn inside<O: Deref<Target = T> + 'static>(outer: HostRef<O>) -> Self {
        struct Part<O: 'static>(HostRef<O>);
        impl<O: Deref> Deref for Part<O> {
            type Target = O::Target;
            fn deref(&self) -> &O::Target {
                &self.0
            }
        }
        Self(Read::Inner(Box::new(Part(outer))))
    }

    /// What is behind a lock that `keep` has; `None` if it is not free.
    pub fn locked<W: LockForRead<Value = T> + 'static, K: Keep<W::Lock>>(keep: K) -> Option<Self> {
        // SAFETY: HC3: `Locked` has the guard before what the lock lives in. The
        // method is generic over the lifetime, so that it cannot keep the
        // reference elsewhere.
        let guard = W::lock(unsafe { &*std::ptr::from_ref::<W::Lock>(&keep) })?;
        Some(Self(Read::Inner(Box::new(Locked { guard, _keep: keep }))))
    }
}

impl<T> HostMut<T> {
    /// What is behind a lock that `keep` has; `None` if it is not free.
    pub fn locked<W: LockForWrite<Value = T> + 'static, K: Keep<W::Lock>>(keep: K) -> Option<Self> {
        // SAFETY: HC3, as for reading.
        let guard = W::lock(unsafe { &*std::ptr::from_ref::<W::Lock>(&keep) })?;
        Some(Self(Write::Inner(Box::new(Locked { guard, _keep: keep }))))
    }
}

/// The guard goes first (HC3).
struct Locked<G, K> {
    guard: G,
    _keep: K,
}

impl<G: Deref, K> Deref for Locked<G, K> {
    type Target = G::Target;
    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut, K> DerefMut for Locked<G, K> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// What a lock lives in at an address that does not change: `Rc` and `Arc`.
pub trait Keep<L>: Deref<Target = L> + sealed::Sealed + 'static {}
impl<L: 'static> Keep<L> for Rc<L> {}
impl<L: 'static> Keep<L> for Arc<L> {}

mod sealed {
    pub trait Sealed {}
    impl<L> Sealed for std::rc::Rc<L> {}
    impl<L> Sealed for std::sync::Arc<L> {}
}

/// How a kind of lock is taken for reading, without waiting.
pub trait LockForRead {
    /// The lock.
    type Lock: 'static;
    /// What it has.
    type Value: 'static;
    /// Its guard.
    type Guard<'l>: Deref<Target = Self::Value>;
    /// Takes it; `None` if it is not free.
    fn lock(lock: &Self::Lock) -> Option<Self::Guard<'_>>;
}

/// How a kind of lock is taken for writing, without waiting.
pub trait LockForWrite {
    /// The lock.
    type Lock: 'static;
    /// What it has.
    type Value: 'static;
    /// Its guard.
    type Guard<'l>: DerefMut<Target = Self::Value>;
    /// Takes it; `None` if it is not free.
    fn lock(lock: &Self::Lock) -> Option<Self::Guard<'_>>;
}

impl<T> Deref for HostRef<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.0 {
            Read::Cell(shared) => shared,
            Read::Inner(inner) => inner,
        }
    }
}

impl<T> Deref for HostMut<T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.0 {
            Write::Cell(exclusive) => exclusive,
            Write::Inner(inner) => inner,
        }
    }
}

impl<T> DerefMut for HostMut<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Write::Cell(exclusive) => exclusive,
            Write::Inner(inner) => inner,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for HostRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for HostMut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Ref, RefCell, RefMut};

    use super::*;

    struct Way;
    impl LockForRead for Way {
        type Lock = RefCell<String>;
        type Value = String;
        type Guard<'l> = Ref<'l, String>;
        fn lock(lock: &RefCell<String>) -> Option<Ref<'_, String>> {
            lock.try_borrow().ok()
        }
    }
    impl LockForWrite for Way {
        type Lock = RefCell<String>;
        type Value = String;
        type Guard<'l> = RefMut<'l, String>;
        fn lock(lock: &RefCell<String>) -> Option<RefMut<'_, String>> {
            lock.try_borrow_mut().ok()
        }
    }

    #[test]
    fn readers_and_writers_exclude_each_other() {
        let cell = HostCell::new(String::from("a"));
        let (one, two) = (cell.read().expect("free"), cell.read().expect("read only"));
        assert_eq!(cell.write().err(), Some(Unavailable::Busy));
        assert_eq!(cell.take().err(), Some(Unavailable::Busy));
        drop((one, two));
        let mut write = cell.write().expect("free");
        write.push('b');
        assert_eq!(cell.read().err(), Some(Unavailable::Busy));
        assert_eq!(cell.write().err(), Some(Unavailable::Busy));
        drop(write);
        assert_eq!(cell.take().expect("free"), "ab");
        assert_eq!(cell.read().err(), Some(Unavailable::Gone));
        assert_eq!(cell.write().err(), Some(Unavailable::Gone));
        assert_eq!(cell.take().err(), Some(Unavailable::Gone));
    }

    #[test]
    fn guards_outlive_the_cell() {
        let cell = HostCell::new(Rc::new(String::from("text")));
        let part = HostRef::inside(cell.read().expect("free"));
        drop(cell);
        assert_eq!(*part, "text");
    }

    #[test]
    fn locks_are_held_as_long_as_the_guard() {
        let lock = Rc::new(RefCell::new(String::from("a")));
        let mut write = HostMut::locked::<Way, _>(Rc::clone(&lock)).expect("free");
        write.push('b');
        assert!(HostRef::locked::<Way, _>(Rc::clone(&lock)).is_none());
        drop(write);
        let read = HostRef::locked::<Way, _>(Rc::clone(&lock)).expect("free");
        assert!(HostMut::locked::<Way, _>(Rc::clone(&lock)).is_none());
        drop(lock);
        assert_eq!(*read, "ab");
    }
}
