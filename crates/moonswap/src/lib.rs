//! moonswap: Lua 5.4 in pure Rust, whose functions are swapped while they run.
//!
//! The API follows mlua's names; handles ([`Table`], [`Function`] …) are
//! `Clone + 'static` and have no lifetime. What is new is [`Lua::hot`].
//!
//! ```
//! use moonswap::prelude::*;
//!
//! # fn main() -> moonswap::Result<()> {
//! let lua = Lua::new();
//! lua.load("function price(x) return x * 1.2 end").set_name("@shop.lua").exec()?;
//! let price: Function = lua.globals().get("price")?; // the host keeps this handle for good
//! let report = lua.hot().apply_source("@shop.lua", "function price(x) return x * 1.25 end")?;
//! assert_eq!(price.call::<f64>(100)?, 125.0); // same handle, new code
//! println!("{report}"); // shop.lua: price v1 → v2, 1 function, 38 µs
//! lua.hot().rollback(report.id())?;
//! # assert_eq!(price.call::<f64>(100)?, 120.0);
//! # Ok(())
//! # }
//! ```
//!
//! A handle keeps the whole VM alive. A Rust closure given to
//! [`Lua::create_function`] must therefore not own a handle of the same VM: the
//! two would keep each other for ever. It gets a `&Lua` to work with instead.
#![forbid(unsafe_code)]

mod error;
mod hot;
mod lua;
mod lua_module;
mod value;

pub use error::render::{RenderStyle, render_diagnostic, render_warning};
pub use error::{Error, ErrorKind, Result, TraceFrame, Traceback};
pub use hot::audit;
pub use hot::pool::{Abort, Canary, MemberOutcome, MemberReport, Pool, PoolReport, Rollout};
#[cfg(feature = "sign")]
pub use hot::sign::{PublicKey, SecretKey};
pub use hot::status::Status;
pub use hot::trust::Trust;
pub use hot::{
    Applied, Cause, EventChunk, EventKind, HistoryEntry, Hot, HotError, HotEvent, Interrupter,
    ListenerId, OnProbation, Origin, Patcher, Quarantined, StaleFrame, Ticket, VersionInfo, Which,
};
pub use lua::Lua;
pub use lua::builder::LuaBuilder;
pub use lua::chunk::Chunk;
pub use moonswap_bytecode::{CodeHash, FunctionId};
pub use moonswap_compiler::{CompileError, Span};
pub use moonswap_hotpatch::{
    Activation, CapturePolicy, Captures, ChangeClass, ChunkPatch, ChunkPlan, Code as RefusalCode,
    Digest as TextDigest, Diverged, Divergence, FileChunk, FileSignature, Guard, LiteralChange,
    Migrated, MigrationReport, NotRun, Patch, PatchFile, PatchHash, PatchSource, Plan, Policy,
    Refusal, Refused, RefusedPolicy, Report, ReportedFunction, RunSelector, StalePolicy, Staying,
    SuspendedPolicy, Times, Timestamp, Timing, WhenRefused,
};
pub use value::convert::{FromLua, IntoLua};
pub use value::function::{Function, FunctionInfo};
pub use value::multi::{FromLuaMulti, IntoLuaMulti, MultiValue, Variadic};
pub use value::string::LuaString;
pub use value::table::{Pairs, Sequence, Table};
pub use value::{AnyUserData, LightUserData, Thread, Value};

/// mlua's name of [`LuaString`].
pub type String = LuaString;
/// mlua's name of a float.
pub type Number = f64;
/// mlua's name of an integer.
pub type Integer = i64;

/// What most programs need.
pub mod prelude {
    pub use crate::{
        AnyUserData, Chunk, Error, ErrorKind, FromLua, FromLuaMulti, Function, Hot, IntoLua,
        IntoLuaMulti, Lua, LuaString, MultiValue, Patch, Policy, Report, Table, Thread, Value,
        Variadic,
    };
}

/// The pieces of Rust in README.md are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
