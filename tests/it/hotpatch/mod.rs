//! Hot patching from outside, over `Machine` and `Context`: scenario files,
//! patches at every safe point, laws, patches from other threads.

mod deep;
mod diverged;
mod faults;
mod index;
mod law;
mod laws;
mod modes;
mod moving;
mod random;
mod safepoints;
mod scenarios;
mod suite;
mod threads;
mod undo;
mod waiting;
mod world;
