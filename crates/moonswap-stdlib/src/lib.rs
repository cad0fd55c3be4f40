//! The standard libraries of Lua 5.4, written as natives against
//! [`moonswap_vm::context::Context`].
//!
//! Each library is a module with an `open` function that creates its table,
//! sets the global of its name and `package.loaded[name]`. [`open_all`] opens
//! them in the order that their dependencies need: the base library first, then
//! `package`, which shares the registry's table of loaded modules.
//!
//! Natives keep values only on the Lua stack or in tables: the collector knows
//! no other place, and the types of `Context` forbid to hold a borrowed value
//! over a call that may run Lua code.
#![forbid(unsafe_code)]

pub mod base;
mod bit32;
pub mod compat;
pub mod coroutine;
pub mod debug;
mod harmless;
pub mod io;
pub mod math;
pub mod os;
pub mod package;
pub mod profile;
pub mod string;
pub mod table;
pub mod utf8;

mod failure;
mod library;

use moonswap_vm::context::{Context, Outcome};

pub use library::{LOADED, PRELOAD, register};

/// Opens a library.
type Open = fn(&mut Context<'_>) -> Outcome<()>;

/// The libraries beside the base library, in the order that they are opened in.
const LIBRARIES: &[(&str, Open)] = &[
    ("package", package::open),
    ("coroutine", coroutine::open),
    ("table", table::open),
    ("io", io::open),
    ("os", os::open),
    ("string", string::open),
    ("math", math::open),
    ("utf8", utf8::open),
    ("debug", debug::open),
];

/// Opens every standard library in the running VM.
pub fn open_all(cx: &mut Context<'_>) -> Outcome<()> {
    base::open(cx)?;
    open_some(cx, |_| true)
}

/// Opens the libraries whose names are wanted, without the base library.
pub fn open_some(cx: &mut Context<'_>, is_wanted: impl Fn(&str) -> bool) -> Outcome<()> {
    for (name, open) in LIBRARIES {
        if is_wanted(name) {
            open(cx)?;
        }
    }
    harmless::mark(cx)
}

/// Writes out everything that files and standard output still hold in their
/// buffers. To be called before the process ends.
pub fn flush_all(cx: &Context<'_>) {
    io::flush_all(cx);
}
