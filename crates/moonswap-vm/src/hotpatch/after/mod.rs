//! After the commit: the history and rollbacks, probation and quarantine, the watchdog,
//! coroutines that are closed.

pub(crate) mod closing;
pub(crate) mod guard;
pub(crate) mod history;
pub(crate) mod probation;
pub(crate) mod quarantine;
pub(crate) mod watchdog;
