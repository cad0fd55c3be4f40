//! Numbers. An integer of Rust that no Lua integer can hold becomes a float; what
//! comes back has to fit.

use moonswap_vm::{Context, View};

use crate::{Error, FromLua, IntoLua, Lua, Result, Value};

/// An integer or an integral float, be it as text.
enum Number {
    Integer(i64),
    Float(f64),
}

fn number(value: Value, lua: &Lua, to: &str) -> Result<Number> {
    Ok(match value {
        Value::Integer(i) => Number::Integer(i),
        Value::Number(n) => Number::Float(n),
        other => {
            let from = other.type_name();
            if let Some(i) = lua.coerce_integer(other.clone())? {
                Number::Integer(i)
            } else if let Some(n) = lua.coerce_number(other)? {
                Number::Float(n)
            } else {
                let wanted = "expected number or string coercible to number";
                return Err(Error::conversion(from, to, Some(wanted)));
            }
        }
    })
}

macro_rules! integers {
    ($($type:ident)*) => { $(
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(i64::try_from(self).map_or(Value::Number(self as f64), Value::Integer))
            }

            const IS_DIRECT: bool = true;

            fn push_direct(self, _: &Lua, cx: &mut Context<'_>) -> Result<()> {
                match i64::try_from(self) {
                    Ok(i) => cx.push_int(i),
                    Err(_) => cx.push_num(self as f64),
                }
                Ok(())
            }
        }
        impl FromLua for $type {
            fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
                let from = value.type_name();
                let whole = match number(value, lua, stringify!($type))? {
                    Number::Integer(i) => $type::try_from(i).ok(),
                    // The least of the type is exact as a float; the greatest need not be,
                    // one more than it is.
                    Number::Float(n) => {
                        let sign_bits = u32::from($type::MIN != 0);
                        let end = 2f64.powi(($type::BITS - sign_bits) as i32);
                        let is_in = n.fract() == 0.0 && n >= $type::MIN as f64 && n < end;
                        is_in.then_some(n as $type)
                    }
                };
                whole.ok_or_else(|| Error::conversion(from, stringify!($type), Some("out of range")))
            }

            fn take_direct(_: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
                match cx.at(at) {
                    View::Integer(i) => $type::try_from(i).ok(),
                    _ => None,
                }
            }
        }
    )* };
}
integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

macro_rules! floats {
    ($($type:ident)*) => { $(
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::Number(self.into()))
            }

            const IS_DIRECT: bool = true;

            fn push_direct(self, _: &Lua, cx: &mut Context<'_>) -> Result<()> {
                cx.push_num(self.into());
                Ok(())
            }
        }
        impl FromLua for $type {
            fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
                Ok(match number(value, lua, stringify!($type))? {
                    Number::Integer(i) => i as $type,
                    Number::Float(n) => n as $type,
                })
            }

            fn take_direct(_: &Lua, cx: &Context<'_>, at: usize) -> Option<Self> {
                match cx.at(at) {
                    View::Integer(i) => Some(i as $type),
                    View::Float(n) => Some(n as $type),
                    _ => None,
                }
            }
        }
    )* };
}
floats! { f32 f64 }

impl IntoLua for std::time::Duration {
    /// As seconds.
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Number(self.as_secs_f64()))
    }
}
impl FromLua for std::time::Duration {
    /// From seconds.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
        let from = value.type_name();
        Self::try_from_secs_f64(f64::from_lua(value, lua)?)
            .map_err(|e| Error::conversion(from, "Duration", Some(&e.to_string())))
    }
}
