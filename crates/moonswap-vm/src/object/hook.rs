//! `Hook`: the debug hook of one coroutine, as its object keeps it (`hook.rs`).

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
}

impl Default for Hook {
    fn default() -> Self {
        Self {
            function: Value::NIL,
            mask: 0,
            count: 0,
            left: 0,
        }
    }
}
