//! Values as natives see them: borrowed, matched on, never dangling.
//!
//! Invariants: CX2: while a borrow of the context lives nothing is collected,
//! so the pointers in these types are live.

use std::any::Any;
use std::marker::PhantomData;

use moonswap_number as number;

use crate::meta;
use crate::object::{Coroutine, StringObject, Table, UserData};
use crate::value::{Value, tag};

/// A value, borrowed from the VM.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// `nil` (or no value)
    Nil,
    /// `true`, `false`
    Boolean(bool),
    /// a number of subtype integer
    Integer(i64),
    /// a number of subtype float
    Float(f64),
    /// a byte string
    String(Str<'a>),
    /// a table
    Table(TableRef<'a>),
    /// a Lua or native function
    Function(FunctionRef<'a>),
    /// a host value
    UserData(UserDataRef<'a>),
    /// a coroutine
    Coroutine(CoroutineRef<'a>),
    /// a bare address
    Light(usize),
}

/// A string.
#[derive(Clone, Copy, Debug)]
pub struct Str<'a>(pub(super) *mut StringObject, PhantomData<&'a ()>);
/// A table.
#[derive(Clone, Copy, Debug)]
pub struct TableRef<'a>(pub(super) *mut Table, PhantomData<&'a ()>);
/// A function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionRef<'a>(pub(super) Value, PhantomData<&'a ()>);
/// A userdata.
#[derive(Clone, Copy, Debug)]
pub struct UserDataRef<'a>(pub(super) *mut UserData, PhantomData<&'a ()>);
/// A coroutine.
#[derive(Clone, Copy, Debug)]
pub struct CoroutineRef<'a>(pub(super) *mut Coroutine, PhantomData<&'a ()>);

impl<'a> Str<'a> {
    pub(crate) fn new(p: *mut StringObject) -> Self {
        Self(p, PhantomData)
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        // SAFETY: CX2.
        unsafe { StringObject::bytes(self.0) }
    }
}

impl<'a> UserDataRef<'a> {
    /// The host data, if it is a `T` (use `Cell`/`RefCell` inside for changes).
    pub fn downcast<T: Any>(self) -> Option<&'a T> {
        // SAFETY: CX2; the box is not replaced while borrowed.
        unsafe { (*self.0).data.as_ref()?.downcast_ref::<T>() }
    }
}

impl<'a> TableRef<'a> {
    pub(crate) fn new(p: *mut Table) -> Self {
        Self(p, PhantomData)
    }

    /// Primitive read.
    pub fn get(self, key: View<'_>) -> View<'a> {
        // SAFETY: CX2.
        View::of(unsafe { crate::table::get(self.0, key.raw()) })
    }

    /// Primitive read by integer.
    #[inline]
    pub fn get_int(self, key: i64) -> View<'a> {
        // SAFETY: CX2.
        View::of(unsafe { crate::table::get_int(self.0, key) })
    }

    /// Primitive length (a border).
    pub fn len(self) -> i64 {
        // SAFETY: CX2.
        unsafe { crate::table::len(self.0) }
    }

    /// Whether the border is 0.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The metatable.
    pub fn metatable(self) -> Option<TableRef<'a>> {
        // SAFETY: CX2.
        let mt = unsafe { (*self.0).metatable };
        if mt.is_null() {
            None
        } else {
            Some(Self(mt, PhantomData))
        }
    }
}

impl<'a> View<'a> {
    #[inline]
    pub(crate) fn of(v: Value) -> Self {
        match v.tag {
            tag::FALSE => Self::Boolean(false),
            tag::TRUE => Self::Boolean(true),
            tag::INTEGER => Self::Integer(v.as_i64()),
            tag::FLOAT => Self::Float(v.as_f64()),
            tag::STRING => Self::String(Str(v.as_string(), PhantomData)),
            tag::TABLE => Self::Table(TableRef(v.as_table(), PhantomData)),
            tag::CLOSURE | tag::NATIVE => Self::Function(FunctionRef(v, PhantomData)),
            tag::USERDATA => Self::UserData(UserDataRef(v.as_userdata(), PhantomData)),
            tag::COROUTINE => Self::Coroutine(CoroutineRef(v.as_coroutine(), PhantomData)),
            tag::LIGHT => Self::Light(v.payload as usize),
            _ => Self::Nil,
        }
    }

    #[inline]
    pub(crate) fn raw(self) -> Value {
        match self {
            Self::Nil => Value::NIL,
            Self::Boolean(b) => Value::boolean(b),
            Self::Integer(i) => Value::integer(i),
            Self::Float(f) => Value::float(f),
            Self::String(s) => Value::string(s.0),
            Self::Table(t) => Value::table(t.0),
            Self::Function(f) => f.0,
            Self::UserData(u) => Value::userdata(u.0),
            Self::Coroutine(c) => Value::coroutine(c.0),
            Self::Light(p) => Value::raw(p as u64, tag::LIGHT),
        }
    }

    /// `"nil"`, `"number"` …, as `type` gives it.
    pub fn type_name(self) -> &'static str {
        self.raw().type_name()
    }

    /// Is it nil?
    pub fn is_nil(self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Neither nil nor false.
    pub fn truthy(self) -> bool {
        !matches!(self, Self::Nil | Self::Boolean(false))
    }

    /// Integer value of an integer, integral float or convertible string.
    pub fn to_integer(self) -> Option<i64> {
        let n = meta::to_number(self.raw())?;
        if n.tag == tag::INTEGER {
            Some(n.as_i64())
        } else {
            number::float_to_int(n.as_f64())
        }
    }

    /// Float value of a number or convertible string.
    pub fn to_number(self) -> Option<f64> {
        let n = meta::to_number(self.raw())?;
        Some(if n.tag == tag::INTEGER {
            n.as_i64() as f64
        } else {
            n.as_f64()
        })
    }

    /// Identity of heap objects for `%p` and `tostring`; 0 for others.
    pub fn address(self) -> usize {
        self.raw().address()
    }

    /// Primitive equality (no metamethods).
    pub fn raw_equal(self, other: View<'_>) -> bool {
        self.raw().raw_equal(other.raw())
    }

    /// Whether it is a function written in Rust.
    pub fn is_native(self) -> bool {
        self.raw().tag == tag::NATIVE
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {
        $(impl<'a> From<$from> for View<'a> {
            fn from(v: $from) -> Self {
                Self::$variant(v)
            }
        })*
    };
}
from!(Str<'a> => String, TableRef<'a> => Table, FunctionRef<'a> => Function, i64 => Integer, f64 => Float, bool => Boolean);
