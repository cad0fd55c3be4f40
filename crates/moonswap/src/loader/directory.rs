//! Modules in a folder.

use std::io::Result;
use std::path::PathBuf;

use super::{Loader, is_below, not_found, places};

/// Modules in the files of a folder: `shop.cart` is `shop/cart.lua`, or
/// `shop/cart/init.lua`. The chunk is called as its file, behind `@`.
///
/// No name leads out of the folder. Links in it are followed: whoever may write there
/// decides what can be loaded.
///
/// ```
/// use moonswap::{Lua, loader::Directory};
/// # let folder = std::env::temp_dir().join(format!("moonswap-loader-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// std::fs::write(folder.join("greet.lua"), "return function(n) return 'hello ' .. n end")?;
/// let lua = Lua::new();
/// lua.set_loader(Directory::new(&folder))?;
/// assert_eq!(lua.load("require 'greet' 'you'").eval::<String>()?, "hello you");
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
    /// What the names of its chunks begin with.
    prefix: String,
}

impl Directory {
    /// The folder at a path.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let shown = root.display().to_string();
        let shown = shown.trim_end_matches(['/', std::path::MAIN_SEPARATOR]);
        let prefix = match shown {
            "" if root.is_absolute() => "@/".to_owned(),
            "" => "@".to_owned(),
            shown => format!("@{shown}/"),
        };
        Self { root, prefix }
    }

    fn place(&self, chunk: &str) -> Option<PathBuf> {
        let path = chunk.strip_prefix(&self.prefix)?;
        is_below(path).then(|| self.root.join(path))
    }
}

impl Loader for Directory {
    fn find(&self, module: &str) -> Option<String> {
        let places = places(module)?;
        let found = places.iter().find(|path| self.root.join(path).is_file())?;
        Some(format!("{}{found}", self.prefix))
    }

    fn read(&self, chunk: &str) -> Result<Vec<u8>> {
        let place = self.place(chunk).ok_or_else(|| not_found(chunk))?;
        std::fs::read(place)
    }

    fn file(&self, chunk: &str) -> Option<PathBuf> {
        self.place(chunk)
    }
}
