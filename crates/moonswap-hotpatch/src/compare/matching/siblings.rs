//! Matching of the literals written directly in two functions that are matched
//! already: by what surrounds them, by equal code, by likeness. Two that are about
//! as good are refused; what is like nothing is removed or added.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};
use moonswap_bytecode::PathStep;

use super::likeness::Sketch;
use super::matcher::Matcher;
use crate::patch::outline::{LiteralIndex, Outline};
use crate::patch::sites::{Site, Strength};
use crate::refusal::Code;

/// Least likeness of functions at places that only say what kind they are.
const SAME_KIND: f64 = 0.5;
/// The same at places of one name, if there are several of it.
const SAME_NAME: f64 = 0.3;
/// The same at places with different names.
const OTHER_NAME: f64 = 0.7;
/// By how much a candidate has to be the best one.
pub(crate) const MARGIN: f64 = 0.1;
/// Parts of sketches that are compared for one group at most.
pub(crate) const MAX_WORK: usize = 20_000_000;

/// A possible pair.
pub(crate) struct Candidate {
    pub(crate) was: LiteralIndex,
    pub(crate) is: LiteralIndex,
    pub(crate) score: f64,
}

/// What a literal without a text is known by.
fn site_of_step(step: &PathStep) -> Site {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let hash = |what: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        what(&mut hasher);
        hasher.finish()
    };
    let full = hash(&|h| step.hash(h));
    let (name, strength) = match step {
        // `M.f` and `M:f` are the same field.
        PathStep::Field(name) | PathStep::Method(name) => {
            (hash(&|h| name.replace(':', ".").hash(h)), Strength::Named)
        }
        PathStep::Local(_) | PathStep::TableField(_) => (full, Strength::Named),
        PathStep::TableItem(_) => (hash(&|h| "item".hash(h)), Strength::Weak),
        PathStep::Argument(..) | PathStep::Returned(_) | PathStep::Anonymous => {
            (full, Strength::Weak)
        }
    };
    Site {
        full: name,
        name,
        role: name,
        block: 0,
        strength,
        called: false,
    }
}

