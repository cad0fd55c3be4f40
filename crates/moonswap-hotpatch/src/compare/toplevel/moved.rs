//! Statements that are the same in both texts and stand on another side of what they
//! read: a fresh load would find something else there.

use moonswap_compiler::syntax::ast::{Expr, ExprId, Symbol};

use super::merge::Merging;
use super::outcome::TopLevel;
use super::side::Places;
use crate::patch::declarations::Variable;
use crate::patch::path::{Path, Root, Scope};
use crate::patch::tree::parts;

const MOVED: &str = "what it reads stands on the other side of it now";

impl Merging<'_> {
    /// The places of paths that each text sets once.
    fn places(&self) -> &Places {
        let find = || {
            let mut places = Places::new();
            for (path, is) in &self.new.at {
                if let Some(was) = self.old.at.get(path)
                    && let ([was], [is]) = (&was[..], &is[..])
                {
                    let (was, is) = (&self.old.entries[*was], &self.new.entries[*is]);
                    if !was.is_item && !is.is_item {
                        places.insert(path.clone(), (was.statement, is.statement));
                    }
                }
            }
            places
        };
        self.places.get_or_init(find)
    }

    /// Whether statements that set something, or some of `others`, stand in another order
    /// than they did: places in the old and in the new text.
    pub(super) fn is_reordered(&self, others: &[(usize, usize)]) -> bool {
        let find = || {
            let all = self.places().values().chain(others);
            let mut order: Vec<(usize, usize)> = all.map(|(was, is)| (*is, *was)).collect();
            order.sort_unstable();
            order.windows(2).any(|pair| pair[0].1 > pair[1].1)
        };
        match others.is_empty() {
            true => *self.reordered.get_or_init(find),
            false => find(),
        }
    }

    /// Why an expression that stands in both texts gives something else in the new one, if
    /// that is known. `was` and `is` are its statements.
    pub(super) fn reads_otherwise(
        &self,
        value: ExprId,
        was: usize,
        is: usize,
        top: &TopLevel,
    ) -> Option<&'static str> {
        let places = self.places();
        let (old, new) = (self.old.text.ast(), self.new.text.ast());
        let (old_scope, new_scope) = (Scope::before(old, was), Scope::before(new, is));
        let constants = &self.new.text.facts().constants;
        let stays = |path: &Path| {
            let mut at = Some(path.clone());
            while let Some(path) = at {
                if let Some((before, now)) = places.get(&path)
                    && (*before, *now) != (was, is)
                    && (*before < was) != (*now < is)
                {
                    return false;
                }
                at = path.parent();
            }
            true
        };
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Name(name)) = new.exprs.get(expr.0 as usize) {
                let text = new.symbols.get(name.0 as usize);
                let known = old.symbols.iter().position(|known| Some(known) == text);
                let before = known.map(|at| old_scope.root(old, Symbol(at as u32)));
                let now = new_scope.root(new, *name);
                if before.is_some_and(|before| self.is_other_local(&before, &now, top)) {
                    return Some(MOVED);
                }
            }
            if let Some(path) = constants.path(new, &new_scope, expr)
                && !stays(&path)
            {
                return Some(MOVED);
            }
            todo.extend(parts(new, expr));
        }
        None
    }

    /// Whether a name meant one thing and means another now, and one of the two is a local
    /// that both texts have.
    fn is_other_local(&self, before: &Path, now: &Path, top: &TopLevel) -> bool {
        let is_kept = |path: &Path| match &path.root {
            Root::Local(name, declaration) => top
                .variable(name, *declaration)
                .is_some_and(|v| matches!(v.state, Variable::Existing { .. })),
            Root::Global | Root::Returned => false,
        };
        match self.old_path(now, top) {
            Some(was) => was != *before && (is_kept(before) || is_kept(now)),
            None => false,
        }
    }
}
