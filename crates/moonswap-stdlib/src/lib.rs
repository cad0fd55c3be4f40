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
pub mod string;
pub mod table;
pub mod utf8;

mod failure;
mod library;

use moonswap_vm::context::{Context, Outcome};

pub use library::{LOADED, PRELOAD, register};

/// Opens every standard library in the running VM.
pub fn open_all(cx: &mut Context<'_>) -> Outcome<()> {
    base::open(cx)?;
    package::open(cx)?;
    coroutine::open(cx)?;
    table::open(cx)?;
    io::open(cx)?;
    os::open(cx)?;
    string::open(cx)?;
    math::open(cx)?;
    utf8::open(cx)?;
    debug::open(cx)?;
    harmless::mark(cx)
}

/// Writes out everything that files and standard output still hold in their
/// buffers. To be called before the process ends.
pub fn flush_all(cx: &Context<'_>) {
    io::flush_all(cx);
}
