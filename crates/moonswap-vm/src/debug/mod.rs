//! Telling people about running code: names for error messages, positions,
//! tracebacks and what the debug library asks for.
//!
//! Everything here answers from the version a frame pins, never from the
//! slot's current one: an old frame is described by its own code.

pub(crate) mod info;
pub(crate) mod local;
pub(crate) mod names;
pub(crate) mod position;
mod symbolic;
pub(crate) mod traceback;
pub(crate) mod upvalue;
pub(crate) mod walk;
