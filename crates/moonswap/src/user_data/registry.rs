//! `UserDataRegistry`: what a type adds, until its metatable is made.

use std::cell::RefCell;
use std::fmt;

use crate::user_data::full_name;
use crate::value::callback::{NativeCallback, native};
use crate::value::convert::short_name;
use crate::{
    AnyUserData, Error, FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, Lua, MultiValue, Result,
    UserData, UserDataFields, UserDataMethods, Value,
};
#[cfg(feature = "async")]
use crate::{
    UserDataRef, UserDataRefMut,
    asynchronous::{AsyncCallback, finish},
};

/// A method that reads its object.
pub(crate) type RefMethod<T> = Box<dyn Fn(&Lua, &T, MultiValue) -> Result<MultiValue>>;
/// A method that changes its object.
pub(crate) type MutMethod<T> = Box<dyn Fn(&Lua, &mut T, MultiValue) -> Result<MultiValue>>;
/// Makes the value of a field.
pub(crate) type Maker = Box<dyn FnOnce(&Lua) -> Result<Value>>;

/// What Lua calls for a method, a metamethod or a field.
pub(crate) enum Method<T> {
    Ref(RefMethod<T>),
    Mut(MutMethod<T>),
    Plain(NativeCallback),
    #[cfg(feature = "async")]
    Async(crate::asynchronous::AsyncCallback),
}

/// Methods with their names.
pub(crate) type Methods<T> = Vec<(String, Method<T>)>;

/// Where a type's fields and methods are added; for [`UserData::register`] and
/// [`Lua::register_userdata_type`].
pub struct UserDataRegistry<T> {
    pub(crate) methods: Methods<T>,
    pub(crate) meta_methods: Methods<T>,
    pub(crate) getters: Methods<T>,
    pub(crate) setters: Methods<T>,
    pub(crate) fields: Vec<(String, Maker)>,
    pub(crate) meta_fields: Vec<(String, Maker)>,
}

impl<T> fmt::Debug for UserDataRegistry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserDataRegistry")
            .field("type", &short_name::<T>())
            .finish_non_exhaustive()
    }
}

impl<T> UserDataRegistry<T> {
    pub(crate) fn new() -> Self {
        Self {
            methods: Vec::new(),
            meta_methods: Vec::new(),
            getters: Vec::new(),
            setters: Vec::new(),
            fields: Vec::new(),
            meta_fields: Vec::new(),
        }
    }

    /// What `register` adds.
    pub(crate) fn of(register: impl FnOnce(&mut Self)) -> Self {
        let mut registry = Self::new();
        register(&mut registry);
        registry
    }

    /// Adds what `U` has, by way of how a `U` is reached from this type.
    pub(crate) fn adopt<U: UserData>(
        &mut self,
        by_ref: impl Fn(RefMethod<U>) -> Method<T>,
        by_mut: impl Fn(MutMethod<U>) -> Method<T>,
    ) {
        let adopt = |methods: Methods<U>| {
            let methods = methods.into_iter().map(|(name, method)| {
                let method = match method {
                    Method::Ref(method) => by_ref(method),
                    Method::Mut(method) => by_mut(method),
                    Method::Plain(function) => Method::Plain(function),
                    #[cfg(feature = "async")]
                    Method::Async(function) => Method::Async(function),
                };
                (name, method)
            });
            methods.collect::<Vec<_>>()
        };
        let inner = UserDataRegistry::of(U::register);
        self.methods.extend(adopt(inner.methods));
        self.meta_methods.extend(adopt(inner.meta_methods));
        self.getters.extend(adopt(inner.getters));
        self.setters.extend(adopt(inner.setters));
        self.fields.extend(inner.fields);
        self.meta_fields.extend(inner.meta_fields);
    }

    fn by_ref<M, A, R>(name: &str, method: M) -> Method<T>
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = full_name::<T>(name);
        Method::Ref(Box::new(move |lua, this, arguments| {
            let arguments = A::from_lua_args(arguments, 2, Some(&name), lua)?;
            method(lua, this, arguments)?.into_lua_multi(lua)
        }))
    }

    fn by_mut<M, A, R>(name: &str, method: M) -> Method<T>
    where
        M: FnMut(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = full_name::<T>(name);
        let method = RefCell::new(method);
        Method::Mut(Box::new(move |lua, this, arguments| {
            let arguments = A::from_lua_args(arguments, 2, Some(&name), lua)?;
            let mut method = method
                .try_borrow_mut()
                .map_err(|_| Error::RecursiveMutCallback)?;
            method(lua, this, arguments)?.into_lua_multi(lua)
        }))
    }

    fn plain<F, A, R>(name: &str, function: F) -> Method<T>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        Method::Plain(native(Some(full_name::<T>(name)), function))
    }

    fn plain_mut<F, A, R>(name: &str, function: F) -> Method<T>
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let function = RefCell::new(function);
        Self::plain(name, move |lua, arguments| {
            let mut function = function
                .try_borrow_mut()
                .map_err(|_| Error::RecursiveMutCallback)?;
            function(lua, arguments)
        })
    }
}

