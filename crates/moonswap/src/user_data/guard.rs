//! Userdata as arguments: borrowed, borrowed to be changed, taken.

use std::fmt;
use std::ops::{Deref, DerefMut};

use moonswap_vm::{HostMut, HostRef};

use crate::user_data::no_userdata;
use crate::{AnyUserData, FromLua, Lua, Result, Value};

/// Data of a userdata, borrowed. As an argument of a function it borrows what it is
/// given for the call. It keeps the data, also when Lua lets it go.
///
/// ```
/// use moonswap::{Lua, UserData, UserDataRef};
/// struct Point(f64, f64);
/// impl UserData for Point {}
/// let lua = Lua::new();
/// let length = lua.create_function(|_, p: UserDataRef<Point>| Ok(p.0.hypot(p.1)))?;
/// assert_eq!(length.call::<f64>(Point(3.0, 4.0))?, 5.0);
/// # Ok::<(), moonswap::Error>(())
/// ```
pub struct UserDataRef<T: 'static>(pub(crate) HostRef<T>);

/// Data of a userdata, borrowed to be changed.
pub struct UserDataRefMut<T: 'static>(pub(crate) HostMut<T>);

/// Data of a userdata that is taken away from Lua, as an argument.
///
/// ```
/// use moonswap::{Lua, UserData, UserDataOwned};
/// struct Ticket(u32);
/// impl UserData for Ticket {}
/// let lua = Lua::new();
/// let redeem = lua.create_function(|_, ticket: UserDataOwned<Ticket>| Ok(ticket.0.0))?;
/// lua.globals().set("ticket", Ticket(7))?;
/// lua.globals().set("redeem", redeem)?;
/// assert_eq!(lua.load("redeem(ticket)").eval::<u32>()?, 7);
/// assert!(lua.load("redeem(ticket)").exec().is_err());
/// # Ok::<(), moonswap::Error>(())
/// ```
pub struct UserDataOwned<T>(pub T);

impl<T> Deref for UserDataRef<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T> Deref for UserDataRefMut<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T> DerefMut for UserDataRefMut<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
impl<T> Deref for UserDataOwned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T> DerefMut for UserDataOwned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

macro_rules! shown {
    ($($type:ident)*) => { $(
        impl<T: fmt::Debug> fmt::Debug for $type<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
        impl<T: fmt::Display> fmt::Display for $type<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    )* };
}
shown! { UserDataRef UserDataRefMut UserDataOwned }

fn userdata<T>(value: Value) -> Result<AnyUserData> {
    match value {
        Value::UserData(data) => Ok(data),
        other => Err(no_userdata::<T>(other.type_name())),
    }
}

impl<T: 'static> FromLua for UserDataRef<T> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        userdata::<T>(value)?.borrow()
    }
}
impl<T: 'static> FromLua for UserDataRefMut<T> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        userdata::<T>(value)?.borrow_mut()
    }
}
impl<T: 'static> FromLua for UserDataOwned<T> {
    fn from_lua(value: Value, _: &Lua) -> Result<Self> {
        userdata::<T>(value)?.take().map(Self)
    }
}
