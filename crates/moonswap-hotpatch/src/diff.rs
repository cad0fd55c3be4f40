//! Matching: which literal of the new source is which of the old one.
//!
//! By path and hash, from the main chunk inward; a literal that is found
//! nowhere by its path is looked for by its hash in the whole chunk. Nothing is
//! matched by its position in a list alone: what is ambiguous is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use moonswap_bytecode::PathStep;
use moonswap_compiler::syntax::ast::FunctionIndex;

use crate::outline::{LiteralIndex, Outline};
use crate::policy::Policy;
use crate::refusal::{Code, Refusal, Unfit};
use crate::targets::{Target, Targets};

/// The result of matching two outlines.
#[derive(Debug)]
pub(crate) struct Matching {
    /// The old literal of each new one.
    pub(crate) old_of: Vec<Option<LiteralIndex>>,
    /// The new literal of each old one.
    pub(crate) new_of: Vec<Option<LiteralIndex>>,
    /// New literals found under another path.
    pub(crate) moved: Vec<bool>,
    /// New literals whose match could not be decided.
    pub(crate) refused: Vec<bool>,
    pub(crate) refusals: Vec<Refusal>,
    /// Names in `rename` that occur nowhere here.
    pub(crate) unfit: Vec<Unfit>,
}

struct Matcher<'a> {
    chunk: Arc<str>,
    old: &'a Outline,
    new: &'a Outline,
    result: Matching,
}

/// Matches the literals of two sources of one chunk.
pub(crate) fn match_literals(
    chunk: &Arc<str>,
    old: &Outline,
    new: &Outline,
    policy: &Policy,
    targets: Option<(&Targets, &Targets)>,
) -> Matching {
    let (n_old, n_new) = (old.literals.len(), new.literals.len());
    let result = Matching {
        old_of: vec![None; n_new],
        new_of: vec![None; n_old],
        moved: vec![false; n_new],
        refused: vec![false; n_new],
        refusals: Vec::new(),
        unfit: Vec::new(),
    };
    let mut matcher = Matcher {
        chunk: chunk.clone(),
        old,
        new,
        result,
    };
    matcher.result.old_of[0] = Some(0);
    matcher.result.new_of[0] = Some(0);
    matcher.stable_ids();
    matcher.renames(policy);
    if let Some((old, new)) = targets {
        matcher.forms(old, new);
    }
    // Parents stand before their children, so one pass goes inward.
    for at in 0..n_new {
        if let Some(was) = matcher.result.old_of[at] {
            matcher.children(was, at);
        }
    }
    matcher.moves();
    matcher.result
}

