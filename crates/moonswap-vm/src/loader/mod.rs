//! Loading: from a prototype, or a literal of a binary chunk, to a version in this VM's
//! heap.
//!
//! The code is copied (caches and quickened operations live in it), constants
//! are interned and placed behind it, and constant operands become distances in
//! words from their own instruction.
//!
//! Invariants: L1 only prototypes and literals that passed `verify` come here.

mod constants;
mod loading;
mod relocate;
mod site;
mod slot;
mod version;

pub(crate) use constants::know_strings_of;
pub(crate) use loading::{Loading, MOST_KEPT, load_instance};
pub(crate) use relocate::unrelocated;
pub(crate) use site::{Site, n_sites};
pub(crate) use slot::{install, new_slot};
pub(crate) use version::{new_version, version_bytes};
