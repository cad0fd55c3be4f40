//! Old against new: which function and which variable is which, and what became of
//! top-level code.

pub(crate) mod alignment;
pub(crate) mod backfill;
pub(crate) mod captures;
pub(crate) mod classify;
pub(crate) mod confined;
pub(crate) mod effects;
pub(crate) mod library;
pub(crate) mod matching;
pub(crate) mod namesakes;
pub(crate) mod removal;
pub(crate) mod toplevel;
pub(crate) mod undefined;
mod unmade;
pub(crate) mod unpaired;
