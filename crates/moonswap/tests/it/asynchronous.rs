//! Functions that wait for futures: on any executor, to their end or not.
#![cfg(feature = "async")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use moonswap::prelude::*;
use moonswap::{Result, Value};

/// Polls until the end; counts how often.
fn block_on<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for n in 1..1_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return (output, n);
        }
    }
    panic!("it does not end");
}

/// Is pending so many times.
struct Later(usize);

impl Future for Later {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0 {
            0 => Poll::Ready(()),
            _ => {
                self.0 -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// Counts its drops.
#[derive(Clone)]
struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn world() -> Result<Lua> {
    let lua = Lua::new();
    let later = lua.create_async_function(|_, (n, value): (usize, Value)| async move {
        Later(n).await;
        Ok(value)
    })?;
    lua.globals().set("later", later)?;
    Ok(lua)
}

#[test]
fn futures_are_polled_as_often_as_they_ask() -> Result<()> {
    let lua = world()?;
    let (sum, polls) = block_on(
        lua.load("later(3, 1) + later(0, 2) + later(2, 3)")
            .eval_async(),
    );
    assert_eq!((sum?, polls), (6_i64, 6));
    // Through pcall, metamethods, iterators and coroutines of the program's own.
    let program = "
        local ok, v = pcall(later, 1, 'p')
        local t = setmetatable({}, { __index = function(_, k) return later(1, k .. '!') end })
        local function items() return coroutine.wrap(function() coroutine.yield('w') end) end
        return v .. t.key .. items()()";
    let (text, _) = block_on(lua.load(program).eval_async::<String>());
    assert_eq!(text?, "pkey!w");
    Ok(())
}

#[test]
fn errors_and_panics_arrive() -> Result<()> {
    let lua = world()?;
    let fails = lua.create_async_function(|_, n: usize| async move {
        Later(n).await;
        match n {
            1 => Err::<(), _>(Error::external(std::io::Error::other("disk"))),
            _ => panic!("boom"),
        }
    })?;
    lua.globals().set("fails", fails)?;
    let (error, _) = block_on(lua.load("fails(1)").exec_async());
    let error = error.expect_err("it fails");
    assert!(
        error.downcast_ref::<std::io::Error>().is_some(),
        "{error:?}"
    );
    lua.catch_panics(true);
    let (error, _) = block_on(lua.load("fails(2)").exec_async());
    assert!(matches!(
        error.expect_err("it panics").kind(),
        ErrorKind::Panic
    ));
    let caught = "local ok, e = pcall(fails, 1) return tostring(e)";
    let (text, _) = block_on(lua.load(caught).eval_async::<String>());
    assert!(text?.contains("disk"));
    // Without an executor there is nobody to wait.
    let error = lua.load("later(1, 2)").exec().expect_err("not here");
    assert!(error.to_string().contains("outside a coroutine"), "{error}");
    Ok(())
}

/// However early a call is dropped, what it holds goes with it.
#[test]
fn a_call_can_be_dropped_at_every_poll() -> Result<()> {
    for k in 0..8 {
        let drops = Rc::new(Cell::new(0));
        let made = Rc::new(Cell::new(0));
        let closed = Rc::new(Cell::new(0));
        {
            let lua = world()?;
            let (drops, made) = (Rc::clone(&drops), Rc::clone(&made));
            let holds = lua.create_async_function(move |_, n: usize| {
                made.set(made.get() + 1);
                let own = Counted(Rc::clone(&drops));
                async move {
                    Later(n).await;
                    drop(own);
                    Ok(())
                }
            })?;
            lua.globals().set("holds", holds)?;
            let close = Rc::clone(&closed);
            let close = lua.create_function(move |_, _: MultiValue| {
                close.set(close.get() + 1);
                Ok(())
            })?;
            lua.globals().set("close", close)?;
            let call = lua
                .load("local c <close> = setmetatable({}, { __close = close }) holds(2) holds(3)")
                .into_function()?
                .call_async::<()>(());
            let mut call = Box::pin(call);
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..k {
                if call.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
            }
            drop(call);
            assert_eq!(closed.get(), usize::from(k > 0), "{k}");
            let made = lua.load("return 1").eval::<i64>()?;
            assert_eq!(made, 1);
        }
        assert_eq!(drops.get(), made.get(), "{k}");
    }
    Ok(())
}

/// A VM that goes while calls are pending takes everything along.
#[test]
fn a_vm_can_go_first() -> Result<()> {
    let drops = Rc::new(Cell::new(0));
    let lua = world()?;
    let own = Counted(Rc::clone(&drops));
    let waits = lua.create_async_function(move |_, ()| {
        let own = own.clone();
        async move {
            Later(100).await;
            drop(own);
            Ok(())
        }
    })?;
    let mut call = Box::pin(waits.call_async::<()>(()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    drop(waits);
    // The future has a `Lua`: it is the last owner.
    drop(lua);
    drop(call);
    assert_eq!(drops.get(), 2);
    Ok(())
}

#[test]
fn coroutines_are_streams() -> Result<()> {
    use futures_core::Stream;
    let lua = world()?;
    let thread: Thread = lua
        .load("coroutine.create(function(n) for i = 1, n do coroutine.yield(later(1, i)) end return 0 end)")
        .eval()?;
    let mut stream = pin!(thread.into_async::<i64>(3)?);
    let mut seen = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    let mut polls = 0;
    loop {
        polls += 1;
        match stream.as_mut().poll_next(&mut cx) {
            Poll::Ready(None) => break,
            Poll::Ready(Some(value)) => seen.push(value?),
            Poll::Pending => {}
        }
    }
    assert_eq!((seen, polls), (vec![1, 2, 3, 0], 8));
    Ok(())
}

#[test]
fn methods_wait_with_their_object() -> Result<()> {
    struct Gate(RefCell<u32>, u32);
    impl UserData for Gate {
        fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
            methods.add_async_method("knock", |_, this, n: usize| async move {
                Later(n).await;
                *this.0.borrow_mut() += 1;
                Ok(*this.0.borrow())
            });
            methods.add_async_method_mut("open", |_, mut this, ()| async move {
                Later(1).await;
                this.1 += 1;
                Ok(this.1)
            });
            methods.add_async_function("free", |_, n: u32| async move { Ok(n + 1) });
        }
    }
    let lua = world()?;
    lua.globals().set("gate", Gate(RefCell::new(0), 0))?;
    let (results, _) = block_on(
        lua.load("return gate:knock(2), gate:open(), gate.free(1)")
            .eval_async::<(u32, u32, u32)>(),
    );
    assert_eq!(results?, (1, 1, 2));
    let (error, _) = block_on(lua.load("gate.knock(1, 2)").exec_async());
    let error = error.expect_err("no object").to_string();
    assert!(
        error.contains("bad argument `self` to `Gate.knock`"),
        "{error}"
    );
    Ok(())
}
