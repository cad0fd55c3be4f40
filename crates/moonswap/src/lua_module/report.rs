//! Reports as Lua tables that print as one line.

use std::cell::RefCell;
use std::sync::Arc;

use moonswap_hotpatch::{
    Activation, Merged, Migrated, MigrationReport, NotRun, Plan, Refusal, Report, ReportedFunction,
    Staying,
};
use moonswap_vm::hotpatch::{HotError, Ticket};
use moonswap_vm::{Context, Outcome, View};

use crate::error::Error;

/// Name of the metatable of reports.
const METATABLE: &str = "moonswap.Report";
/// Where a report keeps its one line.
const LINE: &str = "line";

/// table[key] = text
pub(super) fn set_text(cx: &Context<'_>, table: usize, key: &str, text: &str) -> Outcome<()> {
    cx.push_bytes(text.as_bytes());
    cx.raw_set_field(table, key)
}

/// table[key] = number
pub(super) fn set_int(cx: &Context<'_>, table: usize, key: &str, number: u64) -> Outcome<()> {
    cx.push_int(i64::try_from(number).unwrap_or(i64::MAX));
    cx.raw_set_field(table, key)
}

/// table.chunk = the first one, table.chunks = list
pub(super) fn set_chunks(
    cx: &Context<'_>,
    table: usize,
    chunks: &[impl AsRef<str>],
) -> Outcome<()> {
    if let Some(first) = chunks.first() {
        set_text(cx, table, "chunk", first.as_ref())?;
    }
    let list = cx.height();
    cx.push_table(chunks.len(), 0);
    for (k, chunk) in (1..).zip(chunks) {
        cx.push_bytes(chunk.as_ref().as_bytes());
        cx.raw_set_int(list, k)?;
    }
    cx.raw_set_field(table, "chunks")
}

/// Pushes what was done.
pub(super) fn push(cx: &Context<'_>, report: &Report) -> Outcome<usize> {
    let table = cx.height();
    cx.push_table(0, 12);
    set_int(cx, table, "id", report.id)?;
    set_int(cx, table, "generation", report.generation)?;
    set_chunks(cx, table, &report.chunks)?;
    set_text(cx, table, LINE, &report.to_string())?;
    cx.push_table(report.functions.len(), 0);
    for (k, function) in (1..).zip(&report.functions) {
        set_function(cx, table + 1, k, function)?;
    }
    cx.raw_set_field(table, "functions")?;
    set_int(cx, table, "unchanged", report.unchanged as u64)?;
    set_notes(cx, table, &report.warnings, &report.not_run)?;
    set_data(cx, table, &report.data)?;
    push_refusals(cx, &report.diverged)?;
    cx.raw_set_field(table, "diverged")?;
    set_activations(cx, table, "closed", &report.closed)?;
    set_migrated(cx, table, &report.migrated)?;
    set_staying(cx, table, &report.staying)?;
    cx.push_table(0, 4);
    for (name, time) in [
        ("prepare", report.times.prepare),
        ("load", report.times.load),
        ("wait", report.times.wait),
        ("pause", report.times.pause),
    ] {
        cx.push_num(time.as_secs_f64());
        cx.raw_set_field(table + 1, name)?;
    }
    cx.raw_set_field(table, "times")?;
    finish(cx, table)
}

/// Pushes what would be done: a report without number and times.
pub(super) fn push_plan(cx: &Context<'_>, plan: &Plan) -> Outcome<usize> {
    let table = cx.height();
    cx.push_table(0, 8);
    cx.push_bool(true);
    cx.raw_set_field(table, "dry")?;
    let chunks: Vec<_> = plan.chunks.iter().map(|c| c.shown_chunk()).collect();
    set_chunks(cx, table, &chunks)?;
    set_text(cx, table, LINE, &plan.summary())?;
    set_text(cx, table, "plan", &plan.to_string())?;
    let changed: Vec<_> = plan.touched().collect();
    cx.push_table(changed.len(), 0);
    for (k, (chunk, change)) in (1..).zip(changed) {
        let function = ReportedFunction::of(&chunk.shown_chunk().into(), change);
        set_function(cx, table + 1, k, &function)?;
    }
    cx.raw_set_field(table, "functions")?;
    set_int(cx, table, "unchanged", plan.n_unchanged() as u64)?;
    set_notes(cx, table, &plan.warnings(), &plan.not_run())?;
    push_refusals(cx, &plan.diverged())?;
    cx.raw_set_field(table, "diverged")?;
    set_activations(cx, table, "active", &plan.activations)?;
    set_migrated(cx, table, &plan.migrated)?;
    set_staying(cx, table, &plan.staying)?;
    finish(cx, table)
}

