//! The steps that both texts have, and when each of them reads and writes.

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{FunctionIndex, Statement, StatementKind};

use super::merge::Merging;
use super::outcome::TopLevel;
use super::side::Side;
use crate::compare::alignment::{equal_pairs, longest_run};
use crate::patch::entries::{Entry, Leaf};
use crate::patch::outline::statement_literals;
use crate::patch::path::{Key, Path};
use crate::patch::statements::statements;
use crate::patch::tree::nested_literals;
use crate::patch::{ChunkPatch, shape};

/// When a step of one text reads and calls, and when it writes: numbers that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) read: u64,
    pub(super) write: u64,
}

impl Moment {
    fn new(statement: usize, read: u64, write: u64) -> Self {
        let at = (statement as u64) << 32;
        Self {
            read: at | read,
            write: at | write,
        }
    }

    /// The position of its statement.
    pub(super) fn statement(self) -> usize {
        (self.read >> 32) as usize
    }
}

/// What a step is, in each text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An entry, by position.
    Entry(usize, usize),
    /// A statement that is not taken apart.
    Statement,
}

/// A step that both texts have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) was: Moment,
    pub(super) is: Moment,
    pub(super) what: What,
}

/// All of them, in the order of the new text.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) all: Vec<Step>,
    /// Entries of the old text that are not among them, of paths that the new text sets
    /// as well and that the old one set again below; with these paths in the new text.
    pub(super) gone: Vec<(usize, Path)>,
    /// Entries of the new text whose paths are set more or less often than before, to
    /// what is another value each time.
    pub(super) repeated: Vec<usize>,
}

/// What a step is compared by, and the same without the bodies of literals.
type Identity = (Vec<u8>, Vec<u8>);

/// When writes of whole statements are made: behind all that is read there, from right
/// to left.
const LATE: u64 = 1 << 31;
const LATEST: u64 = u32::MAX as u64;

/// When the entries of a text are set.
fn moments(side: &Side<'_>) -> Vec<Moment> {
    let (mut statement, mut n) = (usize::MAX, 0);
    let moment = |entry: &Entry| {
        if entry.statement != statement {
            (statement, n) = (entry.statement, 0);
        }
        n += 1;
        match entry.is_item {
            true => Moment::new(statement, 2 * n, 2 * n + 1),
            false => Moment::new(statement, 2 * n, LATEST - n),
        }
    };
    side.entries.iter().map(moment).collect()
}

