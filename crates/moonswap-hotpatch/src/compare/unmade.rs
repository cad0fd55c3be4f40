//! Captures of functions that have no closures: whatever they are, nothing that exists
//! lacks the variable.

use moonswap_bytecode::FunctionId;

use super::captures::{CaptureCheck, CaptureResult};
use super::matching::matcher::Matching;
use crate::patch::outline::LiteralIndex;
use crate::refusal::{Code, Refusal};

impl CaptureCheck<'_> {
    /// What was refused for the closures that exist is in order if there are none: the
    /// new literal is another one then, and the old one goes.
    pub(super) fn without_closures(
        &self,
        was: LiteralIndex,
        is: LiteralIndex,
        n_refused: usize,
        m: &mut Matching,
        result: &mut CaptureResult,
    ) {
        let is_about_closures = |refusal: &Refusal| {
            matches!(
                refusal.code,
                Code::NewEnclosingCapture | Code::ScopeChanged | Code::AmbiguousVariable
            )
        };
        let Some(parent) = self.old.get(was).parent.filter(|parent| *parent != 0) else {
            return;
        };
        if !result.refusals[n_refused..].iter().all(is_about_closures)
            || self.manifest.main.is_stripped()
        {
            return;
        }
        if !self.manifest.knows_closures {
            result.asks_for_closures = true;
            return;
        }
        let others = self.new.inside(is).into_iter();
        let others = others.filter_map(|at| m.old_of[at]);
        let ids: Vec<FunctionId> = others
            .chain(self.old.inside(was))
            .map(|at| self.old.get(at).prototype.id.clone())
            .collect();
        let is_unmade = |id: &FunctionId| self.manifest.slots.get(id).is_some_and(|s| s.is_unmade);
        if !ids.iter().all(is_unmade) {
            return;
        }
        let mut names: Vec<String> = Vec::new();
        let had = &self.old.get(was).prototype.upvalues;
        for wanted in &self.new.get(is).prototype.upvalues {
            if !wanted.top_level && !had.iter().any(|e| e.name == wanted.name) {
                names.push(wanted.name.to_string());
            }
        }
        result.refusals.truncate(n_refused);
        result.warnings.push(format!(
            "{}: now captures {}; no closure of it exists, but activations of {} that run already make old ones",
            self.new.name(is),
            match names.is_empty() {
                true => "other variables".to_owned(),
                false => names.join(", "),
            },
            self.old.name(parent)
        ));
        m.refused[is] = false;
        result.layouts.remove(&self.new.get(is).prototype.id);
        result.fixed.remove(&self.new.get(is).prototype.id);
        result.initialisers.remove(&self.new.get(is).prototype.id);
        result.unmade.extend(ids);
        self.unpair(was, is, m);
    }
}
