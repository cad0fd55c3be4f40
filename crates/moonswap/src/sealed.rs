//! Keeps traits to the types of this crate.

/// Has no implementations elsewhere.
pub trait Sealed {}

impl Sealed for crate::Error {}
impl<T> Sealed for crate::Result<T> {}
impl Sealed for crate::Lua {}
