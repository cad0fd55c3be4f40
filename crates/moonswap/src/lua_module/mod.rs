//! The Lua module `moonswap`: hot patching from inside a script.
//!
//! `local hot = require "moonswap"`. What can fail returns `nil, message`;
//! only wrong argument types raise.

mod events;
mod modules;
mod options;
mod probation;
mod report;
mod stack;

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Patch, PatchSource, Plan, Policy};
use moonswap_vm::hotpatch::{Applied, HotError, Origin, RolledBack};
use moonswap_vm::{Context, NativeFn, Outcome, View};

use crate::Lua;
use crate::error::Error;
use crate::hot::{patch_file, resolve};
use stack::{failure, text};

/// Longest time in which `sleep` does not look for patches.
const SLEEP_SLICE: Duration = Duration::from_millis(2);

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("swap", swap),
    ("swapfile", swapfile),
    ("swapstring", swapstring),
    ("applyfile", applyfile),
    ("transaction", transaction),
    ("patch", patch_function),
    ("rollback", rollback),
    ("migrate", migrate),
    ("probation", probation::list),
    ("quarantine", probation::quarantine),
    ("release", probation::release),
    ("version", version),
    ("diverged", diverged),
    ("versions", versions),
    ("frames", frames),
    ("history", history),
    ("stats", stats),
    ("on", events::on),
    ("reload", modules::reload),
    ("keep", modules::keep),
    ("protect", modules::protect),
    ("rerun", rerun),
    ("sleep", sleep),
];

/// Makes the module known to `require`.
pub(crate) fn open(cx: &mut Context<'_>) -> Outcome<()> {
    let base = cx.height();
    cx.push_registry();
    cx.push(cx.raw_get_field(base, moonswap_stdlib::PRELOAD));
    if matches!(cx.at(base + 1), View::Table(_)) {
        cx.push_native("moonswap", loader);
        cx.raw_set_field(base + 1, "moonswap")?;
    }
    cx.set_height(base);
    Ok(())
}

/// `rerun { "core.register_*" }` in a module's text says which of its calls run again
/// with a patch. Planning reads that in the text; to run it does nothing.
fn rerun(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(0)?;
    Ok(0)
}

fn loader(cx: &mut Context<'_>) -> Outcome<usize> {
    let table = cx.height();
    cx.push_table(0, FUNCTIONS.len() + 1);
    for &(name, function) in FUNCTIONS {
        cx.push_native(name, function);
        cx.raw_set_field(table, name)?;
    }
    cx.push_bytes(concat!("moonswap ", env!("CARGO_PKG_VERSION")).as_bytes());
    cx.raw_set_field(table, "_VERSION")?;
    Ok(1)
}

fn hot_failure(cx: &Context<'_>, error: HotError) -> Outcome<usize> {
    // A limit that ended an initialiser ends the program as well.
    cx.charge(0)?;
    failure(cx, Error::from(error).message_bytes())
}

/// `nil, message`, of an attempt that failed before there was a patch.
fn failed_attempt(
    cx: &mut Context<'_>,
    chunks: &[&str],
    policy: &Policy,
    message: String,
) -> Outcome<usize> {
    cx.hot_note(chunks, policy, HotError::Other(message.clone()));
    failure(cx, message)
}

/// Compiles and applies the new text of one chunk.
fn patch(cx: &mut Context<'_>, chunk: &str, source: &[u8], policy: &Policy) -> Outcome<usize> {
    match Patch::compile(chunk, source) {
        Ok(patch) => apply(cx, &patch, policy),
        Err(error) => {
            let message = error.raw.clone();
            cx.hot_note(&[chunk], policy, error.into());
            failure(cx, message)
        }
    }
}

/// `patch(f, source [, opts])`: one function; `source` is the text of a function
/// expression.
fn patch_function(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_function(0)?;
    let expression = cx.check_str(1)?.as_bytes().to_vec();
    let policy = options::read(cx, 2)?;
    let Some((id, source)) = cx.hot_literal(0) else {
        let message = "native functions cannot be patched".to_owned();
        return failed_attempt(cx, &[], &policy, message);
    };
    let Some(source) = source else {
        let message = format!(
            "{id}: the text is not known (the chunk was loaded from binary), or the function is gone from it"
        );
        return failed_attempt(cx, &[id.chunk()], &policy, message);
    };
    match moonswap_hotpatch::replace_literal(&source, &id, &expression) {
        Ok(source) => patch(cx, id.chunk(), &source, &policy),
        Err(message) => failed_attempt(cx, &[id.chunk()], &policy, message),
    }
}

