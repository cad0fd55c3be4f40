//! Values that the host keeps in a VM by keys: registry keys and names.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use moonswap_vm::Context;

use crate::value::raise::checked;
use crate::{Error, FromLua, IntoLua, Lua, Result, Value};

/// Where in the VM's registry the named values are.
const NAMED: &str = "moonswap.named";

/// What registry keys stand for.
#[derive(Clone, Default)]
pub(crate) struct Registry(Rc<RefCell<Slots>>);

#[derive(Default)]
struct Slots {
    values: Vec<Value>,
    free: Vec<usize>,
}

/// A value that the host keeps in a VM; [`Lua::create_registry_value`]. It lets the
/// value go when it is dropped.
pub struct RegistryKey {
    /// Its place; `None`: it stands for nil.
    place: Cell<Option<usize>>,
    registry: Registry,
}

impl RegistryKey {
    /// A number that no other key of the VM has at the time; -1 for nil.
    pub fn id(&self) -> i32 {
        let place = self.place.get().map(i32::try_from);
        place.unwrap_or(Ok(-1)).unwrap_or(i32::MAX)
    }
}

impl fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.get() {
            Some(place) => write!(f, "RegistryKey({place})"),
            None => f.write_str("RegistryKey(nil)"),
        }
    }
}

impl PartialEq for RegistryKey {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && Rc::ptr_eq(&self.registry.0, &other.registry.0)
    }
}
impl Eq for RegistryKey {}

impl Hash for RegistryKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.get().hash(state);
    }
}

impl Drop for RegistryKey {
    fn drop(&mut self) {
        drop(self.set(Value::Nil));
    }
}

impl RegistryKey {
    /// Stands for another value from now on; answers the old one.
    fn set(&self, value: Value) -> Value {
        let mut slots = self.registry.0.borrow_mut();
        match (self.place.get(), value) {
            (None, Value::Nil) => Value::Nil,
            (Some(place), Value::Nil) => {
                self.place.set(None);
                slots.free.push(place);
                std::mem::take(&mut slots.values[place])
            }
            (Some(place), value) => std::mem::replace(&mut slots.values[place], value),
            (None, value) => {
                let place = match slots.free.pop() {
                    Some(place) => place,
                    None => {
                        slots.values.push(Value::Nil);
                        slots.values.len() - 1
                    }
                };
                slots.values[place] = value;
                self.place.set(Some(place));
                Value::Nil
            }
        }
    }
}

impl Lua {
    /// Keeps a value until the key is dropped.
    ///
    /// # Errors
    /// The conversion.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let key = lua.create_registry_value("kept")?;
    /// assert_eq!(lua.registry_value::<String>(&key)?, "kept");
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn create_registry_value(&self, value: impl IntoLua) -> Result<RegistryKey> {
        let value = value.into_lua(self)?;
        let key = RegistryKey {
            place: Cell::new(None),
            registry: self.0.registry.clone(),
        };
        key.set(value);
        Ok(key)
    }

    fn check_key(&self, key: &RegistryKey) -> Result<()> {
        match self.owns_registry_value(key) {
            true => Ok(()),
            false => Err(Error::MismatchedRegistryKey),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::MismatchedRegistryKey`], the conversion.
    pub fn registry_value<T: FromLua>(&self, key: &RegistryKey) -> Result<T> {
        self.check_key(key)?;
        let value = key
            .place
            .get()
            .map(|place| self.0.registry.0.borrow().values[place].clone());
        T::from_lua(value.unwrap_or_default(), self)
    }

    /// Lets the value of a key go.
    ///
    /// # Errors
    /// [`Error::MismatchedRegistryKey`].
    pub fn remove_registry_value(&self, key: RegistryKey) -> Result<()> {
        self.check_key(&key)
    }

    /// Lets a key stand for another value.
    ///
    /// # Errors
    /// [`Error::MismatchedRegistryKey`], the conversion.
    pub fn replace_registry_value(&self, key: &mut RegistryKey, value: impl IntoLua) -> Result<()> {
        self.check_key(key)?;
        let value = value.into_lua(self)?;
        drop(key.set(value));
        Ok(())
    }

    /// Whether a key is of this VM.
    pub fn owns_registry_value(&self, key: &RegistryKey) -> bool {
        Rc::ptr_eq(&self.0.registry.0, &key.registry.0)
    }

    /// Nothing: the value of a key goes when the key is dropped. For programs written
    /// for mlua.
    pub fn expire_registry_values(&self) {}

    /// Runs `f` with the table of named values at the given stack index.
    fn named<R>(&self, f: impl FnOnce(&mut Context<'_>, usize) -> Result<R>) -> Result<R> {
        self.attempt(|cx| {
            let registry = cx.height();
            cx.push_registry();
            cx.push(cx.raw_get_field(registry, NAMED));
            if cx.at(registry + 1).is_nil() {
                cx.pop(1);
                cx.push_table(0, 4);
                cx.push_at(registry + 1);
                checked(cx, |cx| cx.raw_set_field(registry, NAMED))?;
            }
            f(cx, registry + 1)
        })
    }

    /// Keeps a value by a name.
    ///
    /// # Errors
    /// The conversion, the memory limit.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// lua.set_named_registry_value("limit", 10)?;
    /// assert_eq!(lua.named_registry_value::<i64>("limit")?, 10);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_named_registry_value(&self, name: &str, value: impl IntoLua) -> Result<()> {
        let value = value.into_lua(self)?;
        self.named(|cx, table| {
            value.push(self, cx)?;
            checked(cx, |cx| cx.raw_set_field(table, name))
        })
    }

    /// The value of a name.
    ///
    /// # Errors
    /// The conversion.
    pub fn named_registry_value<T: FromLua>(&self, name: &str) -> Result<T> {
        let value = self.named(|cx, table| {
            cx.push(cx.raw_get_field(table, name));
            Ok(Value::pop(self, cx))
        })?;
        T::from_lua(value, self)
    }

    /// Lets the value of a name go.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn unset_named_registry_value(&self, name: &str) -> Result<()> {
        self.set_named_registry_value(name, Value::Nil)
    }
}
