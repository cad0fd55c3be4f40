//! Hot patching from outside, over `Machine` and `Context`: scenario files,
//! patches at every safe point, laws, patches from other threads.

mod deep;
mod diverged;
mod faults;
mod index;
mod law;
mod laws;
mod moving;
mod random;
mod threads;
mod undo;
mod waiting;

use moonswap_tests::world;
