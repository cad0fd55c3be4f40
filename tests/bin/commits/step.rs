//! One release of a text to the next, in a VM of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use moonswap::{ChangeClass, FunctionId, Patch, Policy, Report, Table};
use moonswap_bytecode::{PathStep, Prototype};

use crate::likeness::likeness;
use crate::text::{Changes, Text};
use crate::verdict::{Account, Verdict, by_place, shown};
use crate::world::World;

/// Functions of little likeness are unlike: to be looked at.
const UNLIKE: f64 = 0.5;

/// Why nothing can be said of a step.
#[derive(Clone, Debug)]
pub(crate) enum Unusable {
    /// One of the texts is not Lua 5.4.
    Syntax,
    /// One of the texts fails when it is run here; the message.
    Load(String),
}

fn unusable(message: String) -> Unusable {
    match message.starts_with("syntax") {
        true => Unusable::Syntax,
        false => Unusable::Load(message),
    }
}

fn by_id(main: &Arc<Prototype>) -> BTreeMap<FunctionId, Arc<Prototype>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![Arc::clone(main)];
    while let Some(prototype) = todo.pop() {
        todo.extend(prototype.children.iter().cloned());
        found.insert(prototype.id.clone(), prototype);
    }
    found
}

/// The new function bears the name that the old one had: whatever its body, it is the
/// same function.
fn is_named(was: &FunctionId, is: &FunctionId) -> bool {
    let last = |id: &FunctionId| id.path().last().map(|(step, _)| step.clone());
    let role = last(is);
    let is_anonymous = matches!(
        role,
        Some(PathStep::Argument(..) | PathStep::Returned(_) | PathStep::Anonymous)
            | Some(PathStep::TableItem(_))
    );
    !is_anonymous && last(was) == role
}

/// Pairs of the plan whose bodies have little in common, and the number of all that
/// are not the same.
pub(crate) fn pairs(
    world: &World,
    patch: &Patch,
    policy: &Policy,
    old: &[u8],
) -> (usize, Vec<(f64, String)>) {
    let Some(chunk) = patch.chunks().first() else {
        return (0, Vec::new());
    };
    let Ok(before) = Patch::compile(chunk.chunk(), old) else {
        return (0, Vec::new());
    };
    let (Ok(plan), Some(before)) = (
        world.lua.hot().patch(patch).policy(policy).plan(),
        before.chunks().first(),
    ) else {
        return (0, Vec::new());
    };
    let olds = by_id(before.main());
    let news = by_id(chunk.main());
    let mut count = 0;
    let mut unlike = Vec::new();
    for change in plan.chunks.iter().take(1).flat_map(|c| &c.changes) {
        let (Some(was), Some(is)) = (&change.old, &change.new) else {
            continue;
        };
        if change.class != ChangeClass::Swapped || is.path().is_empty() {
            continue;
        }
        count += 1;
        if is_named(was, is) {
            continue;
        }
        if let (Some(old), Some(new)) = (olds.get(was), news.get(is)) {
            let alike = likeness(old, new);
            if alike < UNLIKE {
                unlike.push((alike, format!("{was} -> {is}")));
            }
        }
    }
    (count, unlike)
}

/// Functions, those inside others too, that do not have the code of the text that was
/// applied: planned once more, it must change none.
pub(crate) fn left_behind(world: &World, patch: &Patch, policy: &Policy) -> Vec<String> {
    let Ok(plan) = world.lua.hot().patch(patch).policy(policy).plan() else {
        return vec!["the text that was applied is refused when it is planned again".to_owned()];
    };
    let changes = plan.chunks.iter().flat_map(|chunk| &chunk.changes);
    // What diverged is said to do so.
    let other = changes.filter(|c| {
        c.class != ChangeClass::Diverged
            && (c.class != ChangeClass::Unchanged || c.old_hash != c.new_hash)
    });
    other
        .map(|change| format!("planned again: {} {}", change.name(), change.class))
        .collect()
}

/// Puts the probes of several worlds in, and calls them.
fn probe(world: &World, chunk: &str, text: &[u8], worlds: &[&Table]) -> Option<()> {
    let probing = Text::parse(text)?.with_probe()?;
    let patch = Patch::compile(chunk, &probing).ok()?;
    world.lua.hot().apply(&patch).ok()?;
    for each in worlds {
        world.probe(each).ok()?;
    }
    Some(())
}

/// Loads `old`, applies `new` and compares with a fresh load of it.
pub(crate) fn step(
    path: &str,
    old: &[u8],
    new: &[u8],
    policy: &Policy,
    per_call: bool,
) -> Result<Verdict, Unusable> {
    let (Some(was), Some(is)) = (Text::parse(old), Text::parse(new)) else {
        return Err(Unusable::Syntax);
    };
    let (was, is) = (was.statements(), is.statements());
    let failed = |error: moonswap::Error| Unusable::Load(error.to_string());
    let world = World::new(per_call).map_err(failed)?;
    let (name, reference) = (format!("@{path}"), format!("@before/{path}"));
    let before = world.load(&reference, path, old).map_err(unusable)?;
    world
        .load(&format!("@after/{path}"), path, new)
        .map_err(unusable)?;
    let live = world.load(&name, path, old).map_err(unusable)?;
    let patch = Patch::compile(&name, new).map_err(|_| Unusable::Syntax)?;
    let (count, unlike) = pairs(&world, &patch, policy, old);
    let report: Report = match world.lua.hot().patch(&patch).policy(policy).apply() {
        Ok(report) => report,
        Err(error) => {
            let mut verdict = Verdict::refused(&error);
            let compared = world.compare(&live, &before).map_err(failed)?;
            let left = compared.differences.iter().map(shown);
            verdict.wrong = left.map(|d| format!("after a refusal: {d}")).collect();
            return Ok(verdict);
        }
    };
    let mut verdict = Verdict::applied(&report, &is);
    verdict.wrong = left_behind(&world, &patch, policy);
    (verdict.pairs, verdict.unlike) = (count, unlike);
    let fresh = world.load(&name, path, new).map_err(unusable)?;
    for each in [&live, &fresh, &before] {
        world.next_call(each).map_err(failed)?;
    }
    probe(&world, &name, new, &[&live, &fresh]);
    probe(&world, &reference, old, &[&before]);
    let compared = world.compare(&live, &fresh).map_err(failed)?;
    let earlier = world.compare(&before, &fresh).map_err(failed)?;
    let mut account = Account::default();
    account.has_rules = !policy.rerun.is_empty();
    account.note(&report, &was, &is);
    let changes = Changes::between(&was, &is);
    let earlier = by_place(&earlier.differences);
    verdict.judge(&compared, &earlier, &account, &changes, &[]);
    Ok(verdict)
}