/// table[key] = list of `{ chunk, id, version, line, thread, suspended }`
fn set_activations(
    cx: &Context<'_>,
    table: usize,
    key: &str,
    activations: &[Activation],
) -> Outcome<()> {
    let list = cx.height();
    cx.push_table(activations.len(), 0);
    for (k, activation) in (1..).zip(activations) {
        push_activation(cx, activation)?;
        cx.raw_set_int(list, k)?;
    }
    cx.raw_set_field(table, key)
}

fn push_activation(cx: &Context<'_>, activation: &Activation) -> Outcome<()> {
    let entry = cx.height();
    cx.push_table(0, 8);
    set_text(cx, entry, "chunk", &activation.chunk)?;
    set_text(cx, entry, "id", &activation.function)?;
    set_int(cx, entry, "version", u64::from(activation.version))?;
    if let Some(line) = activation.line {
        set_int(cx, entry, "line", u64::from(line))?;
    }
    set_text(cx, entry, "thread", &activation.thread)?;
    cx.push_bool(activation.suspended);
    cx.raw_set_field(entry, "suspended")
}

/// table.migrated = list of activations, each with `turn` (the line of the loop
/// at whose next turn it moves) or `reason` (why it stays)
fn set_migrated(cx: &Context<'_>, table: usize, migrated: &[Migrated]) -> Outcome<()> {
    let list = cx.height();
    cx.push_table(migrated.len(), 0);
    for (k, one) in (1..).zip(migrated) {
        let entry = cx.height();
        push_activation(cx, &one.activation)?;
        if let Some(turn) = one.turn {
            set_int(cx, entry, "turn", u64::from(turn))?;
        }
        if let Some(reason) = &one.reason {
            set_text(cx, entry, "reason", reason)?;
        }
        cx.raw_set_int(list, k)?;
    }
    cx.raw_set_field(table, "migrated")
}

/// table.staying = how many activations stay on older code, `{ activations,
/// coroutines, at_least }`
fn set_staying(cx: &Context<'_>, table: usize, staying: &Staying) -> Outcome<()> {
    let entry = cx.height();
    cx.push_table(0, 3);
    set_int(cx, entry, "activations", staying.activations as u64)?;
    set_int(cx, entry, "coroutines", staying.coroutines as u64)?;
    if staying.looked_at.is_some() {
        cx.push_bool(true);
        cx.raw_set_field(entry, "at_least")?;
    }
    cx.raw_set_field(table, "staying")
}

/// Pushes what becomes of activations that were asked to move: `line`,
/// `generation`, `moving` (a number), `staying` and `migrated` as in reports.
pub(super) fn push_migration(cx: &Context<'_>, report: &MigrationReport) -> Outcome<usize> {
    let table = cx.height();
    cx.push_table(0, 5);
    set_text(cx, table, LINE, &report.to_string())?;
    set_int(cx, table, "generation", report.generation)?;
    set_int(cx, table, "moving", report.moving().count() as u64)?;
    set_staying(cx, table, &Staying::of(&report.activations))?;
    set_migrated(cx, table, &report.activations)?;
    finish(cx, table)
}

/// Pushes what stands for the report of a patch that waits: `queued` is true,
/// and `state()` answers `"queued"` and what it waits for, `"applied"` and the
/// report, or `"refused"` and the message.
pub(super) fn push_queued(cx: &Context<'_>, chunks: &[Arc<str>], ticket: Ticket) -> Outcome<usize> {
    let table = cx.height();
    cx.push_table(0, 5);
    cx.push_bool(true);
    cx.raw_set_field(table, "queued")?;
    let chunks: Vec<&str> = chunks
        .iter()
        .map(|chunk| chunk.strip_prefix(['@', '=']).unwrap_or(chunk))
        .collect();
    set_chunks(cx, table, &chunks)?;
    set_text(cx, table, LINE, &format!("queued: {}", chunks.join(", ")))?;
    let outcome = RefCell::new(None);
    cx.push_boxed("state", Box::new(move |cx| state(cx, &ticket, &outcome)));
    cx.raw_set_field(table, "state")?;
    finish(cx, table)
}

