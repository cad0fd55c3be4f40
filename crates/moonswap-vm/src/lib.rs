//! The moonswap virtual machine: heap, interpreter, coroutines, hot patching.
//!
//! Natives and embedders use [`context::Context`], which is safe; everything
//! below it works on raw pointers under the invariants numbered in
//! ARCHITECTURE.md and at the head of each file that has `unsafe`.

// References through raw pointers are made visibly: rustc's own lint asks for
// `&` where a method would take one silently.
#![allow(clippy::needless_borrow)]

mod callee;
mod contained;
pub mod context;
mod coroutine;
mod debug;
mod entry;
pub mod error;
mod frame;
mod gc_stats;
mod heap;
mod hook;
mod host;
mod host_cell;
mod host_data;
pub mod hotpatch;
mod interp;
mod limits;
mod loader;
mod machine;
mod meta;
mod meta_event;
mod object;
mod raise;
mod root;
mod safepoint;
mod stress;
mod string;
mod sync;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod threads;
mod timer;
mod type_map;
mod undo;
mod unwind;
mod value;
mod vm;

#[doc(hidden)]
pub use contained::{contained, panic_text, spent};
pub use context::{
    Buffer, Context, CoroutineRef, FunctionRef, Keep, Outcome, Str, TableRef, UserDataRef, View,
};
pub use error::Raised;
pub use gc_stats::{GcClock, GcStats};
pub use host_cell::{
    HostCell, HostMut, HostRef, Keep as KeepsLock, LockForRead, LockForWrite, Unavailable,
};
pub use hotpatch::{
    Applied, Cause, EventChunk, EventKind, HistoryEntry, HotError, HotEvent, Listener, OnProbation,
    Origin, Patcher, Quarantined, Recorder, StaleFrame, Ticket, VersionInfo, Which,
};
pub use limits::{Ended, Interrupter, Limit};
pub use machine::Machine;
pub use moonswap_hotpatch as planning;
pub use object::{NativeFn, NativeKind, WarningSink};
pub use root::Root;
pub use safepoint::HostWaker;
pub use stress::Stress;
pub use text::{HeldBytes, HeldText};
