//! Values to and from other formats, by way of serde.

/// The setters of an `Options`, and its default.
macro_rules! options {
    ($($name:ident: $type:ty;)*) => {
        impl Default for Options {
            fn default() -> Self {
                Self::new()
            }
        }
        impl Options {
            $(
                #[doc = concat!("Sets [`Options::", stringify!($name), "`](Options#structfield.", stringify!($name), ").")]
                #[must_use]
                pub const fn $name(mut self, to: $type) -> Self {
                    self.$name = to;
                    self
                }
            )*
        }
    };
}
use options;

pub mod de;
pub mod ser;
mod shape;
mod value;

use ::serde::Serialize;
use ::serde::de::DeserializeOwned;

pub use de::{Deserializer, Options as DeserializeOptions};
pub use ser::{Options as SerializeOptions, Serializer};
pub use value::SerializableValue;

use crate::sealed::Sealed;
use crate::user_data::stored::Stored;
use crate::{AnyUserData, IntoLua, Lua, Result, Table, UserData, Value};

/// How deep values may be nested, unless told otherwise.
const RECURSION_LIMIT: usize = 128;

/// What a [`Lua`] can do with the types of serde.
///
/// ```
/// use moonswap::{Lua, LuaSerdeExt, Value};
/// use std::collections::BTreeMap;
/// let lua = Lua::new();
/// let ports = BTreeMap::from([("http", vec![80, 8080])]);
/// lua.globals().set("ports", lua.to_value(&ports)?)?;
/// let back: Value = lua.load("{ n = #ports.http, first = ports.http[1] }").eval()?;
/// let back: BTreeMap<String, i64> = lua.from_value(back)?;
/// assert_eq!((back["n"], back["first"]), (2, 80));
/// # Ok::<(), moonswap::Error>(())
/// ```
pub trait LuaSerdeExt: Sealed {
    /// What stands for `null` of other formats: `nil` cannot be in a table.
    fn null(&self) -> Value;

    /// The metatable of tables that are lists even if they are empty.
    fn array_metatable(&self) -> Table;

    /// A Rust value as a Lua value.
    ///
    /// # Errors
    /// [`Error::SerializeError`](crate::Error::SerializeError).
    fn to_value<T: Serialize + ?Sized>(&self, value: &T) -> Result<Value>;

    /// [`LuaSerdeExt::to_value`] with options.
    ///
    /// # Errors
    /// The same.
    fn to_value_with<T: Serialize + ?Sized>(
        &self,
        value: &T,
        options: SerializeOptions,
    ) -> Result<Value>;

    /// A Lua value as a Rust value.
    ///
    /// # Errors
    /// [`Error::DeserializeError`](crate::Error::DeserializeError).
    #[allow(clippy::wrong_self_convention)]
    fn from_value<T: DeserializeOwned>(&self, value: Value) -> Result<T>;

    /// [`LuaSerdeExt::from_value`] with options.
    ///
    /// # Errors
    /// The same.
    #[allow(clippy::wrong_self_convention)]
    fn from_value_with<T: DeserializeOwned>(
        &self,
        value: Value,
        options: DeserializeOptions,
    ) -> Result<T>;
}

impl LuaSerdeExt for Lua {
    fn null(&self) -> Value {
        Value::NULL
    }

    fn array_metatable(&self) -> Table {
        let known = &self.0.user_types.array;
        if let Some(metatable) = &*known.borrow() {
            return metatable.clone();
        }
        let metatable = self.with(|cx| {
            let at = cx.height();
            cx.push_table(0, 1);
            cx.push_bool(false);
            // A table without a metatable takes any string key.
            drop(cx.raw_set_field(at, "__metatable"));
            Table(crate::value::handle::Handle::pop(self, cx))
        });
        *known.borrow_mut() = Some(metatable.clone());
        metatable
    }

    fn to_value<T: Serialize + ?Sized>(&self, value: &T) -> Result<Value> {
        value.serialize(Serializer::new(self))
    }

    fn to_value_with<T: Serialize + ?Sized>(
        &self,
        value: &T,
        options: SerializeOptions,
    ) -> Result<Value> {
        value.serialize(Serializer::new_with_options(self, options))
    }

    fn from_value<T: DeserializeOwned>(&self, value: Value) -> Result<T> {
        T::deserialize(Deserializer::new(value))
    }

    fn from_value_with<T: DeserializeOwned>(
        &self,
        value: Value,
        options: DeserializeOptions,
    ) -> Result<T> {
        T::deserialize(Deserializer::new_with_options(value, options))
    }
}

/// Data that can be written.
struct Writable<T>(moonswap_vm::HostCell<T>);

/// Borrowed data that is being written.
struct Borrowed<T: 'static>(moonswap_vm::HostRef<T>);

impl<T: Serialize> Serialize for Borrowed<T> {
    fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (*self.0).serialize(serializer)
    }
}

impl<T: Serialize + 'static> Stored for Writable<T> {
    fn as_any(&self) -> &dyn std::any::Any {
        &self.0
    }

    fn serializable(&self) -> Option<Box<dyn erased_serde::Serialize>> {
        let borrowed = Borrowed(self.0.read().ok()?);
        Some(Box::new(borrowed))
    }
}

impl AnyUserData {
    /// Its data as something to write, if it can be written.
    pub(crate) fn serializable(&self) -> Option<Box<dyn erased_serde::Serialize>> {
        let object = self.object().ok()?;
        object.stored(|stored| Ok(stored.serializable())).ok()?
    }

    /// [`AnyUserData::wrap`] for data that can be written.
    pub fn wrap_ser<T: Serialize + 'static>(data: T) -> impl IntoLua {
        crate::user_data::any::wrapped(move |lua| lua.create_ser_any_userdata(data))
    }
}

impl Lua {
    /// [`Lua::create_userdata`] for data that can be written to other formats.
    ///
    /// # Errors
    /// The same.
    pub fn create_ser_userdata<T: UserData + Serialize + 'static>(
        &self,
        data: T,
    ) -> Result<AnyUserData> {
        let metatable = self.metatable_of::<T>(T::register)?;
        self.writable(data, &metatable)
    }

    /// [`Lua::create_any_userdata`] for data that can be written to other formats.
    ///
    /// # Errors
    /// The same.
    pub fn create_ser_any_userdata<T: Serialize + 'static>(&self, data: T) -> Result<AnyUserData> {
        let metatable = self.metatable_of::<T>(|_| {})?;
        self.writable(data, &metatable)
    }

    fn writable<T: Serialize + 'static>(&self, data: T, metatable: &Table) -> Result<AnyUserData> {
        let data = Writable(moonswap_vm::HostCell::new(data));
        self.new_userdata(Some(std::any::TypeId::of::<T>()), Box::new(data), metatable)
    }
}