fn state(
    cx: &mut Context<'_>,
    ticket: &Ticket,
    outcome: &RefCell<Option<Result<Report, HotError>>>,
) -> Outcome<usize> {
    if let Some(taken) = ticket.try_take() {
        *outcome.borrow_mut() = Some(taken);
    }
    match &*outcome.borrow() {
        None => {
            cx.push_bytes(b"queued");
            match ticket.waits_for() {
                Some(obstacle) => cx.push_bytes(obstacle.as_bytes()),
                None => cx.push_nil(),
            }
        }
        Some(Ok(report)) => {
            cx.push_bytes(b"applied");
            push(cx, report)?;
        }
        Some(Err(error)) => {
            cx.push_bytes(b"refused");
            cx.push_bytes(&Error::from(error.clone()).message_bytes());
        }
    }
    Ok(2)
}

fn set_function(cx: &Context<'_>, list: usize, k: i64, function: &ReportedFunction) -> Outcome<()> {
    let entry = cx.height();
    cx.push_table(0, 5);
    set_text(cx, entry, "chunk", &function.chunk)?;
    set_text(cx, entry, "id", &function.id)?;
    set_text(cx, entry, "class", &function.class.to_string())?;
    for (key, version) in [("old", function.old), ("new", function.new)] {
        if let Some(version) = version {
            set_int(cx, entry, key, u64::from(version))?;
        }
    }
    cx.raw_set_int(list, k)
}

/// Pushes a list of `{ code, chunk, id, line, reason, remedy }`.
pub(super) fn push_refusals(cx: &Context<'_>, refusals: &[Refusal]) -> Outcome<()> {
    let list = cx.height();
    cx.push_table(refusals.len(), 0);
    for (k, refusal) in (1..).zip(refusals) {
        let entry = cx.height();
        cx.push_table(0, 6);
        set_text(cx, entry, "code", refusal.code.text())?;
        set_text(cx, entry, "chunk", &refusal.chunk)?;
        set_text(cx, entry, "id", &refusal.function)?;
        set_int(cx, entry, "line", u64::from(refusal.line))?;
        set_text(cx, entry, "reason", &refusal.reason)?;
        set_text(cx, entry, "remedy", &refusal.remedy)?;
        cx.raw_set_int(list, k)?;
    }
    Ok(())
}

fn set_notes(
    cx: &Context<'_>,
    table: usize,
    warnings: &[String],
    not_run: &[NotRun],
) -> Outcome<()> {
    let list = cx.height();
    cx.push_table(warnings.len(), 0);
    for (k, warning) in (1..).zip(warnings) {
        cx.push_bytes(warning.as_bytes());
        cx.raw_set_int(list, k)?;
    }
    cx.raw_set_field(table, "warnings")?;
    cx.push_table(not_run.len(), 0);
    for (k, statement) in (1..).zip(not_run) {
        let entry = cx.height();
        cx.push_table(0, 3);
        set_int(cx, entry, "line", u64::from(statement.line))?;
        set_text(cx, entry, "text", &statement.text)?;
        set_text(cx, entry, "why", &statement.why)?;
        if let Some(option) = &statement.option {
            set_text(cx, entry, "option", option)?;
        }
        cx.raw_set_int(list, k)?;
    }
    cx.raw_set_field(table, "not_run")
}

/// table.data = list of `{ chunk, line, path, before, after, overridden }`
fn set_data(cx: &Context<'_>, table: usize, data: &[Merged]) -> Outcome<()> {
    let list = cx.height();
    cx.push_table(data.len(), 0);
    for (k, one) in (1..).zip(data) {
        let entry = cx.height();
        cx.push_table(0, 6);
        set_text(cx, entry, "chunk", &one.chunk)?;
        set_int(cx, entry, "line", u64::from(one.line))?;
        set_text(cx, entry, "path", &one.path)?;
        set_text(cx, entry, "before", &one.before)?;
        set_text(cx, entry, "after", &one.after)?;
        if let Some(live) = &one.overridden {
            set_text(cx, entry, "overridden", live)?;
        }
        cx.raw_set_int(list, k)?;
    }
    cx.raw_set_field(table, "data")
}

fn finish(cx: &Context<'_>, table: usize) -> Outcome<usize> {
    if cx.new_metatable(METATABLE) {
        cx.push_native("tostring", |cx| {
            cx.check_table(0)?;
            match cx.raw_get_field(0, LINE) {
                View::String(line) => {
                    cx.push(line.into());
                    Ok(1)
                }
                _ => cx.ret_bytes(b"report"),
            }
        });
        cx.raw_set_field(table + 1, "__tostring")?;
        cx.push_bytes(b"report");
        cx.raw_set_field(table + 1, "__name")?;
    }
    cx.set_metatable(table);
    Ok(1)
}
