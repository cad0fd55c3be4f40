//! Host objects inside Lua: how a Rust type says what Lua may do with it.

pub(crate) mod any;
pub(crate) mod build;
pub(crate) mod guard;
mod locks;
pub(crate) mod meta;
pub(crate) mod object;
pub(crate) mod registry;
pub(crate) mod stored;
mod wrappers;

use crate::value::convert::short_name;
use crate::{
    AnyUserData, Error, FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, Lua, Result, UserDataRegistry,
};
#[cfg(feature = "async")]
use crate::{UserDataRef, UserDataRefMut};

/// A Rust type whose values Lua may have.
///
/// ```
/// use moonswap::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods};
/// struct Account {
///     owner: String,
///     cents: i64,
/// }
/// impl UserData for Account {
///     fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
///         fields.add_field_method_get("owner", |_, this| Ok(this.owner.clone()));
///     }
///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
///         methods.add_method_mut("deposit", |_, this, cents: i64| {
///             this.cents += cents;
///             Ok(this.cents)
///         });
///         methods.add_meta_method(MetaMethod::Len, |_, this, ()| Ok(this.cents));
///     }
/// }
/// let lua = Lua::new();
/// lua.globals().set("a", Account { owner: "Ada".into(), cents: 5 })?;
/// let (owner, cents): (String, i64) = lua.load("a:deposit(10) return a.owner, #a").eval()?;
/// assert_eq!((owner.as_str(), cents), ("Ada", 15));
/// # Ok::<(), moonswap::Error>(())
/// ```
pub trait UserData: Sized {
    /// Adds its fields.
    #[allow(unused_variables)]
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {}

    /// Adds its methods.
    #[allow(unused_variables)]
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {}

    /// Adds everything; calls the other two unless it is told otherwise.
    fn register(registry: &mut UserDataRegistry<Self>) {
        Self::add_fields(registry);
        Self::add_methods(registry);
    }
}

/// Where a type's methods are added. Methods of a name replace those before.
///
/// What a method is called on is checked: `a.method(b)` with another type of `b` is
/// [`Error::BadArgument`].
pub trait UserDataMethods<T> {
    /// A method that reads the object.
    fn add_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A method that changes the object: [`Error::UserDataBorrowMutError`] if it is in
    /// use.
    fn add_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A method that takes the object away from Lua.
    fn add_method_once<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        T: 'static,
        M: Fn(&Lua, T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        let full = full_name::<T>(&name);
        self.add_function(name, move |lua, (data, rest): (AnyUserData, A)| {
            let this = data.take().map_err(|error| error.self_argument(&full))?;
            method(lua, this, rest)
        });
    }

    /// A function beside the methods, without an object.
    fn add_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// [`UserDataMethods::add_function`] with state.
    fn add_function_mut<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A metamethod that reads the object. For operators of two operands it is called
    /// if the left one is of this type; see [`UserDataMethods::add_meta_function`].
    fn add_meta_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A metamethod that changes the object.
    fn add_meta_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A metamethod that gets all operands as they are.
    fn add_meta_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// [`UserDataMethods::add_meta_function`] with state.
    fn add_meta_function_mut<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// An asynchronous method: it has borrowed the object until it ends.
    #[cfg(feature = "async")]
    fn add_async_method<M, A, MR, R>(&mut self, name: impl Into<String>, method: M)
    where
        T: 'static,
        M: Fn(Lua, UserDataRef<T>, A) -> MR + 'static,
        A: FromLuaMulti,
        MR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti;

    /// An asynchronous method that changes the object.
    #[cfg(feature = "async")]
    fn add_async_method_mut<M, A, MR, R>(&mut self, name: impl Into<String>, method: M)
    where
        T: 'static,
        M: Fn(Lua, UserDataRefMut<T>, A) -> MR + 'static,
        A: FromLuaMulti,
        MR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti;

    /// An asynchronous metamethod.
    #[cfg(feature = "async")]
    fn add_async_meta_method<M, A, MR, R>(&mut self, name: impl Into<String>, method: M)
    where
        T: 'static,
        M: Fn(Lua, UserDataRef<T>, A) -> MR + 'static,
        A: FromLuaMulti,
        MR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti;

    /// An asynchronous metamethod that changes the object.
    #[cfg(feature = "async")]
    fn add_async_meta_method_mut<M, A, MR, R>(&mut self, name: impl Into<String>, method: M)
    where
        T: 'static,
        M: Fn(Lua, UserDataRefMut<T>, A) -> MR + 'static,
        A: FromLuaMulti,
        MR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti;

    /// An asynchronous method that takes the object away from Lua.
    #[cfg(feature = "async")]
    fn add_async_method_once<M, A, MR, R>(&mut self, name: impl Into<String>, method: M)
    where
        T: 'static,
        M: Fn(Lua, T, A) -> MR + 'static,
        A: FromLuaMulti,
        MR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti,
    {
        let name = name.into();
        let full = full_name::<T>(&name);
        self.add_async_function(name, move |lua, (data, rest): (AnyUserData, A)| {
            let begun = match data.take() {
                Ok(this) => Ok(method(lua, this, rest)),
                Err(error) => Err(error.self_argument(&full)),
            };
            async move { begun?.await }
        });
    }

    /// An asynchronous function beside the methods.
    #[cfg(feature = "async")]
    fn add_async_function<F, A, FR, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(Lua, A) -> FR + 'static,
        A: FromLuaMulti,
        FR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti;

    /// An asynchronous metamethod that gets all operands as they are.
    #[cfg(feature = "async")]
    fn add_async_meta_function<F, A, FR, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(Lua, A) -> FR + 'static,
        A: FromLuaMulti,
        FR: Future<Output = Result<R>> + 'static,
        R: IntoLuaMulti;
}

/// Where a type's fields are added.
pub trait UserDataFields<T> {
    /// A field with the same value for all objects.
    fn add_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V);

    /// What reading a field answers.
    fn add_field_method_get<M, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T) -> Result<R> + 'static,
        R: IntoLua;

    /// What assigning to a field does.
    fn add_field_method_set<M, A>(&mut self, name: impl Into<String>, method: M)
    where
        M: FnMut(&Lua, &mut T, A) -> Result<()> + 'static,
        A: FromLua;

    /// What reading a field answers, from the handle of the object.
    fn add_field_function_get<F, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData) -> Result<R> + 'static,
        R: IntoLua;

    /// What assigning to a field does, by the handle of the object.
    fn add_field_function_set<F, A>(&mut self, name: impl Into<String>, function: F)
    where
        F: FnMut(&Lua, AnyUserData, A) -> Result<()> + 'static,
        A: FromLua;

    /// A field of the metatable. `__index` and `__newindex`, which may be tables or
    /// functions, are asked for what is neither field nor method.
    fn add_meta_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V);

    /// A field of the metatable, made when the type is registered.
    fn add_meta_field_with<F, R>(&mut self, name: impl Into<String>, value: F)
    where
        F: FnOnce(&Lua) -> Result<R> + 'static,
        R: IntoLua;
}

/// `Type.name`, for messages.
pub(crate) fn full_name<T>(name: &str) -> String {
    format!("{}.{name}", short_name::<T>())
}

/// That a value is no userdata of type `T`.
pub(crate) fn no_userdata<T>(from: &'static str) -> Error {
    let expected = format!("expected userdata of type '{}'", short_name::<T>());
    Error::conversion(from, "userdata", Some(&expected))
}
