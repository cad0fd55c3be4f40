//! In which order two texts set the same paths: where each is set, and among which
//! statements the order is another one.

use std::ops::RangeInclusive;

use foldhash::HashMap;

use crate::patch::path::{Key, Path, Root};

/// Where a path is set: the statements in the old and in the new text.
pub(super) type Placed = (Path, Vec<(usize, usize)>);

/// What a call that stands in both texts changes, and where it stands: the statements in
/// the old and in the new text.
pub(super) type ChangedInPlace = (Path, (usize, usize));

/// Where paths are set, by their root and first key.
pub(super) type Places = HashMap<(Root, Option<Key>), Vec<Placed>>;

/// The statements among which some stand in another order, in each text. What stands
/// before or behind them in both is where it was, for all others.
#[derive(Clone, Debug)]
pub(super) struct Region {
    old: RangeInclusive<usize>,
    new: RangeInclusive<usize>,
}

impl Region {
    /// Of all places in the old and in the new text; `None`: the order is the same.
    pub(super) fn of(all: Vec<(usize, usize)>) -> Option<Self> {
        let (mut new_order, mut old_order) = (all.clone(), all);
        new_order.sort_unstable_by_key(|(was, is)| (*is, *was));
        old_order.sort_unstable();
        let differ = |at: &usize| new_order[*at].0 != old_order[*at].0;
        let first = (0..new_order.len()).find(differ)?;
        let last = (0..new_order.len()).rfind(differ)?;
        let within = &new_order[first..=last];
        let range = |of: fn(&(usize, usize)) -> usize| {
            let all = within.iter().map(of);
            Some(all.clone().min()?..=all.max()?)
        };
        Some(Self {
            old: range(|at| at.0)?,
            new: range(|at| at.1)?,
        })
    }

    /// Whether a statement stands before, or behind, all of them in both texts.
    pub(super) fn is_beside(&self, was: usize, is: usize) -> bool {
        was < *self.old.start() && is < *self.new.start()
            || was > *self.old.end() && is > *self.new.end()
    }

    pub(super) fn has(&self, (was, is): &(usize, usize)) -> bool {
        !self.is_beside(*was, *is)
    }
}
