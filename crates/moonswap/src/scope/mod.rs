//! `scope`: functions and userdata that borrow, and end with the scope.

pub(crate) mod lend;

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::rc::Rc;

use crate::scope::lend::Scope;
use crate::user_data::object::HostObject;
use crate::user_data::registry::{Method, UserDataRegistry};
use crate::user_data::stored::Stored;
use crate::user_data::{build, full_name, no_userdata};
use crate::value::callback::{Borrowing, typed_boxed};
use crate::value::handle::Handle;
use crate::{
    AnyUserData, Error, FromLuaMulti, Function, IntoLuaMulti, Lua, MultiValue, Result, UserData,
    Value,
};

impl Lua {
    /// Calls `f` with a scope, which makes functions and userdata that borrow from the
    /// host. When the scope ends Lua may still have them, and gets errors.
    ///
    /// # Errors
    /// Those of `f`.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let mut seen = Vec::new();
    /// lua.scope(|scope| {
    ///     let note = scope.create_function_mut(|_, n: i64| {
    ///         seen.push(n);
    ///         Ok(())
    ///     })?;
    ///     lua.load("local note = ... note(1) note(2)").call::<()>(note)
    /// })?;
    /// assert_eq!(seen, [1, 2]);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn scope<'env, R>(
        &self,
        f: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> Result<R>,
    ) -> Result<R> {
        lend::run(self, f)
    }
}

/// Data that its scope has.
struct InScope;

impl Stored for InScope {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What the methods of a userdata of a scope share.
struct Shared<T> {
    data: RefCell<Option<T>>,
    object: HostObject,
}

impl<T> Shared<T> {
    /// Checks that the first argument is the userdata, and takes it away.
    fn check_self(&self, arguments: &mut MultiValue) -> Result<()> {
        match arguments.pop_front() {
            Some(Value::UserData(data)) if data.object()?.is_same(&self.object) => Ok(()),
            Some(Value::UserData(_)) => Err(Error::UserDataTypeMismatch),
            other => Err(no_userdata::<T>(lua_type(&other.unwrap_or_default()))),
        }
    }
}

/// Lua's name of the type of a value.
fn lua_type(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}

impl<'scope, 'env: 'scope> Scope<'scope, 'env> {
    fn lent_function(&'scope self, function: Borrowing<'scope>) -> Result<Function> {
        self.lua
            .create_callback(self.lend(function, Error::CallbackDestructed))
    }

    /// A Lua function that runs a Rust closure until the scope ends; later
    /// [`Error::CallbackDestructed`].
    ///
    /// # Errors
    /// If the memory limit is in the way, or the scope has ended.
    pub fn create_function<F, A, R>(&'scope self, function: F) -> Result<Function>
    where
        F: Fn(&Lua, A) -> Result<R> + 'scope,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.check()?;
        self.lent_function(typed_boxed(function))
    }

    /// [`Scope::create_function`] for a closure with state.
    ///
    /// # Errors
    /// The same.
    pub fn create_function_mut<F, A, R>(&'scope self, function: F) -> Result<Function>
    where
        F: FnMut(&Lua, A) -> Result<R> + 'scope,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let function = RefCell::new(function);
        self.create_function(move |lua, arguments| match function.try_borrow_mut() {
            Ok(mut function) => function(lua, arguments),
            Err(_) => Err(Error::RecursiveMutCallback),
        })
    }

