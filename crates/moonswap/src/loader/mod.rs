//! Where modules come from: the trait through which `require`, patches and the watcher
//! find texts, and loaders for folders, memory and texts inside the program.
//!
//! A loader knows two kinds of names. `require` and `swap` have the name of a *module*,
//! as `shop.cart`. Patches and tracebacks have the name of a *chunk*, as
//! `@scripts/shop/cart.lua`. [`Loader::find`] leads from the first to the second,
//! [`Loader::read`] from the second to the text as it is now.
//!
//! ```
//! use moonswap::{Lua, PatchInput, loader::Memory};
//! let lua = Lua::new();
//! let texts = Memory::new();
//! texts.set("shop", "local M = {} function M.price(x) return x * 2 end return M");
//! lua.set_loader(texts.clone())?;
//! assert_eq!(lua.load("require('shop').price(10)").eval::<i64>()?, 20);
//!
//! texts.set("shop", "local M = {} function M.price(x) return x * 3 end return M");
//! lua.hot().patch(PatchInput::module("shop")).apply()?;
//! assert_eq!(lua.load("require('shop').price(10)").eval::<i64>()?, 30);
//! # Ok::<(), moonswap::Error>(())
//! ```

mod directory;
mod embedded;
mod memory;

use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::Arc;

pub use directory::Directory;
pub use embedded::Embedded;
pub use memory::Memory;

/// Where modules come from; [`Lua::set_loader`](crate::Lua::set_loader).
///
/// Other threads ask it as well: the watcher's, and those that prepare patches. A pair
/// of loaders is one that asks the first before the second.
///
/// ```
/// use std::io;
/// use moonswap::{Lua, loader::Loader};
///
/// /// Modules of the form `answer.N`.
/// struct Answers;
///
/// impl Loader for Answers {
///     fn find(&self, module: &str) -> Option<String> {
///         module.starts_with("answer.").then(|| format!("@{module}"))
///     }
///
///     fn read(&self, chunk: &str) -> io::Result<Vec<u8>> {
///         let n = chunk.strip_prefix("@answer.").ok_or(io::ErrorKind::NotFound)?;
///         Ok(format!("return {n}").into_bytes())
///     }
/// }
///
/// let lua = Lua::new();
/// lua.set_loader(Answers)?;
/// assert_eq!(lua.load("require 'answer.42'").eval::<i64>()?, 42);
/// # Ok::<(), moonswap::Error>(())
/// ```
pub trait Loader: Send + Sync {
    /// The chunk name of a module, if it is here. Names of chunks begin with `@` (what
    /// follows is shown in messages) or `=`. Program code chooses `module`: what it
    /// says is not to be trusted.
    fn find(&self, module: &str) -> Option<String>;

    /// The text of a chunk as it is now.
    ///
    /// # Errors
    /// Of kind `NotFound` for chunks that are not of this loader; those of reading.
    fn read(&self, chunk: &str) -> Result<Vec<u8>>;

    /// The file that a chunk comes from, for the watcher; none by default.
    fn file(&self, chunk: &str) -> Option<PathBuf> {
        let _ = chunk;
        None
    }
}

impl<L: Loader + ?Sized> Loader for Arc<L> {
    fn find(&self, module: &str) -> Option<String> {
        (**self).find(module)
    }

    fn read(&self, chunk: &str) -> Result<Vec<u8>> {
        (**self).read(chunk)
    }

    fn file(&self, chunk: &str) -> Option<PathBuf> {
        (**self).file(chunk)
    }
}

impl<A: Loader, B: Loader> Loader for (A, B) {
    fn find(&self, module: &str) -> Option<String> {
        self.0.find(module).or_else(|| self.1.find(module))
    }

    fn read(&self, chunk: &str) -> Result<Vec<u8>> {
        match self.0.read(chunk) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.1.read(chunk),
            read => read,
        }
    }

    fn file(&self, chunk: &str) -> Option<PathBuf> {
        self.0.file(chunk).or_else(|| self.1.file(chunk))
    }
}

/// A module's chunk name, and its text.
pub(crate) struct Found {
    pub(crate) chunk: String,
    pub(crate) text: Vec<u8>,
}

/// A chunk's name without the sign of its kind.
pub(crate) fn shown(chunk: &str) -> &str {
    chunk.strip_prefix(['@', '=']).unwrap_or(chunk)
}

fn not_found(chunk: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("'{chunk}' is not a chunk of this loader"),
    )
}

/// The two places where a module may be, as paths with `/`. None for names that do not
/// stand for a place below the root: their parts are no plain names.
fn places(module: &str) -> Option<[String; 2]> {
    let is_plain = |part: &str| !part.is_empty() && !part.contains(['/', '\\', ':', '\0']);
    if !module.split('.').all(is_plain) {
        return None;
    }
    let path = module.replace('.', "/");
    Some([format!("{path}.lua"), format!("{path}/init.lua")])
}

/// Whether a path with `/` stays below where it begins.
fn is_below(path: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0'])
    };
    path.split('/').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::{is_below, places};

    #[test]
    fn names_do_not_lead_out() {
        for module in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.",
            "/etc/passwd",
            "../x",
            "a/b",
            "a\\b",
            "c:x",
            "a\0b",
        ] {
            assert_eq!(places(module), None, "{module:?}");
        }
        let found = places("shop.cart").expect("a plain name");
        assert_eq!(found, ["shop/cart.lua", "shop/cart/init.lua"]);
        for path in ["", "/", "/a", "a//b", "..", "a/../b", "./a", "a\\b", "c:/a"] {
            assert!(!is_below(path), "{path:?}");
        }
        assert!(is_below("a/b.lua") && is_below("a..b/c.lua"));
    }
}
