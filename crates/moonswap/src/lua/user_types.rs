//! Userdata of the host's types: their metatables, and making them.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;

use moonswap_vm::HostCell;

use crate::user_data::build;
use crate::user_data::object::{HostObject, Proxy};
use crate::user_data::stored::Stored;
use crate::value::handle::Handle;
use crate::{AnyUserData, Lua, Result, Table, UserData, UserDataRegistry};

/// Metatables of the types that are known.
#[derive(Default)]
pub(crate) struct UserTypes {
    metatables: RefCell<HashMap<TypeId, Table>>,
    /// Of userdata whose data is gone.
    destroyed: RefCell<Option<Table>>,
    /// Of tables that are lists for other formats.
    #[cfg(feature = "serde")]
    pub(crate) array: RefCell<Option<Table>>,
}

impl Lua {
    /// The metatable of `T`, made by `register` on first use.
    pub(crate) fn metatable_of<T: 'static>(
        &self,
        register: impl FnOnce(&mut UserDataRegistry<T>),
    ) -> Result<Table> {
        let known = &self.0.user_types.metatables;
        if let Some(metatable) = known.borrow().get(&TypeId::of::<T>()) {
            return Ok(metatable.clone());
        }
        self.make_metatable(register)
    }

    /// Makes the metatable of `T`. It is known while it is filled: a field of the type
    /// may be an object of it.
    fn make_metatable<T: 'static>(
        &self,
        register: impl FnOnce(&mut UserDataRegistry<T>),
    ) -> Result<Table> {
        let known = &self.0.user_types.metatables;
        let id = TypeId::of::<T>();
        let registry = UserDataRegistry::of(register);
        let metatable = self.create_table()?;
        let before = known.borrow_mut().insert(id, metatable.clone());
        let filled = build::fill(self, &metatable, registry, &build::method::<T>);
        if let Err(error) = filled {
            match before {
                Some(before) => known.borrow_mut().insert(id, before),
                None => known.borrow_mut().remove(&id),
            };
            return Err(error);
        }
        Ok(metatable)
    }

    /// The metatable of userdata whose data is gone.
    pub(crate) fn destroyed_metatable(&self) -> Result<Table> {
        let known = &self.0.user_types.destroyed;
        if let Some(metatable) = &*known.borrow() {
            return Ok(metatable.clone());
        }
        let metatable = build::destroyed(self)?;
        *known.borrow_mut() = Some(metatable.clone());
        Ok(metatable)
    }

    /// A userdata with data of any type.
    pub(crate) fn new_userdata(
        &self,
        type_id: Option<TypeId>,
        data: Box<dyn Stored>,
        metatable: &Table,
    ) -> Result<AnyUserData> {
        self.attempt(|cx| {
            let at = cx.height();
            cx.push_userdata(Box::new(HostObject::new(type_id, data)));
            metatable.0.push(self, cx)?;
            cx.set_metatable(at);
            Ok(AnyUserData(Handle::pop(self, cx)))
        })
    }

    /// An object of a type that says what Lua may do with it.
    ///
    /// # Errors
    /// Of registering the type, and the memory limit.
    pub fn create_userdata<T: UserData + 'static>(&self, data: T) -> Result<AnyUserData> {
        let metatable = self.metatable_of::<T>(T::register)?;
        self.new_userdata(
            Some(TypeId::of::<T>()),
            Box::new(HostCell::new(data)),
            &metatable,
        )
    }

    /// An object of any type. Lua can do with it what was registered for the type with
    /// [`Lua::register_userdata_type`], else only hand it on.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    ///
    /// ```
    /// # use moonswap::{Lua, UserDataMethods};
    /// let lua = Lua::new();
    /// lua.register_userdata_type::<std::time::Instant>(|registry| {
    ///     registry.add_method("seconds", |_, this, ()| Ok(this.elapsed().as_secs_f64()));
    /// })?;
    /// lua.globals().set("start", lua.create_any_userdata(std::time::Instant::now())?)?;
    /// assert!(lua.load("start:seconds() >= 0").eval::<bool>()?);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_any_userdata<T: 'static>(&self, data: T) -> Result<AnyUserData> {
        let metatable = self.metatable_of::<T>(|_| {})?;
        self.new_userdata(
            Some(TypeId::of::<T>()),
            Box::new(HostCell::new(data)),
            &metatable,
        )
    }

    /// Says what Lua may do with objects of a type that are made from now on.
    ///
    /// # Errors
    /// Of the fields, and the memory limit.
    pub fn register_userdata_type<T: 'static>(
        &self,
        register: impl FnOnce(&mut UserDataRegistry<T>),
    ) -> Result<()> {
        self.make_metatable(register).map(drop)
    }

    /// An object that stands for the type: it has the functions and the fields that
    /// need no object.
    ///
    /// # Errors
    /// Of registering the type, and the memory limit.
    ///
    /// ```
    /// # use moonswap::{Lua, UserData, UserDataMethods};
    /// struct Counter(i64);
    /// impl UserData for Counter {
    ///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
    ///         methods.add_function("new", |_, n: i64| Ok(Counter(n)));
    ///         methods.add_method("get", |_, this, ()| Ok(this.0));
    ///     }
    /// }
    /// let lua = Lua::new();
    /// lua.globals().set("Counter", lua.create_proxy::<Counter>()?)?;
    /// assert_eq!(lua.load("Counter.new(3):get()").eval::<i64>()?, 3);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_proxy<T: UserData + 'static>(&self) -> Result<AnyUserData> {
        let metatable = self.metatable_of::<T>(T::register)?;
        let proxy = HostCell::new(Proxy::<T>(PhantomData));
        self.new_userdata(Some(TypeId::of::<Proxy<T>>()), Box::new(proxy), &metatable)
    }
}
