//! From a plan to the commit: new versions are loaded, the patch's top-level code runs on the
//! undo log, and the slots are rewritten. `attempt` is the way in for all.

pub(crate) mod at_once;
pub(crate) mod attempt;
pub(crate) mod call;
pub(crate) mod checkpoint;
pub(crate) mod commit;
pub(crate) mod evaluated;
pub(crate) mod hooks;
pub(crate) mod merging;
pub(crate) mod prepare;
pub(crate) mod running;
pub(crate) mod transaction;
