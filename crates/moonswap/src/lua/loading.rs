//! `Lua::set_loader`, and how `require` asks it.

use std::io::ErrorKind;
use std::sync::Arc;

use moonswap_stdlib::base::{LoadedFrom, note_loaded};
use moonswap_vm::{Context, Keep, Outcome, View};

use crate::loader::{Found, Loader, shown};
use crate::value::callback::suspended;
use crate::value::raise::checked;
use crate::{Lua, Result};

impl Lua {
    /// Makes `loader` the place where modules come from: for `require`, for `swap`,
    /// `reload` and `transaction` of the module `moonswap`, for
    /// [`PatchInput::module`](crate::PatchInput::module), and for the watcher. It takes
    /// the place of the search along `package.path`. A VM without `package` gets a
    /// `require` that knows this loader and [`Lua::preload_module`] only.
    ///
    /// # Errors
    /// If the memory limit is in the way, or the program has put something else in the
    /// place of `package.searchers`.
    ///
    /// ```
    /// use moonswap::{Lua, Profile, loader::Memory};
    /// let lua = Lua::builder()
    ///     .profile(Profile::Untrusted)
    ///     .memory_limit(16 << 20)
    ///     .fuel(1_000_000)
    ///     .build()?;
    /// let texts = Memory::new();
    /// texts.set("double", "return function(x) return x * 2 end");
    /// lua.set_loader(texts)?;
    /// assert_eq!(lua.load("require 'double' (21)").eval::<i64>()?, 42);
    /// assert!(lua.load("require 'io'").exec().is_err());
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_loader(&self, loader: impl Loader + 'static) -> Result<()> {
        self.attempt(|cx| {
            let base = cx.height();
            cx.push_native("searcher_host", search);
            let set = checked(cx, moonswap_stdlib::package::set_searcher);
            cx.set_height(base);
            set
        })?;
        *self.0.loader.borrow_mut() = Some(Arc::new(loader));
        Ok(())
    }

    /// The loader, if the host gave one.
    pub(crate) fn loader(&self) -> Option<Arc<dyn Loader>> {
        self.0.loader.borrow().clone()
    }

    /// A module's chunk and its text, where `require` would find them now.
    pub(crate) fn module(&self, name: &str) -> Result<std::result::Result<Found, String>> {
        self.with(|cx| checked(cx, |cx| crate::hot::resolve::module(cx, name)))
    }

    /// What the loader of the VM has under the name of a module. `None`: there is no
    /// loader. Errors: a message for people.
    pub(crate) fn find_module(
        cx: &mut Context<'_>,
        module: &str,
    ) -> Outcome<Option<std::result::Result<Found, String>>> {
        let Some((lua, loader)) = loader_of(cx) else {
            return Ok(None);
        };
        let found = suspended(cx, &lua, || {
            let Some(chunk) = loader.find(module) else {
                return Ok(Err(format!("no module '{module}' in the host's loader")));
            };
            Ok(match loader.read(&chunk) {
                Ok(text) => Ok(Found { chunk, text }),
                Err(error) => Err(format!("cannot read module '{module}' ({chunk}): {error}")),
            })
        })?;
        Ok(Some(found))
    }

    /// The text of a chunk, if the loader of the VM has it.
    pub(crate) fn read_chunk(
        cx: &mut Context<'_>,
        chunk: &str,
    ) -> Outcome<Option<std::result::Result<Vec<u8>, String>>> {
        let Some((lua, loader)) = loader_of(cx) else {
            return Ok(None);
        };
        suspended(cx, &lua, || {
            Ok(match loader.read(chunk) {
                Ok(text) => Some(Ok(text)),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => Some(Err(format!("cannot read {chunk}: {error}"))),
            })
        })
    }
}

fn loader_of(cx: &Context<'_>) -> Option<(Lua, Arc<dyn Loader>)> {
    let lua = Lua::of(cx)?;
    let loader = lua.loader()?;
    Some((lua, loader))
}

/// The searcher of `require`.
fn search(cx: &mut Context<'_>) -> Outcome<usize> {
    let module = String::from_utf8_lossy(cx.check_str(0)?.as_bytes()).into_owned();
    cx.set_height(1);
    let found = match Lua::find_module(cx, &module)? {
        Some(Ok(found)) => found,
        Some(Err(message)) => return cx.ret_bytes(message.as_bytes()),
        None => return cx.ret_bytes(b"the host's loader is gone"),
    };
    let chunk = found.chunk.as_bytes();
    note_loaded(cx, LoadedFrom::Loader, chunk, &found.text);
    let source = moonswap_compiler::skip_shebang(&found.text);
    let shown = shown(&found.chunk).to_owned();
    if cx.load(source, chunk, "bt", Keep::Module)? {
        cx.push_bytes(shown.as_bytes());
        return Ok(2);
    }
    let problem = match cx.at(cx.height() - 1) {
        View::String(text) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    let head = format!("error loading module '{module}' from '{shown}':\n\t");
    Err(cx.error([head.as_bytes(), &problem].concat()))
}
