//! Panics of Rust functions on their way through Lua to the host.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use moonswap_vm::{contained, panic_text};

/// A panic of a Rust function that Lua called: what it said, and its payload until the
/// host has it. Clones share the payload.
#[derive(Clone)]
pub struct Panicked(Arc<Inner>);

struct Inner {
    text: String,
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Panicked {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(Arc::new(Inner {
            text: panic_text(&*payload),
            payload: Mutex::new(Some(payload)),
        }))
    }

    /// What it said.
    ///
    /// ```
    /// # use moonswap::{Error, Lua};
    /// let lua = Lua::new();
    /// lua.catch_panics(true);
    /// let fails = lua.create_function(|_, ()| -> moonswap::Result<()> { panic!("boom") })?;
    /// let Error::CallbackError { cause, .. } = fails.call::<()>(()).unwrap_err() else { panic!() };
    /// assert!(matches!(&*cause, Error::Panic(panic) if panic.text() == "boom"));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The payload, as `catch_unwind` has it; the first time only.
    pub fn take_payload(&self) -> Option<Box<dyn Any + Send>> {
        let payload = &self.0.payload;
        payload
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Whether the host has the payload.
    pub(crate) fn is_spent(&self) -> bool {
        let payload = &self.0.payload;
        payload
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panicked").field(&self.0.text).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let payload = self.payload.get_mut();
        let payload = payload.unwrap_or_else(PoisonError::into_inner).take();
        // Its destructor may panic as well, and so on.
        let _ = contained(|| drop(payload));
    }
}
