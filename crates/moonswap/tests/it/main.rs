//! The facade, area by area: one program, since each one more is linked with the
//! whole VM. What measures its process has a program of its own.

mod api;
mod asynchronous;
mod audit;
mod destructors;
mod errors;
mod events;
mod examples;
mod hooks;
mod hot;
mod hot_module;
mod leaks;
mod loader;
mod macros;
mod panics;
mod patch_files;
mod pool;
mod probation;
mod profiles;
mod reentry;
mod serialize;
mod signatures;
mod texts;
mod userdata;
mod waiting;
mod watch;
mod worker;
