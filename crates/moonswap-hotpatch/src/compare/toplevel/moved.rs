//! Statements that are the same in both texts and stand on another side of what they
//! read: a fresh load would find something else there.

use moonswap_compiler::syntax::ast::{Expr, ExprId, Symbol};

use super::alias::Aliases;
use super::merge::Merging;
use super::order::{Placed, Places, Region};
use super::outcome::TopLevel;
use crate::patch::declarations::Variable;
use crate::patch::entries::Entry;
use crate::patch::path::{Key, Path, Root, Scope};
use crate::patch::tree::{keys_of, parts, root_of};

const MOVED: &str = "what it reads stands on the other side of it now";

impl Merging<'_> {
    /// Shows the paths that both texts set equally often, with the statements that do.
    fn each_set(&self, mut see: impl FnMut(&Path, &mut dyn Iterator<Item = (usize, usize)>)) {
        for (path, is) in &self.new.at {
            let Some(was) = self.old.at.get(path).filter(|was| was.len() == is.len()) else {
                continue;
            };
            let pairs = was.iter().zip(is);
            let pairs = pairs.map(|(was, is)| (&self.old.entries[*was], &self.new.entries[*is]));
            if pairs.clone().all(|(a, b)| a.is_item == b.is_item) {
                see(path, &mut pairs.map(|(a, b)| (a.statement, b.statement)));
            }
        }
    }

    /// Where they are set.
    fn places(&self) -> &Places {
        let find = || {
            let mut places = Places::default();
            let mut place = |path: &Path, statements: Vec<(usize, usize)>| {
                let group = (path.root.clone(), path.keys.first().cloned());
                let placed = (path.clone(), statements);
                places.entry(group).or_default().push(placed);
            };
            self.each_set(|path, statements| {
                let statements: Vec<_> = statements.collect();
                if let Some(path) = self.aliases().resolved(path) {
                    place(&path, statements.clone());
                }
                place(path, statements);
            });
            for (path, at) in self.changed_in_place() {
                if let Some(path) = self.aliases().resolved(path) {
                    place(&path, vec![*at]);
                }
                place(path, vec![*at]);
            }
            places
        };
        self.places.get_or_init(find)
    }

    pub(super) fn aliases(&self) -> &Aliases {
        self.aliases.get_or_init(|| Aliases::of(self.new.text))
    }

    /// Where statements that set something, or some of `others`, stand in another order
    /// than they did. `others` are places in the old and in the new text.
    pub(super) fn reordered(&self, others: &[(usize, usize)]) -> Option<Region> {
        let find = || {
            let mut all = others.to_vec();
            self.each_set(|_, statements| all.extend(statements));
            all.extend(self.changed_in_place().iter().map(|(_, at)| *at));
            Region::of(all)
        };
        match others.is_empty() {
            true => self.reordered.get_or_init(find).clone(),
            false => find(),
        }
    }

    /// Why the value of an entry that stands in both texts is another one, if it is.
    pub(super) fn moved(
        &self,
        before: &Entry,
        entry: &Entry,
        top: &TopLevel,
    ) -> Option<&'static str> {
        let region = self.reordered(&[])?;
        let statements = (before.statement, entry.statement);
        self.reads_otherwise(entry.value?, statements, &region, top)
    }

    /// Why an expression that stands in both texts gives something else in the new one, if
    /// that is known. `was` and `is` are its statements.
    pub(super) fn reads_otherwise(
        &self,
        value: ExprId,
        (was, is): (usize, usize),
        region: &Region,
        top: &TopLevel,
    ) -> Option<&'static str> {
        if region.is_beside(was, is) {
            return None;
        }
        let places = self.places();
        let (old, new) = (self.old.text.ast(), self.new.text.ast());
        let (old_scope, new_scope) = (Scope::before(old, was), Scope::before(new, is));
        let constants = &self.new.text.facts().constants;
        // How often it is set above is what decides.
        let moved = |(_, all): &Placed| {
            let others = all.iter().filter(|at| **at != (was, is));
            let (mut before, mut now) = (0, 0);
            for (old, new) in others {
                before += usize::from(*old < was);
                now += usize::from(*new < is);
            }
            before != now
        };
        // What it is part of, itself and what is part of it.
        let stays = |path: &Path| {
            let is_near = |key: Option<&Key>| match (key, path.keys.first()) {
                (Some(Key::Constant(a)), Some(Key::Constant(b))) => a == b,
                _ => true,
            };
            let near = places
                .iter()
                .filter(|((root, key), _)| *root == path.root && is_near(key.as_ref()));
            let sets = near.flat_map(|(_, group)| group);
            let mut sets = sets.filter(|(_, all)| all.iter().any(|at| region.has(at)));
            !sets.any(|set| set.0.may_touch(path) && moved(set))
        };
        let mut todo = vec![value];
        while let Some(expr) = todo.pop() {
            if let Some(Expr::Name(name)) = new.exprs.get(root_of(new, expr).0 as usize) {
                let text = new.symbols.get(name.0 as usize);
                let known = old.symbols.iter().position(|known| Some(known) == text);
                let before = known.map(|at| old_scope.root(old, Symbol(at as u32)));
                let now = new_scope.root(new, *name);
                if before.is_some_and(|before| self.is_other_local(&before, &now, top)) {
                    return Some(MOVED);
                }
            }
            match constants.path(new, &new_scope, expr) {
                Some(path) if !stays(&path) => return Some(MOVED),
                Some(path) if self.aliases().resolved(&path).is_some_and(|p| !stays(&p)) => {
                    return Some(MOVED);
                }
                Some(_) => todo.extend(keys_of(new, expr)),
                None => todo.extend(parts(new, expr)),
            }
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
