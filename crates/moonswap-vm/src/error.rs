//! Raising errors: the value is kept in the VM, the marker travels.

/// An error was raised; its value is kept in the VM. Natives return it.
#[derive(Debug)]
#[must_use = "an error that is not returned is lost"]
pub struct Raised(pub(crate) ());

/// Result of everything that can raise.
pub type Outcome<T> = Result<T, Raised>;
