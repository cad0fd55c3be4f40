//! `Value` and the handles that have no operations of their own.

pub(crate) mod callback;
pub(crate) mod convert;
pub(crate) mod function;
pub(crate) mod handle;
pub(crate) mod multi;
pub(crate) mod string;
pub(crate) mod table;

use std::fmt;

use moonswap_vm::{Context, View};

use handle::Handle;

use crate::{Error, Function, Lua, LuaString, Result, Table};

/// An address of the host's, as Lua sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LightUserData(pub usize);

/// A coroutine.
#[derive(Clone, Debug)]
pub struct Thread(pub(crate) Handle);

impl Thread {
    /// `"suspended"`, `"running"`, `"normal"` or `"dead"`.
    pub fn status(&self) -> &'static str {
        let handle = &self.0;
        handle.lua.with(|cx| {
            cx.push_root(&handle.root);
            match cx.at(cx.height() - 1) {
                View::Coroutine(coroutine) => cx.coroutine_status(coroutine),
                _ => "dead",
            }
        })
    }

    /// Runs it until it yields, returns or raises.
    pub fn resume<R: crate::FromLuaMulti>(&self, arguments: impl crate::IntoLuaMulti) -> Result<R> {
        let lua = &self.0.lua;
        let arguments = arguments.into_lua_multi(lua)?;
        let results = crate::value::callback::resume(lua, &self.0, &arguments)?;
        R::from_lua_multi(results, lua)
    }
}

/// A host object inside Lua.
#[derive(Clone, Debug)]
pub struct AnyUserData(pub(crate) Handle);

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
    Error(Error),
}

impl Value {
    /// Lua's name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) | Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Table(_) => "table",
            Self::Function(_) => "function",
            Self::Thread(_) => "thread",
            Self::LightUserData(_) | Self::UserData(_) | Self::Error(_) => "userdata",
        }
    }

    /// Whether it is `nil`.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The text of a string, if it is one and is UTF-8.
    pub fn as_text(&self) -> Option<std::string::String> {
        match self {
            Self::String(string) => string.to_str().ok(),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The function, if it is one.
    pub fn as_function(&self) -> Option<&Function> {
        match self {
            Self::Function(function) => Some(function),
            _ => None,
        }
    }

    /// Equality without metamethods, as `rawequal`.
    pub fn raw_equal(&self, other: &Self, lua: &Lua) -> Result<bool> {
        lua.with(|cx| {
            let at = cx.height();
            self.push(lua, cx)?;
            other.push(lua, cx)?;
            Ok(cx.raw_equal(at, at + 1))
        })
    }

    /// Pushes it on the stack of the running context.
    pub(crate) fn push(&self, lua: &Lua, cx: &Context<'_>) -> Result<()> {
        match self {
            Self::Nil => cx.push_nil(),
            Self::Boolean(b) => cx.push_bool(*b),
            Self::Integer(i) => cx.push_int(*i),
            Self::Number(n) => cx.push_num(*n),
            Self::LightUserData(light) => cx.push(View::Light(light.0)),
            Self::String(LuaString(handle))
            | Self::Table(Table(handle))
            | Self::Function(Function(handle))
            | Self::Thread(Thread(handle))
            | Self::UserData(AnyUserData(handle)) => handle.push(lua, cx)?,
            Self::Error(error) => crate::value::callback::push_error_object(cx, error),
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
                    return Self::Error(error);
                }
                None => Object::UserData,
            },
            plain => {
                let value = match plain {
                    View::Boolean(b) => Self::Boolean(b),
                    View::Integer(i) => Self::Integer(i),
                    View::Float(n) => Self::Number(n),
                    View::Light(p) => Self::LightUserData(LightUserData(p)),
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
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Boolean(b) => write!(f, "Boolean({b})"),
            Self::LightUserData(light) => light.fmt(f),
            Self::Integer(i) => write!(f, "Integer({i})"),
            Self::Number(n) => write!(f, "Number({n:?})"),
            Self::String(s) => write!(f, "String({s:?})"),
            Self::Table(table) => table.fmt(f),
            Self::Function(function) => function.fmt(f),
            Self::Thread(thread) => thread.fmt(f),
            Self::UserData(data) => data.fmt(f),
            Self::Error(error) => write!(f, "Error({:?})", error.to_string()),
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
            | (Self::UserData(AnyUserData(a)), Self::UserData(AnyUserData(b))) => {
                a.lua.is_same(&b.lua) && a.address() == b.address()
            }
            _ => false,
        }
    }
}
