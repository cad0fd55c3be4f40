//! `Pending`: where activations of a replaced version go (`hotpatch/migrate.rs`).

use std::sync::Arc;

use moonswap_bytecode::Prototype;
use moonswap_hotpatch::Migration;

use super::Version;

/// Where the activations of a replaced version go.
pub(crate) struct Pending {
    pub(crate) target: *mut Version,
    pub(crate) turns: Arc<Migration>,
    /// What the version was loaded from.
    pub(crate) original: Arc<Prototype>,
    /// Turns at which an activation could not move after all: nobody tries again.
    pub(crate) failed: Vec<u32>,
}
