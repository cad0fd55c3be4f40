//! The plan of one text against one instance, all or nothing.

use std::sync::Arc;

use moonswap_compiler::syntax::ast::{Expr, ExprId, Statement, StatementKind};

use super::protected::protected;
use crate::build::{Built, build};
use crate::compare::captures::CaptureCheck;
use crate::compare::classify::{arity_warnings, classify};
use crate::compare::matching::match_literals;
use crate::compare::toplevel::comparison::Comparison;
use crate::compare::toplevel::outcome::TopLevel;
use crate::compare::undefined;
use crate::manifest::ChunkManifest;
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::model::plan::ChunkPlan;
use crate::osr::migration::ScopeCells;
use crate::osr::{plan_migration, scope_cells};
use crate::patch::hoist;
use crate::patch::hooks::Hooks;
use crate::patch::outline::Outline;
use crate::patch::statements::statements;
use crate::patch::{ChunkPatch, base_refusals, shown};
use crate::policy::provenance::PatchSource;
use crate::policy::{Policy, StalePolicy};
use crate::refusal::{Code, NOT_KEPT, Refusal};

/// The same, all or nothing.
pub(crate) fn plan_text(
    manifest: &ChunkManifest,
    patch: &ChunkPatch,
    policy: &Policy,
) -> ChunkPlan {
    let chunk = shown(&manifest.chunk);
    let mut refusals = addressee(&chunk, manifest, patch, policy);

    let old_text = old_text(manifest);
    let old_main = old_text.as_ref().map_or(&manifest.main, ChunkPatch::main);
    let nameless;
    let old = match &old_text {
        Some(text) => &text.facts().outline,
        None => {
            nameless = Outline::new(old_main, None);
            &nameless
        }
    };
    let new = &patch.facts().outline;
    let targets = old_text.as_ref().map(|text| &text.facts().targets);
    let targets = targets.map(|old| (old, &patch.facts().targets));
    let mut matching = match_literals(&chunk, old, new, policy, targets);
    refusals.append(&mut matching.refusals);

    let comparison = Comparison {
        chunk: chunk.clone(),
        manifest,
        policy,
        old: old_text.as_ref(),
        old_main,
        new: patch,
        matching: &matching,
    };
    let mut top = comparison.run();
    comparison.unpaired(&mut top);
    refusals.append(&mut top.refusals);
    let mut unmatched_settings = std::mem::take(&mut matching.unmatched_settings);
    unmatched_settings.append(&mut top.unmatched_settings);
    if policy.source == PatchSource::Watch {
        // A watcher's settings are those of all its files.
        unmatched_settings.clear();
    }
    if old_text.is_none() {
        top.warnings.push(text_unknown(patch));
    }

    let check = CaptureCheck {
        chunk: chunk.clone(),
        manifest,
        policy,
        old,
        new,
        top: &top,
        old_ast: old_text.as_ref().map(ChunkPatch::ast),
        new_ast: patch.ast(),
    };
    let mut captures = check.run(&mut matching);
    refusals.append(&mut captures.refusals);
    let mut changes = classify(manifest, &check, &matching);
    refusals.extend(protected(&chunk, manifest, &mut changes));
    let hooks = Hooks::find(&chunk, patch.main(), patch.ast(), &mut refusals);
    let hooks = hooks.with_old(&manifest.main, old_text.as_ref());
    let mut warnings = std::mem::take(&mut top.warnings);
    warnings.append(&mut captures.warnings);
    warnings.append(&mut matching.warnings);
    warnings.extend(arity_warnings(old, new, &matching));
    let look_up = undefined::candidates(old_text.as_ref(), old, patch, &matching);
    let not_run = std::mem::take(&mut top.not_run);
    let unmade = std::mem::take(&mut captures.unmade);
    let asks_for_closures = captures.asks_for_closures;
    let mut cell_labels = std::mem::take(&mut top.labels);

    let mut built = Built {
        main: patch.main().clone(),
        deltas: Vec::new(),
    };
    if refusals.is_empty() {
        match build(
            manifest,
            old_text.as_ref(),
            patch,
            captures,
            &top,
            &mut cell_labels,
            &mut changes,
        ) {
            Ok(done) => {
                built = done;
                if policy.stale == StalePolicy::Migrate {
                    plan_migrations(manifest, &cell_labels, &mut changes);
                }
            }
            Err(refusal) => refusals.push(explained(*refusal, &top)),
        }
    }
    let new_cells = cell_labels[top.n_old_cells..].to_vec();
    refusals.sort_by_key(|r| (r.line, r.column, r.code));
    let mut plan = ChunkPlan {
        chunk: manifest.chunk.clone(),
        source: patch.source().clone(),
        text: Some(patch.clone()),
        main: built.main,
        n_unchanged: 0,
        unmade,
        asks_for_closures,
        diverged: None,
        is_diverging: false,
        work: Vec::new(),
        places: manifest.places.clone(),
        literals: manifest.literals.clone(),
        changes,
        cell_labels,
        new_cells,
        deltas: built.deltas,
        data: std::mem::take(&mut top.data).into(),
        decisions: std::mem::take(&mut top.decisions).into(),
        progress: top.progress,
        passed: top.passed,
        removals: top.removals.into_iter().map(|r| r.id).collect(),
        hooks,
        warnings,
        look_up,
        undefined: Vec::new(),
        runs: top.runs,
        not_run,
        refusals,
        unmatched_settings,
    };
    plan.conclude(manifest);
    plan
}

