//! Metatables that all values of a type share.

use moonswap_vm::{Context, NativeKind};

use crate::sealed::Sealed;
use crate::value::handle::Handle;
use crate::{Function, LightUserData, Lua, LuaString, Table, Thread, Value};

/// Types of Lua whose values share a metatable: `bool`, `i64` and `f64` (one type),
/// [`LuaString`], [`Function`], [`Thread`], [`LightUserData`].
pub trait LuaType: Sealed {
    #[doc(hidden)]
    fn push_example(cx: &mut Context<'_>);
}

macro_rules! types {
    ($($type:ty: $push:expr;)*) => { $(
        impl Sealed for $type {}
        impl LuaType for $type {
            fn push_example(cx: &mut Context<'_>) {
                let push: fn(&mut Context<'_>) = $push;
                push(cx);
            }
        }
    )* };
}
types! {
    bool: |cx| cx.push_bool(true);
    i64: |cx| cx.push_int(0);
    f64: |cx| cx.push_num(0.0);
    LuaString: |cx| cx.push_bytes(b"");
    Function: |cx| cx.push_native_with("?", NativeKind::Plain, |_| Ok(0), 0);
    LightUserData: |cx| cx.push(moonswap_vm::View::Light(0));
    Thread: |cx| { cx.push_running(); };
}

impl Lua {
    /// The metatable that all values of a type share.
    ///
    /// ```
    /// # use moonswap::{Lua, LuaString};
    /// let lua = Lua::new();
    /// assert!(lua.type_metatable::<LuaString>().unwrap().contains_key("__index")?);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn type_metatable<T: LuaType>(&self) -> Option<Table> {
        self.with(|cx| {
            let at = cx.height();
            T::push_example(cx);
            let has = cx.push_metatable(at);
            has.then(|| Table(Handle::pop(self, cx)))
        })
    }

    /// Gives all values of a type another metatable.
    pub fn set_type_metatable<T: LuaType>(&self, metatable: Option<Table>) {
        self.with(|cx| {
            let at = cx.height();
            T::push_example(cx);
            let pushed = metatable.map_or(Value::Nil, Value::Table).push(self, cx);
            if pushed.is_ok() {
                cx.set_metatable(at);
            }
        });
    }
}
