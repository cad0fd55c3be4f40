//! Modules that are part of the program.

use std::io::Result;

use super::{Loader, not_found, places};

/// Texts inside the program's own file, by paths: `shop.cart` is `shop/cart.lua`, or
/// `shop/cart/init.lua`. The chunk is called as its path, behind `@`.
///
/// [`embed!`](crate::embed) makes the list from files.
///
/// ```
/// use moonswap::{Lua, loader::Embedded};
/// const SCRIPTS: &[(&str, &[u8])] = &[("shop/cart.lua", b"return { 'apple' }")];
/// let lua = Lua::new();
/// lua.set_loader(Embedded::new(SCRIPTS))?;
/// assert_eq!(lua.load("#require 'shop.cart'").eval::<i64>()?, 1);
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Embedded(&'static [(&'static str, &'static [u8])]);

impl Embedded {
    /// Of paths, with `/` between their parts, and texts.
    pub const fn new(files: &'static [(&'static str, &'static [u8])]) -> Self {
        Self(files)
    }

    fn text(&self, path: &str) -> Option<&'static [u8]> {
        let found = self.0.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| *text)
    }
}

impl Loader for Embedded {
    fn find(&self, module: &str) -> Option<String> {
        let places = places(module)?;
        let found = places.iter().find(|path| self.text(path).is_some())?;
        Some(format!("@{found}"))
    }

    fn read(&self, chunk: &str) -> Result<Vec<u8>> {
        let path = chunk.strip_prefix('@');
        let text = path.and_then(|path| self.text(path));
        Ok(text.ok_or_else(|| not_found(chunk))?.to_vec())
    }
}

/// An [`Embedded`](crate::loader::Embedded) loader of files that become part of the
/// program: a folder, seen from the source file that says so, and the paths in it.
///
/// ```
/// use moonswap::{Lua, embed, loader::Embedded};
/// static SCRIPTS: Embedded = embed!(
///     concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts"),
///     ["greet.lua", "shop/init.lua"],
/// );
/// let lua = Lua::new();
/// lua.set_loader(SCRIPTS)?;
/// assert_eq!(lua.load("require 'greet' 'you'").eval::<String>()?, "hello you");
/// # Ok::<(), moonswap::Error>(())
/// ```
#[macro_export]
macro_rules! embed {
    ($folder:expr, [$($path:literal),* $(,)?] $(,)?) => {
        $crate::loader::Embedded::new(&[
            $(($path, include_bytes!(concat!($folder, "/", $path)).as_slice()),)*
        ])
    };
}
