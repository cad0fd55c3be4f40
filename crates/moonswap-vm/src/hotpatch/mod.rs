//! Hot patching inside a VM.
//!
//! The protocol, in order; everything that can fail comes before the first
//! store:
//! 1. a *manifest* of each live instance of the chunk is made (`manifest`);
//! 2. the patch is planned against it (`planner`; crate `moonswap-hotpatch`), off the VM's
//!    thread if it was submitted from another one; refusals end it;
//! 3. new versions are loaded into the heap (`prepare`), and the patch's top-level
//!    code runs protected (`transaction`, `merging`);
//! 4. `commit` rewrites the slots: plain stores that cannot fail, at a safe
//!    point; the versions replaced go to the `history`.
//!
//! Running activations keep their pinned version (`frame.rs`).
//!
//! All of it is reached through `attempt`, which also asks the quarantine
//! (`guard`), calls hooks (`hooks`) and tells listeners (`event`).
//!
//! Invariants: HP1 only `commit` and rollback install versions into slots that code
//! can reach, and migrations for a time (HP4); HP2 they run at a safe point of the
//! VM's thread (`at_safe_point`); HP3 versions and slots in the history are marked by the collector;
//! HP5 slots in lists that other threads have (`SlotPointer`, the deferred_drops of `published`) are
//! followed by the VM's thread only, the others drop the lists.

mod activity;
pub(crate) mod apply;
mod at_safe_point;
pub(crate) mod attempt;
mod call;
mod cause;
pub(crate) mod checkpoint;
mod closing;
mod commit;
pub(crate) mod current;
mod error;
mod evaluated;
pub(crate) mod event;
mod frames;
mod gate;
pub(crate) mod globals;
mod guard;
pub(crate) mod history;
mod hooks;
pub(crate) mod inspect;
pub(crate) mod instances;
pub(crate) mod literals;
pub(crate) mod mailbox;
pub(crate) mod manifest;
mod merging;
pub(crate) mod migrate;
#[cfg(all(test, loom))]
mod models;
mod obstacle;
mod oneshot;
pub(crate) mod patcher;
mod planned;
pub(crate) mod planner;
mod prepare;
mod probation;
mod published;
pub(crate) mod quarantine;
mod queue;
mod request;
mod running;
pub(crate) mod scope;
pub(crate) mod seam;
mod stale;
mod state;
mod staying;
pub(crate) mod texts;
mod ticket;
pub(crate) mod timing;
pub(crate) mod transaction;
pub(crate) mod trap;
pub(crate) mod waiting;
pub(crate) mod watchdog;

pub(crate) use at_safe_point::AtSafePoint;
pub use attempt::Origin;
pub use cause::Cause;
pub use error::HotError;
pub use event::{EventChunk, EventKind, HotEvent, Listener, Recorder};
pub use history::HistoryEntry;
pub use inspect::{StaleFrame, VersionInfo};
pub(crate) use instances::touch;
#[doc(hidden)]
pub use oneshot::OneShot;
pub use patcher::Patcher;
pub use probation::{OnProbation, Quarantined, Which};
pub(crate) use state::HotState;
pub use ticket::{Applied, RolledBack, Ticket};
