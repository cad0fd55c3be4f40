//! Plain Rust functions as values: `Function::wrap` and its kin.

use crate::{
    ExternalError, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Result, Value,
};

/// A Rust function of arguments `A`, a tuple: closures of 0 to 16 arguments.
pub trait LuaNativeFn<A: FromLuaMulti> {
    /// What it returns.
    type Output;
    /// Calls it.
    fn call(&self, arguments: A) -> Self::Output;
}

/// [`LuaNativeFn`] with state.
pub trait LuaNativeFnMut<A: FromLuaMulti> {
    /// What it returns.
    type Output;
    /// Calls it.
    fn call(&mut self, arguments: A) -> Self::Output;
}

/// Hands the names of 0 to 16 type parameters to a macro.
macro_rules! arities {
    ($macro:ident) => {
        $macro! {
            () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) (A B C D E G H) (A B C D E G H I)
            (A B C D E G H I J) (A B C D E G H I J K) (A B C D E G H I J K L) (A B C D E G H I J K L M)
            (A B C D E G H I J K L M N) (A B C D E G H I J K L M N O) (A B C D E G H I J K L M N O P)
            (A B C D E G H I J K L M N O P Q)
        }
    };
}
#[cfg(feature = "async")]
pub(crate) use arities;

macro_rules! natives {
    ($(($($name:ident)*))*) => { $(
        impl<F, R, $($name,)*> LuaNativeFn<($($name,)*)> for F
        where
            F: Fn($($name,)*) -> R + 'static,
            ($($name,)*): FromLuaMulti,
        {
            type Output = R;
            #[allow(non_snake_case)]
            fn call(&self, arguments: ($($name,)*)) -> R {
                let ($($name,)*) = arguments;
                self($($name,)*)
            }
        }
        impl<F, R, $($name,)*> LuaNativeFnMut<($($name,)*)> for F
        where
            F: FnMut($($name,)*) -> R + 'static,
            ($($name,)*): FromLuaMulti,
        {
            type Output = R;
            #[allow(non_snake_case)]
            fn call(&mut self, arguments: ($($name,)*)) -> R {
                let ($($name,)*) = arguments;
                self($($name,)*)
            }
        }
    )* };
}
arities!(natives);

/// What becomes a function when it is given to Lua.
struct Wrapped<F>(F);

/// A function that is made when it is given to Lua.
pub(crate) fn wrapped(make: impl FnOnce(&Lua) -> Result<Function>) -> impl IntoLua {
    Wrapped(make)
}

impl<F: FnOnce(&Lua) -> Result<Function>> IntoLua for Wrapped<F> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (self.0)(lua).map(Value::Function)
    }
}

impl Function {
    /// A Rust function that returns a `Result`: an error is raised in Lua.
    ///
    /// ```
    /// use moonswap::{Function, Lua};
    /// let lua = Lua::new();
    /// let parse = |text: String| text.parse::<i64>();
    /// lua.globals().set("parse", Function::wrap(parse))?;
    /// assert_eq!(lua.load("parse('42') + 1").eval::<i64>()?, 43);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn wrap<F, A, R, E>(function: F) -> impl IntoLua
    where
        F: LuaNativeFn<A, Output = std::result::Result<R, E>> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
        E: ExternalError,
    {
        wrapped(move |lua: &Lua| {
            lua.create_function(move |_, arguments: A| {
                function
                    .call(arguments)
                    .map_err(ExternalError::into_lua_err)
            })
        })
    }

    /// [`Function::wrap`] for a function with state. A call while it runs is an error.
    pub fn wrap_mut<F, A, R, E>(mut function: F) -> impl IntoLua
    where
        F: LuaNativeFnMut<A, Output = std::result::Result<R, E>> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
        E: ExternalError,
    {
        wrapped(move |lua: &Lua| {
            lua.create_function_mut(move |_, arguments: A| {
                function
                    .call(arguments)
                    .map_err(ExternalError::into_lua_err)
            })
        })
    }

    /// A Rust function whose result becomes its results in Lua: an `Err` is returned
    /// as `nil` and the error.
    pub fn wrap_raw<F, A>(function: F) -> impl IntoLua
    where
        F: LuaNativeFn<A> + 'static,
        F::Output: IntoLuaMulti,
        A: FromLuaMulti,
    {
        wrapped(move |lua: &Lua| {
            lua.create_function(move |lua, arguments: A| results(lua, function.call(arguments)))
        })
    }

    /// [`Function::wrap_raw`] for a function with state.
    pub fn wrap_raw_mut<F, A>(mut function: F) -> impl IntoLua
    where
        F: LuaNativeFnMut<A> + 'static,
        F::Output: IntoLuaMulti,
        A: FromLuaMulti,
    {
        wrapped(move |lua: &Lua| {
            lua.create_function_mut(move |lua, arguments: A| results(lua, function.call(arguments)))
        })
    }
}

fn results(lua: &Lua, results: impl IntoLuaMulti) -> Result<MultiValue> {
    results.into_lua_multi(lua)
}
