//! `AnyUserData`: a handle of a userdata, whatever its data.

use std::any::TypeId;
use std::ffi::c_void;

use crate::user_data::guard::{UserDataRef, UserDataRefMut};
use crate::user_data::meta::MetaMethod;
use crate::user_data::object::{HostObject, Proxy};
use crate::value::handle::Handle;
use crate::value::table_iter::TablePairs;
use crate::{Error, FromLua, Function, IntoLua, Lua, LuaString, Result, Table, Value, WeakLua};

/// A host object inside Lua.
///
/// ```
/// use moonswap::{AnyUserData, Lua, UserData};
/// struct Point(i64, i64);
/// impl UserData for Point {}
/// let lua = Lua::new();
/// lua.globals().set("p", Point(1, 2))?;
/// let p: AnyUserData = lua.globals().get("p")?;
/// p.borrow_mut::<Point>()?.0 = 10;
/// assert_eq!(p.borrow::<Point>()?.0, 10);
/// assert!(p.borrow::<String>().is_err());
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AnyUserData(pub(crate) Handle);

impl AnyUserData {
    /// The object; an error for userdata of the libraries (files).
    pub(crate) fn object(&self) -> Result<HostObject> {
        let found = self.0.with(|_, cx, at| HostObject::at(cx, at))?;
        found.ok_or(Error::UserDataTypeMismatch)
    }