impl<T> UserDataFields<T> for UserDataRegistry<T> {
    fn add_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V) {
        let maker: Maker = Box::new(move |lua| value.into_lua(lua));
        self.fields.push((name.into(), maker));
    }

    fn add_field_method_get<M, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T) -> Result<R> + 'static,
        R: IntoLua,
    {
        let name = name.into();
        let method = Self::by_ref(&name, move |lua, this, ()| method(lua, this));
        self.getters.push((name, method));
    }

    fn add_field_method_set<M, A>(&mut self, name: impl Into<String>, mut method: M)
    where
        M: FnMut(&Lua, &mut T, A) -> Result<()> + 'static,
        A: FromLua,
    {
        let name = name.into();
        let method = Self::by_mut(&name, move |lua, this, value: A| method(lua, this, value));
        self.setters.push((name, method));
    }

    fn add_field_function_get<F, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData) -> Result<R> + 'static,
        R: IntoLua,
    {
        let name = name.into();
        let method = Self::plain(&name, function);
        self.getters.push((name, method));
    }

    fn add_field_function_set<F, A>(&mut self, name: impl Into<String>, mut function: F)
    where
        F: FnMut(&Lua, AnyUserData, A) -> Result<()> + 'static,
        A: FromLua,
    {
        let name = name.into();
        let method = Self::plain_mut(&name, move |lua, (data, value): (AnyUserData, A)| {
            function(lua, data, value)
        });
        self.setters.push((name, method));
    }

    fn add_meta_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V) {
        self.add_meta_field_with(name, move |lua| value.into_lua(lua));
    }

    fn add_meta_field_with<F, R>(&mut self, name: impl Into<String>, value: F)
    where
        F: FnOnce(&Lua) -> Result<R> + 'static,
        R: IntoLua,
    {
        let maker: Maker = Box::new(move |lua| value(lua)?.into_lua(lua));
        self.meta_fields.push((name.into(), maker));
    }
}

/// Methods of the trait that differ in how the method is made and where it is put.
macro_rules! add {
    ($($add:ident $make:ident $list:ident ($($trait:tt)*) ($($first:ty),*);)*) => { $(
        fn $add<F, A, R>(&mut self, name: impl Into<String>, function: F)
        where
            F: $($trait)*(&Lua, $($first,)* A) -> Result<R> + 'static,
            A: FromLuaMulti,
            R: IntoLuaMulti,
        {
            let name = name.into();
            let method = Self::$make(&name, function);
            self.$list.push((name, method));
        }
    )* };
}

/// Asynchronous methods, and functions.
#[cfg(feature = "async")]
macro_rules! add_async {
    ($($add:ident $list:ident $this:ident;)*) => { $(
        fn $add<M, A, MR, R>(&mut self, name: impl Into<String>, method: M)
        where
            T: 'static,
            M: Fn(Lua, $this<T>, A) -> MR + 'static,
            A: FromLuaMulti,
            MR: Future<Output = Result<R>> + 'static,
            R: IntoLuaMulti,
        {
            let name = name.into();
            let full = full_name::<T>(&name);
            let begin = move |lua: Lua, mut arguments: MultiValue| {
                let this = arguments.pop_front().unwrap_or_default();
                let this = $this::<T>::from_lua(this, &lua);
                let this = this.map_err(|error| error.self_argument(&full))?;
                let arguments = A::from_lua_args(arguments, 2, Some(&full), &lua)?;
                let weak = lua.weak();
                Ok(finish(weak, method(lua, this, arguments)))
            };
            let callback: AsyncCallback = Box::new(move |lua, arguments| {
                begin(lua, arguments)
                    .unwrap_or_else(|error| Box::pin(std::future::ready(Err(error))))
            });
            self.$list.push((name, Method::Async(callback)));
        }
    )* };
    ($($add:ident $list:ident;)*) => { $(
        fn $add<F, A, FR, R>(&mut self, name: impl Into<String>, function: F)
        where
            F: Fn(Lua, A) -> FR + 'static,
            A: FromLuaMulti,
            FR: Future<Output = Result<R>> + 'static,
            R: IntoLuaMulti,
        {
            let name = name.into();
            let full = Some(full_name::<T>(&name));
            let callback = crate::asynchronous::typed(full, function);
            self.$list.push((name, Method::Async(callback)));
        }
    )* };
}

impl<T> UserDataMethods<T> for UserDataRegistry<T> {
    add! {
        add_method by_ref methods (Fn) (&T);
        add_method_mut by_mut methods (FnMut) (&mut T);
        add_function plain methods (Fn) ();
        add_function_mut plain_mut methods (FnMut) ();
        add_meta_method by_ref meta_methods (Fn) (&T);
        add_meta_method_mut by_mut meta_methods (FnMut) (&mut T);
        add_meta_function plain meta_methods (Fn) ();
        add_meta_function_mut plain_mut meta_methods (FnMut) ();
    }

    #[cfg(feature = "async")]
    add_async! {
        add_async_method methods UserDataRef;
        add_async_method_mut methods UserDataRefMut;
        add_async_meta_method meta_methods UserDataRef;
        add_async_meta_method_mut meta_methods UserDataRefMut;
    }

    #[cfg(feature = "async")]
    add_async! {
        add_async_function methods;
        add_async_meta_function meta_methods;
    }
}

/// Says of which method the object was wrong.
pub(crate) fn of_self<R, T>(result: Result<R>, name: &str) -> Result<R> {
    result.map_err(|error| error.self_argument(&full_name::<T>(name)))
}
