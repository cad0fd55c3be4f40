//! How other threads ask: a patcher submits to the mailbox, a ticket answers.

pub(crate) mod commit_request;
pub(crate) mod mailbox;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod oneshot;
pub(crate) mod patcher;
pub(crate) mod queue;
pub(crate) mod ticket;
