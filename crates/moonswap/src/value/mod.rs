//! `Value`: any Lua value, and how it gets on and off the VM's stack.

pub(crate) mod ask;
pub(crate) mod callback;
pub(crate) mod convert;
pub(crate) mod function;
pub(crate) mod handle;
pub(crate) mod multi;
pub(crate) mod native;
pub(crate) mod object;
mod path;
pub(crate) mod raise;
pub(crate) mod show;
pub(crate) mod string;
pub(crate) mod table;
pub(crate) mod table_iter;
pub(crate) mod thread;
pub(crate) mod traits;

use std::ffi::c_void;

use moonswap_vm::{Context, View};

use handle::Handle;

use crate::{AnyUserData, Error, Function, Lua, LuaString, Panicked, Result, Table, Thread};

/// An address of the host's, as Lua sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LightUserData(pub *mut c_void);

/// A value that no other variant is for. There is none.
#[derive(Clone, Debug)]
pub struct OtherValue(std::convert::Infallible);

/// Any Lua value.
#[derive(Clone, Default)]
pub enum Value {
    /// `nil`
    #[default]
    Nil,
    /// `true` or `false`
    Boolean(bool),
    /// an address of the host's
    LightUserData(LightUserData),
    /// an integer
    Integer(i64),
    /// a float
    Number(f64),
    /// a byte string
    String(LuaString),
    /// a table
    Table(Table),
    /// a function, Lua's or the host's
    Function(Function),
    /// a coroutine
    Thread(Thread),
    /// a host object
    UserData(AnyUserData),
    /// an error raised by Rust code and caught by `pcall`
    Error(Box<Error>),
    /// Nothing: keeps matches of programs written for mlua complete.
    #[doc(hidden)]
    Other(OtherValue),
}

/// `nil`.
pub use Value::Nil;

impl Value {
    /// Lua's name of its type, with the kinds that the host tells apart: `integer`,
    /// `lightuserdata`, `error`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Table(_) => "table",
            Self::Function(_) => "function",
            Self::Thread(_) => "thread",
            Self::LightUserData(_) => "lightuserdata",
            Self::UserData(_) | Self::Other(_) => "userdata",
            Self::Error(_) => "error",
        }
    }

    /// Pushes it on the stack of the running context.
    pub(crate) fn push(&self, lua: &Lua, cx: &Context<'_>) -> Result<()> {
        match self {
            Self::Nil | Self::Other(_) => cx.push_nil(),
            Self::Boolean(b) => cx.push_bool(*b),
            Self::Integer(i) => cx.push_int(*i),
            Self::Number(n) => cx.push_num(*n),
            Self::LightUserData(light) => cx.push(View::Light(light.0 as usize)),
            Self::String(LuaString(handle))
            | Self::Table(Table(handle))
            | Self::Function(Function(handle))
            | Self::Thread(Thread(handle))
            | Self::UserData(AnyUserData(handle)) => handle.push(lua, cx)?,
            Self::Error(error) => raise::push_error_object(cx, error),
        }
        Ok(())
    }

    /// Pops the top of the stack of the running context.
    pub(crate) fn pop(lua: &Lua, cx: &Context<'_>) -> Self {
        enum Object {
            String,
            Table,
            Function,
            Thread,
            UserData,
        }
        let object = match cx.at(cx.height() - 1) {
            View::String(_) => Object::String,
            View::Table(_) => Object::Table,
            View::Function(_) => Object::Function,
            View::Coroutine(_) => Object::Thread,
            View::UserData(data) => match data.downcast::<Error>().cloned() {
                Some(error) => {
                    cx.pop(1);
                    if error.panicked().is_some_and(Panicked::is_spent) {
                        return Self::Nil;
                    }
                    return Self::Error(Box::new(error));
                }
                None => Object::UserData,
            },
            plain => {
                let value = match plain {
                    View::Boolean(b) => Self::Boolean(b),
                    View::Integer(i) => Self::Integer(i),
                    View::Float(n) => Self::Number(n),
                    View::Light(p) => Self::LightUserData(LightUserData(p as *mut c_void)),
                    _ => Self::Nil,
                };
                cx.pop(1);
                return value;
            }
        };
        let handle = Handle::pop(lua, cx);
        match object {
            Object::String => Self::String(LuaString(handle)),
            Object::Table => Self::Table(Table(handle)),
            Object::Function => Self::Function(Function(handle)),
            Object::Thread => Self::Thread(Thread(handle)),
            Object::UserData => Self::UserData(AnyUserData(handle)),
        }
    }

    /// The handle of an object of the VM.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        match self {
            Self::String(LuaString(handle))
            | Self::Table(Table(handle))
            | Self::Function(Function(handle))
            | Self::Thread(Thread(handle))
            | Self::UserData(AnyUserData(handle)) => Some(handle),
            _ => None,
        }
    }
}

impl PartialEq for Value {
    /// Primitive equality; integers and floats of equal value are equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Integer(i), Self::Number(n)) | (Self::Number(n), Self::Integer(i)) => {
                // Exact in both directions: the float must be an integer in range.
                *n >= -9_223_372_036_854_775_808.0
                    && *n < 9_223_372_036_854_775_808.0
                    && n.fract() == 0.0
                    && *n as i64 == *i
            }
            (Self::LightUserData(a), Self::LightUserData(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Table(Table(a)), Self::Table(Table(b)))
            | (Self::Function(Function(a)), Self::Function(Function(b)))
            | (Self::Thread(Thread(a)), Self::Thread(Thread(b)))
            | (Self::UserData(AnyUserData(a)), Self::UserData(AnyUserData(b))) => a == b,
            _ => false,
        }
    }
}
