//! Matching beyond one place: equal code anywhere in the chunk (moved), and code that
//! is much alike among the children of matched functions (renamed).

use std::collections::BTreeMap;

use super::matcher::Matcher;
use super::siblings::{Candidate, MARGIN, MAX_WORK};
use crate::patch::outline::{LiteralIndex, Outline};
use crate::refusal::Code;

/// Least likeness of functions with another name or in another role.
const RENAMED: f64 = 0.85;
/// Least size of functions that are recognised by their code alone, in parts of a
/// sketch.
const TELLING: usize = 24;
impl Matcher<'_> {
    /// Looks for literals without a match by their code.
    pub(crate) fn moves(&mut self) {
        let mut places: BTreeMap<_, [Vec<LiteralIndex>; 2]> = BTreeMap::new();
        for at in 0..self.new.literals.len() {
            if self.result.old_of[at].is_none() && !self.result.refused[at] {
                let hash = self.new.get(at).prototype.deep_hash;
                places.entry(hash.0).or_default()[1].push(at);
            }
        }
        if places.is_empty() {
            return;
        }
        for at in 0..self.old.literals.len() {
            if self.result.new_of[at].is_none() {
                let hash = self.old.get(at).prototype.deep_hash;
                if let Some([olds, _]) = places.get_mut(&hash.0) {
                    olds.push(at);
                }
            }
        }
        let mut places: Vec<_> = places.into_values().collect();
        // In source order, so that what moved takes along what is inside.
        places.sort_by_key(|[_, news]| news.first().copied());
        for [mut olds, mut news] in places {
            olds.retain(|at| self.result.new_of[*at].is_none());
            news.retain(|at| self.result.old_of[*at].is_none());
            self.moved(&olds, &news);
        }
    }

    /// The same code under other paths.
    fn moved(&mut self, olds: &[LiteralIndex], news: &[LiteralIndex]) {
        let open = |this: &Self| {
            let olds = olds.iter().copied();
            let news = news.iter().copied();
            let olds: Vec<_> = olds
                .filter(|at| this.result.new_of[*at].is_none())
                .collect();
            let news: Vec<_> = news
                .filter(|at| this.result.old_of[*at].is_none())
                .collect();
            (olds, news)
        };
        // Several: one in the same function as before, then one of the same name.
        let same_parent = |this: &Self, was: LiteralIndex, is: LiteralIndex| {
            let (from, to) = (this.old.get(was).parent, this.new.get(is).parent);
            to.is_some_and(|to| this.result.old_of[to] == from)
        };
        let same_name = |this: &Self, was: LiteralIndex, is: LiteralIndex| {
            let (a, b) = (this.old.step(was), this.new.step(is));
            a.zip(b).is_some_and(|(a, b)| a.0 == b.0)
        };
        type Fits<'f, T> = &'f dyn Fn(&T, LiteralIndex, LiteralIndex) -> bool;
        let stages: [Fits<'_, Self>; 3] = [&same_parent, &same_name, &|_, _, _| true];
        for stage in stages {
            let (olds, news) = open(self);
            for is in &news {
                let mut found = olds.iter().filter(|was| stage(self, **was, *is));
                let (Some(was), None) = (found.next(), found.next()) else {
                    continue;
                };
                let rivals = news.iter().filter(|is| stage(self, *was, **is)).count();
                let is_open = self.result.new_of[*was].is_none();
                if rivals == 1
                    && is_open
                    && self.same_surroundings(*was, *is)
                    && self.may_have_moved(*was, *is)
                {
                    self.pair(*was, *is);
                    self.result.moved[*is] = true;
                    self.pair_inside(*was, *is);
                }
            }
        }
        let (olds, news) = open(self);
        if let ([_], [_]) = (&olds[..], &news[..]) {
            return;
        }
        for at in &news {
            let fits = |was: &&LiteralIndex| {
                self.same_surroundings(**was, *at) && self.may_have_moved(**was, *at)
            };
            let places: Vec<String> = olds
                .iter()
                .filter(fits)
                .map(|was| format!("{} (line {})", self.old.name(*was), self.old.get(*was).line))
                .collect();
            if places.is_empty() {
                continue;
            }
            let from = olds
                .iter()
                .find(fits)
                .map_or(String::new(), |was| self.old.name(*was));
            let remedy = format!(
                "say which with rename = {{ [{from:?}] = {:?} }}, or use --@id annotations",
                self.new.name(*at)
            );
            let reason = format!(
                "the same code is found {} in the old source and {} in the new one: it was {}",
                times(olds.len()),
                times(news.len()),
                places.join(" or "),
            );
            self.refuse(Code::AmbiguousMove, *at, reason, &remedy);
        }
    }

    /// The same for functions in other roles: small ones have to stand at the same
    /// place among their siblings as well.
    fn may_have_moved(&self, was: LiteralIndex, is: LiteralIndex) -> bool {
        const SMALL: usize = 4;
        if self.old.get(was).prototype.code.len() > SMALL {
            return true;
        }
        let (Some(from), Some(to)) = (self.old.get(was).parent, self.new.get(is).parent) else {
            return false;
        };
        let gaps = || self.gaps(from, to);
        let in_gap = |(low, high): &(LiteralIndex, LiteralIndex)| *low < was && was < *high;
        self.tells(was, is)
            && self.result.old_of[to] == Some(from)
            && gaps().get(&is).is_some_and(in_gap)
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

    /// Functions that got another name, another role or another callee and were
    /// changed besides: recognised by likeness, where nothing else is like them and
    /// their place among the others is the same.
    pub(crate) fn renamed(&mut self, was: LiteralIndex, is: LiteralIndex) {
        let [olds, news] = self.open(was, is);
        if olds.is_empty() || news.is_empty() {
            return;
        }
        let large = |outline: &Outline, at: LiteralIndex| {
            outline.get(at).prototype.code.len() >= TELLING / 4
        };
        let olds: Vec<_> = olds.into_iter().filter(|at| large(self.old, *at)).collect();
        let news: Vec<_> = news.into_iter().filter(|at| large(self.new, *at)).collect();
        let gaps = self.gaps(was, is);
        let mut found = Vec::new();
        let mut work = 0_usize;
        for was in &olds {
            for is in &news {
                let (p, q) = (&self.old.get(*was).prototype, &self.new.get(*is).prototype);
                // The length tells whether they can be alike at all.
                let (a, b) = (p.code.len(), q.code.len());
                if a.max(b) > 2 * a.min(b) || !self.may_have_captures(*was, *is) {
                    continue;
                }
                work += a + b;
                if work > MAX_WORK {
                    return;
                }
                let score = self.likeness(*was, *is);
                if score >= RENAMED - MARGIN && self.size(*was, *is) >= TELLING {
                    let (was, is) = (*was, *is);
                    found.push(Candidate { was, is, score });
                }
            }
        }
        for at in 0..found.len() {
            let Candidate { was, is, score } = found[at];
            let signature = |o: &Outline, at: LiteralIndex| {
                let p = &o.get(at).prototype;
                (p.n_params, p.is_vararg)
            };
            let fits = score >= RENAMED
                && signature(self.old, was) == signature(self.new, is)
                && gaps
                    .get(&is)
                    .is_some_and(|(low, high)| *low < was && was < *high)
                && found.iter().enumerate().all(|(other, c)| {
                    other == at || c.was != was && c.is != is || c.score <= score - MARGIN
                });
            if fits {
                self.pair(was, is);
                self.inward(was, is);
            }
        }
    }

    /// Whether closures of the old one have all that the new one captures of
    /// enclosing functions.
    fn may_have_captures(&self, was: LiteralIndex, is: LiteralIndex) -> bool {
        let (p, q) = (&self.old.get(was).prototype, &self.new.get(is).prototype);
        q.upvalues.iter().all(|wanted| {
            wanted.top_level
                || &*wanted.name == "_ENV"
                || p.upvalues.iter().any(|had| {
                    let from = self.old.ancestor(was, had.depth);
                    let to = self.new.ancestor(is, wanted.depth);
                    had.name == wanted.name && to.is_some_and(|to| self.result.old_of[to] == from)
                })
        })
    }
}

/// `once`, `3 times`.
fn times(n: usize) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}