/// Applies, or plans if `dry`.
fn apply(cx: &mut Context<'_>, patch: &Patch, policy: &Policy) -> Outcome<usize> {
    if policy.dry {
        return match cx.hot_plan(patch, policy) {
            Ok(plan) => push_plan(cx, &plan),
            Err(error) => hot_failure(cx, error),
        };
    }
    match cx.hot_apply_or_queue(patch, policy) {
        Ok(Applied::Now(done)) => report::push(cx, &done),
        Ok(Applied::Queued(ticket)) => report::push_queued(cx, &names(patch), ticket),
        Err(error) => hot_failure(cx, error),
    }
}

fn names(patch: &Patch) -> Vec<Arc<str>> {
    let chunks = patch.chunks().iter();
    chunks.map(|chunk| Arc::clone(chunk.chunk())).collect()
}

fn push_plan(cx: &Context<'_>, plan: &Plan) -> Outcome<usize> {
    match plan.refused() {
        None => report::push_plan(cx, plan),
        Some(refused) => failure(cx, refused.to_string()),
    }
}

/// `swap(modname [, opts])`
fn swap(cx: &mut Context<'_>) -> Outcome<usize> {
    let module = text(cx, 0)?;
    let policy = options::read(cx, 1)?;
    match resolve::module(cx, &module)? {
        Ok(found) => patch(cx, &found.chunk, &found.text, &policy),
        Err(message) => failed_attempt(cx, &[&module], &policy, message),
    }
}

/// `swapfile(path [, opts])`
fn swapfile(cx: &mut Context<'_>) -> Outcome<usize> {
    let path = text(cx, 0)?;
    let policy = options::read(cx, 1)?;
    let chunk = resolve::chunk_of_file(&cx.hot_chunks(), &path);
    match resolve::read_file(&path) {
        Ok(source) => patch(cx, &chunk, &source, &policy),
        Err(message) => failed_attempt(cx, &[&chunk], &policy, message),
    }
}

/// `swapstring(chunkname, text [, opts])`
fn swapstring(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = text(cx, 0)?;
    let source = cx.check_str(1)?.as_bytes().to_vec();
    let policy = options::read(cx, 2)?;
    let chunk = resolve::chunk_named(&cx.hot_chunks(), &name).unwrap_or(name);
    patch(cx, &chunk, &source, &policy)
}

/// `applyfile(path [, { dry = true }])`: a patch file, under its own policy
fn applyfile(cx: &mut Context<'_>) -> Outcome<usize> {
    let path = text(cx, 0)?;
    let options = options::read(cx, 1)?;
    let dry = options.dry;
    if options.dry(false) != Policy::default().source(PatchSource::Lua) {
        return Err(cx.arg_error(
            1,
            "a patch file has its own policy; only 'dry' may be given",
        ));
    }
    let Some(lua) = Lua::of(cx) else {
        return failure(cx, HotError::Gone.to_string());
    };
    let path = Path::new(&path);
    let done = if dry {
        patch_file::read(path)
            .and_then(|file| patch_file::plan(cx, lua.trust(), &file))
            .map(Err)
    } else {
        patch_file::read_to_apply(cx, path)
            .and_then(|file| patch_file::apply_or_queue(cx, lua.trust(), &file))
            .map(Ok)
    };
    match done {
        Ok(Ok((_, Applied::Now(done)))) => report::push(cx, &done),
        Ok(Ok((patch, Applied::Queued(ticket)))) => report::push_queued(cx, &names(&patch), ticket),
        Ok(Err(plan)) => push_plan(cx, &plan),
        Err(error) => {
            cx.charge(0)?;
            failure(cx, error.message_bytes())
        }
    }
}

/// `transaction({ [name] = text or true, … } [, opts])`: several chunks, one
/// commit; `true` reads the text through the loader.
fn transaction(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_table(0)?;
    let policy = options::read(cx, 1)?;
    let mut wanted: Vec<(String, Option<Vec<u8>>)> = Vec::new();
    let base = cx.height();
    cx.push_nil();
    while cx.next(0)? {
        let name = match cx.at(base) {
            View::String(name) => String::from_utf8_lossy(name.as_bytes()).into_owned(),
            _ => return Err(cx.arg_error(0, "names of modules or chunks expected as keys")),
        };
        let source = match cx.at(base + 1) {
            View::String(text) => Some(text.as_bytes().to_vec()),
            View::Boolean(true) => None,
            _ => return Err(cx.arg_error(0, format!("'{name}': text or true expected"))),
        };
        wanted.push((name, source));
        cx.set_height(base + 1);
    }
    cx.set_height(base);
    // A table has no order: that of the names makes reports repeatable.
    wanted.sort();
    let mut patches = Vec::with_capacity(wanted.len());
    let mut failures = Vec::new();
    for (name, source) in wanted {
        let (chunk, source) = match chunk_to_patch(cx, &name, source)? {
            Ok(found) => found,
            Err(message) => {
                cx.hot_note(&[&name], &policy, HotError::Other(message.clone()));
                failures.push(message);
                continue;
            }
        };
        match Patch::compile(&chunk, &source) {
            Ok(patch) => patches.push(patch),
            Err(error) => {
                failures.push(String::from_utf8_lossy(&error.raw).into_owned());
                cx.hot_note(&[&chunk], &policy, error.into());
            }
        }
    }
    if !failures.is_empty() {
        return failure(cx, failures.join("\n"));
    }
    if patches.is_empty() {
        return failure(cx, "a transaction of no chunks");
    }
    let chunks: Vec<Arc<str>> = patches.iter().flat_map(names).collect();
    match Patch::transaction(patches) {
        Ok(patch) => apply(cx, &patch, &policy),
        Err(refused) => {
            let message = refused.to_string();
            let chunks: Vec<&str> = chunks.iter().map(|chunk| &**chunk).collect();
            cx.hot_note(&chunks, &policy, refused.into());
            failure(cx, message)
        }
    }
}

