//! `AsyncThread`: a coroutine as a future and as a stream.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use moonswap_vm::contained;

use super::{Started, is_pending};
use crate::{Error, FromLuaMulti, IntoLuaMulti, Lua, MultiValue, Result, Thread};

/// A coroutine that runs on an executor; [`Thread::into_async`]. As a future it runs to
/// its end, and what it yields is dropped. As a stream it gives what it yields, and
/// last what it returns.
#[must_use = "it does nothing until it is polled"]
pub struct AsyncThread<R> {
    thread: Thread,
    /// What it is resumed with the first time.
    arguments: MultiValue,
    /// It was made for this call: when this goes away the coroutine is closed.
    is_own: bool,
    started: Rc<Started>,
    results: PhantomData<fn() -> R>,
}

impl<R> std::fmt::Debug for AsyncThread<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AsyncThread").field(&self.thread).finish()
    }
}

/// What a coroutine did when it was resumed.
enum Step {
    Pending,
    Yielded(MultiValue),
    Ended(MultiValue),
}

/// Puts back who was polled before.
struct Polling<'l> {
    lua: &'l Lua,
    waker: Option<Waker>,
    started: Option<Rc<Started>>,
}

impl<'l> Polling<'l> {
    fn new(lua: &'l Lua, waker: &Waker, started: &Rc<Started>) -> Self {
        let state = &lua.0.futures;
        Self {
            lua,
            waker: state.waker.replace(Some(waker.clone())),
            started: state.started.replace(Some(Rc::clone(started))),
        }
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let state = &self.lua.0.futures;
        drop(state.waker.replace(self.waker.take()));
        drop(state.started.replace(self.started.take()));
    }
}

impl<R> AsyncThread<R> {
    pub(super) fn new(thread: Thread, arguments: MultiValue, is_own: bool) -> Self {
        Self {
            thread,
            arguments,
            is_own,
            started: Rc::default(),
            results: PhantomData,
        }
    }

    fn step(&mut self, lua: &Lua, waker: &Waker) -> Result<Step> {
        let _polling = Polling::new(lua, waker, &self.started);
        let arguments = std::mem::take(&mut self.arguments);
        let results = self.thread.resume_values(lua, &arguments);
        match results {
            Err(error) => {
                // It did not run: it can be tried again.
                if self.thread.is_resumable() {
                    self.arguments = arguments;
                }
                Err(error)
            }
            Ok(values) if !self.thread.is_resumable() => Ok(Step::Ended(values)),
            Ok(values) if is_pending(&values) => Ok(Step::Pending),
            Ok(values) => Ok(Step::Yielded(values)),
        }
    }
}

impl<R: FromLuaMulti> Stream for AsyncThread<R> {
    type Item = Result<R>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let lua = match this.thread.0.lua() {
            Ok(lua) => lua,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if !this.thread.is_resumable() {
            return Poll::Ready(None);
        }
        match this.step(&lua, cx.waker()) {
            Ok(Step::Pending) => Poll::Pending,
            Ok(Step::Yielded(values) | Step::Ended(values)) => {
                Poll::Ready(Some(R::from_lua_multi(values, &lua)))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl<R: FromLuaMulti> Future for AsyncThread<R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let lua = this.thread.0.lua()?;
        if !this.thread.is_resumable() {
            return Poll::Ready(Err(Error::CoroutineUnresumable));
        }
        match this.step(&lua, cx.waker())? {
            Step::Pending => Poll::Pending,
            Step::Yielded(_) => {
                // Nobody waits for what it yields; others may run before it goes on.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Ended(values) => Poll::Ready(R::from_lua_multi(values, &lua)),
        }
    }
}

impl<R> Drop for AsyncThread<R> {
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        self.started.cancel();
        // In the middle of a collection, or at the end of the VM, there is no way in:
        // the coroutine is garbage.
        let Ok(lua) = self.thread.0.lua() else {
            return;
        };
        let callers = &lua.0.futures.callers;
        let caller = callers.borrow_mut().remove(&self.thread.0.address());
        drop(caller);
        if lua.machine().is_free() {
            // Who drops it does not wait for what `__close` has to say, and a panic in it
            // must not leave a destructor.
            let _ = contained(|| drop(self.thread.close()));
        }
    }
}

impl Thread {
    /// The coroutine as a future and as a stream.
    ///
    /// # Errors
    /// [`Error::CoroutineUnresumable`] if it has ended or runs, and the conversions.
    ///
    /// ```
    /// # use moonswap::{Lua, Thread};
    /// use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// let lua = Lua::new();
    /// let thread: Thread = lua.load("coroutine.create(function(n) return n + 1 end)").eval()?;
    /// let mut future = pin!(thread.into_async::<i64>(1)?);
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(2))));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn into_async<R: FromLuaMulti>(
        self,
        arguments: impl IntoLuaMulti,
    ) -> Result<AsyncThread<R>> {
        let lua = self.0.lua()?;
        if !self.is_resumable() {
            return Err(Error::CoroutineUnresumable);
        }
        let arguments = arguments.into_lua_multi(&lua)?;
        Ok(AsyncThread::new(self, arguments, false))
    }
}
