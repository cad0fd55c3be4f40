//! The compiler, stage by stage, through what it makes public.

mod dump;
mod parser;
mod parts;
mod patch;
mod programs;
mod resolve;
mod verify;
mod watch;
