//! Plain asynchronous Rust functions as values.

use std::future::Future;

use crate::value::native::{arities, wrapped};
use crate::{ExternalError, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua};

/// An asynchronous Rust function of arguments `A`, a tuple: closures of 0 to 16
/// arguments.
pub trait LuaNativeAsyncFn<A: FromLuaMulti> {
    /// What it answers in the end.
    type Output;
    /// What its calls wait for.
    #[doc(hidden)]
    type Future: Future<Output = Self::Output> + 'static;
    /// Calls it.
    fn call(&self, arguments: A) -> Self::Future;
}

macro_rules! natives {
    ($(($($name:ident)*))*) => { $(
        impl<F, Fut, R, $($name,)*> LuaNativeAsyncFn<($($name,)*)> for F
        where
            F: Fn($($name,)*) -> Fut + 'static,
            ($($name,)*): FromLuaMulti,
            Fut: Future<Output = R> + 'static,
        {
            type Output = R;
            type Future = Fut;
            #[allow(non_snake_case)]
            fn call(&self, arguments: ($($name,)*)) -> Fut {
                let ($($name,)*) = arguments;
                self($($name,)*)
            }
        }
    )* };
}
arities!(natives);

impl Function {
    /// [`Function::wrap`] for an asynchronous function.
    pub fn wrap_async<F, A, R, E>(function: F) -> impl IntoLua
    where
        F: LuaNativeAsyncFn<A, Output = Result<R, E>> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
        E: ExternalError,
    {
        wrapped(move |lua: &Lua| {
            lua.create_async_function(move |_, arguments: A| {
                let results = function.call(arguments);
                async move {
                    let results = results.await;
                    results.map_err(ExternalError::into_lua_err)
                }
            })
        })
    }

    /// [`Function::wrap_raw`] for an asynchronous function.
    pub fn wrap_raw_async<F, A>(function: F) -> impl IntoLua
    where
        F: LuaNativeAsyncFn<A> + 'static,
        F::Output: IntoLuaMulti,
        A: FromLuaMulti,
    {
        wrapped(move |lua: &Lua| {
            lua.create_async_function(move |lua, arguments: A| {
                let results = function.call(arguments);
                async move {
                    let results = results.await;
                    results.into_lua_multi(&lua)
                }
            })
        })
    }
}
