//! The values that pass between comparing, building and reporting.

pub(crate) mod change;
pub(crate) mod literal;
pub(crate) mod migration;
pub(crate) mod not_run;
pub(crate) mod plan;
pub(crate) mod undefined;
