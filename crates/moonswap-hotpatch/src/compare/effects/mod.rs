//! What top-level statements read, write and call, as far as their text shows it: whether
//! two of them may change places.
//!
//! Nothing is run and no values are known, so the answer is "may": names stand for what
//! any variable of that name holds, and what a function does is what the names in it
//! lead to.
//!
//! | file | idea |
//! | --- | --- |
//! | `library` | what Lua's functions do with what they are given |
//! | `place` | variables and fields |
//! | `links` | which names a call may get to, which names may hold one table |
//! | `flow` | what a text says of its names |
//! | `sources` | which tables an expression may give |
//! | `walk` | the links of a text |
//! | `accesses` | what one statement or expression does |
//! | `conflict` | whether two may change places |

mod accesses;
mod conflict;
mod flow;
mod library;
mod links;
mod place;
mod sources;
mod walk;

pub(crate) use accesses::{Accesses, Collector};
pub(crate) use conflict::{Conflict, Conflicts};
pub(crate) use flow::Flow;
