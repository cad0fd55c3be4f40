//! What changes, may it, what will happen: the planning half of hot patching
//! as plain `Send + Sync` values.
//!
//! The life of a change: [`Patch::compile`] (no VM needed) → [`plan_chunk`] of the
//! patch against a [`ChunkManifest`] (what one VM knows about one loaded chunk)
//! → a [`Plan`] that prints, refuses, or tells the VM exactly what to store →
//! a [`Report`]. Nothing here reads a file, knows a VM type or keeps state.
#![forbid(unsafe_code)]

mod account;
mod activation;
mod build;
mod captures;
mod declarations;
mod delta;
mod diff;
mod digest;
mod encoding;
mod facts;
mod hooks;
mod json;
mod late;
mod liveness;
mod manifest;
mod migrate;
mod names;
mod outline;
mod patch;
mod patch_file;
mod plan;
mod plan_json;
mod plan_text;
mod policy;
mod policy_text;
mod protected;
mod refusal;
mod relayout;
mod removal;
mod replace;
mod report;
mod shape;
mod statements;
mod targets;
mod timestamp;
mod toplevel;
mod undefined;

pub use account::{Door, PatchHash};
pub use activation::Activation;
pub use digest::Digest;
pub use encoding::{from_hex, to_hex};
pub use hooks::{Hooks, MIGRATE, ON_SWAP};
pub use json::{Json, JsonError};
pub use manifest::{
    CellInfo, ChunkManifest, ENVIRONMENT_CELL, Places, SlotInfo, is_reserved, places, reserved,
};
pub use migrate::{Landing, Migration, Turn, is_sound};
pub use outline::path_name;
pub use patch::{ChunkPatch, Patch, base_refusals};
pub use patch_file::{FileChunk, FileSignature, PatchFile, Uncompiled, refused};
pub use plan::{ChangeClass, ChunkPlan, LiteralChange, NotRun, Plan, plan_chunk, refusals};
pub use policy::{
    CapturePolicy, Captures, Guard, Policy, RunSelector, StalePolicy, SuspendedPolicy, Timing,
};
pub use refusal::{Code, Refusal, Refused, Unfit};
pub use replace::replace_literal;
pub use report::{Migrated, Report, ReportedFunction, Times, write_pause};
pub use timestamp::Timestamp;
pub use undefined::{Globals, StandardGlobals, Undefined, settle, undefined_in};
