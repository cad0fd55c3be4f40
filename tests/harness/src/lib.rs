//! What data-driven tests share: each case is a test with a name and a time
//! ([`Cases`]), snapshots are rewritten by `UPDATE=1` ([`snapshot()`]), and a test
//! that needs what is not installed says so, or fails in CI ([`skip()`]).

mod cases;
mod skip;
mod snapshot;

pub use cases::{Cases, Verdict};
pub use skip::{REQUIRE, skip};
pub use snapshot::snapshot;
