//! Hot patching inside a VM.
//!
//! The protocol, in order; everything that can fail comes before the first
//! store:
//! 1. a *manifest* of each live instance of the chunk is made (`registry::manifest`);
//! 2. the patch is planned against it (`planner::plan`; crate `moonswap-hotpatch`), off the VM's
//!    thread if it was submitted from another one; refusals end it;
//! 3. new versions are loaded into the heap (`apply::prepare`), and the patch's top-level
//!    code runs protected (`apply::transaction`, `apply::merging`);
//! 4. `apply::commit` rewrites the slots: plain stores that cannot fail, at a safe
//!    point; the versions replaced go to `after::history`.
//!
//! Running activations keep their pinned version (`frame.rs`).
//!
//! All of it is reached through `apply::attempt`, which also asks the quarantine
//! (`after::guard`), calls hooks (`apply::hooks`) and notifies listeners (`observe::event`).
//! Other threads come in by `request`; `schedule` decides when; `osr` moves activations.
//!
//! Invariants: HP1 only `commit` and rollback install versions into slots that code
//! can reach, and migrations for a time (HP4); HP2 they run at a safe point of the
//! VM's thread (`at_safe_point`); HP3 versions and slots in the history are marked by the collector;
//! HP5 slots in lists that other threads have (`SlotPointer`, the deferred_drops of `published`) are
//! followed by the VM's thread only, the others drop the lists.

pub(crate) mod after;
pub(crate) mod apply;
mod at_safe_point;
mod cause;
mod error;
pub(crate) mod observe;
pub(crate) mod osr;
pub(crate) mod planner;
pub(crate) mod registry;
pub(crate) mod request;
pub(crate) mod schedule;
pub(crate) mod seam;
mod state;

pub use after::history::HistoryEntry;
pub use after::probation::{OnProbation, Quarantined, Which};
pub use apply::attempt::Origin;
pub(crate) use at_safe_point::AtSafePoint;
pub use cause::Cause;
pub use error::HotError;
pub use observe::event::{EventChunk, EventKind, HotEvent, Listener, Recorder};
pub use observe::inspect::{StaleFrame, VersionInfo};
pub(crate) use registry::instances::touch;
#[doc(hidden)]
pub use request::oneshot::OneShot;
pub use request::patcher::Patcher;
pub use request::ticket::{Applied, RolledBack, Ticket};
pub(crate) use state::HotState;
