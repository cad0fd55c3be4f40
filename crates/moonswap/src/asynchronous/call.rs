//! Asynchronous calls: of functions, chunks, methods.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::AsyncThread;
use crate::value::handle::Handle;
use crate::{Chunk, Error, FromLuaMulti, Function, IntoLuaMulti, Lua, Result, Thread, Value};

/// A call that runs on an executor; [`Function::call_async`]. Dropped early it ends the
/// call: futures that the call waits for are dropped, its variables closed.
#[must_use = "it does nothing until it is polled"]
#[derive(Debug)]
pub struct AsyncCallFuture<R: FromLuaMulti>(Result<AsyncThread<R>>);

impl<R: FromLuaMulti> Future for AsyncCallFuture<R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Ok(thread) => Pin::new(thread).poll(cx),
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl<R: FromLuaMulti> AsyncCallFuture<R> {
    /// A call that failed before it began.
    pub(crate) fn failed(error: Error) -> Self {
        Self(Err(error))
    }
}

/// A call in a coroutine of its own.
pub(crate) fn call<R: FromLuaMulti>(
    callee: &Value,
    arguments: impl IntoLuaMulti,
) -> AsyncCallFuture<R> {
    let begun = || {
        let handle = callee.handle().ok_or(Error::Destroyed)?;
        let lua = handle.lua()?;
        let mut arguments = arguments.into_lua_multi(&lua)?;
        let function = match callee {
            Value::Function(function) => function.clone(),
            other => {
                arguments.push_front(other.clone());
                caller(&lua)?
            }
        };
        let thread = lua.attempt(|cx| {
            function.0.push(&lua, cx)?;
            cx.push_coroutine();
            Ok(Thread(Handle::pop(&lua, cx)))
        })?;
        let callers = &lua.0.futures.callers;
        let caller = lua.current_thread();
        callers.borrow_mut().insert(thread.0.address(), caller);
        Ok(AsyncThread::new(thread, arguments, true))
    };
    AsyncCallFuture(begun())
}

/// Calls what it is given, for what has `__call`.
fn caller(lua: &Lua) -> Result<Function> {
    lua.load("local f = ... return f(select(2, ...))")
        .set_name(crate::debug_api::ASYNC_CHUNK)
        .transient()
        .into_function()
}

impl Function {
    /// Calls it on an executor. In the call asynchronous functions can be called.
    ///
    /// ```
    /// # use moonswap::{Function, Lua};
    /// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// let lua = Lua::new();
    /// let add: Function = lua.load("function(a, b) return a + b end").eval()?;
    /// let mut sum = pin!(add.call_async::<i64>((1, 2)));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(matches!(sum.as_mut().poll(&mut cx), Poll::Ready(Ok(3))));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn call_async<R: FromLuaMulti>(&self, arguments: impl IntoLuaMulti) -> AsyncCallFuture<R> {
        call(&Value::Function(self.clone()), arguments)
    }
}

impl Chunk<'_> {
    /// [`Chunk::exec`] on an executor.
    ///
    /// # Errors
    /// The same.
    pub async fn exec_async(self) -> Result<()> {
        self.call_async(()).await
    }

    /// [`Chunk::eval`] on an executor.
    ///
    /// # Errors
    /// The same.
    pub async fn eval_async<R: FromLuaMulti>(self) -> Result<R> {
        let function = self.evaluated()?;
        drop(self);
        function.call_async(()).await
    }

    /// [`Chunk::call`] on an executor.
    ///
    /// # Errors
    /// The same.
    pub async fn call_async<R: FromLuaMulti>(self, arguments: impl IntoLuaMulti) -> Result<R> {
        let function = self.into_function()?;
        function.call_async(arguments).await
    }
}