/// The text that runs, if it is known.
pub(crate) fn old_text(manifest: &ChunkManifest) -> Option<ChunkPatch> {
    let running = manifest.diverged.as_ref().map(|d| &d.running);
    let text = running.or(manifest.text.as_ref()).cloned().or_else(|| {
        let source = manifest.source.as_ref()?;
        ChunkPatch::compile(&manifest.chunk, source).ok()
    })?;
    // Locals that the running main chunk has at its top level were above their blocks
    // when they came.
    let is_above = |name: &[u8]| {
        let mut scope = manifest.main.scope.iter();
        scope.any(|variable| variable.name.as_bytes() == name)
    };
    Some(hoist::hoisted(&text, &is_above).unwrap_or(text))
}

/// The new text with those locals above their blocks that the running text does not
/// have in blocks; `None`: there are none.
pub(super) fn with_cells(manifest: &ChunkManifest, patch: &ChunkPatch) -> Option<ChunkPatch> {
    if hoist::block_locals(patch.ast()).is_empty() {
        return None;
    }
    let old = old_text(manifest)?;
    let known = hoist::block_locals(old.ast());
    hoist::hoisted(patch, &|name| !known.contains(name))
}

/// What follows from not having the text that runs.
fn text_unknown(patch: &ChunkPatch) -> String {
    let is_function = |value: &ExprId| {
        let value = patch.ast().exprs.get(value.0 as usize);
        matches!(value, Some(Expr::Function(_)))
    };
    let defines = |s: &&Statement| match &s.kind {
        StatementKind::Function { .. } => true,
        StatementKind::Assign { values, .. } => values.iter().all(is_function),
        _ => false,
    };
    let all = statements(patch.ast());
    let n = all.len() - all.iter().filter(defines).count();
    let s = if n == 1 { "" } else { "s" };
    format!(
        "the old text is not known (the chunk was loaded from binary): functions are replaced and added ones \
         defined, but {n} top-level statement{s} could not be compared, so changed constants and initialisers \
         keep their old values, in later patches too"
    )
}

/// A definition that needs a variable which nobody has kept is refused for that,
/// not for what its delta chunk lacks.
fn explained(mut refusal: Refusal, top: &TopLevel) -> Refusal {
    let lost = |name: &&Arc<str>| refusal.reason.contains(&format!("'{name}'"));
    if refusal.code == Code::DeltaFailed
        && let Some(name) = top.lost().find(lost)
    {
        refusal.code = Code::CellMissing;
        refusal.reason = format!(
            "the statement needs the top-level local {name}, whose value was not kept when the main chunk returned"
        );
        refusal.remedy = NOT_KEPT.to_owned();
    }
    refusal
}

/// How running activations of existing functions move to their new code.
fn plan_migrations(
    manifest: &ChunkManifest,
    labels: &[(Arc<str>, u32)],
    changes: &mut [LiteralChange],
) {
    let known: Vec<(Arc<str>, u32)> = manifest
        .cells
        .iter()
        .map(|cell| (Arc::clone(&cell.name), cell.declaration))
        .collect();
    let present: Vec<bool> = manifest.cells.iter().map(|cell| cell.present).collect();
    for change in changes {
        match change.class {
            ChangeClass::DebugOnly | ChangeClass::Swapped | ChangeClass::Moved => {}
            ChangeClass::Unchanged
            | ChangeClass::Added
            | ChangeClass::Removed
            | ChangeClass::Refused
            | ChangeClass::Diverged => continue,
        }
        let slot = change.old.as_ref().and_then(|id| manifest.slots.get(id));
        if let (Some(slot), Some(new)) = (slot, &change.new_prototype) {
            let cells = ScopeCells {
                old: &scope_cells(&slot.current.scope, &known),
                new: &scope_cells(&new.scope, labels),
                present: &present,
            };
            let migration = plan_migration(&slot.current, new, &cells);
            change.migration = Some(Arc::new(migration));
        }
    }
}

/// Whether the patch is meant for this chunk and generation.
fn addressee(
    chunk: &Arc<str>,
    manifest: &ChunkManifest,
    patch: &ChunkPatch,
    policy: &Policy,
) -> Vec<Refusal> {
    let refuse = |code, reason, remedy: &str| Refusal {
        code,
        chunk: chunk.clone(),
        line: 1,
        column: 1,
        function: "patch".into(),
        reason,
        remedy: remedy.into(),
    };
    let mut found = Vec::new();
    if *patch.chunk() != manifest.chunk {
        let reason = format!("the patch is for the chunk {}", shown(patch.chunk()));
        found.push(refuse(
            Code::OtherChunk,
            reason,
            "compile it under the name the chunk was loaded with",
        ));
    }
    if let Some(base) = policy.base
        && base != manifest.generation
    {
        let reason = format!(
            "made for generation {base}, but the VM is at generation {}",
            manifest.generation
        );
        found.push(refuse(
            Code::BaseMismatch,
            reason,
            "plan it again against the running program",
        ));
    }
    let running = manifest.source.as_deref();
    found.extend(base_refusals(
        patch.chunk(),
        patch.base(),
        running,
        patch.source(),
    ));
    found
}
