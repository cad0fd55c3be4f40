//! `Function`: a handle of a Lua or Rust function. It stays valid, and means
//! the new code, when the function is swapped.

use moonswap_vm::View;

use crate::value::callback;
use crate::value::convert::text_of;
use crate::value::handle::Handle;
use crate::{FromLuaMulti, IntoLuaMulti, MultiValue, Result};

/// A function.
#[derive(Clone, Debug)]
pub struct Function(pub(crate) Handle);

/// What is known about a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionInfo {
    /// `"Lua"`, `"C"` (native) or `"main"`.
    pub what: &'static str,
    /// Chunk name as given to `load`.
    pub source: Option<String>,
    /// Chunk name as messages show it.
    pub short_src: Option<String>,
    /// First and last line in the source text.
    pub lines: Option<(u32, u32)>,
    /// Its version: 1 until it is swapped. `None` for native functions.
    pub version: Option<u32>,
}

impl Function {
    /// Calls it. The current version runs, whatever it was when the handle was
    /// made.
    pub fn call<R: FromLuaMulti>(&self, arguments: impl IntoLuaMulti) -> Result<R> {
        let lua = &self.0.lua;
        let arguments = arguments.into_lua_multi(lua)?;
        let results = callback::call(lua, &self.0, &arguments)?;
        R::from_lua_multi(results, lua)
    }

    /// A function that calls this one with `arguments` before its own.
    pub fn bind(&self, arguments: impl IntoLuaMulti) -> Result<Function> {
        let lua = &self.0.lua;
        let bound = arguments.into_lua_multi(lua)?;
        match bound.is_empty() {
            true => Ok(self.clone()),
            false => callback::bind(lua, &self.0, &bound).map(Function),
        }
    }

    /// What is known about it.
    pub fn info(&self) -> FunctionInfo {
        self.0.lua.with(|cx| {
            let function = cx.height();
            cx.push_root(&self.0.root);
            let mut info = FunctionInfo {
                version: cx.hot_version(function),
                ..FunctionInfo::default()
            };
            if cx.push_info_function(function, b"S").is_err() {
                return info;
            }
            let table = cx.height() - 1;
            info.what = match text_of(cx.raw_get_field(table, "what")).as_deref() {
                Some("main") => "main",
                Some("C") => "C",
                _ => "Lua",
            };
            info.source = text_of(cx.raw_get_field(table, "source"));
            info.short_src = text_of(cx.raw_get_field(table, "short_src"));
            let line = |name: &str| match cx.raw_get_field(table, name) {
                View::Integer(line) => u32::try_from(line).ok(),
                _ => None,
            };
            info.lines = line("linedefined").zip(line("lastlinedefined"));
            info
        })
    }

    /// Calls it for several values.
    pub fn call_multi(&self, arguments: MultiValue) -> Result<MultiValue> {
        self.call(arguments)
    }

    /// Identity of the object.
    pub fn address(&self) -> usize {
        self.0.address()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.0.lua.is_same(&other.0.lua) && self.0.address() == other.0.address()
    }
}
