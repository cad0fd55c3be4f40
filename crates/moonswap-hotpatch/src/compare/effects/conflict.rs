//! Whether two statements may change places.

use std::cell::{Cell, OnceCell};

use super::accesses::Accesses;
use super::flow::Flow;
use super::links::Set;
use super::place::{ANY, Node, OUTSIDE, Place};

/// Words of memory for what calls get to. Beyond that, each may get to anything.
const MAX_WORDS: usize = 4 << 20;

/// What stands between two steps: which effect of the one meets which of the other. The
/// order of these two is what must not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The first reads what the second writes.
    Reads,
    /// The second reads what the first writes.
    IsRead,
    /// Both set the same.
    Writes,
    /// The first calls what may read or change what the second sets.
    Calls,
    /// The second calls what may read or change what the first sets.
    IsCalled,
    /// The first reads what the second may change by a call.
    ReadsChanged,
    /// The second reads what the first may change by a call.
    ChangesRead,
    /// Both call what may change the same.
    Both,
    /// One of them leaves the chunk.
    Leaves,
}

/// Steps of a text, to be compared with each other.
pub(crate) struct Conflicts<'f, 'a> {
    flow: &'f Flow<'a>,
    steps: Vec<Step>,
    n_words: Cell<usize>,
    environment: [Option<Node>; 2],
}

struct Step {
    accesses: Accesses,
    /// Bits of what is written, and of all that is read or written.
    written: u64,
    touched: u64,
    called: OnceCell<Option<Called>>,
}

/// What a call may get to.
struct Called {
    names: Set,
    /// Sets of names that hold the same tables.
    tables: Set,
}

impl<'f, 'a> Conflicts<'f, 'a> {
    pub(crate) fn new(flow: &'f Flow<'a>, steps: Vec<Accesses>) -> Self {
        let environment = [flow.named(b"_G"), flow.named(b"_ENV")];
        let mut new = Self {
            flow,
            steps: Vec::new(),
            n_words: Cell::new(0),
            environment,
        };
        for accesses in steps {
            let bits = |places: &[Place]| places.iter().fold(0, |bits, p| bits | new.bits(p));
            let written = bits(&accesses.writes);
            let touched = written | bits(&accesses.reads) | bits(&accesses.on_the_way);
            let called = OnceCell::new();
            let step = Step {
                accesses,
                written,
                touched,
                called,
            };
            new.steps.push(step);
        }
        new
    }

    /// A bit for the name of a variable, or for the last key of a field.
    fn bits(&self, place: &Place) -> u64 {
        let bit = |n: u32| 1 << (n.wrapping_mul(0x9e37_79b1) >> 26);
        let is_environment = self.environment.contains(&Some(place.root));
        match place.keys.last() {
            _ if is_environment => u64::MAX,
            // Any field may be meant.
            Some(&ANY) => u64::MAX,
            Some(key) => bit(key.wrapping_add(1 << 20)),
            None => bit(place.root),
        }
    }

