//! Nothing keeps a VM, and a VM keeps nothing: everything the host gave is dropped with
//! the last `Lua`, whatever was going on.
#![cfg(feature = "async")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use moonswap::{
    AnyUserData, Function, Lua, Result, Table, Thread, UserData, UserDataMethods, WeakLua,
};

/// Given away again and again; who has a clone has not let go.
type Token = Rc<()>;

/// Runs `body`, then asserts that its VM is gone and all tokens are back.
fn frees_everything(what: &str, body: impl Fn(&Lua, &Token) -> Result<()>) {
    let token = Token::default();
    for round in 0..3 {
        let lua = Lua::new();
        let weak: WeakLua = lua.weak();
        body(&lua, &token).unwrap_or_else(|error| panic!("{what}: {error}"));
        drop(lua);
        assert!(
            weak.try_upgrade().is_none(),
            "{what}, round {round}: the VM is kept"
        );
        assert_eq!(Rc::strong_count(&token), 1, "{what}, round {round}");
    }
}

/// Never ready; holds a token.
struct Never(#[allow(dead_code)] Token);
impl Future for Never {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// `wait()`, which never ends.
fn waits(lua: &Lua, token: &Token) -> Result<Function> {
    let token = token.clone();
    let wait = lua.create_async_function(move |_, ()| {
        let never = Never(token.clone());
        async move {
            never.await;
            Ok(())
        }
    })?;
    lua.globals().set("wait", &wait)?;
    Ok(wait)
}

#[test]
fn closures_and_userdata_that_own_handles() {
    frees_everything("closures", |lua, token| {
        let (table, token) = (lua.create_table()?, token.clone());
        let own = table.clone();
        let function = lua.create_function(move |_, ()| {
            let _ = &token;
            own.get::<i64>("x")
        })?;
        table.set("f", function)?;
        lua.globals().set("t", table)
    });
    #[allow(dead_code)]
    struct Node(Token, Option<AnyUserData>, Option<Table>);
    impl UserData for Node {}
    frees_everything("cycles of userdata", |lua, token| {
        let a = lua.create_userdata(Node(token.clone(), None, None))?;
        let b = lua.create_userdata(Node(token.clone(), Some(a.clone()), None))?;
        let table = lua.create_table_from([("b", &b)])?;
        *a.borrow_mut::<Node>()? = Node(token.clone(), Some(b), Some(table));
        a.set_user_value(&a)?;
        lua.globals().set("a", a)
    });
    frees_everything("application data and registry keys", |lua, token| {
        lua.set_app_data((lua.globals(), token.clone()));
        let key = lua.create_registry_value(lua.globals())?;
        lua.set_app_data((key, token.clone(), 0));
        let (hook, warned) = (token.clone(), (lua.globals(), token.clone()));
        lua.set_global_hook(moonswap::HookTriggers::EVERY_LINE, move |_, _| {
            let _ = &hook;
            Ok(moonswap::VmState::Continue)
        })?;
        lua.set_warning_function(move |_, _, _| {
            let _ = &warned;
            Ok(())
        });
        Ok(())
    });
}

#[test]
fn calls_that_are_pending() {
    frees_everything("a call that is dropped before the VM", |lua, token| {
        waits(lua, token)?;
        let mut call = pin!(lua.load("local t <close> = nil wait()").exec_async());
        assert!(poll_once(call.as_mut()).is_pending());
        Ok(())
    });
    frees_everything("calls that were never polled", |lua, token| {
        let wait = waits(lua, token)?;
        drop(wait.call_async::<()>(()));
        drop(lua.load("wait()").exec_async());
        Ok(())
    });
    frees_everything("a coroutine that is kept by Lua", |lua, token| {
        waits(lua, token)?;
        let thread: Thread = lua.load("co = coroutine.create(wait) return co").eval()?;
        let mut future = pin!(thread.into_async::<()>(())?);
        assert!(poll_once(future.as_mut()).is_pending());
        Ok(())
    });
    frees_everything("calls inside calls", |lua, token| {
        let wait = waits(lua, token)?;
        let outer = lua.create_async_function(move |_, ()| wait.call_async::<()>(()))?;
        lua.globals().set("outer", outer)?;
        let mut calls: Vec<_> = (0..10)
            .map(|_| Box::pin(lua.load("outer()").exec_async()))
            .collect();
        for call in &mut calls {
            assert!(poll_once(call.as_mut()).is_pending());
        }
        Ok(())
    });
}

/// The future outlives the host's `Lua`; the VM goes with the future.
#[test]
fn a_call_may_outlive_the_handle() -> Result<()> {
    let token = Token::default();
    let (mut call, weak) = {
        let lua = Lua::new();
        let wait = waits(&lua, &token)?;
        let call = Box::pin(wait.call_async::<()>(()));
        (call, lua.weak())
    };
    let polled = poll_once(call.as_mut());
    assert!(matches!(polled, Poll::Ready(Err(_))), "its VM is gone");
    drop(call);
    assert!(weak.try_upgrade().is_none());
    assert_eq!(Rc::strong_count(&token), 1);
    Ok(())
}

/// Dropped at the k-th poll, for each k.
#[test]
fn calls_are_cancelled_at_every_await() {
    struct Steps(u32);
    impl Future for Steps {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if self.0 == 0 {
                return Poll::Ready(());
            }
            self.0 -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    struct Object(#[allow(dead_code)] Token);
    impl UserData for Object {
        fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
            methods.add_async_method_mut("step", |_, this, n: u32| async move {
                Steps(n).await;
                drop(this);
                Ok(n)
            });
        }
    }
    for k in 0..14 {
        frees_everything("steps", |lua, token| {
            lua.globals().set("object", Object(token.clone()))?;
            let text = "
                local sum = 0
                for i = 1, 4 do
                    local x <close> = setmetatable({}, { __close = function() closed = i end })
                    sum = sum + object:step(i)
                end
                return sum";
            let mut call = Box::pin(lua.load(text).eval_async::<u32>());
            let mut ended = None;
            for _ in 0..k {
                if let Poll::Ready(sum) = poll_once(call.as_mut()) {
                    ended = Some(sum?);
                    break;
                }
            }
            drop(call);
            assert!(ended.is_none_or(|sum| sum == 10));
            if k > 0 {
                assert!(lua.globals().get::<Option<u32>>("closed")?.is_some());
            }
            // The object is not borrowed any more.
            let object: AnyUserData = lua.globals().get("object")?;
            object.borrow_mut::<Object>().map(drop)
        });
    }
}
