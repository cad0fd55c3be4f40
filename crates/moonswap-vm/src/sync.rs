//! What threads share is made of: the standard library's primitives, or loom's, which
//! try every order of events (`cargo test --lib models` with `--cfg loom`).

#[cfg(all(test, loom))]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering},
};
use std::sync::PoisonError;
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering},
};

/// Whether this is a model, in which no time passes.
pub(crate) const IS_MODEL: bool = cfg!(all(test, loom));

/// Locks, whatever has become of others who had the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
