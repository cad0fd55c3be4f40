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
mod change;
mod classify;
mod confined;
mod declarations;
mod delta;
mod diff;
mod digest;
mod divergence;
mod encoding;
mod facts;
mod hooks;
mod json;
mod keeping;
mod late;
mod likeness;
mod liveness;
mod manifest;
mod migrate;
mod migration_report;
mod mixture;
mod moves;
mod names;
mod namesakes;
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
mod siblings;
mod sites;
mod statements;
mod targets;
mod timestamp;
mod toplevel;
mod undefined;
mod unpaired;

pub use account::{Door, PatchHash};
pub use activation::Activation;
pub use change::{Before, ChangeKind, Constant, DataChange, Merged};
pub use digest::Digest;
pub use divergence::{Diverged, Divergence};
pub use encoding::{from_hex, to_hex};
pub use hooks::{Hooks, MIGRATE, ON_SWAP};
pub use json::{Json, JsonError};
pub use manifest::{
    CellInfo, ChunkManifest, ENVIRONMENT_CELL, Literals, Places, Progress, SlotInfo, is_reserved,
    places, reserved,
};
pub use migrate::{
    Gives, Initial, Landing, Migration, ScopeCells, Turn, is_same_code, is_sound, plan_migration,
    scope_cells,
};
pub use migration_report::{Migrated, MigrationReport, Staying};
pub use outline::path_name;
pub use patch::{ChunkPatch, Patch, base_refusals, shown as shown_chunk};
pub use patch_file::{FileChunk, FileSignature, PatchFile, Uncompiled, refused};
pub use plan::{
    ChangeClass, ChunkPlan, DeltaChunk, LiteralChange, NotRun, Plan, plan_chunk, refusals,
};
pub use policy::{
    CapturePolicy, Captures, DataPolicies, DataPolicy, Guard, Policy, RefusedPolicy, Rerun,
    RunSelector, StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};
pub use refusal::{Code, Refusal, Refused, Unfit};
pub use replace::replace_literal;
pub use report::{Report, ReportedFunction, Times, write_pause};
pub use timestamp::Timestamp;
pub use undefined::{Globals, StandardGlobals, Undefined, settle, undefined_in};
