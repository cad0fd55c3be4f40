//! On-stack replacement, and what stays on old code.

pub(crate) mod migrate;
pub(crate) mod staying;
