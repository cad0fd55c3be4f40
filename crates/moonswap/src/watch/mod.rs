//! Watching files: what is saved is swapped; what is saved together is one
//! transaction.
//!
//! A [`Watcher`] knows every file that the program loads from its start on, by
//! `require` (along `package.path` or from the host's [loader](crate::loader)),
//! `dofile` and `loadfile`. A text that does not compile, or a patch that is refused,
//! leaves the old code running; both are tried again with the next save.
//!
//! A thread of its own compares contents, compiles, and submits; the VM's thread only
//! commits, at a safe point: let it run Lua, or call [`Lua::poll`](crate::Lua::poll).
//!
//! ```
//! use std::sync::mpsc::channel;
//! use moonswap::{Lua, watch::{Watcher, WatchKind}};
//! # let folder = std::env::temp_dir().join(format!("moonswap-watch-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let file = folder.join("shop.lua");
//! std::fs::write(&file, "function price(x) return x * 2 end")?;
//! let lua = Lua::new();
//! let (sender, saved) = channel();
//! let _watcher = Watcher::builder(&lua)
//!     .on_event(move |event| {
//!         if let WatchKind::Swapped(report) = &event.kind {
//!             println!("{report}");
//!             let _ = sender.send(());
//!         }
//!     })
//!     .start()?;
//! lua.globals().set("file", file.to_str())?;
//! lua.load("dofile(file)").exec()?;
//!
//! std::fs::write(&file, "function price(x) return x * 3 end")?;
//! while saved.try_recv().is_err() {
//!     lua.poll(); // or the program runs
//!     std::thread::sleep(std::time::Duration::from_millis(1));
//! }
//! assert_eq!(lua.load("price(10)").eval::<i64>()?, 30);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod queue;
mod release;
mod run;
mod stamps;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use moonswap_stdlib::base::{LoadedFrom, listen_to_loads};
use moonswap_vm::contained;

use crate::loader::Loader;
use crate::{Error, EventKind, ListenerId, Lua, PatchSource, Policy, Result, WeakLua};

pub use release::release_request;

use event::Listener;
pub use event::{WatchEvent, WatchKind, WatchedFile};
use run::{Message, Watch};

/// How a [`Watcher`] is to work; [`Watcher::builder`].
#[must_use = "`start` starts it"]
pub struct WatcherBuilder {
    lua: Lua,
    policy: Policy,
    files: Vec<PathBuf>,
    listener: Listener,
}

impl std::fmt::Debug for WatcherBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatcherBuilder")
            .field("files", &self.files)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl WatcherBuilder {
    /// How what is saved is to be applied.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// A file to be watched beside those that Lua is going to load: one that the host
    /// loads itself, under the name of its path behind `@`.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Who hears what becomes of saves, on the watcher's thread.
    pub fn on_event(mut self, listener: impl FnMut(&WatchEvent<'_>) + Send + 'static) -> Self {
        self.listener = Box::new(listener);
        self
    }

    /// Starts watching. A VM has one watcher: a later one takes the place of the one
    /// before, which hears of no more files.
    ///
    /// # Errors
    /// The system gives no thread, or no events of files; a [`file`](Self::file) cannot
    /// be read.
    pub fn start(self) -> Result<Watcher> {
        let Self {
            lua,
            policy,
            files,
            listener,
        } = self;
        let (sender, receiver) = channel();
        let events = sender.clone();
        let system = notify::recommended_watcher(move |event| {
            if let Some(message) = run::changed(event) {
                // The receiver is gone only when nobody watches any more.
                let _ = events.send(message);
            }
        })
        .map_err(|error| Error::runtime(format_args!("cannot watch files: {error}")))?;
        let state = Watch::new(
            system,
            receiver,
            lua.hot().patcher(),
            policy.source(PatchSource::Watch),
            listener,
        );
        for path in files {
            let content = std::fs::read(&path).map_err(|error| {
                let path = path.display();
                Error::runtime(format_args!("cannot watch the file {path}: {error}"))
            })?;
            let chunk = format!("@{}", path.display());
            let _ = sender.send(Message::Loaded(path, (chunk, Arc::new(Files)), content));
        }
        let heard = sender.clone();
        let listener = lua.hot().on_event(move |_, event| {
            let is_told = match event.kind {
                EventKind::Rollback | EventKind::Passed => true,
                // Somebody else's patch: the file may be another text than runs now.
                EventKind::After => event.source != PatchSource::Watch,
                EventKind::Refused => event.source == PatchSource::Guard,
                _ => false,
            };
            if is_told {
                let _ = heard.send(Message::Heard(Box::new(event.clone())));
            }
        });
        let loads = sender.clone();
        let vm = lua.weak();
        let note = move |from: LoadedFrom, chunk: &[u8], text: &[u8]| {
            let loader: Option<Arc<dyn Loader>> = match from {
                LoadedFrom::File => Some(Arc::new(Files)),
                LoadedFrom::Loader => vm.try_upgrade().and_then(|lua| lua.loader()),
            };
            let Some(loader) = loader else { return };
            let chunk = String::from_utf8_lossy(chunk).into_owned();
            let mut path = None;
            // A panic of the host's is told by the panic hook and ends there.
            let _ = contained(|| path = loader.file(&chunk));
            if let Some(path) = path {
                let _ = loads.send(Message::Loaded(path, (chunk, loader), text.to_vec()));
            }
        };
        lua.with(|cx| listen_to_loads(cx, Some(Rc::new(note))));
        std::thread::Builder::new()
            .name("moonswap-watch".into())
            .spawn(move || state.run())
            .map_err(|error| Error::runtime(format_args!("cannot start the watcher: {error}")))?;
        Ok(Watcher {
            lua: lua.weak(),
            sender,
            listener,
        })
    }
}

/// Watches the files of a VM as long as it lives; see [the module](self).
pub struct Watcher {
    lua: WeakLua,
    sender: Sender<Message>,
    listener: ListenerId,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

impl Watcher {
    /// A watcher of what `lua` loads from now on.
    pub fn builder(lua: &Lua) -> WatcherBuilder {
        WatcherBuilder {
            lua: lua.clone(),
            policy: Policy::default(),
            files: Vec::new(),
            listener: Box::new(|_| {}),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Stop);
        if let Some(lua) = self.lua.try_upgrade() {
            lua.hot().off(self.listener);
        }
    }
}

/// Files by the names of their chunks: what was not loaded by the host's loader.
struct Files;

impl Loader for Files {
    fn find(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, chunk: &str) -> std::io::Result<Vec<u8>> {
        let path = self.file(chunk).ok_or(std::io::ErrorKind::NotFound)?;
        std::fs::read(path)
    }

    fn file(&self, chunk: &str) -> Option<PathBuf> {
        chunk.strip_prefix('@').map(PathBuf::from)
    }
}
