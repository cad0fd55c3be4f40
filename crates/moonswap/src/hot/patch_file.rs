//! Patch files at a running VM: believed, compared with what runs, compiled,
//! applied; in this order, so that nothing of a file that is not meant for this
//! VM is ever compiled.

use std::cell::RefCell;
use std::path::Path;

use moonswap_hotpatch::{
    Patch, PatchFile, PatchSource, Plan, Policy, Refused, Report, Timestamp, base_refusals,
};
use moonswap_vm::Context;
use moonswap_vm::hotpatch::{Applied, HotError};

use super::resolve::loaded_name;
use super::trust::compile;
use crate::{Error, Result, Trust};

/// Reads and parses a file.
pub(crate) fn read(path: &Path) -> Result<PatchFile> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::runtime(format_args!("cannot read {}: {error}", path.display())))?;
    Ok(PatchFile::parse(&bytes)?)
}

/// What may be applied here, compiled under the names of the loaded chunks.
fn open(cx: &Context<'_>, trust: &RefCell<Trust>, file: &PatchFile) -> Result<Patch> {
    trust.borrow().check(file, Timestamp::now())?;
    let loaded = cx.hot_chunks();
    let mut refusals = Vec::new();
    for chunk in &file.chunks {
        let name = loaded_name(&loaded, &chunk.name);
        let running = cx.hot_sources(&name);
        if running.is_empty() {
            return Err(HotError::not_loaded(&chunk.name, &loaded).into());
        }
        for text in running {
            for refusal in base_refusals(&name, chunk.base, text.as_deref(), &chunk.source) {
                if !refusals.contains(&refusal) {
                    refusals.push(refusal);
                }
            }
        }
    }
    if !refusals.is_empty() {
        return Err(Refused::from(refusals).into());
    }
    compile(file, |name| loaded_name(&loaded, name))
}

pub(crate) fn plan(cx: &mut Context<'_>, trust: &RefCell<Trust>, file: &PatchFile) -> Result<Plan> {
    let patch = open(cx, trust, file)?;
    Ok(cx.hot_plan(&patch, &file.policy)?)
}

/// [`read`] by who wants to apply it: a failure is an attempt as well.
pub(crate) fn read_to_apply(cx: &mut Context<'_>, path: &Path) -> Result<PatchFile> {
    let policy = Policy::default().source(PatchSource::File);
    read(path).inspect_err(|error| cx.hot_note(&[], &policy, error.to_hot()))
}

/// [`apply`] that may have to wait. What waits counts as applied.
pub(crate) fn apply_or_queue(
    cx: &mut Context<'_>,
    trust: &RefCell<Trust>,
    file: &PatchFile,
) -> Result<(Patch, Applied)> {
    let (patch, policy) = open_to_apply(cx, trust, file)?;
    let applied = cx.hot_apply_or_queue(&patch, &policy)?;
    trust.borrow_mut().applied(file);
    Ok((patch, applied))
}

pub(crate) fn apply(
    cx: &mut Context<'_>,
    trust: &RefCell<Trust>,
    file: &PatchFile,
) -> Result<Report> {
    let (patch, policy) = open_to_apply(cx, trust, file)?;
    let report = cx.hot_apply(&patch, &policy)?;
    trust.borrow_mut().applied(file);
    Ok(report)
}

/// [`open`], and listeners hear of what is refused.
fn open_to_apply(
    cx: &mut Context<'_>,
    trust: &RefCell<Trust>,
    file: &PatchFile,
) -> Result<(Patch, Policy)> {
    let policy = file.policy.clone().source(PatchSource::File);
    match open(cx, trust, file) {
        Ok(patch) => Ok((patch, policy)),
        Err(error) => {
            let names: Vec<&str> = file.chunks.iter().map(|c| &*c.name).collect();
            cx.hot_note(&names, &policy, error.to_hot());
            Err(error)
        }
    }
}
