//! Values from pointers to objects, and back.
//!
//! Whether the pointer may be followed is said by the tag (V1, `meta.rs`).

use super::{Closure, Coroutine, Header, Native, StringObject, Table, UserData};
use crate::value::{Value, tag};

impl Value {
    #[inline(always)]
    pub(crate) fn string(p: *mut StringObject) -> Self {
        Self::raw(p as u64, tag::STRING)
    }
    #[inline(always)]
    pub(crate) fn table(p: *mut Table) -> Self {
        Self::raw(p as u64, tag::TABLE)
    }
    #[inline(always)]
    pub(crate) fn closure(p: *mut Closure) -> Self {
        Self::raw(p as u64, tag::CLOSURE)
    }
    #[inline(always)]
    pub(crate) fn native(p: *mut Native) -> Self {
        Self::raw(p as u64, tag::NATIVE)
    }
    #[inline(always)]
    pub(crate) fn userdata(p: *mut UserData) -> Self {
        Self::raw(p as u64, tag::USERDATA)
    }
    #[inline(always)]
    pub(crate) fn coroutine(p: *mut Coroutine) -> Self {
        Self::raw(p as u64, tag::COROUTINE)
    }
    /// The object's header; meaningful only if `is_collectable`.
    #[inline(always)]
    pub(crate) fn header(self) -> *mut Header {
        self.payload as *mut Header
    }
    #[inline(always)]
    pub(crate) fn as_string(self) -> *mut StringObject {
        self.payload as *mut StringObject
    }
    #[inline(always)]
    pub(crate) fn as_table(self) -> *mut Table {
        self.payload as *mut Table
    }
    #[inline(always)]
    pub(crate) fn as_closure(self) -> *mut Closure {
        self.payload as *mut Closure
    }
    #[inline(always)]
    pub(crate) fn as_native(self) -> *mut Native {
        self.payload as *mut Native
    }
    #[inline(always)]
    pub(crate) fn as_userdata(self) -> *mut UserData {
        self.payload as *mut UserData
    }
    #[inline(always)]
    pub(crate) fn as_coroutine(self) -> *mut Coroutine {
        self.payload as *mut Coroutine
    }
}
