//! Tests from outside: they run the `moonswap` program on scripts, patch a VM over
//! its public interface, and check the rules of the house. Tests with one case per
//! data file are in `tests/cases`.
//!
//! Tests of a crate's inside live in that crate.

mod audit;
mod cli;
mod cli_patch;
mod cli_watch;
mod ctrl_c;
mod flooding;
mod hotpatch;
mod imports;
mod limits_memory;
mod limits_time;
mod live;
mod loading;
mod mlua_items;
mod prose;
mod readme;
mod terms;
mod tidy;

use moonswap_tests::support;