    /// Whether two steps surely may change places: the first thing to ask.
    pub(crate) fn are_apart(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.steps[a], &self.steps[b]);
        let is_plain = |s: &Step| s.accesses.called.is_empty() && !s.accesses.is_barrier;
        is_plain(a) && is_plain(b) && a.written & b.touched == 0 && b.written & a.touched == 0
    }

    /// How much work it is to see what stands between two steps.
    pub(crate) fn cost(&self, a: usize, b: usize) -> usize {
        let (a, b) = (&self.steps[a].accesses, &self.steps[b].accesses);
        1 + a.n_compared(b)
    }

    /// Shows all that stands between two steps, until it is answered with true. `is_part`:
    /// one sets a part of the table that the other makes, which is no conflict.
    pub(crate) fn any(
        &self,
        (a, b): (usize, usize),
        is_part: bool,
        see: &mut dyn FnMut(Conflict) -> bool,
    ) -> bool {
        let (first, second) = (&self.steps[a].accesses, &self.steps[b].accesses);
        if (first.is_barrier || second.is_barrier) && see(Conflict::Leaves) {
            return true;
        }
        let meet =
            |a: &[Place], b: &[Place]| a.iter().any(|a| b.iter().any(|b| self.may_be_one(a, b)));
        let reads = |a: &Accesses, b: &Accesses| {
            meet(&a.reads, &b.writes) || !is_part && meet(&a.on_the_way, &b.writes)
        };
        reads(first, second) && see(Conflict::Reads)
            || reads(second, first) && see(Conflict::IsRead)
            || !is_part && meet(&first.writes, &second.writes) && see(Conflict::Writes)
            || first.calls() && self.meets(a, &second.writes, true) && see(Conflict::Calls)
            || second.calls() && self.meets(b, &first.writes, true) && see(Conflict::IsCalled)
            || first.calls() && self.meets(a, &second.reads, false) && see(Conflict::ChangesRead)
            || second.calls() && self.meets(b, &first.reads, false) && see(Conflict::ReadsChanged)
            || first.calls() && second.calls() && self.both(a, b) && see(Conflict::Both)
    }

    /// Whether a step may read a place.
    pub(crate) fn reads(&self, step: usize, place: &Place) -> bool {
        let accesses = &self.steps[step].accesses;
        { accesses.reads.iter() }.any(|read| self.may_be_one(read, place))
            || accesses.calls() && self.meets(step, std::slice::from_ref(place), true)
    }

    /// Whether two places may be one.
    fn may_be_one(&self, a: &Place, b: &Place) -> bool {
        let is_any_global = |a: &Place, b: &Place| {
            self.environment.contains(&Some(a.root))
                && !a.keys.is_empty()
                && self.flow.is_global(b.root)
        };
        if is_any_global(a, b) || is_any_global(b, a) {
            return true;
        }
        let (Some(last), Some(other)) = (a.keys.last(), b.keys.last()) else {
            return a.root == b.root && a.keys.is_empty() && b.keys.is_empty();
        };
        let same = |(a, b): (&u32, &u32)| a == b || *a == ANY || *b == ANY;
        let links = &self.flow.links;
        // A field of a table that nothing else holds.
        let is_own = |place: &Place| {
            place.keys.len() == 1
                && !links.is_own_shared(place.root)
                && !self.flow.has_metatable(place.root)
        };
        links.set(a.root) == links.set(b.root)
            && match links.is_shared(a.root) && !(is_own(a) || is_own(b)) {
                true => same((last, other)),
                false => {
                    a.root == b.root
                        && a.keys.len() == b.keys.len()
                        && a.keys.iter().zip(&b.keys).all(same)
                }
            }
    }

    fn called(&self, at: usize) -> Option<&Called> {
        let step = &self.steps[at];
        let find = || {
            let links = &self.flow.links;
            let n_words = self.n_words.get() + 2 * links.n_nodes().div_ceil(64);
            self.n_words.set(n_words);
            if n_words > MAX_WORDS {
                return None;
            }
            let names = links.reach(&step.accesses.called);
            let mut tables = Set::new(links.n_nodes());
            for name in names
                .each()
                .filter(|name| *name as usize <= links.n_names())
            {
                tables.insert(links.set(name));
            }
            Some(Called { names, tables })
        };
        step.called.get_or_init(find).as_ref()
    }

    /// Whether a call may get to what a step writes, or change what it reads.
    fn meets(&self, call: usize, places: &[Place], written: bool) -> bool {
        if places.is_empty() {
            return false;
        }
        let Some(called) = self.called(call) else {
            return true;
        };
        let environment = self.environment.iter().flatten();
        let mut environment = environment.filter(|name| called.names.has(**name));
        let sees_all = environment.next().is_some();
        // What the text sets, others see. What they set, they are not known to set.
        let sees_globals = sees_all || written && called.names.has(OUTSIDE);
        let is_met = |place: &Place| {
            let is_global = self.flow.is_global(place.root);
            if self.environment.contains(&Some(place.root)) && !place.keys.is_empty() {
                return sees_globals || called.names.each().any(|n| self.flow.is_global(n));
            }
            if is_global && sees_globals {
                return true;
            }
            match place.keys.is_empty() {
                false => called.tables.has(self.flow.links.set(place.root)),
                true => {
                    called.names.has(place.root)
                        && (written || self.flow.is_changed_by_functions(place.root))
                }
            }
        };
        places.iter().any(is_met)
    }

    fn both(&self, a: usize, b: usize) -> bool {
        match (self.called(a), self.called(b)) {
            (Some(a), Some(b)) => a.names.meet_in(&b.names, &self.flow.state),
            _ => true,
        }
    }
}