impl Matcher<'_> {
    fn pair(&mut self, was: LiteralIndex, is: LiteralIndex) {
        self.result.old_of[is] = Some(was);
        self.result.new_of[was] = Some(is);
    }

    fn refuse(&mut self, code: Code, at: LiteralIndex, reason: String, remedy: &str) {
        self.result.refused[at] = true;
        let literal = self.new.get(at);
        self.result.refusals.push(Refusal {
            code,
            chunk: self.chunk.clone(),
            line: literal.line,
            column: literal.column,
            function: self.new.name(at),
            reason,
            remedy: remedy.to_owned(),
        });
    }

    /// A literal annotated `--@id name` is the one of that name, wherever.
    fn stable_ids(&mut self) {
        let by_id = |outline: &Outline| {
            let mut found: BTreeMap<Arc<str>, Vec<LiteralIndex>> = BTreeMap::new();
            for at in 0..outline.literals.len() {
                if let Some((PathStep::Field(name), _)) = outline.step(at)
                    && name.starts_with('@')
                {
                    found.entry(name.clone()).or_default().push(at);
                }
            }
            found
        };
        let olds = by_id(self.old);
        for (id, places) in by_id(self.new) {
            let [is] = places[..] else {
                for at in places {
                    let reason = format!("the id {id} stands on several functions");
                    self.refuse(
                        Code::DuplicateStableId,
                        at,
                        reason,
                        "make the --@id annotations distinct",
                    );
                }
                continue;
            };
            if let Some([was]) = olds.get(&id).map(Vec::as_slice) {
                self.pair(*was, is);
            }
        }
    }

    fn renames(&mut self, policy: &Policy) {
        let mut taken: Vec<&str> = Vec::new();
        for (from, to) in &policy.rename {
            let olds = named(self.old, from);
            let news = named(self.new, to);
            match (&olds[..], &news[..]) {
                ([was], [is])
                    if self.result.new_of[*was].is_none() && self.result.old_of[*is].is_none() =>
                {
                    self.pair(*was, *is);
                    self.result.moved[*is] = true;
                }
                ([], [])
                    if top_local(self.old, from)
                        && top_local(self.new, to)
                        && !taken.contains(&&**to) =>
                {
                    taken.push(to);
                }
                _ if taken.contains(&&**to) => {
                    let reason = format!(
                        "rename of \"{from}\" to \"{to}\": another one has become \"{to}\""
                    );
                    self.refuse_rename(reason, "rename one of them only");
                }
                _ => {
                    let reason = format!(
                        "rename of \"{from}\" to \"{to}\": {} and {} functions have these names",
                        olds.len(),
                        news.len()
                    );
                    self.refuse_rename(
                        reason,
                        "name one literal or top-level local each, by its full path",
                    );
                    let nowhere = olds.is_empty()
                        && news.is_empty()
                        && !top_local(self.old, from)
                        && !top_local(self.new, to);
                    if nowhere && let Some(refusal) = self.result.refusals.pop() {
                        let name = format!("rename {from}");
                        self.result.unfit.push(Unfit { name, refusal });
                    }
                }
            }
        }
    }

    /// Of the whole patch: the main chunk itself is not in doubt.
    fn refuse_rename(&mut self, reason: String, remedy: &str) {
        let refused = self.result.refused[0];
        self.refuse(Code::RenameNotFound, 0, reason, remedy);
        self.result.refused[0] = refused;
    }

    /// Functions put into one variable or field, in whatever form: `local function
    /// f` and `local f; function f()`. Then those that whoever loads the chunk finds
    /// in one place, though its variable has another name.
    fn forms(&mut self, old: &Targets, new: &Targets) {
        let literal = |outline: &Outline| -> HashMap<FunctionIndex, LiteralIndex> {
            let children = outline.get(0).children.iter();
            children
                .filter_map(|at| Some((outline.get(*at).function?, *at)))
                .collect()
        };
        let (old_literals, new_literals) = (literal(self.old), literal(self.new));
        for through_return in [false, true] {
            let key = |targets: &Targets, target: &Target| {
                let seen = through_return.then(|| targets.returned(target)).flatten();
                seen.unwrap_or_else(|| target.clone())
            };
            let mut places: HashMap<Target, [Vec<LiteralIndex>; 2]> = HashMap::new();
            for d in &old.definitions {
                if let Some(at) = old_literals.get(&d.function)
                    && self.result.new_of[*at].is_none()
                {
                    let [olds, _] = places.entry(key(old, &d.target)).or_default();
                    olds.push(*at);
                }
            }
            for d in &new.definitions {
                if let Some(at) = new_literals.get(&d.function)
                    && self.result.old_of[*at].is_none()
                    && !self.result.refused[*at]
                {
                    let [_, news] = places.entry(key(new, &d.target)).or_default();
                    news.push(*at);
                }
            }
            for [olds, news] in places.into_values() {
                if let ([was], [is]) = (&olds[..], &news[..]) {
                    self.pair(*was, *is);
                }
            }
        }
    }

    /// Matches the children of a pair, role by role.
    fn children(&mut self, was: LiteralIndex, is: LiteralIndex) {
        let mut groups: BTreeMap<Role, (Vec<LiteralIndex>, Vec<LiteralIndex>)> = BTreeMap::new();
        let (old, new) = (self.old, self.new);
        for &child in &old.get(was).children {
            if let (None, Some((step, _))) = (self.result.new_of[child], old.step(child)) {
                groups.entry(Role::of(step)).or_default().0.push(child);
            }
        }
        for &child in &new.get(is).children {
            if let (None, Some((step, _))) = (self.result.old_of[child], new.step(child))
                && !self.result.refused[child]
            {
                groups.entry(Role::of(step)).or_default().1.push(child);
            }
        }
        for (role, (olds, news)) in groups {
            self.siblings(&role, olds, news);
        }
    }

    fn siblings(&mut self, role: &Role, mut olds: Vec<LiteralIndex>, mut news: Vec<LiteralIndex>) {
        if let ([was], [is]) = (&olds[..], &news[..]) {
            return self.pair(*was, *is);
        }
        let equal_number = olds.len() == news.len();
        // Siblings that cannot be told apart: the hash decides, and among
        // literals of one hash the order does (they are interchangeable code).
        let deep = |o: &Outline, at: LiteralIndex| o.get(at).prototype.deep_hash;
        let own = |o: &Outline, at: LiteralIndex| o.get(at).prototype.own_hash;
        for hash in [deep, own] {
            let mut by_hash: HashMap<_, (Vec<LiteralIndex>, Vec<LiteralIndex>)> = HashMap::new();
            for &at in &olds {
                by_hash.entry(hash(self.old, at)).or_default().0.push(at);
            }
            for &at in &news {
                by_hash.entry(hash(self.new, at)).or_default().1.push(at);
            }
            for (was, is) in by_hash.into_values() {
                if was.len() == is.len() {
                    for (was, is) in was.into_iter().zip(is) {
                        self.pair(was, is);
                    }
                }
            }
            olds.retain(|at| self.result.new_of[*at].is_none());
            news.retain(|at| self.result.old_of[*at].is_none());
        }
        match (&olds[..], &news[..]) {
            ([], _) | (_, []) => {}
            ([was], [is]) if equal_number => self.pair(*was, *is),
            // Namesakes that changed, as many as before: their order is in their
            // paths.
            _ if equal_number && role.is_named() => {
                for (was, is) in olds.into_iter().zip(news) {
                    self.pair(was, is);
                }
            }
            _ => {
                let reason = format!(
                    "{} older functions in the same role ({role}) could be this one",
                    olds.len(),
                );
                for at in news {
                    self.refuse(
                        Code::AmbiguousMatch,
                        at,
                        reason.clone(),
                        "change one at a time, or give them names or --@id annotations",
                    );
                }
            }
        }
    }

    /// Looks for literals without a match by their code.
    fn moves(&mut self) {
        for at in 0..self.new.literals.len() {
            if self.result.old_of[at].is_some() || self.result.refused[at] {
                continue;
            }
            let hash = self.new.get(at).prototype.deep_hash;
            let olds: Vec<LiteralIndex> = (0..self.old.literals.len())
                .filter(|o| {
                    self.result.new_of[*o].is_none() && self.old.get(*o).prototype.deep_hash == hash
                })
                .collect();
            if olds.is_empty() {
                continue;
            }
            let rivals = (0..self.new.literals.len())
                .filter(|n| {
                    self.result.old_of[*n].is_none() && self.new.get(*n).prototype.deep_hash == hash
                })
                .count();
            if let ([was], 1) = (&olds[..], rivals) {
                if self.same_surroundings(*was, at) {
                    self.pair(*was, at);
                    self.result.moved[at] = true;
                    self.pair_inside(*was, at);
                }
            } else if olds.iter().any(|was| self.same_surroundings(*was, at)) {
                let reason = format!(
                    "the same code is found {} times in the old source and {rivals} times in the new one",
                    olds.len()
                );
                self.refuse(
                    Code::AmbiguousMove,
                    at,
                    reason,
                    "say which with rename = { old = \"new\" }, or use --@id annotations",
                );
            }
        }
    }

    /// A literal that captures locals of enclosing functions can only have
    /// moved within the function that declares them.
    fn same_surroundings(&self, was: LiteralIndex, is: LiteralIndex) -> bool {
        let (old, new) = (&self.old.get(was).prototype, &self.new.get(is).prototype);
        old.upvalues.len() == new.upvalues.len()
            && old.upvalues.iter().zip(&new.upvalues).all(|(a, b)| {
                let from = self.old.ancestor(was, a.depth);
                let to = self.new.ancestor(is, b.depth);
                a.name == b.name
                    && match (from, to) {
                        (Some(from), Some(to)) => self.result.old_of[to] == Some(from),
                        (None, None) => true,
                        _ => false,
                    }
            })
    }

    /// Equal deep hashes: the children correspond one to one.
    fn pair_inside(&mut self, was: LiteralIndex, is: LiteralIndex) {
        let mut todo = vec![(was, is)];
        while let Some((was, is)) = todo.pop() {
            let pairs: Vec<_> = self
                .old
                .get(was)
                .children
                .iter()
                .copied()
                .zip(self.new.get(is).children.iter().copied())
                .collect();
            for (was, is) in pairs {
                if self.result.new_of[was].is_none() && self.result.old_of[is].is_none() {
                    self.pair(was, is);
                    todo.push((was, is));
                }
            }
        }
    }
}

