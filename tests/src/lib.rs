//! What the test programs share: running the `moonswap` program (`support`), a
//! machine for patching tests (`world`), scenario files (`scenario`), and faults
//! at chosen moments (`fault`), what a crate exports (`api`).

pub mod api;
pub mod fault;
pub mod scenario;
pub mod support;
pub mod world;
