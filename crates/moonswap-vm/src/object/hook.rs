//! The debug hook of a coroutine, as its object keeps it, and what the VM knows of
//! the one that is in force (`hook.rs`).

use moonswap_bytecode::OpCode;

use crate::value::Value;

/// Hooks of one coroutine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    pub(crate) function: Value,
    /// Events it wants; 0 = none.
    pub(crate) mask: u8,
    /// Instructions between count events, as they were given, and how many are
    /// left.
    pub(crate) count: i32,
    pub(crate) left: u32,
    /// Coroutines that its coroutine makes begin with it.
    pub(crate) inherited: bool,
}

impl Default for Hook {
    fn default() -> Self {
        Self {
            function: Value::NIL,
            mask: 0,
            count: 0,
            left: 0,
            inherited: false,
        }
    }
}

/// An instruction that was executed: frame (slot index), place, operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) frame: usize,
    pub(crate) pc: *const u64,
    pub(crate) op: OpCode,
}

/// The VM's part.
#[derive(Debug, Default)]
pub(crate) struct HookState {
    pub(crate) active: bool,
    /// The frame whose hook runs now (slot index).
    pub(crate) interrupted: Option<usize>,
    /// Values being passed or returned: index of the first local, count.
    pub(crate) transfer: (usize, usize),
    pub(crate) last: Option<Step>,
    pub(crate) below: Vec<Step>,
    /// The hook that runs wants its coroutine to yield.
    pub(crate) wants_yield: bool,
    /// The next instruction was looked at before its coroutine yielded.
    pub(crate) goes_on: bool,
}
