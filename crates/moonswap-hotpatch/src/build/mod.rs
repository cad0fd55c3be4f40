//! Compiling what a commit installs: the new text fitted to the closures that
//! exist, and the delta chunks.

mod backfill;
mod delta;
mod relayout;

use std::sync::Arc;

use moonswap_bytecode::{Prototype, UpvalueDescription};
use moonswap_compiler::{CaptureLayout, CompileOptions, Span, compile_ast};

use crate::compare::captures::CaptureResult;
use crate::compare::toplevel::comparison;
use crate::compare::toplevel::outcome::TopLevel;
use crate::manifest::{ChunkManifest, ENVIRONMENT_CELL, same};
use crate::model::literal::LiteralChange;
use crate::model::not_run::NotRun;
use crate::model::plan::DeltaChunk;
use crate::patch::statements::statements;
use crate::patch::{ChunkPatch, shown};
use crate::refusal::{Code, Refusal};
use delta::{Delta, Failed};
use relayout::{Place, TooLarge, rebuild, relayout};

/// The compiled parts of a plan.
pub(crate) struct Built {
    pub(crate) main: Arc<Prototype>,
    pub(crate) deltas: Vec<DeltaChunk>,
}

/// The cell of the chunk's environment, appended when it is first needed.
fn environment_cell(manifest: &ChunkManifest, labels: &mut Vec<(Arc<str>, u32)>) -> u32 {
    if let Some((cell, _)) = manifest.cell("_ENV", ENVIRONMENT_CELL) {
        return cell;
    }
    let at = labels
        .iter()
        .rposition(|(name, declaration)| &**name == "_ENV" && *declaration == ENVIRONMENT_CELL);
    at.unwrap_or_else(|| {
        labels.push(("_ENV".into(), ENVIRONMENT_CELL));
        labels.len() - 1
    }) as u32
}

/// Compiles what the commit installs.
pub(crate) fn build(
    manifest: &ChunkManifest,
    old: Option<&ChunkPatch>,
    patch: &ChunkPatch,
    mut captures: CaptureResult,
    top: &TopLevel,
    cell_labels: &mut Vec<(Arc<str>, u32)>,
    changes: &mut [LiteralChange],
) -> Result<Built, Box<Refusal>> {
    let new = &patch.facts().outline;
    let refuse = |code, line, column, reason: String, remedy: &str| {
        let (chunk, function) = (shown(patch.chunk()), "patch".to_owned());
        Box::new(Refusal {
            code,
            chunk,
            line,
            column,
            function,
            reason,
            remedy: remedy.to_owned(),
        })
    };
    let failed = |e: moonswap_compiler::CompileError| {
        refuse(
            Code::DeltaFailed,
            e.span.line,
            e.span.column,
            e.message,
            "make the function simpler",
        )
    };
    let cells = top.cells();
    let late = backfill::prepare(patch, new, &captures);
    let layout = CaptureLayout {
        functions: std::mem::take(&mut captures.layouts),
    };
    let options = CompileOptions {
        layout: Some(&layout),
        cells: Some(&cells),
        ..CompileOptions::default()
    };
    // With the captures in the order in which the text has them anyway, a fresh
    // load has the same code.
    let fits = |literal: &crate::patch::outline::Literal| {
        let upvalues = &literal.prototype.upvalues;
        layout
            .functions
            .get(&literal.prototype.id)
            .is_none_or(|list| {
                let fixed = captures.fixed.get(&literal.prototype.id);
                fixed.is_none_or(|n| *n == list.len())
                    && list.len() == upvalues.len()
                    && list.iter().zip(upvalues).all(|(a, b)| same(a, b))
            })
    };
    let is_plain = late.is_none() && new.literals.iter().all(fits);
    let fitted = match &late {
        None if is_plain => Ok(patch.main().clone()),
        None => compile_ast(patch.chunk(), patch.source(), patch.ast(), options),
        Some((ast, initialisers)) => {
            let initialisers = Some(initialisers);
            let options = CompileOptions {
                initialisers,
                ..options
            };
            compile_ast(patch.chunk(), patch.source(), ast, options)
        }
    }
    .map_err(failed)?;
    if is_plain {
        return finish(manifest, old, patch, top, options, fitted, changes);
    }
    let mut hashes = foldhash::HashMap::default();
    let mut todo = vec![patch.main()];
    while let Some(prototype) = todo.pop() {
        hashes.insert(&prototype.id, (prototype.own_hash, prototype.deep_hash));
        todo.extend(&prototype.children);
    }
    let main = rebuild(&fitted, &mut |mut prototype: Prototype| {
        if let Some(list) = layout.functions.get(&prototype.id) {
            let n_fixed = captures.fixed.get(&prototype.id).copied();
            let n_fixed = n_fixed.unwrap_or(list.len());
            if prototype.upvalues.len() > n_fixed {
                let place_of = |(index, upvalue): (usize, &UpvalueDescription)| {
                    if index < n_fixed {
                        Place::Own
                    } else if index < list.len() {
                        Place::Late
                    } else if &*upvalue.name == "_ENV" {
                        Place::Cell(environment_cell(manifest, cell_labels))
                    } else {
                        // Only handed on, reserved by older versions of nested
                        // literals; this one never had it.
                        Place::Nowhere
                    }
                };
                let places: Vec<Place> = prototype
                    .upvalues
                    .iter()
                    .enumerate()
                    .map(place_of)
                    .collect();
                prototype = relayout(&prototype, &places)?;
            }
            if let Some(values) = captures.initialisers.get(&prototype.id) {
                prototype.initialisers = values
                    .iter()
                    .map(|value| (value.index, value.text.clone()))
                    .collect();
            }
        }
        for site in &mut prototype.sites {
            let n = prototype.children[site.child as usize].upvalues.len();
            site.captures = site.captures.iter().take(n).copied().collect();
        }
        // Hashes are those of a fresh load: what a literal means does not
        // depend on how it reaches its variables.
        if let Some((own, deep)) = hashes.get(&prototype.id) {
            (prototype.own_hash, prototype.deep_hash) = (*own, *deep);
        }
        Ok(prototype)
    })
    .map_err(|TooLarge| {
        refuse(
            Code::TooLarge,
            1,
            1,
            "a function is too large to be fitted to existing closures".to_owned(),
            "split it",
        )
    })?;

    finish(manifest, old, patch, top, options, main, changes)
}

