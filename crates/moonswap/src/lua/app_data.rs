//! Values of the host's that it keeps with a VM, one of each type.

use std::any::{Any, TypeId};
use std::cell::{BorrowError, BorrowMutError, Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use moonswap_vm::{HostCell, HostMut, HostRef, Unavailable};

use crate::Lua;

/// What a VM has of the host's.
#[derive(Default)]
pub(crate) struct AppData {
    by_type: RefCell<HashMap<TypeId, Box<dyn Any>>>,
    /// How many guards there are.
    borrowed: Rc<Cell<usize>>,
}

/// Counts itself among the guards.
struct Borrow(Rc<Cell<usize>>);

impl Borrow {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Borrow {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Borrowed data of the host's; [`Lua::app_data_ref`].
pub struct AppDataRef<'a, T: 'static> {
    data: HostRef<T>,
    _borrow: Borrow,
    _lua: PhantomData<&'a Lua>,
}

/// Data of the host's that is borrowed to be changed; [`Lua::app_data_mut`].
pub struct AppDataRefMut<'a, T: 'static> {
    data: HostMut<T>,
    _borrow: Borrow,
    _lua: PhantomData<&'a Lua>,
}

impl<T> Deref for AppDataRef<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.data
    }
}
impl<T> Deref for AppDataRefMut<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.data
    }
}
impl<T> DerefMut for AppDataRefMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}
impl<T: fmt::Debug> fmt::Debug for AppDataRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
impl<T: fmt::Debug> fmt::Debug for AppDataRefMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
impl<T: fmt::Display> fmt::Display for AppDataRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
impl<T: fmt::Display> fmt::Display for AppDataRefMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The error of a `RefCell` that is being changed.
fn borrow_error() -> BorrowError {
    let cell = RefCell::new(());
    let _changed = cell.borrow_mut();
    match cell.try_borrow() {
        Err(error) => error,
        Ok(_) => unreachable!("the cell is being changed"),
    }
}

/// The error of a `RefCell` that is in use.
fn borrow_mut_error() -> BorrowMutError {
    let cell = RefCell::new(());
    let _used = cell.borrow();
    match cell.try_borrow_mut() {
        Err(error) => error,
        Ok(_) => unreachable!("the cell is in use"),
    }
}

impl Lua {
    fn app_data_cell<T: 'static>(&self) -> Option<HostCell<T>> {
        let by_type = self.0.app_data.by_type.borrow();
        by_type.get(&TypeId::of::<T>())?.downcast_ref().cloned()
    }

    /// Keeps a value of the host's with the VM; returns the one of the same
    /// type that was there. It may own values of the VM.
    ///
    /// # Panics
    /// While any data is borrowed.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// struct Calls(u32);
    /// let lua = Lua::new();
    /// lua.set_app_data(Calls(0));
    /// let count = lua.create_function(|lua, ()| {
    ///     lua.app_data_mut::<Calls>().unwrap().0 += 1;
    ///     Ok(())
    /// })?;
    /// count.call::<()>(())?;
    /// assert_eq!(lua.app_data_ref::<Calls>().unwrap().0, 1);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    #[track_caller]
    pub fn set_app_data<T: 'static>(&self, data: T) -> Option<T> {
        match self.try_set_app_data(data) {
            Ok(old) => old,
            Err(_) => panic!("app data cannot be set while some of it is borrowed"),
        }
    }

    /// [`Lua::set_app_data`] that gives the value back while any data is borrowed.
    ///
    /// # Errors
    /// The value.
    pub fn try_set_app_data<T: 'static>(&self, data: T) -> Result<Option<T>, T> {
        let all = &self.0.app_data;
        if all.borrowed.get() != 0 {
            return Err(data);
        }
        let cell: Box<dyn Any> = Box::new(HostCell::new(data));
        let old = all.by_type.borrow_mut().insert(TypeId::of::<T>(), cell);
        Ok(taken(old))
    }

    /// The host's value of a type.
    ///
    /// # Panics
    /// While it is being changed.
    #[track_caller]
    pub fn app_data_ref<T: 'static>(&self) -> Option<AppDataRef<'_, T>> {
        match self.try_app_data_ref() {
            Ok(found) => found,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`Lua::app_data_ref`] without the panic.
    ///
    /// # Errors
    /// While it is being changed.
    pub fn try_app_data_ref<T: 'static>(&self) -> Result<Option<AppDataRef<'_, T>>, BorrowError> {
        match self.app_data_cell().map(|cell| cell.read()) {
            None | Some(Err(Unavailable::Gone)) => Ok(None),
            Some(Err(Unavailable::Busy)) => Err(borrow_error()),
            Some(Ok(data)) => Ok(Some(AppDataRef {
                data,
                _borrow: Borrow::new(&self.0.app_data.borrowed),
                _lua: PhantomData,
            })),
        }
    }

    /// The host's value of a type, to be changed.
    ///
    /// # Panics
    /// While it is in use.
    #[track_caller]
    pub fn app_data_mut<T: 'static>(&self) -> Option<AppDataRefMut<'_, T>> {
        match self.try_app_data_mut() {
            Ok(found) => found,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`Lua::app_data_mut`] without the panic.
    ///
    /// # Errors
    /// While it is in use.
    pub fn try_app_data_mut<T: 'static>(
        &self,
    ) -> Result<Option<AppDataRefMut<'_, T>>, BorrowMutError> {
        match self.app_data_cell().map(|cell| cell.write()) {
            None | Some(Err(Unavailable::Gone)) => Ok(None),
            Some(Err(Unavailable::Busy)) => Err(borrow_mut_error()),
            Some(Ok(data)) => Ok(Some(AppDataRefMut {
                data,
                _borrow: Borrow::new(&self.0.app_data.borrowed),
                _lua: PhantomData,
            })),
        }
    }

    /// Takes the host's value of a type away.
    ///
    /// # Panics
    /// While any data is borrowed.
    #[track_caller]
    pub fn remove_app_data<T: 'static>(&self) -> Option<T> {
        let all = &self.0.app_data;
        if all.borrowed.get() != 0 {
            panic!("app data cannot be removed while some of it is borrowed");
        }
        let old = all.by_type.borrow_mut().remove(&TypeId::of::<T>());
        taken(old)
    }
}

/// The value of a cell that nobody has borrowed.
fn taken<T: 'static>(cell: Option<Box<dyn Any>>) -> Option<T> {
    cell?.downcast::<HostCell<T>>().ok()?.take().ok()
}
