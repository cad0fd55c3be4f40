//! `Coroutine`: a stack, and where it stands.

use moonswap_bytecode::Instruction;

use super::{Header, Hook, Upvalue};
use crate::value::Value;

/// State of a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum CoroutineStatus {
    /// Not started, or waiting in `yield`.
    Suspended,
    /// The one that runs.
    Running,
    /// Has resumed another one.
    Normal,
    /// Its `__close` methods are being called, from another coroutine.
    Closing,
    /// Ended or failed.
    Dead,
}

/// A coroutine: its stack and where it stands. Boxed.
#[repr(C)]
pub(crate) struct Coroutine {
    pub(crate) header: Header,
    pub(crate) status: CoroutineStatus,
    /// Dead by an error whose to-be-closed variables are still pending.
    pub(crate) failed: bool,
    /// Length is the allocated size; all slots are initialised.
    pub(crate) stack: Vec<Value>,
    /// When not running: saved pc, base (slot index) and top (slot index).
    pub(crate) pc: *const Instruction,
    pub(crate) base: usize,
    pub(crate) top: usize,
    /// Open captured variables, highest first.
    pub(crate) open_upvalues: *mut Upvalue,
    /// Stack slots of to-be-closed variables, lowest first.
    pub(crate) to_be_closed: Vec<u32>,
    /// Who resumed it; null if nobody.
    pub(crate) resumer: *mut Coroutine,
    /// Host activations (native functions calling back) on this coroutine's
    /// stack; it can only yield at 0.
    pub(crate) n_host_calls: u32,
    /// Resumed by a wrap function: errors propagate.
    pub(crate) is_wrap: bool,
    /// Its body was called.
    pub(crate) started: bool,
    /// The watchdog noted an activation in it or below it (`hotpatch/after/watchdog.rs`).
    pub(crate) is_watched: bool,
    /// Calls of pcall and xpcall that are active.
    pub(crate) n_pcalls: u32,
    /// Its debug hook.
    pub(crate) hook: Hook,
    /// The error it failed with, until it is closed.
    pub(crate) error: Value,
}