/// What siblings have in common: the step without positions in lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Named(PathStep),
    TableItem,
    Other(PathStep),
}

impl Role {
    fn of(step: &PathStep) -> Self {
        match step {
            // `M.f` and `M:f` are the same field.
            PathStep::Field(name) | PathStep::Method(name) => {
                Self::Named(PathStep::Field(name.replace(':', ".").into()))
            }
            PathStep::Local(_) | PathStep::TableField(_) => Self::Named(step.clone()),
            PathStep::TableItem(_) => Self::TableItem,
            PathStep::Argument(..) | PathStep::Returned(_) | PathStep::Anonymous => {
                Self::Other(step.clone())
            }
        }
    }

    fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(step) | Self::Other(step) => step.fmt(f),
            Self::TableItem => f.write_str("table item"),
        }
    }
}

/// The literals a name in `rename` means: a whole path, or the last step.
fn named(outline: &Outline, name: &str) -> Vec<LiteralIndex> {
    let all = 1..outline.literals.len();
    let exact: Vec<LiteralIndex> = all.clone().filter(|at| outline.name(*at) == name).collect();
    if !exact.is_empty() {
        return exact;
    }
    let last = |at: &LiteralIndex| outline.name(*at).rsplit(" / ").next() == Some(name);
    all.filter(last).collect()
}

fn top_local(outline: &Outline, name: &str) -> bool {
    outline.count(0, name, true) == Some(1)
}
