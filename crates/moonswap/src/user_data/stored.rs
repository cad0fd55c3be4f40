//! What the data of a userdata is kept in, whatever its type.

use std::any::Any;

use moonswap_vm::HostCell;

use crate::scope::lend::Lent;

/// The data of a userdata, whatever its type.
pub(crate) trait Stored {
    fn as_any(&self) -> &dyn Any;

    /// The data as something to write, if it can be written.
    #[cfg(feature = "serde")]
    fn serializable(&self) -> Option<Box<dyn erased_serde::Serialize>> {
        None
    }
}

impl<T: 'static> Stored for HostCell<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Lent data has the type of what is lent.
impl<T: 'static> Stored for Lent<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The cell of a `T`.
pub(crate) fn cell_of<T: 'static>(stored: &dyn Stored) -> Option<HostCell<T>> {
    let any = stored.as_any();
    any.downcast_ref::<HostCell<T>>().cloned()
}
