//! Modules of the host's for `require`.

use moonswap_vm::Context;

use crate::value::raise::checked;
use crate::{Function, IntoLua, Lua, Result, Value};

impl Lua {
    /// Sets an entry of a table of the registry that the `package` library uses.
    fn set_module(&self, table: &str, name: &str, value: &Value) -> Result<()> {
        self.attempt(|cx| {
            let registry = cx.height();
            cx.push_registry();
            push_table(cx, registry, table)?;
            value.push(self, cx)?;
            checked(cx, |cx| cx.raw_set_field(registry + 1, name))
        })
    }

    /// Makes `value` what `require(name)` answers.
    ///
    /// # Errors
    /// The conversion.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// lua.register_module("config", lua.create_table_from([("port", 80)])?)?;
    /// assert_eq!(lua.load("require('config').port").eval::<u16>()?, 80);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn register_module(&self, name: &str, value: impl IntoLua) -> Result<()> {
        let value = value.into_lua(self)?;
        self.set_module(moonswap_stdlib::LOADED, name, &value)
    }

    /// Makes `loader` what `require(name)` calls the first time.
    ///
    /// # Errors
    /// For a function of another VM.
    pub fn preload_module(&self, name: &str, loader: Function) -> Result<()> {
        self.set_module(moonswap_stdlib::PRELOAD, name, &Value::Function(loader))
    }

    /// Forgets the module: `require(name)` loads it again.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn unload_module(&self, name: &str) -> Result<()> {
        self.set_module(moonswap_stdlib::LOADED, name, &Value::Nil)
    }
}

fn push_table(cx: &mut Context<'_>, registry: usize, name: &str) -> Result<()> {
    cx.push(cx.raw_get_field(registry, name));
    if cx.at(registry + 1).is_nil() {
        cx.pop(1);
        cx.push_table(0, 4);
        cx.push_at(registry + 1);
        checked(cx, |cx| cx.raw_set_field(registry, name))?;
    }
    Ok(())
}
