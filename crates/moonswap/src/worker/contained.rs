//! The host's destructors may panic: what it does to one job must not end the others.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does what may run destructors of the host's: a panic in one ends nothing else.
pub(super) fn contained(work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        std::mem::forget(payload);
    }
}