impl Matcher<'_> {
    /// Matches the children of a pair, and theirs, inward.
    pub(crate) fn inward(&mut self, was: LiteralIndex, is: LiteralIndex) {
        let mut todo = vec![(was, is)];
        while let Some((was, is)) = todo.pop() {
            if std::mem::replace(&mut self.seen[is], true) {
                continue;
            }
            self.children(was, is);
            let children = &self.new.get(is).children;
            todo.extend(
                children
                    .iter()
                    .filter_map(|c| Some((self.result.old_of[*c]?, *c))),
            );
        }
    }

    fn children(&mut self, was: LiteralIndex, is: LiteralIndex) {
        let [mut olds, mut news] = self.open(was, is);
        self.in_order(&mut olds, &mut news);
        if olds.is_empty() || news.is_empty() {
            return;
        }
        self.by_place(&mut olds, &mut news);
        self.beside(was, is);
        self.keep_open(&mut olds, &mut news);
        self.by_code(&mut olds, &mut news);
        if olds.is_empty() || news.is_empty() {
            return;
        }
        let gaps = self.gaps(was, is);
        let mut groups: BTreeMap<u64, [Vec<LiteralIndex>; 2]> = BTreeMap::new();
        for at in olds {
            groups.entry(self.old_site(at).role).or_default()[0].push(at);
        }
        for at in news {
            groups.entry(self.new_site(at).role).or_default()[1].push(at);
        }
        for [olds, news] in groups.into_values() {
            if !olds.is_empty() && !news.is_empty() {
                self.by_likeness(&olds, &news, &gaps);
            }
        }
    }

    /// What is the same at the beginning and end of the main chunk.
    pub(crate) fn unchanged(&mut self) {
        let [mut olds, mut news] = self.open(0, 0);
        self.in_order(&mut olds, &mut news);
    }

    /// Children of a pair that are not matched yet.
    pub(crate) fn open(&self, was: LiteralIndex, is: LiteralIndex) -> [Vec<LiteralIndex>; 2] {
        let result = &self.result;
        let olds = self.old.get(was).children.iter().copied();
        let news = self.new.get(is).children.iter().copied();
        [
            olds.filter(|at| result.new_of[*at].is_none()).collect(),
            news.filter(|at| result.old_of[*at].is_none() && !result.refused[*at])
                .collect(),
        ]
    }

    fn site(&self, outline: &Outline, at: LiteralIndex) -> Site {
        let literal = outline.get(at);
        let step = || {
            outline
                .step(at)
                .map_or(&PathStep::Anonymous, |(step, _)| step)
        };
        match literal.site.filter(|_| self.with_text) {
            Some(site) => site,
            None => site_of_step(step()),
        }
    }

    fn old_site(&self, at: LiteralIndex) -> Site {
        self.site(self.old, at)
    }

    fn new_site(&self, at: LiteralIndex) -> Site {
        self.site(self.new, at)
    }

    fn same_code(&self, was: LiteralIndex, is: LiteralIndex) -> bool {
        self.old.get(was).prototype.deep_hash == self.new.get(is).prototype.deep_hash
    }

    fn keep_open(&self, olds: &mut Vec<LiteralIndex>, news: &mut Vec<LiteralIndex>) {
        olds.retain(|at| self.result.new_of[*at].is_none());
        news.retain(|at| self.result.old_of[*at].is_none());
    }

    /// What is equal at the beginning and at the end of both lists: nearly all.
    fn in_order(&mut self, olds: &mut Vec<LiteralIndex>, news: &mut Vec<LiteralIndex>) {
        let equal = |this: &Self, (was, is): (&LiteralIndex, &LiteralIndex)| {
            this.same_code(*was, *is) && this.old_site(*was) == this.new_site(*is)
        };
        let pairs = olds.iter().zip(news.iter());
        let n = pairs.take_while(|pair| equal(self, *pair)).count();
        let (olds_left, news_left) = (&olds[n..], &news[n..]);
        let pairs = olds_left.iter().rev().zip(news_left.iter().rev());
        let n_end = pairs.take_while(|pair| equal(self, *pair)).count();
        let ends = [
            0..n,
            olds.len() - n_end..olds.len(),
            news.len() - n_end..news.len(),
        ];
        for at in 0..n {
            self.pair(olds[at], news[at]);
        }
        for (was, is) in ends[1].clone().zip(ends[2].clone()) {
            self.pair(olds[was], news[is]);
        }
        self.keep_open(olds, news);
    }

    /// Equal code at equal places next to siblings that are matched: of several that
    /// are equal it is the one that stands there.
    fn beside(&mut self, was: LiteralIndex, is: LiteralIndex) {
        let (old, new) = (self.old, self.new);
        let (olds, news) = (&old.get(was).children, &new.get(is).children);
        self.follow(olds.iter().copied(), news.iter().copied());
        self.follow(olds.iter().rev().copied(), news.iter().rev().copied());
    }

    fn follow(
        &mut self,
        olds: impl Iterator<Item = LiteralIndex>,
        news: impl Iterator<Item = LiteralIndex>,
    ) {
        let olds: Vec<LiteralIndex> = olds.collect();
        let place: HashMap<LiteralIndex, usize> =
            olds.iter().enumerate().map(|(i, at)| (*at, i)).collect();
        let mut next = None;
        for is in news {
            let result = &self.result;
            if let Some(was) = result.old_of[is] {
                next = place.get(&was).map(|i| i + 1);
                continue;
            }
            let was = next.and_then(|i: usize| olds.get(i)).copied();
            next = None;
            if let Some(was) = was
                && result.new_of[was].is_none()
                && !result.refused[is]
                && self.same_code(was, is)
                && self.old_site(was) == self.new_site(is)
            {
                self.pair(was, is);
                next = place.get(&was).map(|i| i + 1);
            }
        }
    }

    /// Places that are the only one of their name in both: whatever the code, it is
    /// what stands there.
    fn by_place(&mut self, olds: &mut Vec<LiteralIndex>, news: &mut Vec<LiteralIndex>) {
        let keys: [fn(Site) -> (u64, u64); 4] = [
            |s| (s.full, s.block),
            |s| (s.name, s.block),
            |s| (s.full, 0),
            |s| (s.name, 0),
        ];
        for key in keys {
            let mut places: HashMap<(u64, u64), [Vec<LiteralIndex>; 2]> = HashMap::default();
            for at in olds.iter() {
                let [was, _] = places.entry(key(self.old_site(*at))).or_default();
                was.push(*at);
            }
            for at in news.iter() {
                let [_, is] = places.entry(key(self.new_site(*at))).or_default();
                is.push(*at);
            }
            for place in places.into_values() {
                let ([was], [is]) = (&place[0][..], &place[1][..]) else {
                    continue;
                };
                let strength = self
                    .old_site(*was)
                    .strength
                    .min(self.new_site(*is).strength);
                // A module's registrations are called by their strings; within a
                // function a string may be anything.
                let of_module = self.new.get(*is).parent == Some(0);
                let fits = match strength {
                    Strength::Named => true,
                    Strength::Said if of_module => true,
                    Strength::Said | Strength::Keyed => {
                        let least = self.least(*was, *is);
                        self.likeness(*was, *is) >= least
                    }
                    Strength::Weak | Strength::Variable => self.same_code(*was, *is),
                };
                if fits {
                    self.pair(*was, *is);
                }
            }
            self.keep_open(olds, news);
        }
    }

    /// Equal code in equal roles. Several of one code are interchangeable: those in
    /// the same surroundings first, then in their order. Under other names only if
    /// they are as many as before.
    fn by_code(&mut self, olds: &mut Vec<LiteralIndex>, news: &mut Vec<LiteralIndex>) {
        let keys: [fn(Site) -> u64; 3] = [|s| s.full, |s| s.name, |s| s.role];
        for key in keys {
            let mut groups: HashMap<_, [Vec<LiteralIndex>; 2]> = HashMap::default();
            for at in olds.iter() {
                let site = self.old_site(*at);
                let code = self.old.get(*at).prototype.deep_hash;
                let [was, _] = groups.entry((site.role, key(site), code)).or_default();
                was.push(*at);
            }
            for at in news.iter() {
                let site = self.new_site(*at);
                let code = self.new.get(*at).prototype.deep_hash;
                let [_, is] = groups.entry((site.role, key(site), code)).or_default();
                is.push(*at);
            }
            for [olds, news] in groups.into_values() {
                let as_many = olds.len() == news.len();
                let pairs = match as_many {
                    true => olds.into_iter().zip(news).collect(),
                    false => self.by_rank(olds, news),
                };
                for (was, is) in pairs {
                    if (as_many || !self.names_differ(was, is)) && self.tells(was, is) {
                        self.pair(was, is);
                    }
                }
            }
            self.keep_open(olds, news);
        }
    }

    /// Pairs of two lists of one code that are not equally long: those at the same
    /// place among their siblings, then the others in their order.
    fn by_rank(
        &self,
        mut olds: Vec<LiteralIndex>,
        mut news: Vec<LiteralIndex>,
    ) -> Vec<(LiteralIndex, LiteralIndex)> {
        let rank = |outline: &Outline, at: LiteralIndex| {
            let siblings = &outline.get(outline.get(at).parent?).children;
            siblings.binary_search(&at).ok()
        };
        let places: HashMap<_, _> = olds.iter().map(|at| (rank(self.old, *at), *at)).collect();
        let (mut pairs, mut paired) = (Vec::new(), HashSet::default());
        news.retain(|is| {
            let was = places.get(&rank(self.new, *is)).copied();
            pairs.extend(was.map(|was| (was, *is)));
            paired.extend(was);
            was.is_none()
        });
        olds.retain(|at| !paired.contains(at));
        pairs.extend(olds.into_iter().zip(news));
        pairs
    }

    fn names_differ(&self, was: LiteralIndex, is: LiteralIndex) -> bool {
        let (a, b) = (self.old_site(was), self.new_site(is));
        a.name != b.name && a.strength.min(b.strength) >= Strength::Keyed
    }

    /// Whether equal code tells enough: `function() end` under another name is
    /// another function.
    pub(crate) fn tells(&self, was: LiteralIndex, is: LiteralIndex) -> bool {
        const EMPTY: usize = 2;
        !self.names_differ(was, is) || self.old.get(was).prototype.code.len() > EMPTY
    }

    fn sketches(&mut self, was: LiteralIndex, is: LiteralIndex) -> (&Sketch, &Sketch) {
        let [olds, news] = &mut self.sketches;
        let (old, new) = (self.old, self.new);
        let sketch = |outline: &Outline, at: LiteralIndex| Sketch::of(&outline.get(at).prototype);
        let a = olds.entry(was).or_insert_with(|| sketch(old, was));
        let b = news.entry(is).or_insert_with(|| sketch(new, is));
        (a, b)
    }

    pub(crate) fn likeness(&mut self, was: LiteralIndex, is: LiteralIndex) -> f64 {
        let (a, b) = self.sketches(was, is);
        a.likeness(b)
    }

    pub(crate) fn size(&mut self, was: LiteralIndex, is: LiteralIndex) -> usize {
        let (a, b) = self.sketches(was, is);
        a.len().min(b.len())
    }

    /// Least likeness of a pair: the less their places tell, the more the code has to.
    fn least(&self, was: LiteralIndex, is: LiteralIndex) -> f64 {
        let (a, b) = (self.old_site(was), self.new_site(is));
        match a.strength.min(b.strength) {
            Strength::Named | Strength::Said if a.name == b.name => SAME_NAME,
            Strength::Keyed if a.full == b.full => SAME_NAME,
            Strength::Keyed if a.name == b.name => SAME_KIND,
            Strength::Named | Strength::Said | Strength::Keyed => OTHER_NAME,
            Strength::Weak | Strength::Variable => SAME_KIND,
        }
    }

    /// For each new child: the old siblings between which it stands, judged by its
    /// neighbours that are matched.
    pub(crate) fn gaps(
        &self,
        was: LiteralIndex,
        is: LiteralIndex,
    ) -> HashMap<LiteralIndex, (LiteralIndex, LiteralIndex)> {
        let children = &self.new.get(is).children;
        let old_sibling = |at: LiteralIndex| {
            let old = self.result.old_of[at]?;
            (self.old.get(old).parent == Some(was)).then_some(old)
        };
        let mut gaps = HashMap::default();
        let mut low = 0;
        for at in children {
            match old_sibling(*at) {
                Some(old) => low = old,
                None => _ = gaps.insert(*at, (low, LiteralIndex::MAX)),
            }
        }
        let mut high = LiteralIndex::MAX;
        for at in children.iter().rev() {
            match old_sibling(*at) {
                Some(old) => high = old,
                None => _ = gaps.entry(*at).and_modify(|gap| gap.1 = high),
            }
        }
        gaps
    }

    /// Pairs those of one role that are most alike.
    fn by_likeness(
        &mut self,
        olds: &[LiteralIndex],
        news: &[LiteralIndex],
        gaps: &HashMap<LiteralIndex, (LiteralIndex, LiteralIndex)>,
    ) {
        let Some(mut candidates) = self.candidates(olds, news, gaps) else {
            for is in news {
                self.refuse_ambiguous(*is, olds, &[]);
            }
            return;
        };
        let mut contested: Vec<(LiteralIndex, Vec<LiteralIndex>, Vec<LiteralIndex>)> = Vec::new();
        while let Some(Candidate { was, is, score }) = candidates.first() {
            let (was, is, score) = (*was, *is, *score);
            let old_code = |at: LiteralIndex| self.old.get(at).prototype.deep_hash;
            let new_code = |at: LiteralIndex| self.new.get(at).prototype.deep_hash;
            let rivals = candidates.iter().filter(|c| {
                let of_new = c.is == is && c.was != was && old_code(c.was) != old_code(was);
                let of_old = c.was == was && c.is != is && new_code(c.is) != new_code(is);
                (of_new || of_old) && c.score > score - MARGIN
            });
            let (mut old_rivals, mut new_rivals) = (vec![was], vec![is]);
            for rival in rivals {
                match rival.is == is {
                    true => old_rivals.push(rival.was),
                    false => new_rivals.push(rival.is),
                }
            }
            if old_rivals.len() + new_rivals.len() == 2 {
                self.pair(was, is);
            } else {
                let all = new_rivals.clone();
                for at in all {
                    let others = new_rivals.iter().copied().filter(|o| *o != at).collect();
                    contested.push((at, old_rivals.clone(), others));
                }
            }
            candidates.retain(|c| !old_rivals.contains(&c.was) && !new_rivals.contains(&c.is));
        }
        if !contested.is_empty() && self.namesakes(olds, news) {
            return;
        }
        for (at, olds, others) in contested {
            self.refuse_ambiguous(at, &olds, &others);
        }
        self.tell_unlike(olds, news);
    }

    /// The possible pairs of a group, the best first; `None`: too many to look at.
    fn candidates(
        &mut self,
        olds: &[LiteralIndex],
        news: &[LiteralIndex],
        gaps: &HashMap<LiteralIndex, (LiteralIndex, LiteralIndex)>,
    ) -> Option<Vec<Candidate>> {
        let code = |outline: &Outline, list: &[LiteralIndex]| -> usize {
            list.iter()
                .map(|at| outline.get(*at).prototype.code.len() + 8)
                .sum()
        };
        let (n_old, n_new) = (olds.len(), news.len());
        let work = code(self.old, olds)
            .saturating_mul(n_new)
            .saturating_add(code(self.new, news).saturating_mul(n_old));
        if work > MAX_WORK {
            return None;
        }
        let mut found = Vec::new();
        for (old_rank, was) in olds.iter().enumerate() {
            for (new_rank, is) in news.iter().enumerate() {
                let likeness = self.likeness(*was, *is);
                let (a, b) = (self.old_site(*was), self.new_site(*is));
                let gap = gaps
                    .get(is)
                    .is_some_and(|(low, high)| low < was && was < high);
                if likeness < self.least(*was, *is) {
                    // The only ones of their role between the same neighbours.
                    let between = gaps.get(is);
                    let in_gap = |at: &&LiteralIndex| {
                        between.is_some_and(|(low, high)| low < *at && *at < high)
                    };
                    let is_alone = gap
                        && olds.iter().filter(in_gap).count() == 1
                        && news.iter().filter(|at| gaps.get(at) == between).count() == 1;
                    let (a, b) = self.sketches(*was, *is);
                    if !is_alone || !a.is_extension(b) {
                        continue;
                    }
                }
                let hints = [
                    (a.name == b.name, 0.3),
                    (a.full == b.full, 0.1),
                    (a.block == b.block, 0.05),
                    (gap, 0.03),
                    // The order alone does not decide: both are less than the margin.
                    (n_old == n_new && old_rank == new_rank, 0.06),
                ];
                let hints = hints.iter().filter(|(holds, _)| *holds);
                let score = likeness + hints.map(|(_, worth)| worth).sum::<f64>();
                let (was, is) = (*was, *is);
                found.push(Candidate { was, is, score });
            }
        }
        found.sort_by(|a, b| {
            let by_place = (a.was, a.is).cmp(&(b.was, b.is));
            b.score.total_cmp(&a.score).then(by_place)
        });
        Some(found)
    }

    /// Namesakes that changed, as many as before: their order is in their paths.
    fn namesakes(&mut self, olds: &[LiteralIndex], news: &[LiteralIndex]) -> bool {
        let (mut olds, mut news) = (olds.to_vec(), news.to_vec());
        self.keep_open(&mut olds, &mut news);
        let sites = olds.iter().map(|at| self.old_site(*at));
        let mut sites = sites.chain(news.iter().map(|at| self.new_site(*at)));
        let Some(first) = sites.next() else {
            return false;
        };
        let one_name = first.strength == Strength::Named
            && sites.all(|s| s.name == first.name && s.strength == Strength::Named);
        if !one_name || olds.len() != news.len() {
            return false;
        }
        for (was, is) in olds.into_iter().zip(news) {
            self.pair(was, is);
        }
        true
    }

    fn refuse_ambiguous(
        &mut self,
        at: LiteralIndex,
        olds: &[LiteralIndex],
        others: &[LiteralIndex],
    ) {
        let old = |at: &LiteralIndex| {
            let line = self.old.get(*at).line;
            format!("{} (line {line} of the old text)", self.old.name(*at))
        };
        let new = |at: &LiteralIndex| {
            let line = self.new.get(*at).line;
            format!("{} (line {line})", self.new.name(*at))
        };
        let reason = match (olds, others) {
            ([was], _) => format!(
                "{} could be this one or {}",
                old(was),
                listed(others, "or", new)
            ),
            (_, []) => format!("it could be {}", listed(olds, "or", old)),
            _ => format!(
                "it could be {}, and so could {}",
                listed(olds, "or", old),
                listed(others, "and", new)
            ),
        };
        let example = olds.first().map_or(String::new(), |was| {
            let (from, to) = (self.old.name(*was), self.new.name(at));
            format!(", say which with rename = {{ [{from:?}] = {to:?} }}")
        });
        let remedy = format!("change one at a time{example}, or use --@id annotations");
        self.refuse(Code::AmbiguousMatch, at, reason, &remedy);
    }

    /// A place that has another function now: nothing swaps there.
    fn tell_unlike(&mut self, olds: &[LiteralIndex], news: &[LiteralIndex]) {
        let (mut olds, mut news) = (olds.to_vec(), news.to_vec());
        self.keep_open(&mut olds, &mut news);
        news.retain(|at| !self.result.refused[*at]);
        if let ([was], [is]) = (&olds[..], &news[..]) {
            self.unlike.push((*was, *is));
        }
    }
}

/// `a or b`, `a, b or 3 more`.
fn listed(list: &[LiteralIndex], last: &str, show: impl Fn(&LiteralIndex) -> String) -> String {
    const SHOWN: usize = 3;
    let mut parts: Vec<String> = list.iter().take(SHOWN).map(show).collect();
    if list.len() > SHOWN {
        parts.push(format!("{} more", list.len() - SHOWN));
    }
    match parts.split_last() {
        Some((one, [])) => one.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
        None => String::new(),
    }
}
