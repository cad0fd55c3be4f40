//! One of two texts that are compared, taken apart: its entries, found by path.

use foldhash::HashMap;
use moonswap_compiler::syntax::ast::{ExprId, FunctionIndex};

use crate::compare::alignment::{matched, unmatched};
use crate::model::change::Before;
use crate::patch::ChunkPatch;
use crate::patch::constant::Constant;
use crate::patch::entries::{Entry, Leaf, Taker, holds_function, only_reads};
use crate::patch::outline::{LiteralIndex, Outline};
use crate::patch::path::{Key, Path};

/// One of the two texts, taken apart.
pub(super) struct Side<'a> {
    pub(super) text: &'a ChunkPatch,
    pub(super) entries: Vec<Entry>,
    /// The places of a path's entries.
    pub(super) at: HashMap<Path, Vec<usize>>,
    pub(super) literals: HashMap<FunctionIndex, LiteralIndex>,
}

impl<'a> Side<'a> {
    pub(super) fn new(text: &'a ChunkPatch) -> Self {
        let facts = text.facts();
        let taker = Taker {
            ast: text.ast(),
            constants: &facts.constants,
        };
        let entries = taker.entries(&|_| true);
        let mut at: HashMap<Path, Vec<usize>> =
            HashMap::with_capacity_and_hasher(entries.len(), Default::default());
        for (i, entry) in entries.iter().enumerate() {
            at.entry(entry.path.clone()).or_default().push(i);
        }
        let outline: &Outline = &facts.outline;
        let literals = outline.literals.iter().enumerate();
        let literals = literals.filter_map(|(i, l)| Some((l.function?, i)));
        Self {
            text,
            entries,
            at,
            literals: literals.collect(),
        }
    }

    /// The last entry of a path: it is what counts.
    pub(super) fn last(&self, path: &Path) -> Option<usize> {
        self.at.get(path)?.last().copied()
    }

    pub(super) fn is_repeated(&self, path: &Path) -> bool {
        self.at.get(path).is_some_and(|at| at.len() > 1)
    }

    /// The entries of the items of a table, with those of the items' items.
    pub(super) fn below(&self, table: usize) -> &[Entry] {
        let depth = self.entries[table].path.keys.len();
        let statement = self.entries[table].statement;
        let rest = &self.entries[table + 1..];
        let n = rest
            .iter()
            .take_while(|e| e.is_item && e.statement == statement && e.path.keys.len() > depth)
            .count();
        &rest[..n]
    }

    pub(super) fn before(&self, at: usize) -> Before {
        let entry = &self.entries[at];
        match &entry.leaf {
            Leaf::Constant(Constant::Nil) => Before::Absent,
            Leaf::Constant(constant) => Before::Constant(constant.clone()),
            Leaf::Function(function) => match self.literals.get(function) {
                Some(literal) => {
                    Before::Function(self.text.facts().outline.get(*literal).prototype.id.clone())
                }
                None => Before::Unknown,
            },
            Leaf::Expression { .. } | Leaf::Wrapped(..) => Before::Unknown,
            Leaf::Table(_) => {
                let depth = entry.path.keys.len();
                let mut items = Vec::new();
                for (i, item) in self.below(at).iter().enumerate() {
                    if item.path.keys.len() != depth + 1 {
                        continue;
                    }
                    match &item.path.keys[depth] {
                        Key::Constant(key) => match self.before(at + 1 + i) {
                            Before::Absent => {}
                            before => items.push((key.clone(), before)),
                        },
                        Key::Shape(_) => return Before::Unknown,
                    }
                }
                Before::Table(items)
            }
        }
    }

    /// Whether a table has numeric keys beside the positions of its items.
    pub(super) fn has_numbers(&self, table: usize) -> bool {
        let depth = self.entries[table].path.keys.len();
        let n = match self.entries[table].leaf {
            Leaf::Table(n) => n as i64,
            _ => 0,
        };
        self.below(table).iter().any(|item| {
            item.path.keys.len() == depth + 1
                && match &item.path.keys[depth] {
                    Key::Constant(Constant::Integer(i)) => !(1..=n).contains(i),
                    Key::Constant(Constant::Float(_)) => true,
                    _ => false,
                }
        })
    }

    pub(super) fn below_of(&self, path: &Path) -> usize {
        self.last(path).map_or(0, |at| self.below(at).len())
    }
}

/// A list whose number of items changed: what the old one was, which old item
/// each new one is, the new items.
pub(super) fn list_change(
    old_side: &Side<'_>,
    new_side: &Side<'_>,
    was: usize,
    is: usize,
    is_same_function: &dyn Fn(FunctionIndex, FunctionIndex) -> bool,
) -> Option<(Before, Vec<Option<u32>>, Vec<ExprId>)> {
    let items = |side: &Side<'_>, table: usize| {
        let depth = side.entries[table].path.keys.len();
        let n = match side.entries[table].leaf {
            Leaf::Table(n) => n as i64,
            _ => 0,
        };
        let is_item = |e: &&Entry| {
            e.path.keys.len() == depth + 1
                && matches!(&e.path.keys[depth], Key::Constant(Constant::Integer(i)) if (1..=n).contains(i))
        };
        let below = side.below(table).iter();
        below.filter(is_item).cloned().collect::<Vec<Entry>>()
    };
    let (old, new) = (items(old_side, was), items(new_side, is));
    let shapes = |side: &Side<'_>, list: &[Entry]| {
        let shape = |e: &Entry| {
            let value = e.value?;
            Some(crate::patch::shape::expression(side.text.ast(), value))
        };
        let list: Option<Vec<Vec<u8>>> = list.iter().map(shape).collect();
        Some(list?.into_iter().enumerate().collect::<Vec<_>>())
    };
    let (was_shapes, is_shapes) = (shapes(old_side, &old)?, shapes(new_side, &new)?);
    let (gone, come) = unmatched(&was_shapes, &is_shapes);
    let mut kept = matched(&was_shapes, &gone).into_iter();
    let aligned: Vec<Option<u32>> = (0..new.len())
        .map(|j| match come.binary_search(&j).is_ok() {
            true => None,
            false => kept.next().map(|i| i as u32),
        })
        .collect();
    let values: Option<Vec<ExprId>> = new.iter().map(|e| e.value).collect();
    let values = values?;
    // The shape of an item leaves the bodies of functions out, and its functions are
    // known by their places: behind one that came or went they would be others.
    let stays = |(at, from): (usize, &Option<u32>)| match from.map(|from| from as usize) {
        Some(from) if from != at => false,
        Some(from) => match (&old[from].leaf, &new[at].leaf) {
            (Leaf::Function(was), Leaf::Function(is)) => is_same_function(*was, *is),
            _ => true,
        },
        None => at >= old.len(),
    };
    let has_functions = |side: &Side<'_>, list: &[Entry]| {
        let mut values = list.iter().filter_map(|e| e.value);
        values.any(|value| holds_function(side.text.ast(), value))
    };
    if (has_functions(old_side, &old) || has_functions(new_side, &new))
        && !aligned.iter().enumerate().all(stays)
    {
        return None;
    }
    if !values.iter().all(|v| only_reads(new_side.text.ast(), *v)) {
        return None;
    }
    let Before::Table(items) = old_side.before(was) else {
        return None;
    };
    let n = old.len() as i64;
    let items = items
        .into_iter()
        .filter(|(key, _)| matches!(key, Constant::Integer(i) if (1..=n).contains(i)))
        .collect();
    Some((Before::Table(items), aligned, values))
}
