//! Functions that wait for futures. A Lua function that calls one runs in a
//! coroutine, which yields while the future is pending; who polls the coroutine
//! ([`AsyncThread`]) is woken when the future is.

mod call;
pub(crate) mod native;
mod thread;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context as TaskContext, Poll, Waker};

use moonswap_vm::{Context, HostCell, NativeKind, Outcome};

use crate::user_data::object::HostObject;
use crate::value::callback::{run_suspended, take_values};
use crate::value::handle::Handle;
use crate::value::raise::raise_plain;
use crate::{
    Error, FromLuaMulti, Function, IntoLuaMulti, LightUserData, Lua, MultiValue, Result, Thread,
    Value,
};

pub use call::AsyncCallFuture;
pub(crate) use call::call;
pub use native::LuaNativeAsyncFn;
pub use thread::AsyncThread;

/// What an asynchronous function is waiting for.
pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = Result<MultiValue>>>>;
/// An asynchronous Rust function as Lua calls it.
pub(crate) type AsyncCallback = Box<dyn Fn(Lua, MultiValue) -> LocalFuture>;

/// Its address is what a coroutine yields while a future is pending.
static PENDING: u8 = 0;

/// Runs in the coroutine. The future is polled anew each time the coroutine is
/// resumed; what it is to be resumed with goes to [`Lua::yield_with`].
const DRIVER: &str = "
local yield, poll = ...
local function go(future, done, ...)
  if done then return ... end
  return go(future, poll(future, yield(...)))
end
return function(start)
  return function(...)
    local future = start(...)
    return go(future, poll(future))
  end
end";

/// What asynchronous functions of a VM share.
#[derive(Default)]
pub(crate) struct AsyncState {
    /// Makes a Lua function of a native that starts a future.
    driver: RefCell<Option<Function>>,
    /// Who is woken: of the innermost [`AsyncThread`] that is being polled.
    waker: RefCell<Option<Waker>>,
    /// Futures that were started for it.
    started: RefCell<Option<Rc<Started>>>,
    /// What [`Lua::yield_with`] wants to be yielded.
    yielding: RefCell<Option<MultiValue>>,
    /// What the coroutine was resumed with.
    resumed: RefCell<MultiValue>,
    /// Who called, by the addresses of the coroutines that were made for the calls.
    callers: RefCell<HashMap<usize, Thread>>,
}

impl AsyncState {
    /// Who called, if the coroutine was made for the call.
    pub(crate) fn caller_of(&self, thread: &Thread) -> Option<Thread> {
        self.callers.borrow().get(&thread.0.address()).cloned()
    }
}

/// Where a future is while it is not being polled.
#[derive(Default)]
struct Slot(RefCell<Option<LocalFuture>>);

/// Futures that end when who polls them goes away.
#[derive(Default)]
struct Started(RefCell<Vec<Weak<Slot>>>);

impl Started {
    fn add(&self, slot: &Rc<Slot>) {
        let mut slots = self.0.borrow_mut();
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Rc::downgrade(slot));
    }

    /// Drops the futures that did not come to their ends.
    fn cancel(&self) {
        for slot in self.0.take() {
            let future = slot.upgrade().and_then(|slot| slot.0.take());
            drop(future);
        }
    }
}

/// A Lua function that runs an asynchronous Rust function.
pub(crate) fn function(lua: &Lua, callback: AsyncCallback) -> Result<Function> {
    let start = lua.create_callback(Box::new(move |lua, arguments| {
        let slot = Rc::new(Slot::default());
        if let Some(started) = &*lua.0.futures.started.borrow() {
            started.add(&slot);
        }
        let future = callback(lua.clone(), arguments);
        *slot.0.borrow_mut() = Some(future);
        let future = lua.create_any_userdata(slot)?;
        future.into_lua_multi(lua)
    }))?;
    driver(lua)?.call(start)
}

fn driver(lua: &Lua) -> Result<Function> {
    if let Some(driver) = &*lua.0.futures.driver.borrow() {
        return Ok(driver.clone());
    }
    let (own_yield, poll) = lua.attempt(|cx| {
        cx.push_native_with("yield", NativeKind::Yield, |_| Ok(0), 0);
        let own_yield = Function(Handle::pop(lua, cx));
        cx.push_native("poll", poll);
        Ok((own_yield, Function(Handle::pop(lua, cx))))
    })?;
    let chunk = lua
        .load(DRIVER)
        .set_name(crate::debug_api::ASYNC_CHUNK)
        .transient();
    let driver: Function = chunk.call((own_yield, poll))?;
    *lua.0.futures.driver.borrow_mut() = Some(driver.clone());
    Ok(driver)
}

