//! Data in shared pointers and locks, borrowed as what is in them.

use std::cell::{Ref, RefCell, RefMut};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use moonswap_vm::{HostCell, HostMut, HostRef, LockForRead, LockForWrite};

use crate::user_data::stored::{Stored, cell_of};
use crate::{Error, Result};

/// How a lock of type `L` is taken.
struct Way<L>(std::marker::PhantomData<L>);

macro_rules! ways {
    ($($lock:ident $read:ident $take_read:expr, $write:ident $take_write:expr;)*) => { $(
        impl<T: 'static> LockForRead for Way<$lock<T>> {
            type Lock = $lock<T>;
            type Value = T;
            type Guard<'l> = $read<'l, T>;
            fn lock(lock: &$lock<T>) -> Option<$read<'_, T>> {
                let take: fn(&$lock<T>) -> Option<$read<'_, T>> = $take_read;
                take(lock)
            }
        }
        impl<T: 'static> LockForWrite for Way<$lock<T>> {
            type Lock = $lock<T>;
            type Value = T;
            type Guard<'l> = $write<'l, T>;
            fn lock(lock: &$lock<T>) -> Option<$write<'_, T>> {
                let take: fn(&$lock<T>) -> Option<$write<'_, T>> = $take_write;
                take(lock)
            }
        }
    )* };
}
ways! {
    RefCell Ref |l| l.try_borrow().ok(), RefMut |l| l.try_borrow_mut().ok();
    Mutex MutexGuard |l| l.try_lock().ok(), MutexGuard |l| l.try_lock().ok();
    RwLock RwLockReadGuard |l| l.try_read().ok(), RwLockWriteGuard |l| l.try_write().ok();
}

/// The locks of another crate that has the same names.
#[cfg(feature = "userdata-wrappers")]
mod parking {
    pub(super) use parking_lot::{
        Mutex as PlMutex, MutexGuard as PlMutexGuard, RwLock as PlRwLock,
        RwLockReadGuard as PlRwLockReadGuard, RwLockWriteGuard as PlRwLockWriteGuard,
    };
}
#[cfg(feature = "userdata-wrappers")]
use parking::*;
#[cfg(feature = "userdata-wrappers")]
ways! {
    PlMutex PlMutexGuard |l| l.try_lock(), PlMutexGuard |l| l.try_lock();
    PlRwLock PlRwLockReadGuard |l| l.try_read(), PlRwLockWriteGuard |l| l.try_write();
}

/// What a lock `L` in a pointer `K` has, if that is what is stored.
fn read_lock<T: 'static, K, L>(stored: &dyn Stored) -> Option<Result<HostRef<T>>>
where
    K: moonswap_vm::KeepsLock<L> + Clone,
    Way<L>: LockForRead<Lock = L, Value = T>,
    L: 'static,
{
    let cell: HostCell<K> = cell_of(stored)?;
    let locked = cell.read().ok().map(|keep| keep.clone());
    let locked = locked.and_then(HostRef::locked::<Way<L>, K>);
    Some(locked.ok_or(Error::UserDataBorrowError))
}

fn write_lock<T: 'static, K, L>(stored: &dyn Stored) -> Option<Result<HostMut<T>>>
where
    K: moonswap_vm::KeepsLock<L> + Clone,
    Way<L>: LockForWrite<Lock = L, Value = T>,
    L: 'static,
{
    let cell: HostCell<K> = cell_of(stored)?;
    let locked = cell.read().ok().map(|keep| keep.clone());
    let locked = locked.and_then(HostMut::locked::<Way<L>, K>);
    Some(locked.ok_or(Error::UserDataBorrowMutError))
}

/// What a pointer `P` has, if that is what is stored.
fn read_pointer<T: 'static, P: Deref<Target = T> + 'static>(
    stored: &dyn Stored,
) -> Option<Result<HostRef<T>>> {
    let cell: HostCell<P> = cell_of(stored)?;
    let read = cell.read().map_err(|_| Error::UserDataBorrowError);
    Some(read.map(HostRef::inside))
}

/// The `T` in whatever wraps it.
pub(super) fn read<T: 'static>(stored: &dyn Stored) -> Result<HostRef<T>> {
    let found = read_pointer::<T, Rc<T>>(stored)
        .or_else(|| read_pointer::<T, Arc<T>>(stored))
        .or_else(|| read_lock::<T, Rc<RefCell<T>>, _>(stored))
        .or_else(|| read_lock::<T, Arc<Mutex<T>>, _>(stored))
        .or_else(|| read_lock::<T, Arc<RwLock<T>>, _>(stored));
    #[cfg(feature = "userdata-wrappers")]
    let found = found
        .or_else(|| read_lock::<T, Arc<PlMutex<T>>, _>(stored))
        .or_else(|| read_lock::<T, Arc<PlRwLock<T>>, _>(stored));
    found.unwrap_or(Err(Error::UserDataTypeMismatch))
}

/// The `T` in whatever wraps it, to be changed.
pub(super) fn write<T: 'static>(stored: &dyn Stored) -> Result<HostMut<T>> {
    if cell_of::<Rc<T>>(stored).is_some() || cell_of::<Arc<T>>(stored).is_some() {
        return Err(Error::UserDataBorrowMutError);
    }
    let found = write_lock::<T, Rc<RefCell<T>>, _>(stored)
        .or_else(|| write_lock::<T, Arc<Mutex<T>>, _>(stored))
        .or_else(|| write_lock::<T, Arc<RwLock<T>>, _>(stored));
    #[cfg(feature = "userdata-wrappers")]
    let found = found
        .or_else(|| write_lock::<T, Arc<PlMutex<T>>, _>(stored))
        .or_else(|| write_lock::<T, Arc<PlRwLock<T>>, _>(stored));
    found.unwrap_or(Err(Error::UserDataTypeMismatch))
}

/// A shared pointer whose value may be changed while it is the only one.
pub(super) enum Unique<T: 'static> {
    Rc(HostMut<Rc<T>>),
    Arc(HostMut<Arc<T>>),
}

impl<T> Unique<T> {
    pub(super) fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        let value = match self {
            Self::Rc(pointer) => Rc::get_mut(pointer),
            Self::Arc(pointer) => Arc::get_mut(pointer),
        };
        value.map(f).ok_or(Error::UserDataBorrowMutError)
    }
}

/// The shared pointer to a `T`, if that is what is stored.
pub(super) fn unique<T: 'static>(stored: &dyn Stored) -> Result<Option<Unique<T>>> {
    let busy = |_| Error::UserDataBorrowMutError;
    if let Some(cell) = cell_of::<Rc<T>>(stored) {
        return cell.write().map(Unique::Rc).map(Some).map_err(busy);
    }
    if let Some(cell) = cell_of::<Arc<T>>(stored) {
        return cell.write().map(Unique::Arc).map(Some).map_err(busy);
    }
    Ok(None)
}
