//! Fuzz targets: what may come from outside must not harm the process.
//!
//! Each target takes a row of bytes and panics if something does not hold. Rows
//! come from a seed (`runner`), or from a fuzzer that mutates them; see the
//! README.
#![forbid(unsafe_code)]

pub mod compile;
mod corpus;
pub mod data;
pub mod file;
mod long;
mod module;
mod mutate;
pub mod patch;
mod program;
pub mod run;
pub mod runner;
mod sandbox;
pub mod undump;

/// A thing to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// One execution; panics if something does not hold.
    pub run: fn(&[u8]),
    /// What that execution does, for people.
    pub show: fn(&[u8]) -> String,
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "compile",
        run: compile::run,
        show: compile::show,
    },
    Target {
        name: "undump",
        run: undump::run,
        show: undump::show,
    },
    Target {
        name: "run",
        run: run::run,
        show: run::show,
    },
    Target {
        name: "patch",
        run: patch::run,
        show: patch::show,
    },
    Target {
        name: "file",
        run: file::run,
        show: file::show,
    },
];
