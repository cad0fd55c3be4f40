//! What becomes of the panics of Rust functions that Lua called.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;

use moonswap_vm::{Context, Raised};

use crate::value::raise::raise;
use crate::{Error, Lua, MultiValue, Panicked, Result, Value};

/// How a VM treats panics.
#[derive(Default)]
pub(crate) struct Panics {
    /// The host gets them as errors.
    are_errors: Cell<bool>,
    /// They pass `pcall`; [`LuaOptions::catch_rust_panics`](crate::LuaOptions).
    pass_lua: Cell<bool>,
    /// One that passes everything on its way to the host.
    passing: RefCell<Option<Panicked>>,
}

impl Lua {
    /// Says how a panic of a Rust function reaches the host once it has come through
    /// Lua: if `on`, as [`Error::Panic`]; if not, which is the default, the panic goes
    /// on where the host called Lua. Either way Lua code can catch it with `pcall`, its
    /// variables are closed on the way, and the VM stays usable.
    ///
    /// ```
    /// # use moonswap::{ErrorKind, Lua};
    /// let lua = Lua::new();
    /// lua.catch_panics(true);
    /// lua.globals().set("fails", lua.create_function(|_, ()| -> moonswap::Result<()> {
    ///     panic!("no such account")
    /// })?)?;
    /// let error = lua.load("fails()").exec().unwrap_err();
    /// assert!(error.kind() == ErrorKind::Panic && error.to_string().contains("no such account"));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn catch_panics(&self, on: bool) {
        self.0.panics.are_errors.set(on);
    }

    /// From now on `pcall` does not catch panics, or does.
    pub(crate) fn let_panics_pass(&self, on: bool) {
        self.0.panics.pass_lua.set(on);
    }

    /// Raises a panic of a Rust function in Lua.
    pub(crate) fn raise_panic(&self, cx: &Context<'_>, payload: Box<dyn Any + Send>) -> Raised {
        let panic = Panicked::new(payload);
        if self.0.panics.pass_lua.get() {
            let raised = cx.end_run(panic.text());
            drop(self.0.panics.passing.replace(Some(panic)));
            return raised;
        }
        raise(cx, Error::Panic(panic))
    }

    /// [`Lua::with`] for what may run Lua: panics go on in the host.
    pub(crate) fn surfacing<R>(&self, f: impl FnOnce(&mut Context<'_>) -> Result<R>) -> Result<R> {
        match self.with(f) {
            Ok(result) => Ok(result),
            Err(error) => Err(self.surfaced(error)),
        }
    }

    fn surfaced(&self, error: Error) -> Error {
        let passing = self.0.panics.passing.take();
        let error = passing.map_or(error, Error::Panic);
        let Some(panic) = error.panicked() else {
            return error;
        };
        if self.0.panics.are_errors.get() {
            return error;
        }
        match panic.take_payload() {
            Some(payload) => resume_unwind(payload),
            None => Error::PreviouslyResumedPanic,
        }
    }

    /// Results of a call: a panic that Lua caught and returns goes on in the host.
    pub(crate) fn handed_over(&self, values: MultiValue) -> Result<MultiValue> {
        for value in &values {
            if let Value::Error(error) = value
                && !self.0.panics.are_errors.get()
                && error.panicked().is_some()
            {
                return Err(self.surfaced((**error).clone()));
            }
        }
        Ok(values)
    }
}
