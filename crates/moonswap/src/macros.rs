//! What the code that the macros write needs.

use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;

pub use inventory::submit;

use crate::chunk::{AsChunk, ChunkMode};
use crate::user_data::registry::UserDataRegistry;
use crate::{Error, Lua, Result, Table, Value};

/// Adds what one `impl` block has, if the registry is that of its type.
#[derive(Debug)]
pub struct Items(pub fn(&mut dyn Any));
inventory::collect!(Items);

/// Adds what all `impl` blocks of the type have.
pub fn register_items<T: 'static>(registry: &mut UserDataRegistry<T>) {
    for items in inventory::iter::<Items> {
        (items.0)(registry);
    }
}

/// The data of a userdata, cloned.
pub fn clone_of<T: Clone + 'static>(value: &Value, name: &str) -> Result<T> {
    match value {
        Value::UserData(data) => Ok(data.borrow::<T>()?.clone()),
        other => Err(Error::conversion(other.type_name(), name, None)),
    }
}

/// A text of Lua inside Rust.
#[derive(Debug)]
pub struct TextChunk(pub &'static str);

impl AsChunk for TextChunk {
    fn mode(&self) -> Option<ChunkMode> {
        Some(ChunkMode::Text)
    }

    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a,
    {
        Ok(Cow::Borrowed(self.0.as_bytes()))
    }
}

/// A text of Lua that uses variables of Rust.
pub struct CapturingChunk<F> {
    text: TextChunk,
    /// Puts the variables into a table; once, for it owns them.
    capture: Cell<Option<F>>,
}

impl<F> fmt::Debug for CapturingChunk<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<F: FnOnce(&Table) -> Result<()>> CapturingChunk<F> {
    /// A text with its variables.
    pub fn new(text: &'static str, capture: F) -> Self {
        Self {
            text: TextChunk(text),
            capture: Cell::new(Some(capture)),
        }
    }
}

impl<F: FnOnce(&Table) -> Result<()>> AsChunk for CapturingChunk<F> {
    /// The variables, and behind them the globals.
    fn environment(&self, lua: &Lua) -> Result<Option<Table>> {
        let Some(capture) = self.capture.take() else {
            return Ok(None);
        };
        let environment = lua.create_table()?;
        capture(&environment)?;
        let globals = lua.globals();
        let behind = lua.create_table_from([("__index", &globals), ("__newindex", &globals)])?;
        environment.set_metatable(Some(behind))?;
        Ok(Some(environment))
    }

    fn mode(&self) -> Option<ChunkMode> {
        self.text.mode()
    }

    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a,
    {
        self.text.source()
    }
}
