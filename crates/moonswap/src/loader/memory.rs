//! Modules in memory.

use std::collections::BTreeMap;
use std::io::Result;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Loader, not_found};

/// Texts in memory, by names of modules. Clones share them, on any thread. The chunk
/// of `shop` is called `@shop`.
///
/// ```
/// use moonswap::{Lua, loader::Memory};
/// let texts = Memory::new();
/// texts.set("config", "return { port = 80 }");
/// let lua = Lua::new();
/// lua.set_loader(texts)?;
/// assert_eq!(lua.load("require('config').port").eval::<i64>()?, 80);
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<RwLock<BTreeMap<String, Vec<u8>>>>);

impl Memory {
    /// No texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a module another text. What runs stays as it is until a patch says
    /// otherwise.
    pub fn set(&self, module: impl Into<String>, text: impl Into<Vec<u8>>) {
        let mut texts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        texts.insert(module.into(), text.into());
    }

    /// Takes a module out; true if it was there.
    ///
    /// ```
    /// # use moonswap::loader::Memory;
    /// let texts = Memory::new();
    /// texts.set("config", "return 1");
    /// assert!(texts.remove("config") && !texts.remove("config"));
    /// ```
    pub fn remove(&self, module: &str) -> bool {
        let mut texts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        texts.remove(module).is_some()
    }
}

impl Loader for Memory {
    fn find(&self, module: &str) -> Option<String> {
        let texts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        texts.contains_key(module).then(|| format!("@{module}"))
    }

    fn read(&self, chunk: &str) -> Result<Vec<u8>> {
        let texts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let module = chunk.strip_prefix('@');
        let text = module.and_then(|module| texts.get(module));
        text.cloned().ok_or_else(|| not_found(chunk))
    }
}