/// The chunk that a name of a transaction means, and its new text.
fn chunk_to_patch(
    cx: &mut Context<'_>,
    name: &str,
    source: Option<Vec<u8>>,
) -> Outcome<Result<(String, Vec<u8>), String>> {
    let loaded = resolve::chunk_named(&cx.hot_chunks(), name);
    Ok(match (loaded, source) {
        (Some(chunk), Some(source)) => Ok((chunk, source)),
        (Some(chunk), None) => resolve::text_of(cx, &chunk)?.map(|source| (chunk, source)),
        (None, source) => {
            resolve::module(cx, name)?.map(|found| (found.chunk, source.unwrap_or(found.text)))
        }
    })
}

/// `rollback([id])`
fn rollback(cx: &mut Context<'_>) -> Outcome<usize> {
    let id = match cx.at(0) {
        View::Nil => None,
        // A report stands for its patch.
        View::Table(_) => match cx.raw_get_field(0, "id").to_integer() {
            Some(id) => Some(id),
            None => return Err(cx.arg_error(0, "report or number expected")),
        },
        _ => Some(cx.check_int(0)?),
    };
    let id = match id.map(u64::try_from) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return failure(cx, "no such patch"),
    };
    let origin = Origin {
        source: PatchSource::Lua,
        ..Origin::default()
    };
    match cx.hot_rollback_or_queue(id, &origin) {
        Ok(RolledBack::Now(done)) => report::push(cx, &done),
        Ok(RolledBack::Queued { ticket, chunks }) => report::push_queued(cx, &chunks, ticket),
        Err(error) => hot_failure(cx, error),
    }
}

/// `migrate([modname])`
fn migrate(cx: &mut Context<'_>) -> Outcome<usize> {
    let chunk = match chosen_chunk(cx)? {
        Ok(chunk) => chunk,
        Err(message) => return failure(cx, message),
    };
    match cx.hot_migrate(chunk.as_deref()) {
        Ok(done) => report::push_migration(cx, &done),
        Err(error) => hot_failure(cx, error),
    }
}

/// `version(f)`
fn version(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_function(0)?;
    match cx.hot_version(0) {
        Some(version) => cx.ret_int(i64::from(version)),
        None => failure(cx, "native functions have no version"),
    }
}

/// The chunk that an optional module or chunk name means: `None` for all.
fn chosen_chunk(cx: &mut Context<'_>) -> Outcome<Result<Option<String>, String>> {
    if cx.at(0).is_nil() {
        return Ok(Ok(None));
    }
    let name = text(cx, 0)?;
    let chunks = cx.hot_chunks();
    if let Some(chunk) = resolve::chunk_named(&chunks, &name) {
        return Ok(Ok(Some(chunk)));
    }
    Ok(match resolve::module(cx, &name)? {
        Ok(found) if chunks.contains(&found.chunk) => Ok(Some(found.chunk)),
        _ => Err(format!("'{name}' is not loaded")),
    })
}

/// `versions([modname])`
fn versions(cx: &mut Context<'_>) -> Outcome<usize> {
    let chunk = match chosen_chunk(cx)? {
        Ok(chunk) => chunk,
        Err(message) => return failure(cx, message),
    };
    let list = cx.height();
    cx.push_table(0, 0);
    for (k, info) in (1..).zip(cx.hot_versions(chunk.as_deref())) {
        let entry = cx.height();
        cx.push_table(0, 3);
        report::set_text(cx, entry, "id", &info.id.to_string())?;
        report::set_int(cx, entry, "version", u64::from(info.version))?;
        report::set_int(cx, entry, "frames", info.frames as u64)?;
        if let Some(refusal) = &info.diverged {
            report::set_text(cx, entry, "diverged", &refusal.to_string())?;
        }
        cx.raw_set_int(list, k)?;
    }
    Ok(1)
}

