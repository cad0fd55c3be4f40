//! `Thread`: a handle of a coroutine.

use std::ffi::c_void;
use std::fmt;

use moonswap_vm::View;

use crate::lua::events::{self, ThreadEvent};
use crate::value::handle::Handle;
use crate::value::raise::{caught, take_error};
use crate::{Error, FromLuaMulti, Function, IntoLuaMulti, Lua, MultiValue, Result, WeakLua};

/// A coroutine.
///
/// ```
/// use moonswap::{Lua, Thread};
/// let lua = Lua::new();
/// let thread: Thread = lua
///     .load("coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end)")
///     .eval()?;
/// assert_eq!(thread.resume::<i64>(1)?, 2);
/// assert_eq!(thread.resume::<i64>(10)?, 20);
/// assert!(thread.is_finished());
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Thread(pub(crate) Handle);

/// What a coroutine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadStatus {
    /// It has not begun, or has yielded.
    Resumable,
    /// It is the one that runs.
    Running,
    /// It has resumed another one.
    Normal,
    /// It has ended.
    Finished,
    /// It has ended with an error.
    Error,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thread({:?})", self.0)
    }
}

impl Thread {
    /// What it is doing; finished if the VM is gone.
    pub fn status(&self) -> ThreadStatus {
        let found = self.0.with(|_, cx, at| match cx.at(at) {
            View::Coroutine(coroutine) => match cx.coroutine_status(coroutine) {
                "suspended" => ThreadStatus::Resumable,
                "running" => ThreadStatus::Running,
                "normal" => ThreadStatus::Normal,
                _ if cx.coroutine_failed(coroutine) => ThreadStatus::Error,
                _ => ThreadStatus::Finished,
            },
            _ => ThreadStatus::Finished,
        });
        found.unwrap_or(ThreadStatus::Finished)
    }

    /// Whether it can be resumed.
    pub fn is_resumable(&self) -> bool {
        self.status() == ThreadStatus::Resumable
    }

    /// Whether it is the one that runs.
    pub fn is_running(&self) -> bool {
        self.status() == ThreadStatus::Running
    }

    /// Whether it has resumed another one.
    pub fn is_normal(&self) -> bool {
        self.status() == ThreadStatus::Normal
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.status() == ThreadStatus::Finished
    }

    /// Whether it has ended with an error.
    pub fn is_error(&self) -> bool {
        self.status() == ThreadStatus::Error
    }

    /// Runs it until it yields, returns or raises.
    ///
    /// # Errors
    /// [`Error::CoroutineUnresumable`] if it has ended or runs; what it raises; the
    /// conversions.
    pub fn resume<R: FromLuaMulti>(&self, arguments: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua()?;
        if !self.is_resumable() {
            return Err(Error::CoroutineUnresumable);
        }
        let arguments = arguments.into_lua_multi(&lua)?;
        let results = self.resume_values(&lua, &arguments)?;
        R::from_lua_multi(results, &lua)
    }

    /// Resumes it, and tells of that.
    pub(crate) fn resume_values(&self, lua: &Lua, arguments: &MultiValue) -> Result<MultiValue> {
        events::check_not_inside(lua, self)?;
        events::tell(lua, self, ThreadEvent::Resume)?;
        let results = crate::value::callback::resume(lua, &self.0, arguments)?;
        if self.is_resumable() {
            events::tell(lua, self, ThreadEvent::Yield)?;
        }
        Ok(results)
    }

    /// Closes it and lets it begin anew, with `function`.
    ///
    /// # Errors
    /// If it runs; and the error that it ended with, or that closing its variables
    /// raised. Then it is finished, and can be reset again.
    pub fn reset(&self, function: Function) -> Result<()> {
        match self.status() {
            ThreadStatus::Running | ThreadStatus::Normal => {
                return Err(Error::runtime("cannot reset a running thread"));
            }
            _ => {}
        }
        self.close()?;
        self.0.attempt(|lua, cx, at| {
            function.0.push(lua, cx)?;
            match cx.restart_coroutine(at) {
                true => Ok(()),
                false => Err(Error::CoroutineUnresumable),
            }
        })
    }

    /// Ends it, as `coroutine.close`.
    pub(crate) fn close(&self) -> Result<()> {
        self.0.attempt(|_, cx, at| match cx.close_coroutine(at) {
            Ok(1) => Ok(()),
            Ok(_) => Err(take_error(cx)),
            Err(raised) => Err(caught(cx, raised)),
        })
    }

    /// Identity of the object.
    pub fn to_pointer(&self) -> *const c_void {
        self.0.pointer()
    }

    /// Its VM.
    pub fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }
}