    /// Whether its data is a `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.type_id() == Some(TypeId::of::<T>())
    }

    /// Whether it stands for the type `T`; [`Lua::create_proxy`].
    pub fn is_proxy<T: 'static>(&self) -> bool {
        self.is::<Proxy<T>>()
    }

    /// The type of its data, as long as it has any.
    pub fn type_id(&self) -> Option<TypeId> {
        self.object().ok()?.type_id()
    }

    /// Borrows the data. Data in `Rc<T>`, `Rc<RefCell<T>>`, `Arc<T>`, `Arc<Mutex<T>>` and
    /// `Arc<RwLock<T>>` can be borrowed as `T`.
    ///
    /// # Errors
    /// [`Error::UserDataBorrowError`] while it is being changed,
    /// [`Error::UserDataTypeMismatch`], [`Error::UserDataDestructed`]. Data that a scope
    /// lends can only be had by [`AnyUserData::borrow_scoped`].
    pub fn borrow<T: 'static>(&self) -> Result<UserDataRef<T>> {
        self.object()?.read().map(UserDataRef)
    }

    /// Borrows the data to change it.
    ///
    /// # Errors
    /// [`Error::UserDataBorrowMutError`] while it is in use; as [`AnyUserData::borrow`].
    pub fn borrow_mut<T: 'static>(&self) -> Result<UserDataRefMut<T>> {
        self.object()?.write().map(UserDataRefMut)
    }

    /// Calls `f` with the data.
    ///
    /// # Errors
    /// As [`AnyUserData::borrow`].
    pub fn borrow_scoped<T: 'static, R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        self.object()?.with(f)
    }

    /// Calls `f` with the data, to change it.
    ///
    /// # Errors
    /// As [`AnyUserData::borrow_mut`].
    pub fn borrow_mut_scoped<T: 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.object()?.with_mut(f)
    }

    /// Takes the data away from Lua.
    ///
    /// # Errors
    /// [`Error::UserDataBorrowMutError`] while it is in use; as [`AnyUserData::borrow`].
    pub fn take<T: 'static>(&self) -> Result<T> {
        let data = self.object()?.take()?;
        self.forget()?;
        Ok(data)
    }

    /// Lets the data go now. What has borrowed it keeps it as long.
    ///
    /// # Errors
    /// [`Error::UserDataBorrowMutError`] while a method of it runs,
    /// [`Error::UserDataDestructed`] the second time.
    ///
    /// # Panics
    /// If the destructor does.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let data = lua.create_any_userdata(String::from("text"))?;
    /// data.destroy()?;
    /// assert!(data.borrow::<String>().is_err());
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn destroy(&self) -> Result<()> {
        let data = self.object()?.release()?;
        let forgotten = self.forget();
        // Its destructor may panic: then everything else is done.
        drop(data);
        forgotten
    }

    /// Whatever is done with it from now on is an error.
    pub(crate) fn forget(&self) -> Result<()> {
        let metatable = self.0.lua()?.destroyed_metatable()?;
        self.0.attempt(|lua, cx, at| {
            cx.push_nil();
            cx.set_user_value(at);
            metatable.0.push(lua, cx)?;
            cx.set_metatable(at);
            Ok(())
        })
    }

    /// Keeps a value beside the data; [`AnyUserData::user_value`].
    ///
    /// # Errors
    /// The conversion.
    pub fn set_user_value(&self, value: impl IntoLua) -> Result<()> {
        self.set_nth_user_value(1, value)
    }

    /// The value that is kept beside the data.
    ///
    /// # Errors
    /// The conversion.
    pub fn user_value<V: FromLua>(&self) -> Result<V> {
        self.nth_user_value(1)
    }

    /// Keeps one of several values beside the data.
    ///
    /// # Errors
    /// The conversion, and for numbers but 1 to 65,535.
    pub fn set_nth_user_value(&self, n: usize, value: impl IntoLua) -> Result<()> {
        self.keep(nth(n)?, value)
    }

    /// One of several values that are kept beside the data.
    ///
    /// # Errors
    /// As [`AnyUserData::set_nth_user_value`].
    pub fn nth_user_value<V: FromLua>(&self, n: usize) -> Result<V> {
        self.kept(nth(n)?)
    }

    /// Keeps a value of a name beside the data.
    ///
    /// # Errors
    /// The conversion.
    pub fn set_named_user_value(&self, name: &str, value: impl IntoLua) -> Result<()> {
        self.keep(name, value)
    }

    /// The value of a name that is kept beside the data.
    ///
    /// # Errors
    /// The conversion.
    pub fn named_user_value<V: FromLua>(&self, name: &str) -> Result<V> {
        self.kept(name)
    }

    /// The table of the values beside the data.
    fn values(&self) -> Result<Option<Table>> {
        let found = self.0.with(|lua, cx, at| {
            cx.push_user_value(at);
            Value::pop(lua, cx)
        })?;
        Ok(found.as_table().cloned())
    }

    fn keep(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let values = match self.values()? {
            Some(values) => values,
            None => {
                let values = self.0.lua()?.create_table()?;
                self.0.attempt(|lua, cx, at| {
                    values.0.push(lua, cx)?;
                    cx.set_user_value(at);
                    Ok(())
                })?;
                values
            }
        };
        values.raw_set(key, value)
    }

    fn kept<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        match self.values()? {
            Some(values) => values.raw_get(key),
            None => V::from_lua(Value::Nil, &self.0.lua()?),
        }
    }

    fn raw_metatable(&self) -> Result<Option<Table>> {
        let found = self
            .0
            .with(|lua, cx, at| cx.push_metatable(at).then(|| Table(Handle::pop(lua, cx))))?;
        Ok(found)
    }

    /// Its metatable, which all objects of the type share.
    ///
    /// # Errors
    /// [`Error::UserDataDestructed`], and if it has none.
    pub fn metatable(&self) -> Result<UserDataMetatable> {
        let object = self.0.with(|_, cx, at| HostObject::at(cx, at))?;
        if let Some(object) = object {
            object.stored(|_| Ok(()))?;
        }
        let metatable = self.raw_metatable()?.ok_or(Error::UserDataTypeMismatch)?;
        Ok(UserDataMetatable(metatable))
    }

    /// The name of its type, as Lua's messages have it.
    ///
    /// # Errors
    /// If the VM is gone.
    pub fn type_name(&self) -> Result<LuaString> {
        let name = match self.raw_metatable()? {
            Some(metatable) => metatable.raw_get("__name")?,
            None => Value::Nil,
        };
        match name {
            Value::String(name) => Ok(name),
            _ => self.0.lua()?.create_string("userdata"),
        }
    }

    /// What `{:#?}` shows, if its metatable tells.
    pub(crate) fn debug_text(&self) -> Option<String> {
        let metatable = self.raw_metatable().ok()??;
        for name in [MetaMethod::ToDebugString, MetaMethod::ToString] {
            let function = metatable.raw_get::<Option<Function>>(name.name());
            if let Ok(Some(function)) = function {
                return function.call(self).ok();
            }
        }
        None
    }

    /// Identity of the object.
    pub fn to_pointer(&self) -> *const c_void {
        self.0.pointer()
    }

    /// Its VM.
    #[doc(hidden)]
    pub fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }

    /// Data that becomes a userdata when it is given to Lua.
    ///
    /// ```
    /// use moonswap::{AnyUserData, Lua};
    /// let lua = Lua::new();
    /// lua.globals().set("text", AnyUserData::wrap(String::from("x")))?;
    /// assert_eq!(lua.load("type(text)").eval::<String>()?, "userdata");
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn wrap<T: 'static>(data: T) -> impl IntoLua {
        Wrapped(move |lua: &Lua| lua.create_any_userdata(data))
    }
}

