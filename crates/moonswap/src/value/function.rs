//! `Function`: a handle of a Lua or Rust function. It stays valid, and means
//! the new code, when the function is swapped.

use std::ffi::c_void;
use std::fmt;

use moonswap_vm::{Context, View};

use crate::value::callback;
use crate::value::convert::text_of;
use crate::value::handle::Handle;
use crate::{FromLuaMulti, IntoLuaMulti, Result, Table, Value, WeakLua};

/// A function.
#[derive(Clone, PartialEq)]
pub struct Function(pub(crate) Handle);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({:?})", self.0)
    }
}

/// What is known about a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// A name for it, if its caller tells one.
    pub name: Option<String>,
    /// What the name is: `"global"`, `"local"`, `"method"`, `"field"`, `"upvalue"`.
    pub name_what: Option<&'static str>,
    /// `"Lua"`, `"C"` (native) or `"main"`.
    pub what: &'static str,
    /// Chunk name as given to `load`.
    pub source: Option<String>,
    /// Chunk name as messages show it.
    pub short_src: Option<String>,
    /// First line in the source text.
    pub line_defined: Option<usize>,
    /// Last line in the source text.
    pub last_line_defined: Option<usize>,
    /// How many variables it captured.
    pub num_upvalues: u8,
    /// How many parameters it names.
    pub num_params: u8,
    /// Whether it takes any number of arguments.
    pub is_vararg: bool,
    /// Its version: 1 until it is swapped. `None` for native functions.
    pub version: Option<u32>,
}

impl FunctionInfo {
    /// Reads the table of `debug.getinfo` at stack index `table`.
    pub(crate) fn read(cx: &Context<'_>, table: usize) -> Self {
        let int = |name: &str| match cx.raw_get_field(table, name) {
            View::Integer(i) => Some(i),
            _ => None,
        };
        let line = |name: &str| int(name).and_then(|line| usize::try_from(line).ok());
        let small = |name: &str| int(name).and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        let text = |name: &str| text_of(cx.raw_get_field(table, name));
        Self {
            name: text("name"),
            name_what: text("namewhat").as_deref().and_then(name_what),
            what: match text("what").as_deref() {
                Some("main") => "main",
                Some("C") => "C",
                _ => "Lua",
            },
            source: text("source"),
            short_src: text("short_src"),
            line_defined: line("linedefined"),
            last_line_defined: line("lastlinedefined"),
            num_upvalues: small("nups"),
            num_params: small("nparams"),
            is_vararg: matches!(cx.raw_get_field(table, "isvararg"), View::Boolean(true)),
            version: None,
        }
    }
}

/// The kinds of names.
pub(crate) fn name_what(text: &str) -> Option<&'static str> {
    const KINDS: [&str; 9] = [
        "global",
        "local",
        "method",
        "field",
        "upvalue",
        "constant",
        "metamethod",
        "for iterator",
        "hook",
    ];
    KINDS.into_iter().find(|kind| *kind == text)
}

impl Function {
    /// Calls it. The current version runs, whatever it was when the handle was
    /// made.
    ///
    /// # Errors
    /// What it raises, the conversions, and [`Error::Destroyed`](crate::Error::Destroyed) if the VM is gone.
    ///
    /// ```
    /// use moonswap::{Function, Lua};
    /// let lua = Lua::new();
    /// let add: Function = lua.load("function(a, b) return a + b end").eval()?;
    /// assert_eq!(add.call::<i64>((1, 2))?, 3);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn call<R: FromLuaMulti>(&self, arguments: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua()?;
        callback::call_typed(&lua, &self.0, arguments)
    }

    /// A function that calls this one with `arguments` before its own.
    ///
    /// # Errors
    /// The conversions, and [`Error::BindError`](crate::Error::BindError) for too many.
    pub fn bind(&self, arguments: impl IntoLuaMulti) -> Result<Function> {
        let lua = self.0.lua()?;
        let bound = arguments.into_lua_multi(&lua)?;
        match bound.is_empty() {
            true => Ok(self.clone()),
            false => callback::bind(&lua, &self.0, &bound).map(Function),
        }
    }

    /// What is known about it.
    pub fn info(&self) -> FunctionInfo {
        let found = self.0.with(|_, cx, function| {
            let version = cx.hot_version(function);
            let known = cx.push_info_function(function, b"Su");
            let info = match known {
                Ok(()) => FunctionInfo::read(cx, cx.height() - 1),
                Err(_) => FunctionInfo::default(),
            };
            FunctionInfo { version, ..info }
        });
        found.unwrap_or_default()
    }

    /// Where its captured variable `_ENV` is, from 1.
    fn environment_at(cx: &Context<'_>, function: usize) -> Option<i64> {
        for n in 1..=255 {
            let name = cx.push_upvalue_of(function, n)?;
            cx.pop(1);
            if name == b"_ENV" {
                return Some(n);
            }
        }
        None
    }

    /// The table that its global variables are in, if it uses any.
    pub fn environment(&self) -> Option<Table> {
        let found = self.0.with(|lua, cx, function| {
            let n = Self::environment_at(cx, function)?;
            cx.push_upvalue_of(function, n)?;
            Some(Value::pop(lua, cx))
        });
        match found {
            Ok(Some(Value::Table(table))) => Some(table),
            _ => None,
        }
    }

    /// Gives this function, and no other, another table for its global variables;
    /// false if it uses none.
    ///
    /// # Errors
    /// For a table of another VM.
    pub fn set_environment(&self, environment: Table) -> Result<bool> {
        let lua = self.0.lua()?;
        // A variable of its own: the old one may be shared with other functions.
        let holder: Function = lua.load("return _ENV").transient().into_function()?;
        self.0.attempt(|lua, cx, function| {
            let Some(n) = Self::environment_at(cx, function) else {
                return Ok(false);
            };
            holder.0.push(lua, cx)?;
            environment.0.push(lua, cx)?;
            cx.set_first_upvalue(function + 1);
            match cx.upvalue_join(function, n, function + 1, 1) {
                Ok(()) => Ok(true),
                Err(raised) => Err(crate::value::raise::caught(cx, raised)),
            }
        })
    }

    /// Its code as a binary chunk, without names and lines if `strip`; empty for
    /// native functions.
    ///
    /// ```
    /// use moonswap::{Function, Lua};
    /// let lua = Lua::new();
    /// let two: Function = lua.load("function() return 2 end").eval()?;
    /// assert_eq!(lua.load(two.dump(true)).call::<i64>(())?, 2);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn dump(&self, strip: bool) -> Vec<u8> {
        let dumped = self.0.with(|_, cx, function| cx.dump(function, strip));
        match dumped {
            Ok(Ok(Some(code))) => code,
            _ => Vec::new(),
        }
    }

    /// Calls it for several values.
    pub fn call_multi(&self, arguments: crate::MultiValue) -> Result<crate::MultiValue> {
        self.call(arguments)
    }

    /// Identity of the object.
    pub fn to_pointer(&self) -> *const c_void {
        self.0.pointer()
    }

    /// Its VM.
    pub fn weak_lua(&self) -> &WeakLua {
        &self.0.lua
    }
}
