//! Raising errors: from a value, from text, with the position of the running
//! function, and those that must not allocate.
//!
//! Invariants: VM3, V1.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::debug::position;
use crate::error::Raised;
use crate::heap::OutOfMemory;
use crate::object::StringObject;
use crate::string;
use crate::value::{Value, tag};
use crate::vm::{InFlightError, Vm};

impl Vm {
    /// Sets the pending error.
    pub(crate) fn raise(&mut self, value: Value) -> Raised {
        self.error = value;
        self.is_memory_error = false;
        self.in_flight = InFlightError::default();
        Raised(())
    }

    /// The text of the pending error, if it is one.
    pub(crate) fn error_text(&self) -> Option<Vec<u8>> {
        (self.error.tag == tag::STRING)
            // SAFETY: V1.
            .then(|| unsafe { StringObject::bytes(self.error.as_string()) }.to_vec())
    }

    /// Raises a message as it is.
    pub(crate) fn raise_message(&mut self, message: impl AsRef<[u8]>) -> Raised {
        let value = self.string_value(message.as_ref());
        self.raise(value)
    }

    /// Raises "not enough memory", for which none is needed.
    #[cold]
    pub(crate) fn raise_memory(&mut self) -> Raised {
        self.heap.failure_raised();
        let raised = self.raise(Value::string(self.heap.memory_message));
        self.is_memory_error = true;
        raised
    }

    /// Raises what natives that cannot fail left to be raised.
    #[cold]
    pub(crate) fn raise_deferred(&mut self) -> Raised {
        if std::mem::take(&mut self.stack_overflowed) {
            self.heap.deferred = false;
            return self.raise_located("stack overflow");
        }
        self.raise_memory()
    }

    /// Raises a message with the position of the topmost frame, if it is Lua.
    pub(crate) fn raise_located(&mut self, message: impl AsRef<[u8]>) -> Raised {
        self.raise_located_parts(&[message.as_ref()])
    }

    /// The same with a message in up to seven pieces.
    pub(crate) fn raise_located_parts(&mut self, message: &[&[u8]]) -> Raised {
        // SAFETY: VM3.
        let position = unsafe { position::of_topmost(self) };
        self.raise_after(&position, message)
    }

    /// Raises a message with the position of a level.
    ///
    /// # Safety
    /// VM3.
    pub(crate) unsafe fn raise_at_level(&mut self, level: usize, message: &[u8]) -> Raised {
        // SAFETY: by the caller.
        let position = unsafe { position::at_level(self, level) };
        self.raise_after(&position, &[message])
    }

    fn raise_after(&mut self, position: &[u8], message: &[&[u8]]) -> Raised {
        let mut parts: SmallVec<[&[u8]; 8]> = SmallVec::new();
        parts.push(position);
        parts.extend_from_slice(message);
        match string::concat(&mut self.heap, &parts) {
            Ok(text) => self.raise(Value::string(text)),
            Err(OutOfMemory) => self.raise_memory(),
        }
    }

    /// The error of [`Interrupter::break_in`](crate::limits::Interrupter::break_in), at
    /// the place where the reference's hook raises it: the caller of the running
    /// function.
    #[cold]
    pub(crate) fn raise_break(&mut self) -> Raised {
        self.limits.broken_in.store(false, Ordering::Release);
        // SAFETY: VM3 at every safe point and in natives.
        unsafe { self.raise_at_level(1, b"interrupted!") }
    }
}