impl Merging<'_> {
    /// Finds them. `taken` are the statements of each text that are taken apart;
    /// `decided` are pairs of `if` statements.
    pub(super) fn steps(&self, decided: &[(usize, usize)], top: &TopLevel) -> Steps {
        let [old_taken, new_taken] = self.taken();
        let (was, is) = (moments(&self.old), moments(&self.new));
        let mut found = Steps::default();
        let add = |all: &mut Vec<Step>, old: usize, new: usize| {
            all.push(Step {
                was: was[old],
                is: is[new],
                what: What::Entry(old, new),
            });
        };
        for (path, new) in &self.new.at {
            let old = self.old_path(path, top);
            let Some(old) = old.and_then(|old| self.old.at.get(&old)) else {
                continue;
            };
            let is_known = path.keys.iter().all(|key| matches!(key, Key::Constant(_)));
            if is_known && old.len() == 1 && new.len() == 1 {
                add(&mut found.all, old[0], new[0]);
                continue;
            }
            let before = old
                .iter()
                .map(|at| (*at, self.identity(&self.old, *at, false)));
            let now = new
                .iter()
                .map(|at| (*at, self.identity(&self.new, *at, true)));
            let pairs = pair_up(before.collect(), now.collect());
            found
                .repeated
                .extend(self.set_otherwise_often(old, new, &pairs, is_known));
            if is_known {
                let is_gone = |at: &&usize| !pairs.iter().any(|(old, _)| old == *at);
                let above = &old[..old.len() - 1];
                let gone = above.iter().filter(is_gone);
                found.gone.extend(gone.map(|at| (*at, path.clone())));
            }
            pairs
                .into_iter()
                .for_each(|(old, new)| add(&mut found.all, old, new));
        }
        let others = |text: &ChunkPatch, taken: &HashSet<usize>, is_new: bool| {
            let all = statements(text.ast()).iter().enumerate();
            let all = all.filter(|(at, s)| !taken.contains(at) && !is_declaration(&s.kind));
            let identity = |(at, s): (usize, &Statement)| {
                let shape = text.facts().shapes[at].clone();
                let literals = statement_literals(text.ast(), &s.kind);
                (at, self.with_literals(shape, &literals, is_new))
            };
            all.map(identity).collect::<Vec<_>>()
        };
        let (before, now) = (
            others(self.old.text, &old_taken, false),
            others(self.new.text, &new_taken, true),
        );
        let pairs = pair_up(before, now);
        for (old, new) in pairs.into_iter().chain(decided.iter().copied()) {
            found.all.push(Step {
                was: Moment::new(old, 0, LATE),
                is: Moment::new(new, 0, LATE),
                what: What::Statement,
            });
        }
        found
            .all
            .sort_unstable_by_key(|step| (step.is.read, step.was.read));
        found
    }

    /// Whether a path is set more or less often to the same expression: the last entry.
    fn set_otherwise_often(
        &self,
        old: &[usize],
        new: &[usize],
        pairs: &[(usize, usize)],
        is_known: bool,
    ) -> Option<usize> {
        let (mut was, mut is): (Vec<_>, Vec<_>) = pairs
            .iter()
            .map(|(old, new)| {
                (
                    self.identity(&self.old, *old, false),
                    self.identity(&self.new, *new, true),
                )
            })
            .unzip();
        was.sort_unstable();
        is.sort_unstable();
        let is_fixed = |side: &Side<'_>, at: usize| {
            is_known && matches!(side.entries[at].leaf, Leaf::Constant(_) | Leaf::Function(_))
        };
        let is_more = |at: &usize| {
            !pairs.iter().any(|(_, new)| new == at)
                && !is_fixed(&self.new, *at)
                && is
                    .binary_search(&self.identity(&self.new, *at, true))
                    .is_ok()
        };
        let is_less = |at: &usize| {
            !pairs.iter().any(|(old, _)| old == at)
                && !is_fixed(&self.old, *at)
                && was
                    .binary_search(&self.identity(&self.old, *at, false))
                    .is_ok()
        };
        let is_otherwise =
            old.len() != new.len() && (new.iter().any(is_more) || old.iter().any(is_less));
        new.last().copied().filter(|_| is_otherwise)
    }

    fn identity(&self, side: &Side<'_>, at: usize, is_new: bool) -> Identity {
        let entry = &side.entries[at];
        let ast = side.text.ast();
        let mut literals = Vec::new();
        let mut shape = match (&entry.leaf, entry.value) {
            (Leaf::Function(function), _) => {
                literals.push(*function);
                b"function".to_vec()
            }
            (Leaf::Constant(constant), _) => constant.to_string().into_bytes(),
            // Its items are entries of their own.
            (Leaf::Table(_), _) => Vec::new(),
            (_, Some(value)) => {
                nested_literals(ast, value, &mut literals);
                shape::expression(ast, value)
            }
            (Leaf::Expression { shape, .. }, None) => shape.to_vec(),
            (_, None) => Vec::new(),
        };
        shape.push(match entry.leaf {
            Leaf::Function(_) => 0,
            Leaf::Constant(_) => 1,
            Leaf::Table(_) => 2,
            _ => 3,
        });
        self.with_literals(shape, &literals, is_new)
    }

    /// Literals are known by those of the old text that they were.
    fn with_literals(&self, shape: Vec<u8>, literals: &[FunctionIndex], is_new: bool) -> Identity {
        let mut identity = shape.clone();
        for function in literals {
            let old = match is_new {
                true => {
                    let is = self.new.literals.get(function);
                    is.and_then(|is| self.comparison.matching.old_of[*is])
                }
                false => self.old.literals.get(function).copied(),
            };
            let number = old.map_or(u32::MAX, |old| old as u32);
            identity.extend_from_slice(&number.to_le_bytes());
        }
        (identity, shape)
    }
}

fn is_declaration(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Local { .. } | StatementKind::LocalFunction { .. }
    )
}

/// Pairs of what is the same, in the order in which each stands; then of what is left and
/// differs in the bodies of literals alone.
fn pair_up(mut was: Vec<(usize, Identity)>, mut is: Vec<(usize, Identity)>) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for of in [|i: &Identity| &i.0, |i: &Identity| &i.1] as [fn(&Identity) -> &Vec<u8>; 2] {
        let found = equal_pairs(
            was.iter().map(|(at, identity)| (*at, &of(identity)[..])),
            is.iter().map(|(at, identity)| (*at, &of(identity)[..])),
        );
        let (old, new): (HashSet<usize>, HashSet<usize>) = found.iter().copied().unzip();
        was.retain(|(at, _)| !old.contains(at));
        is.retain(|(at, _)| !new.contains(at));
        pairs.extend(found);
    }
    pairs
}

/// The steps that do not stand in a longest run of steps in the same order in both texts.
/// Of two that changed places it is the lower one.
pub(super) fn displaced(steps: &[Step]) -> Vec<bool> {
    let before: Vec<u64> = steps.iter().map(|step| step.was.read).collect();
    let mut is_displaced = vec![true; steps.len()];
    for n in longest_run(&before) {
        is_displaced[n] = false;
    }
    // What is written behind all reads of a statement, and was not, or the other way round.
    for side in [was_and_is, is_and_was] as [fn(&Step) -> [usize; 2]; 2] {
        let mut others: HashMap<usize, Option<usize>> = HashMap::default();
        for [statement, other] in steps.iter().map(side) {
            let known = others.entry(statement).or_insert(Some(other));
            *known = known.filter(|known| *known == other);
        }
        for (n, step) in steps.iter().enumerate() {
            let [statement, _] = side(step);
            is_displaced[n] |= others.get(&statement) == Some(&None);
        }
    }
    is_displaced
}

fn was_and_is(step: &Step) -> [usize; 2] {
    [step.was.statement(), step.is.statement()]
}

fn is_and_was(step: &Step) -> [usize; 2] {
    [step.is.statement(), step.was.statement()]
}
