//! `SlotRegistry`: the slots of an instance by the ids of their literals.
//!
//! Each entry of the history keeps the registry of its time, and a commit may
//! not cost more for a module with many functions: so registries share one big
//! map and differ by small ones. A copy costs nothing.
//!
//! Invariants: HP2, HP5.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::FunctionId;

use moonswap_hotpatch::Places;

use super::PrototypeSlot;

/// A slot, for lists that other threads may drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct SlotPointer(pub(crate) *mut PrototypeSlot);

// SAFETY: HP5: only the VM's thread follows it.
unsafe impl Send for SlotPointer {}
// SAFETY: as above.
unsafe impl Sync for SlotPointer {}

type Slot = *mut PrototypeSlot;

/// Slots by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotRegistry {
    places: Arc<Places>,
    slots: Arc<[SlotPointer]>,
    /// What differs from them; `None`: is gone, the pointer may dangle.
    differs: Arc<HashMap<FunctionId, Option<SlotPointer>>>,
}

impl SlotRegistry {
    /// Of the slots at these places.
    pub(crate) fn new(places: Arc<Places>, slots: Arc<[SlotPointer]>) -> Self {
        debug_assert_eq!(places.len(), slots.len());
        Self {
            places,
            slots,
            differs: Arc::default(),
        }
    }

    fn shared(&self, id: &FunctionId) -> Option<Slot> {
        let at = *self.places.get(id)? as usize;
        self.slots.get(at).map(|slot| slot.0)
    }

    /// The slot with this id.
    pub(crate) fn get(&self, id: &FunctionId) -> Option<Slot> {
        match self.differs.get(id) {
            Some(own) => own.map(|slot| slot.0),
            None => self.shared(id),
        }
    }

    /// All slots with their ids, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&FunctionId, Slot)> {
        let same = self.places.iter();
        same.filter(|(id, _)| !self.differs.contains_key(*id))
            .filter_map(|(id, &at)| Some((id, self.slots.get(at as usize)?.0)))
            .chain(self.own())
    }

    /// Those that are not in the shared map.
    fn own(&self) -> impl Iterator<Item = (&FunctionId, Slot)> {
        let own = self.differs.iter();
        own.filter_map(|(id, slot)| Some((id, slot.as_ref()?.0)))
    }

    /// Whether it is another's copy, or the other way round.
    fn is_same(&self, other: &Self) -> bool {
        self.shares_with(other) && Arc::ptr_eq(&self.differs, &other.differs)
    }

    /// Slots that are not known to be in `older` under the same id; when maps have
    /// been put together, that may be all. Most patches add none: that is found out
    /// at once.
    pub(crate) fn beyond(&self, older: &Self) -> impl Iterator<Item = Slot> {
        let is_near = self.shares_with(older);
        let all = (!is_near).then(|| self.iter());
        let own = (is_near && !self.is_same(older)).then(|| self.own());
        all.into_iter()
            .flatten()
            .chain(own.into_iter().flatten())
            .filter(|&(id, slot)| older.get(id) != Some(slot))
            .map(|(_, slot)| slot)
    }

    /// Slots that the collector may not have met when it has met those of `other`.
    pub(crate) fn besides(&self, other: &Self) -> impl Iterator<Item = Slot> {
        let is_near = self.shares_with(other);
        let hidden = is_near.then(|| other.differs.keys().filter_map(|id| self.get(id)));
        let own = is_near.then(|| self.own());
        let all = (!is_near).then(|| self.iter());
        let listed = own.into_iter().flatten().chain(all.into_iter().flatten());
        hidden
            .into_iter()
            .flatten()
            .chain(listed.map(|(_, slot)| slot))
    }

    fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slots, &other.slots) && Arc::ptr_eq(&self.places, &other.places)
    }

    /// Takes ids away, then gives others their slots.
    pub(crate) fn change(&mut self, gone: &[&FunctionId], known: Vec<(FunctionId, Slot)>) {
        if gone.is_empty() && known.is_empty() {
            return;
        }
        let mut differs = std::mem::take(&mut self.differs);
        let own = Arc::make_mut(&mut differs);
        for &id in gone {
            if self.places.contains_key(id) {
                own.insert(id.clone(), None);
            } else {
                own.remove(id);
            }
        }
        for (id, slot) in known {
            if self.shared(&id) == Some(slot) {
                own.remove(&id);
            } else {
                own.insert(id, Some(SlotPointer(slot)));
            }
        }
        // Copied with each change, so it has to stay small; put together seldom
        // enough that a change costs about the same however many there are.
        let is_large = own.len() > 64 + self.slots.len() / 16;
        self.differs = differs;
        if is_large {
            let (ids, slots): (Vec<_>, Vec<_>) = self
                .iter()
                .map(|(id, slot)| (id.clone(), SlotPointer(slot)))
                .unzip();
            *self = Self::new(Arc::new(ids.into_iter().zip(0..).collect()), slots.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> FunctionId {
        FunctionId::new(format!("chunk {n}").into(), [])
    }

    fn slot(n: usize) -> Slot {
        std::ptr::without_provenance_mut(n * 8)
    }

    fn registry(n: usize) -> SlotRegistry {
        let slots = (1..=n).map(|i| SlotPointer(slot(i))).collect();
        SlotRegistry::new(Arc::new((1..=n).map(id).zip(0..).collect()), slots)
    }

    fn sorted(slots: impl Iterator<Item = Slot>) -> Vec<Slot> {
        let mut all: Vec<Slot> = slots.collect();
        all.sort();
        all
    }

    #[test]
    fn copies_differ_by_what_changed() {
        let old = registry(10);
        let mut new = old.clone();
        new.change(
            &[&id(3), &id(4)],
            vec![(id(4), slot(3)), (id(11), slot(11))],
        );
        assert_eq!(new.get(&id(3)), None);
        assert_eq!(new.get(&id(4)), Some(slot(3)));
        assert_eq!(new.get(&id(5)), Some(slot(5)));
        assert_eq!(new.iter().count(), 10);
        assert_eq!(sorted(new.beyond(&old)), [slot(3), slot(11)]);
        assert_eq!(sorted(new.besides(&old)), [slot(3), slot(11)]);
        assert_eq!(sorted(old.besides(&new)), [slot(3), slot(4)]);
        assert_eq!(old.get(&id(3)), Some(slot(3)));
        // And back.
        new.change(&[&id(4), &id(11)], vec![(id(3), slot(3)), (id(4), slot(4))]);
        assert_eq!(new.own().count(), 0);
        assert_eq!(new.beyond(&old).count(), 0);
        assert_eq!(new.iter().count(), 10);
    }

    #[test]
    fn many_changes_are_put_together() {
        let old = registry(10);
        let mut new = old.clone();
        for i in 11..200 {
            new.change(&[], vec![(id(i), slot(i))]);
        }
        assert!(!new.shares_with(&old));
        assert_eq!(new.iter().count(), 199);
        assert_eq!(sorted(new.beyond(&old)).len(), 189);
        assert_eq!(new.get(&id(1)), Some(slot(1)));
    }
}
