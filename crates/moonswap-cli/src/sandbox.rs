//! `run --sandbox`: a VM that reaches nothing outside but standard output.

use std::time::{Duration, Instant};

use moonswap::{Lua, Profile, Result, Value, Variadic};

use crate::output::say;

/// Limits of a run, as they stand on the command line.
pub(crate) struct Limits {
    pub(crate) mem: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) fuel: Option<u64>,
}

impl Limits {
    /// What a sandbox needs and was not given.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match (self.mem, self.timeout.is_some() || self.fuel.is_some()) {
            (Some(_), true) => None,
            (Some(_), false) => Some("--timeout or --fuel"),
            (None, true) => Some("--mem"),
            (None, false) => Some("--mem, and --timeout or --fuel"),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout?)
    }

    /// Puts a VM that is not a sandbox under them.
    pub(crate) fn set(&self, lua: &Lua) {
        lua.machine().set_memory_limit(self.mem);
        lua.set_fuel(self.fuel);
        lua.set_deadline(self.deadline());
    }
}

/// A VM of the profile `Untrusted`, with `print`.
pub(crate) fn make(compat: bool, limits: &Limits) -> Result<Lua> {
    let mut builder = Lua::builder().compat(compat).profile(Profile::Untrusted);
    if let Some(bytes) = limits.mem {
        builder = builder.memory_limit(bytes);
    }
    if let Some(units) = limits.fuel {
        builder = builder.fuel(units);
    }
    if let Some(deadline) = limits.deadline() {
        builder = builder.deadline(deadline);
    }
    let lua = builder.build()?;
    let print = lua.create_function(print)?;
    lua.globals().raw_set("print", print)?;
    Ok(lua)
}

fn print(lua: &Lua, values: Variadic<Value>) -> Result<()> {
    // One at a time: a line of them all would be memory that no limit counts.
    for (at, value) in values.iter().enumerate() {
        let text = lua.to_display(value)?;
        if at > 0 {
            say(b"\t");
        }
        say(text);
    }
    say(b"\n");
    Ok(())
}
