//! The one test binary of the workspace that works from outside: it runs the
//! `moonswap` program on scripts, and checks the rules of the house.
//!
//! Tests of a crate's inside live in that crate.

mod audit;
mod badinput;
mod cli;
mod cli_patch;
mod cli_reference;
mod cli_watch;
mod ctrl_c;
mod flooding;
mod hotpatch;
mod imports;
mod language;
mod limits_memory;
mod limits_time;
mod live;
mod loading;
mod official;
mod packages;
mod prose;
mod readme;
mod stress;
mod support;
mod terms;
mod tidy;
