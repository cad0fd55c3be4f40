//! Faults in every step of an attempt to change code, from the source to the
//! report. Whatever fails: the outcome says so and names the cause, the old code
//! runs with all that it had, the same patch is applied once the fault is gone,
//! and a rollback brings the old code back. What fails behind the commit leaves
//! the new code in force, and everything says so.
//!
//! | step | what may fail there | where |
//! | --- | --- | --- |
//! | compile, trust, base, manifest | the text, the signature, what runs | `around`: patch files |
//! | a thread to plan on, the timer | the system has none | `sources`, `threads` |
//! | plan | refusals | scenarios `refuse-*`, laws |
//! | mailbox, publish, basis, deadline | the VM or the ticket goes, at any time | `threads` |
//! | safe point, quiet | limits; nothing rings | `sources`, `threads` |
//! | load, intern, scope record | each allocation; the memory limit | `sweeps`, `scenarios` |
//! | initialisers, definitions, `run`, `require`, `reset`, `remove`, `migrate`, in each chunk and instance | these, an error in each, fuel, deadline, interrupt, no stack | `sweeps`, `scenarios` |
//! | commit, history, guard | nothing can | `sweeps`: nothing is allocated |
//! | `close`, `on_swap`, listeners | an error, a limit, a panic | `sweeps`, `around` |
//! | audit record | the disk is full, the writer panics | `around` |
//! | rollback | each allocation, the memory limit; its hooks and listeners | `sweeps`, `around` |
//! | pool, `run --watch` | one VM of several; bad saves, no threads | `around` |
//!
//! By default long rows of faults are sampled; `MOONSWAP_FAULTS=all` tries each.

mod around;
mod subjects;
mod sweeps;
mod threads;

use moonswap_tests::fault::{Fault, difference, tries_all, without_numbers};