    fn lent_userdata<T: 'static>(
        &'scope self,
        data: lend::Lent<T>,
        metatable: &crate::Table,
    ) -> Result<AnyUserData> {
        let type_id = Some(TypeId::of::<T>());
        let userdata = self.lua.new_userdata(type_id, Box::new(data), metatable)?;
        self.forget_at_end(&userdata);
        Ok(userdata)
    }

    /// A userdata that borrows its data.
    ///
    /// # Errors
    /// Of registering the type, the memory limit, and if the scope has ended.
    ///
    /// ```
    /// # use moonswap::{Lua, UserData, UserDataMethods};
    /// struct World(Vec<String>);
    /// impl UserData for World {
    ///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
    ///         methods.add_method("count", |_, this, ()| Ok(this.0.len()));
    ///     }
    /// }
    /// let lua = Lua::new();
    /// let world = World(vec!["x".into()]);
    /// let count: usize = lua.scope(|scope| {
    ///     lua.load("return (...):count()").call(scope.create_userdata_ref(&world)?)
    /// })?;
    /// assert_eq!(count, 1);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_userdata_ref<T: UserData + 'static>(
        &'scope self,
        data: &'env T,
    ) -> Result<AnyUserData> {
        self.check()?;
        let metatable = self.lua.metatable_of::<T>(T::register)?;
        self.lent_userdata(self.lend_ref(data), &metatable)
    }

    /// A userdata that borrows its data to change it.
    ///
    /// # Errors
    /// As [`Scope::create_userdata_ref`].
    pub fn create_userdata_ref_mut<T: UserData + 'static>(
        &'scope self,
        data: &'env mut T,
    ) -> Result<AnyUserData> {
        self.check()?;
        let metatable = self.lua.metatable_of::<T>(T::register)?;
        self.lent_userdata(self.lend_mut(data), &metatable)
    }

    /// A userdata that borrows its data, of any type; [`Lua::create_any_userdata`].
    ///
    /// # Errors
    /// As [`Scope::create_userdata_ref`].
    pub fn create_any_userdata_ref<T: 'static>(&'scope self, data: &'env T) -> Result<AnyUserData> {
        self.check()?;
        let metatable = self.lua.metatable_of::<T>(|_| {})?;
        self.lent_userdata(self.lend_ref(data), &metatable)
    }

    /// A userdata that borrows its data, of any type, to change it.
    ///
    /// # Errors
    /// As [`Scope::create_userdata_ref`].
    pub fn create_any_userdata_ref_mut<T: 'static>(
        &'scope self,
        data: &'env mut T,
    ) -> Result<AnyUserData> {
        self.check()?;
        let metatable = self.lua.metatable_of::<T>(|_| {})?;
        self.lent_userdata(self.lend_mut(data), &metatable)
    }

    /// A userdata of a type that may itself borrow. It has no id: its data is reached
    /// by its methods only.
    ///
    /// # Errors
    /// As [`Scope::create_userdata_ref`].
    pub fn create_userdata<T: UserData + 'env>(&'scope self, data: T) -> Result<AnyUserData> {
        self.create_any_userdata(data, T::register)
    }

    /// [`Scope::create_userdata`] for any type, with what `register` adds.
    ///
    /// # Errors
    /// As [`Scope::create_userdata_ref`].
    pub fn create_any_userdata<T: 'env>(
        &'scope self,
        data: T,
        register: impl FnOnce(&mut UserDataRegistry<T>),
    ) -> Result<AnyUserData> {
        self.check()?;
        let object = HostObject::new(None, Box::new(InScope));
        let shared = Rc::new(Shared {
            data: RefCell::new(Some(data)),
            object: object.clone(),
        });
        let metatable = self.lua.create_table()?;
        build::fill(
            &self.lua,
            &metatable,
            UserDataRegistry::of(register),
            &|lua, method, name| self.method(lua, &shared, method, name),
        )?;
        let userdata = self.lua.attempt(|cx| {
            let at = cx.height();
            cx.push_userdata(Box::new(object.clone()));
            metatable.0.push(&self.lua, cx)?;
            cx.set_metatable(at);
            Ok(AnyUserData(Handle::pop(&self.lua, cx)))
        })?;
        self.forget_at_end(&userdata);
        // What is left of the object must not say that its data is there.
        self.at_end(Box::new(move || drop(object.release())));
        Ok(userdata)
    }

    /// A method of a userdata of this scope as a function.
    fn method<T: 'env>(
        &'scope self,
        lua: &Lua,
        shared: &Rc<Shared<T>>,
        method: Method<T>,
        name: &str,
    ) -> Result<Function> {
        let shared = Rc::clone(shared);
        let name = full_name::<T>(name);
        let gone = Error::UserDataDestructed.self_argument(&name);
        let function: Borrowing<'scope> = match method {
            Method::Plain(function) => return lua.create_native(function),
            #[cfg(feature = "async")]
            Method::Async(function) => return crate::asynchronous::function(lua, function),
            Method::Ref(method) => Box::new(move |lua, mut arguments| {
                let wrong = |error: Error| error.self_argument(&name);
                shared.check_self(&mut arguments).map_err(wrong)?;
                let data = shared.data.try_borrow();
                let data = data.map_err(|_| wrong(Error::UserDataBorrowError))?;
                let data = data
                    .as_ref()
                    .ok_or_else(|| wrong(Error::UserDataDestructed))?;
                method(lua, data, arguments)
            }),
            Method::Mut(method) => Box::new(move |lua, mut arguments| {
                let wrong = |error: Error| error.self_argument(&name);
                shared.check_self(&mut arguments).map_err(wrong)?;
                let data = shared.data.try_borrow_mut();
                let mut data = data.map_err(|_| wrong(Error::UserDataBorrowMutError))?;
                let data = data
                    .as_mut()
                    .ok_or_else(|| wrong(Error::UserDataDestructed))?;
                method(lua, data, arguments)
            }),
        };
        lua.create_callback(self.lend(function, gone))
    }

    /// Calls `destructor` when the scope ends, before what it made ends.
    pub fn add_destructor(&'scope self, destructor: impl FnOnce() + 'env) {
        self.at_end(Box::new(destructor));
    }
}
