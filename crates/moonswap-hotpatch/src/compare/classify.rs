//! The class of each literal of a plan, and what is said of its parameters.

use super::captures::CaptureCheck;
use super::matching::matcher::Matching;
use crate::manifest::ChunkManifest;
use crate::model::literal::{ChangeClass, LiteralChange};
use crate::patch::outline::{LiteralIndex, Outline};

/// The class of each literal; prototypes are those of a fresh load for now.
pub(crate) fn classify(
    manifest: &ChunkManifest,
    check: &CaptureCheck<'_>,
    m: &Matching,
) -> Vec<LiteralChange> {
    let (old, new) = (check.old, check.new);
    let version = |was: LiteralIndex| {
        manifest
            .slots
            .get(&old.get(was).prototype.id)
            .map_or(1, |s| s.version)
    };
    let mut changes: Vec<LiteralChange> = Vec::with_capacity(new.literals.len());
    for (is, literal) in new.literals.iter().enumerate() {
        let was = m.old_of[is];
        let class = match was {
            _ if m.refused[is] => ChangeClass::Refused,
            None => ChangeClass::Added,
            Some(was) => compare(check, m, was, is),
        };
        changes.push(LiteralChange {
            class,
            old: was.map(|was| old.get(was).prototype.id.clone()),
            new: Some(literal.prototype.id.clone()),
            new_prototype: Some(literal.prototype.clone()),
            old_hash: was.map(|was| old.get(was).prototype.own_hash),
            new_hash: Some(literal.prototype.own_hash),
            old_version: was.map(version),
            migration: None,
            missing: None,
            is_relinked: false,
            line: literal.line,
        });
    }
    for (was, literal) in old.literals.iter().enumerate() {
        if m.new_of[was].is_none() {
            changes.push(LiteralChange {
                class: ChangeClass::Removed,
                old: Some(literal.prototype.id.clone()),
                new: None,
                new_prototype: None,
                old_hash: Some(literal.prototype.own_hash),
                new_hash: None,
                old_version: Some(version(was)),
                migration: None,
                missing: None,
                is_relinked: false,
                line: literal.line,
            });
        }
    }
    changes
}

fn compare(
    check: &CaptureCheck<'_>,
    m: &Matching,
    was: LiteralIndex,
    is: LiteralIndex,
) -> ChangeClass {
    let (old, new) = (check.old.get(was), check.new.get(is));
    // The slots of its children, in order, are part of a version.
    let same_children = old.children.len() == new.children.len()
        && old
            .children
            .iter()
            .zip(&new.children)
            .all(|(a, b)| m.old_of[*b] == Some(*a));
    let (p, q) = (&old.prototype, &new.prototype);
    // A moved or renamed literal has another path, which is in its children's
    // names but not in what it means.
    if p.own_hash != q.own_hash || !same_children || !check.same_captures(was, is, m) {
        return ChangeClass::Swapped;
    }
    if m.moved[is] || p.id != q.id {
        return ChangeClass::Moved;
    }
    let same_debug = p.debug.lines == q.debug.lines
        && p.debug.columns == q.debug.columns
        && p.debug.locals == q.debug.locals
        && (p.line_defined, p.last_line_defined) == (q.line_defined, q.last_line_defined);
    if same_debug {
        ChangeClass::Unchanged
    } else {
        ChangeClass::DebugOnly
    }
}

pub(crate) fn arity_warnings(old: &Outline, new: &Outline, m: &Matching) -> Vec<String> {
    let mut found = Vec::new();
    for is in 1..new.literals.len() {
        let Some(was) = m.old_of[is] else { continue };
        let (p, q) = (&old.get(was).prototype, &new.get(is).prototype);
        if q.n_params < p.n_params && !q.is_vararg {
            found.push(format!(
                "{} takes {} parameter{} now, it took {}",
                new.name(is),
                q.n_params,
                plural(q.n_params),
                p.n_params
            ));
        } else if p.is_vararg && !q.is_vararg {
            found.push(format!("{} takes no varargs any more", new.name(is)));
        }
    }
    found
}

fn plural(n: u8) -> &'static str {
    if n == 1 { "" } else { "s" }
}
