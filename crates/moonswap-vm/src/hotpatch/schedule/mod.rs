//! When a commit may happen, what it waits for, and what tells that the moment has come.

pub(crate) mod activity;
pub(crate) mod gate;
pub(crate) mod obstacle;
pub(crate) mod timing;
pub(crate) mod trap;
pub(crate) mod waiting;