/// `poll(future, …)`: true and the results, or false and what to yield.
fn poll(cx: &mut Context<'_>) -> Outcome<usize> {
    let slot = HostObject::at(cx, 0)
        .and_then(|object| {
            object
                .stored(|s| Ok(crate::user_data::stored::cell_of(s)))
                .ok()?
        })
        .and_then(|cell: HostCell<Rc<Slot>>| cell.read().ok())
        .map(|slot| Rc::clone(&slot));
    let (Some(slot), Some(lua)) = (slot, Lua::of(cx)) else {
        return Err(raise_plain(cx, &Error::UserDataTypeMismatch));
    };
    let resumed = take_values(&lua, cx, 1);
    run_suspended(cx, &lua, || poll_slot(&lua, &slot, resumed))
}

fn poll_slot(lua: &Lua, slot: &Slot, resumed: MultiValue) -> Result<MultiValue> {
    let state = &lua.0.futures;
    let Some(mut future) = slot.0.take() else {
        return Err(Error::runtime("the future of this call was cancelled"));
    };
    *state.resumed.borrow_mut() = resumed;
    let waker = state.waker.borrow().clone();
    let waker = waker.unwrap_or_else(|| Waker::noop().clone());
    let polled = future.as_mut().poll(&mut TaskContext::from_waker(&waker));
    match polled {
        Poll::Ready(results) => {
            let mut results = results?;
            results.push_front(Value::Boolean(true));
            Ok(results)
        }
        Poll::Pending => {
            *slot.0.borrow_mut() = Some(future);
            let pending = || MultiValue::from_vec(vec![Value::LightUserData(Lua::poll_pending())]);
            let mut values = state.yielding.take().unwrap_or_else(pending);
            values.push_front(Value::Boolean(false));
            Ok(values)
        }
    }
}

/// Whether values were yielded because a future is pending.
fn is_pending(values: &MultiValue) -> bool {
    matches!(values.front(), Some(Value::LightUserData(light)) if *light == Lua::poll_pending())
}

impl Lua {
    /// A Lua function that runs an asynchronous Rust function. It can be called in
    /// coroutines: by what is run with [`Function::call_async`] and its like, on any
    /// executor.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(it) = future.as_mut().poll(&mut cx) { return it; }
    /// #     }
    /// # }
    /// let lua = Lua::new();
    /// let fetch = lua.create_async_function(|_, name: String| async move {
    ///     std::future::ready(()).await; // a request, say
    ///     Ok(format!("contents of {name}"))
    /// })?;
    /// lua.globals().set("fetch", fetch)?;
    /// let text: String = block_on(lua.load("fetch('a.txt')").eval_async())?;
    /// assert_eq!(text, "contents of a.txt");
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_async_function<F, A, FR, R>(&self, callback: F) -> Result<Function>
    where
        F: Fn(Lua, A) -> FR + 'static,
        A: FromLuaMulti,
        FR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti,
    {
        function(self, typed(None, callback))
    }

    /// In an asynchronous Rust function: lets its coroutine yield values, and answers
    /// what it is resumed with.
    ///
    /// # Errors
    /// The conversions.
    pub async fn yield_with<R: FromLuaMulti>(&self, values: impl IntoLuaMulti) -> Result<R> {
        let mut values = Some(values.into_lua_multi(self)?);
        let state = &self.0.futures;
        let resumed = std::future::poll_fn(|_| match values.take() {
            Some(values) => {
                *state.yielding.borrow_mut() = Some(values);
                Poll::Pending
            }
            None => Poll::Ready(state.resumed.take()),
        });
        R::from_lua_multi(resumed.await, self)
    }

    /// What a coroutine yields while a future is pending.
    #[doc(hidden)]
    pub fn poll_pending() -> LightUserData {
        LightUserData(std::ptr::from_ref(&PENDING).cast_mut().cast())
    }
}

/// A typed asynchronous function as Lua calls it.
pub(crate) fn typed<F, A, FR, R>(name: Option<String>, function: F) -> AsyncCallback
where
    F: Fn(Lua, A) -> FR + 'static,
    A: FromLuaMulti,
    FR: Future<Output = Result<R>> + 'static,
    R: IntoLuaMulti,
{
    Box::new(move |lua, arguments| {
        let arguments = match A::from_lua_args(arguments, 1, name.as_deref(), &lua) {
            Ok(arguments) => arguments,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let weak = lua.weak();
        finish(weak, function(lua, arguments))
    })
}

/// The future of a function, with its results as values.
pub(crate) fn finish<R: IntoLuaMulti>(
    lua: crate::WeakLua,
    future: impl Future<Output = Result<R>> + 'static,
) -> LocalFuture {
    Box::pin(async move {
        let results = future.await?;
        let lua = lua.try_upgrade().ok_or(Error::Destroyed)?;
        results.into_lua_multi(&lua)
    })
}