struct Wrapped<F>(F);

/// A userdata that is made when it is given to Lua.
#[cfg(feature = "serde")]
pub(crate) fn wrapped(make: impl FnOnce(&Lua) -> Result<AnyUserData>) -> impl IntoLua {
    Wrapped(make)
}

impl<F: FnOnce(&Lua) -> Result<AnyUserData>> IntoLua for Wrapped<F> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (self.0)(lua).map(Value::UserData)
    }
}

fn nth(n: usize) -> Result<i64> {
    match u16::try_from(n) {
        Ok(n) if n > 0 => Ok(n.into()),
        _ => Err(Error::runtime("user value index out of bounds")),
    }
}

/// The metatable of a userdata; [`AnyUserData::metatable`].
#[derive(Clone, Debug)]
pub struct UserDataMetatable(pub(crate) Table);

impl UserDataMetatable {
    /// A metamethod.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] for those that are not the host's to see.
    pub fn get<V: FromLua>(&self, name: impl AsRef<str>) -> Result<V> {
        self.0.raw_get(MetaMethod::check(name.as_ref())?)
    }

    /// Sets a metamethod, for all objects of the type.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] for `__index` and `__newindex`, which fields and
    /// methods need, and for those that are not the host's to set.
    pub fn set(&self, name: impl AsRef<str>, value: impl IntoLua) -> Result<()> {
        let name = MetaMethod::check(name.as_ref())?;
        if matches!(name, "__index" | "__newindex") {
            return Err(Error::MetaMethodRestricted(name.to_owned()));
        }
        self.0.raw_set(name, value)
    }

    /// Whether there is a metamethod.
    ///
    /// # Errors
    /// As [`UserDataMetatable::get`].
    pub fn contains(&self, name: impl AsRef<str>) -> Result<bool> {
        self.0.contains_key(MetaMethod::check(name.as_ref())?)
    }

    /// All metamethods that the host may see.
    pub fn pairs<V: FromLua>(&self) -> UserDataMetatablePairs<'_, V> {
        UserDataMetatablePairs {
            pairs: self.0.pairs(),
            types: std::marker::PhantomData,
        }
    }
}

/// Iterator of [`UserDataMetatable::pairs`].
#[derive(Debug)]
pub struct UserDataMetatablePairs<'a, V> {
    pairs: TablePairs<'a, String, Value>,
    types: std::marker::PhantomData<fn() -> V>,
}

impl<V: FromLua> Iterator for UserDataMetatablePairs<'_, V> {
    type Item = Result<(String, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.pairs.next()? {
                Err(error) => return Some(Err(error)),
                Ok((name, value)) if MetaMethod::check(&name).is_ok() => {
                    let lua = self.pairs.table.0.lua();
                    let value = lua.and_then(|lua| V::from_lua(value, &lua));
                    return Some(value.map(|value| (name, value)));
                }
                Ok(_) => {}
            }
        }
    }
}
