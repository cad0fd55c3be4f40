//! What changes, may it, what will happen: the planning half of hot patching
//! as plain `Send + Sync` values.
//!
//! The life of a change: [`Patch::compile`] (no VM needed) → [`plan_chunk`] of the
//! patch against a [`ChunkManifest`] (what one VM knows about one loaded chunk)
//! → a [`Plan`] that prints, refuses, or tells the VM exactly what to store →
//! a [`Report`]. Nothing here reads a file, knows a VM type or keeps state.
#![forbid(unsafe_code)]

mod build;
mod compare;
mod encoding;
#[cfg(feature = "json")]
mod file;
mod manifest;
mod model;
mod osr;
mod patch;
mod plan;
mod policy;
mod refusal;
mod report;

pub use compare::undefined::{Globals, StandardGlobals, settle, similar, undefined_in};
pub use encoding::digest::Digest;
#[cfg(feature = "json")]
pub use encoding::json::{optional_seconds, present, seconds, to_json, to_json_pretty};
pub use encoding::timestamp::Timestamp;
pub use encoding::{from_hex, to_hex};
#[cfg(feature = "json")]
pub use file::{FileChunk, FileSignature, PatchFile, Uncompiled, refused};
pub use manifest::divergence::{Diverged, Divergence};
pub use manifest::{
    CellInfo, ChunkManifest, ENVIRONMENT_CELL, Literals, Places, Progress, SlotInfo, is_reserved,
    places, reserved,
};
pub use model::change::{Before, ChangeKind, DataChange, Decision, Merged};
pub use model::literal::{ChangeClass, LiteralChange};
pub use model::migration::{Migrated, MigrationReport, Staying};
pub use model::not_run::NotRun;
pub use model::plan::{ChunkPlan, DeltaChunk, Plan, refusals};
pub use model::undefined::Undefined;
pub use osr::initial::{Gives, Initial};
pub use osr::migration::{Migration, OsrEntry, OsrExit, ScopeCells};
pub use osr::{is_same_code, is_sound, plan_migration, scope_cells};
pub use patch::constant::Constant;
pub use patch::hooks::{Hooks, MIGRATE, ON_SWAP};
pub use patch::outline::path_name;
pub use patch::replace::replace_literal;
pub use patch::{ChunkPatch, Patch, base_refusals, shown as shown_chunk};
pub use plan::plan_chunk;
pub use policy::provenance::{PatchHash, PatchSource};
pub use policy::{
    CapturePolicy, Captures, DataPolicies, DataPolicy, Guard, Policy, RefusedPolicy, Rerun,
    RunSelector, StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};
pub use refusal::activation::Activation;
pub use refusal::{Code, Refusal, Refused, UnmatchedSetting};
pub use report::{Report, ReportedFunction, Times, write_pause};
