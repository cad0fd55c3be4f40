//! `Chunk`: source text on its way to a function.

use moonswap_vm::Keep;

use crate::value::callback::caught;
use crate::value::handle::Handle;
use crate::{Error, FromLuaMulti, Function, IntoLuaMulti, Lua, MultiValue, Result, Table};

/// Source text (or a binary chunk) that is about to be loaded.
#[derive(Clone)]
#[must_use = "a chunk does nothing until it is run"]
pub struct Chunk {
    lua: Lua,
    source: Vec<u8>,
    name: Option<Vec<u8>>,
    environment: Option<Table>,
    keep: Keep,
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name.as_deref().map(String::from_utf8_lossy);
        f.debug_struct("Chunk")
            .field("name", &name)
            .field("bytes", &self.source.len())
            .finish_non_exhaustive()
    }
}

impl Chunk {
    pub(crate) fn new(lua: &Lua, source: Vec<u8>) -> Self {
        Self {
            lua: lua.clone(),
            source,
            name: None,
            environment: None,
            keep: Keep::Captured,
        }
    }

    /// Names it as Lua's `load` does: `@file`, `=shown as it is`, else the text
    /// itself. The name is how patches find it; all top-level locals of a named
    /// chunk can be used by later patches. The newest 1,024 names are known to
    /// patches even if no function of theirs is left; the others as long as one is.
    pub fn set_name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.name = Some(name.as_ref().to_vec());
        self.keep = Keep::Module;
        self
    }

    /// Keeps no record of its top-level locals, as `load` in Lua does: for text
    /// that has a name and runs once, e.g. a line at a prompt.
    pub fn transient(mut self) -> Self {
        self.keep = Keep::Captured;
        self
    }

    /// Its `_ENV`; the globals otherwise.
    pub fn set_environment(mut self, environment: Table) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Compiles it; the main chunk is the function's body.
    pub fn into_function(self) -> Result<Function> {
        let lua = self.lua.clone();
        self.load(&lua, &self.source, self.keep)
    }

    fn load(&self, lua: &Lua, source: &[u8], keep: Keep) -> Result<Function> {
        let name = self.name.as_deref().unwrap_or(&self.source);
        lua.attempt(|cx| {
            let at = cx.height();
            match cx.load(source, name, "bt", keep) {
                Ok(true) => {}
                Ok(false) => {
                    let plain = crate::value::callback::take_error(cx);
                    return Err(syntax_error(source, name, plain));
                }
                Err(raised) => return Err(caught(cx, raised)),
            }
            if let Some(environment) = &self.environment {
                environment.0.push(lua, cx)?;
                cx.set_first_upvalue(at);
            }
            Ok(Function(Handle::pop(lua, cx)))
        })
    }

    /// Runs it.
    pub fn exec(self) -> Result<()> {
        self.call(())
    }

    /// Runs it, or evaluates it if it is an expression.
    pub fn eval<R: FromLuaMulti>(self) -> Result<R> {
        let lua = self.lua.clone();
        let as_expression = [b"return ", &self.source[..]].concat();
        let function = match self.load(&lua, &as_expression, Keep::Captured) {
            Ok(function) => function,
            Err(error) if error.is_limit() => return Err(error),
            Err(_) => self.load(&lua, &self.source, self.keep)?,
        };
        function.call(())
    }

    /// Runs it with arguments (`...`).
    pub fn call<R: FromLuaMulti>(self, arguments: impl IntoLuaMulti) -> Result<R> {
        let lua = self.lua.clone();
        let arguments: MultiValue = arguments.into_lua_multi(&lua)?;
        self.into_function()?.call(arguments)
    }
}

/// The compiler's own error with its span, which `load`'s message lacks.
fn syntax_error(source: &[u8], name: &[u8], plain: Error) -> Error {
    if source.starts_with(b"\x1b") {
        return plain;
    }
    match moonswap_compiler::compile(&String::from_utf8_lossy(name), source) {
        Err(error) => Error::compile(error, source),
        Ok(_) => plain,
    }
}
