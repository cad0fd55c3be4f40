//! What a userdata of the VM has in it: data of a type that only its methods know.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moonswap_vm::{Context, HostCell, HostMut, HostRef, Unavailable, View};

use crate::scope::lend::Lent;
use crate::user_data::stored::{Stored, cell_of};
use crate::user_data::{locks, no_userdata};
use crate::{Error, Result};

/// Stands for the data of a type where only its functions are wanted.
pub(crate) struct Proxy<T>(pub(crate) std::marker::PhantomData<fn() -> T>);

struct Inner {
    /// The type of the data; `None` if it is known to its scope only.
    type_id: Option<TypeId>,
    data: RefCell<Option<Box<dyn Stored>>>,
    /// How many methods run that have the data.
    in_methods: Cell<usize>,
}

/// A host object. Clones share it.
#[derive(Clone)]
pub(crate) struct HostObject(Rc<Inner>);

/// Counts itself among the methods.
struct InMethod<'o>(&'o Cell<usize>);

impl<'o> InMethod<'o> {
    fn new(count: &'o Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for InMethod<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn read_error(why: Unavailable) -> Error {
    match why {
        Unavailable::Busy => Error::UserDataBorrowError,
        Unavailable::Gone => Error::UserDataDestructed,
    }
}

fn write_error(why: Unavailable) -> Error {
    match why {
        Unavailable::Busy => Error::UserDataBorrowMutError,
        Unavailable::Gone => Error::UserDataDestructed,
    }
}

impl HostObject {
    pub(crate) fn new(type_id: Option<TypeId>, data: Box<dyn Stored>) -> Self {
        Self(Rc::new(Inner {
            type_id,
            data: RefCell::new(Some(data)),
            in_methods: Cell::new(0),
        }))
    }

    /// The object of the userdata at index `i`.
    pub(crate) fn at(cx: &Context<'_>, i: usize) -> Option<Self> {
        match cx.at(i) {
            View::UserData(data) => data.downcast::<Self>().cloned(),
            _ => None,
        }
    }

    /// The object of a `T` at index `i`, for a method that is called on it.
    pub(crate) fn this<T: 'static>(cx: &Context<'_>, i: usize) -> Result<Self> {
        match cx.at(i) {
            View::UserData(data) => match data.downcast::<Self>() {
                Some(object) => Ok(object.clone()),
                None => Err(Error::UserDataTypeMismatch),
            },
            other => Err(no_userdata::<T>(other.type_name())),
        }
    }

    /// Whether both are the same object.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The type of the data, while it is there.
    pub(crate) fn type_id(&self) -> Option<TypeId> {
        self.0.data.borrow().as_ref().and(self.0.type_id)
    }

    /// What `f` makes of the data.
    pub(crate) fn stored<R>(&self, f: impl FnOnce(&dyn Stored) -> Result<R>) -> Result<R> {
        match &*self.0.data.borrow() {
            Some(stored) => f(&**stored),
            None => Err(Error::UserDataDestructed),
        }
    }

    fn cell<T: 'static>(&self) -> Result<Option<HostCell<T>>> {
        self.stored(|stored| Ok(cell_of(stored)))
    }

    pub(crate) fn read<T: 'static>(&self) -> Result<HostRef<T>> {
        match self.cell::<T>()? {
            Some(cell) => cell.read().map_err(read_error),
            None => self.stored(locks::read::<T>),
        }
    }

    pub(crate) fn write<T: 'static>(&self) -> Result<HostMut<T>> {
        match self.cell::<T>()? {
            Some(cell) => cell.write().map_err(write_error),
            None => self.stored(locks::write::<T>),
        }
    }

    fn lent<T: 'static>(&self) -> Result<Option<Lent<T>>> {
        self.stored(|stored| Ok(stored.as_any().downcast_ref::<Lent<T>>().cloned()))
    }

    /// Calls `f` with the data; it is not destroyed meanwhile.
    pub(crate) fn with<T: 'static, R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let _in_method = InMethod::new(&self.0.in_methods);
        match self.lent::<T>()? {
            Some(lent) => lent.with(f),
            None => Ok(f(&*self.read::<T>()?)),
        }
    }

    /// Calls `f` with the data to be changed; it is not destroyed meanwhile.
    pub(crate) fn with_mut<T: 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        let _in_method = InMethod::new(&self.0.in_methods);
        if let Some(lent) = self.lent::<T>()? {
            return lent.with_mut(f);
        }
        if let Some(mut data) = self.stored(locks::unique::<T>)? {
            return data.with(f);
        }
        Ok(f(&mut *self.write::<T>()?))
    }

    /// Takes the data away.
    pub(crate) fn take<T: 'static>(&self) -> Result<T> {
        let cell = self.cell::<T>()?.ok_or(Error::UserDataTypeMismatch)?;
        let value = cell.take().map_err(write_error)?;
        drop(self.0.data.borrow_mut().take());
        Ok(value)
    }

    /// Lets the data go: who gets it drops it, with the host's destructor. Guards of it
    /// keep it a while.
    pub(crate) fn release(&self) -> Result<Box<dyn Stored>> {
        if self.0.in_methods.get() > 0 {
            return Err(Error::UserDataBorrowMutError);
        }
        let data = self.0.data.borrow_mut().take();
        data.ok_or(Error::UserDataDestructed)
    }
}
