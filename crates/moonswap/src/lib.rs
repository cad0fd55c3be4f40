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
//! Handles ([`Table`], [`Function`] …) do not keep the VM alive, so a Rust closure
//! given to [`Lua::create_function`] may own them. It must not own a [`Lua`]: the
//! two would keep each other for ever. It gets a `&Lua` to work with instead.
// `scope/lend.rs` has the only exception.
#![deny(unsafe_code)]

#[cfg(feature = "async")]
mod asynchronous;
mod debug_api;
pub mod error;
mod hot;
pub mod loader;
mod lua;
mod lua_module;
#[cfg(feature = "macros")]
mod macros;
pub mod prelude;
mod scope;
pub(crate) mod sealed;
#[cfg(feature = "serde")]
pub mod serde;
mod user_data;
mod value;
#[cfg(feature = "watch")]
pub mod watch;
#[cfg(feature = "worker")]
pub mod worker;

/// For the macros alone.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::macros::{CapturingChunk, Items, TextChunk, clone_of, register_items, submit};
}

#[cfg(feature = "serde")]
pub use crate::serde::{LuaSerdeExt, SerializableValue};
pub use bstr::BString;
pub use either::Either;
pub use error::context::{ErrorContext, ExternalError, ExternalResult};
pub use error::panic::Panicked;
pub use error::render::{RenderStyle, render_diagnostic, render_warning};
pub use error::trace::{TraceFrame, Traceback};
pub use error::{Error, ErrorKind, Result, SyntaxDetails};
pub use hot::audit;
pub use hot::pool::{Abort, Canary, MemberOutcome, MemberReport, Pool, PoolReport, Rollout};
pub use hot::request::{PatchInput, PatchRequest};
#[cfg(feature = "sign")]
pub use hot::sign::{PublicKey, SecretKey};
pub use hot::status::Status;
pub use hot::trust::Trust;
pub use hot::{
    Applied, Cause, EventChunk, EventKind, HistoryEntry, Hot, HotError, HotEvent, Interrupter,
    ListenerId, OnProbation, Origin, Patcher, Quarantined, StaleFrame, Ticket, VersionInfo, Which,
};
pub use lua::Lua;
pub use lua::app_data::{AppDataRef, AppDataRefMut};
pub use lua::builder::{LuaBuilder, ProfileBuilder};
pub use lua::options::{LuaOptions, StdLib};
pub use lua::registry::RegistryKey;
pub use lua::weak::WeakLua;
pub use moonswap_bytecode::{CodeHash, FunctionId};
pub use moonswap_compiler::{CompileError, Span};
#[cfg(feature = "macros")]
pub use moonswap_derive::{FromLua, UserData, chunk, userdata_impl};
pub use moonswap_hotpatch::{
    Activation, CapturePolicy, Captures, ChangeClass, ChunkPatch, ChunkPlan, Code as RefusalCode,
    Digest as TextDigest, Diverged, Divergence, FileChunk, FileSignature, Guard, LiteralChange,
    Migrated, MigrationReport, NotRun, Patch, PatchFile, PatchHash, PatchSource, Plan, Policy,
    Refusal, Refused, RefusedPolicy, Report, ReportedFunction, RunSelector, StalePolicy, Staying,
    SuspendedPolicy, Times, Timestamp, Timing, WhenRefused,
};
pub use moonswap_stdlib::profile::Profile;
pub use scope::lend::Scope;
pub use user_data::any::AnyUserData;
pub use user_data::guard::{UserDataOwned, UserDataRef, UserDataRefMut};
pub use user_data::meta::MetaMethod;
pub use user_data::registry::UserDataRegistry;
pub use user_data::{UserData, UserDataFields, UserDataMethods};
pub use value::function::{Function, FunctionInfo};
pub use value::multi::{MultiValue, Variadic};
pub use value::object::ObjectLike;
pub use value::string::{BorrowedBytes, BorrowedStr, LuaString};
pub use value::table::Table;
pub use value::thread::Thread;
pub use value::traits::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti, MaybeSend, MaybeSync};
pub use value::{LightUserData, Nil, Value};

/// mlua's older name of [`LuaString`].
#[doc(hidden)]
#[deprecated = "use `LuaString`"]
pub type String = LuaString;
/// A float of Lua.
pub type Number = f64;
/// An integer of Lua.
pub type Integer = i64;

/// Chunks: what can be loaded, and how.
pub mod chunk {
    pub use crate::lua::chunk::{AsChunk, Chunk, ChunkMode, ChunkName};
}
pub use chunk::Chunk;

/// Hooks, and what runs.
pub mod debug {
    pub use crate::debug_api::{
        Debug, DebugEvent, DebugNames, DebugSource, DebugStack, HookTriggers,
    };
}
pub use debug_api::{HookTriggers, VmState};

/// Functions, and what is known about them.
pub mod function {
    #[cfg(feature = "async")]
    pub use crate::asynchronous::{AsyncCallFuture, LuaNativeAsyncFn};
    pub use crate::value::function::{Function, FunctionInfo};
    pub use crate::value::native::{LuaNativeFn, LuaNativeFnMut};
}

/// The VM and its settings.
pub mod state {
    pub use crate::lua::Lua;
    pub use crate::lua::gc::{GcGenParams, GcIncParams, GcMode};
    pub use crate::lua::options::LuaOptions;
    pub use crate::lua::weak::WeakLua;
}

/// Strings.
pub mod string {
    pub use crate::value::string::{BorrowedBytes, BorrowedStr, LuaString};
}

/// Tables and walks over them.
pub mod table {
    pub use crate::value::table::Table;
    pub use crate::value::table_iter::{TablePairs, TableSequence};
}

/// Coroutines.
pub mod thread {
    #[cfg(feature = "async")]
    pub use crate::asynchronous::AsyncThread;
    pub use crate::lua::events::{ThreadEvent, ThreadTriggers};
    pub use crate::value::thread::{Thread, ThreadStatus};
}

/// Host objects.
pub mod userdata {
    pub use crate::user_data::any::{AnyUserData, UserDataMetatable, UserDataMetatablePairs};
    pub use crate::user_data::guard::{UserDataOwned, UserDataRef, UserDataRefMut};
    pub use crate::user_data::meta::MetaMethod;
    pub use crate::user_data::registry::UserDataRegistry;
    pub use crate::user_data::{UserData, UserDataFields, UserDataMethods};
}

/// The pieces of Rust in README.md are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So are those of this crate's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnReadme;