/// `diverged([modname])`: functions that do not run what the text says
fn diverged(cx: &mut Context<'_>) -> Outcome<usize> {
    let chunk = match chosen_chunk(cx)? {
        Ok(chunk) => chunk,
        Err(message) => return failure(cx, message),
    };
    let refusals = cx.hot_diverged(chunk.as_deref());
    report::push_refusals(cx, &refusals)?;
    Ok(1)
}

/// `frames([modname])`: stale ones only
fn frames(cx: &mut Context<'_>) -> Outcome<usize> {
    let chunk = match chosen_chunk(cx)? {
        Ok(chunk) => chunk,
        Err(message) => return failure(cx, message),
    };
    let list = cx.height();
    cx.push_table(0, 0);
    for (k, frame) in (1..).zip(cx.hot_frames(chunk.as_deref())) {
        let entry = cx.height();
        cx.push_table(0, 5);
        report::set_text(cx, entry, "id", &frame.id.to_string())?;
        report::set_int(cx, entry, "version", u64::from(frame.version))?;
        if let Some(line) = frame.line {
            report::set_int(cx, entry, "line", u64::from(line))?;
        }
        report::set_text(cx, entry, "thread", &frame.thread.to_string())?;
        report::set_text(cx, entry, "stack", &frame.stack.to_string())?;
        if frame.overdue {
            cx.push_bool(true);
            cx.raw_set_field(entry, "overdue")?;
        }
        if let Some(migration) = &frame.migration {
            report::set_text(cx, entry, "migration", migration)?;
        }
        cx.raw_set_int(list, k)?;
    }
    Ok(1)
}

/// `history()`
fn history(cx: &mut Context<'_>) -> Outcome<usize> {
    let list = cx.height();
    cx.push_table(0, 0);
    for (k, record) in (1..).zip(cx.hot_history()) {
        let entry = cx.height();
        cx.push_table(0, 5);
        report::set_int(cx, entry, "id", record.id)?;
        report::set_int(cx, entry, "generation", record.generation)?;
        report::set_chunks(cx, entry, &record.chunks)?;
        report::set_text(cx, entry, "line", &record.line)?;
        for (key, flag) in [
            ("rollback", record.is_rollback),
            ("in_force", record.is_in_force),
        ] {
            cx.push_bool(flag);
            cx.raw_set_field(entry, key)?;
        }
        if let Some(author) = &record.author {
            report::set_text(cx, entry, "author", author)?;
        }
        if let Some(reason) = &record.reason {
            report::set_text(cx, entry, "reason", reason)?;
        }
        cx.raw_set_int(list, k)?;
    }
    Ok(1)
}

/// `stats()`
fn stats(cx: &mut Context<'_>) -> Outcome<usize> {
    let n_patches = cx.hot_history().iter().filter(|e| !e.is_rollback).count();
    let versions = cx.hot_versions(None);
    let stale = cx.hot_frames(None).len();
    let table = cx.height();
    cx.push_table(0, 9);
    report::set_int(cx, table, "generation", cx.hot_generation())?;
    report::set_int(cx, table, "patches", n_patches as u64)?;
    report::set_int(cx, table, "chunks", cx.hot_chunks().len() as u64)?;
    report::set_int(cx, table, "functions", versions.len() as u64)?;
    let patched = versions.iter().filter(|info| info.version > 1).count();
    report::set_int(cx, table, "patched", patched as u64)?;
    report::set_int(cx, table, "stale", stale as u64)?;
    let diverged = cx.hot_diverged(None).len();
    report::set_int(cx, table, "diverged", diverged as u64)?;
    let probation = cx.hot_probation().len();
    report::set_int(cx, table, "probation", probation as u64)?;
    let quarantined = cx.hot_quarantine().len();
    report::set_int(cx, table, "quarantined", quarantined as u64)?;
    report::set_int(cx, table, "queued", cx.hot_queued() as u64)?;
    Ok(1)
}

/// `sleep(seconds)`: patches are committed meanwhile, as when the host polls
fn sleep(cx: &mut Context<'_>) -> Outcome<usize> {
    let seconds = cx.check_num(0)?;
    if seconds.is_nan() {
        return Err(cx.arg_error(0, "number of seconds expected"));
    }
    // A wait of more than a century is for ever.
    let wait = Duration::try_from_secs_f64(seconds.clamp(0.0, 3.2e9)).unwrap_or_default();
    let end = Instant::now() + wait;
    loop {
        cx.hot_poll();
        cx.charge(1)?;
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(0);
        }
        thread::sleep(rest.min(SLEEP_SLICE));
    }
}