/// Hands the code to the changes and compiles the delta chunks.
fn finish(
    manifest: &ChunkManifest,
    old: Option<&ChunkPatch>,
    patch: &ChunkPatch,
    top: &TopLevel,
    options: CompileOptions<'_>,
    main: Arc<Prototype>,
    changes: &mut [LiteralChange],
) -> Result<Built, Box<Refusal>> {
    let mut by_id = foldhash::HashMap::default();
    let mut todo = vec![&main];
    while let Some(prototype) = todo.pop() {
        by_id.insert(&prototype.id, prototype);
        todo.extend(&prototype.children);
    }
    for change in changes {
        if let Some(fitted) = change.new.as_ref().and_then(|id| by_id.get(id)) {
            change.new_prototype = Some(Arc::clone(fitted));
        }
    }
    let tried = |at: usize| {
        let statement = statements(patch.ast()).get(at);
        let span = statement.map_or(Span::default(), |s| s.span);
        NotRun {
            line: span.line,
            text: comparison::text(patch.source(), span),
            why: "added".to_owned(),
            option: Some(format!("run = {{ {} }}", span.line)),
        }
    };
    let delta = Delta {
        chunk: patch.chunk(),
        source: patch.source(),
        ast: patch.ast(),
        old: old.map(ChunkPatch::ast),
        top,
        tried: &tried,
        options,
        main: &main,
        has_arguments: manifest.arguments,
    };
    let deltas = delta.compile().map_err(|failed| {
        let (code, line, column, reason, remedy) = match failed {
            Failed::Compile(e) => {
                // The patch's own code needs a few variables besides those of the text.
                let remedy = match e.message.starts_with("too many") {
                    true => "put some of them into a table, or apply the changes in parts",
                    false => "write what runs without it, or make the statement run as well",
                };
                let (line, column) = (e.span.line, e.span.column);
                (Code::DeltaFailed, line, column, e.message, remedy)
            }
            Failed::Arguments(line) => (
                Code::ArgumentsGone,
                line,
                1,
                "uses `...`, and the arguments of the main chunk were not kept".to_owned(),
                "use a variable that keeps them, or load the chunk as a module with plain arguments",
            ),
        };
        Box::new(Refusal {
            code,
            chunk: shown(patch.chunk()),
            line,
            column,
            function: "main chunk".to_owned(),
            reason,
            remedy: remedy.to_owned(),
        })
    })?;
    Ok(Built { deltas, main })
}
