//! Objects with destructors: boxed, listed, dropped by kind.
//!
//! Invariants:
//! - X1: every pointer in `boxed` came from `Box::into_raw` of the struct that
//!   belongs to the header's kind, whose first field is the header; that of a
//!   version is one with `n_words` words behind it.
//! - X2: `..boxed_sweep` are still to be swept; entries behind were swept or
//!   adopted since marking.
//! - X3: `coroutines` has every coroutine in `boxed` once, at the place that its
//!   header's word says. While the heap is swept dead ones are those without the
//!   mark: new ones get it.

use std::alloc::Layout;
use std::mem::offset_of;

use super::size::{boxed_size, version_layout};
use super::{Heap, Phase, header};
use crate::frame::{STUB_COROUTINE, return_into, set_word};
use crate::object::stack::{EXTRA_SLOTS, FIRST_STACK};
use crate::object::{
    Coroutine, CoroutineStatus, Header, HostData, Instance, Kind, More, Native, NativeCode,
    Patched, PrototypeSlot, UserData, Version,
};
use crate::value::{Value, tag};

/// What dropping an object costs, compared with looking at one.
const DROPPED: usize = 4;
/// Stacks kept for new coroutines: 2 MiB.
const MAX_SPARE_STACKS: usize = 1024;
/// Slots of the largest that is kept: one that grew is used again as it is.
const MAX_SPARE_SLOTS: usize = 128;

const _: () = assert!(
    offset_of!(Coroutine, header) == 0
        && offset_of!(Instance, header) == 0
        && offset_of!(Native, header) == 0
        && offset_of!(PrototypeSlot, header) == 0
        && offset_of!(UserData, header) == 0
        && offset_of!(Version, header) == 0
);

/// Takes what the host gave to an object. Its destructor may enter the VM, and the
/// collector is in the middle of something.
///
/// # Safety
/// X1; nothing refers to the object.
unsafe fn take_host_data(h: *mut Header) -> Option<HostData> {
    // SAFETY: X1.
    unsafe {
        match (*h).kind {
            Kind::Native => {
                let code = &raw mut (*h.cast::<Native>()).code;
                match std::mem::replace(&mut *code, NativeCode::Function(|_| Ok(0))) {
                    NativeCode::Boxed(function) => Some(HostData::Function(function)),
                    NativeCode::Function(_) => None,
                }
            }
            Kind::UserData => {
                let data = &raw mut (*h.cast::<UserData>()).data;
                (*data).take().map(HostData::Value)
            }
            _ => None,
        }
    }
}

/// # Safety
/// X1; nothing refers to the object.
unsafe fn drop_boxed(h: *mut Header) {
    // SAFETY: X1.
    unsafe {
        match (*h).kind {
            Kind::Native => drop(Box::from_raw(h.cast::<Native>())),
            Kind::UserData => drop(Box::from_raw(h.cast::<UserData>())),
            Kind::Coroutine => drop(Box::from_raw(h.cast::<Coroutine>())),
            Kind::Slot => drop(Box::from_raw(h.cast::<PrototypeSlot>())),
            Kind::Version => {
                let layout = version_layout(&*h.cast::<Version>());
                std::ptr::drop_in_place(h.cast::<Version>());
                std::alloc::dealloc(h.cast(), layout);
            }
            Kind::Instance => drop(Box::from_raw(h.cast::<Instance>())),
            kind => debug_assert!(false, "boxed {kind:?}"),
        }
    }
}

impl Heap {
    /// Takes over a boxed object: it is dropped when it becomes unreachable.
    /// `T` is one of the boxed object types.
    pub(crate) fn adopt<T>(&mut self, object: T) -> *mut T {
        self.adopt_with(object, Layout::new::<T>())
    }

    /// The same of a version, with uninitialised words behind it.
    pub(crate) fn adopt_version(&mut self, version: Version) -> *mut Version {
        let layout = version_layout(&version);
        self.adopt_with(version, layout)
    }

    fn adopt_with<T>(&mut self, object: T, layout: Layout) -> *mut T {
        let p = self.system_small(layout).cast::<T>();
        let h = p.cast::<Header>();
        // SAFETY: X1: memory of the layout that an object of the kind has.
        let size = unsafe {
            p.write(object);
            (*h).mark = 0;
            boxed_size(h)
        };
        self.budget.reserve.push(&mut self.boxed, h);
        // SAFETY: X1, X3.
        unsafe {
            if (*h).kind == Kind::Coroutine {
                self.list_coroutine(h.cast());
            }
        }
        self.charge(size);
        self.take_small(size);
        p
    }

    /// # Safety
    /// Just adopted.
    unsafe fn list_coroutine(&mut self, co: *mut Coroutine) {
        // SAFETY: X3.
        unsafe {
            (*co).header.word = self.coroutines.len() as u32;
            if self.phase == Phase::Sweep {
                (*co).header.mark = self.marker.epoch;
            }
        }
        self.budget.reserve.push(&mut self.coroutines, co);
    }

    /// # Safety
    /// Listed, and about to be dropped.
    unsafe fn unlist_coroutine(&mut self, co: *mut Coroutine) {
        // SAFETY: X3.
        unsafe {
            let at = (*co).header.word as usize;
            self.coroutines.swap_remove(at);
            if let Some(&moved) = self.coroutines.get(at) {
                (*moved).header.word = at as u32;
            }
        }
    }

    /// How many coroutines there are, dead ones included.
    pub(crate) fn n_coroutines(&self) -> usize {
        self.coroutines.len()
    }

    /// The coroutine at a place, unless it is known to be dead. Places change when
    /// coroutines are swept: then another one stands at the place of one that is
    /// gone, and none at the last place.
    pub(crate) fn coroutine_at(&self, place: usize) -> Option<*mut Coroutine> {
        let co = self.coroutines.get(place).copied()?;
        // SAFETY: X1, X3.
        let mark = unsafe { (*co).header.mark };
        (self.phase != Phase::Sweep || mark == self.marker.epoch).then_some(co)
    }

    /// All coroutines that are not known to be dead.
    pub(crate) fn all_coroutines(&self) -> impl Iterator<Item = *mut Coroutine> + '_ {
        (0..self.coroutines.len()).filter_map(|place| self.coroutine_at(place))
    }

    /// Changes what a boxed object owns (a coroutine's stack, the cells of an
    /// instance) and keeps the account: whatever [`boxed_size`] depends on is
    /// changed in here.
    ///
    /// # Safety
    /// `p` was adopted and is live; nothing else refers to it meanwhile.
    pub(crate) unsafe fn change_boxed<T, R>(
        &mut self,
        p: *mut T,
        change: impl FnOnce(&mut T) -> R,
    ) -> R {
        // SAFETY: X1; by the caller.
        unsafe {
            let before = boxed_size(p.cast());
            let result = change(&mut *p);
            let after = boxed_size(p.cast());
            if after > before {
                self.charge(after - before);
                self.take_small(after - before);
            } else {
                self.budget.give(before - after);
            }
            result
        }
    }

    /// The same where nothing may fail any more: nobody is told that memory is short.
    ///
    /// # Safety
    /// As [`Self::change_boxed`].
    pub(crate) unsafe fn change_boxed_quietly<T>(
        &mut self,
        p: *mut T,
        change: impl FnOnce(&mut T),
    ) {
        // SAFETY: X1; by the caller.
        unsafe {
            let before = boxed_size(p.cast());
            change(&mut *p);
            let after = boxed_size(p.cast());
            self.budget.take(after.saturating_sub(before));
            self.budget.give(before.saturating_sub(after));
        }
    }

    /// Changes what few instances have, made if need be.
    ///
    /// # Safety
    /// As [`Self::change_boxed`].
    pub(crate) unsafe fn more<R>(
        &mut self,
        instance: *mut Instance,
        change: impl FnOnce(&mut More) -> R,
    ) -> R {
        // SAFETY: by the caller.
        unsafe {
            self.change_boxed(instance, |instance| {
                change(instance.more.get_or_insert_default())
            })
        }
    }

    /// Changes what patches need or brought, made if need be.
    ///
    /// # Safety
    /// As [`Self::change_boxed`].
    pub(crate) unsafe fn patched<R>(
        &mut self,
        instance: *mut Instance,
        change: impl FnOnce(&mut Patched) -> R,
    ) -> R {
        // SAFETY: by the caller.
        unsafe {
            self.more(instance, |more| {
                change(more.patched.get_or_insert_default())
            })
        }
    }

    /// A stack of nils for a new coroutine: one that a dead coroutine left, if
    /// one of the usual size is wanted.
    pub(crate) fn new_stack(&mut self, slots: usize) -> Vec<Value> {
        if slots == FIRST_STACK + EXTRA_SLOTS
            && let Some(mut stack) = self.spare_stacks.pop()
        {
            for value in &mut stack {
                value.tag = tag::NIL;
            }
            // Counted again with the coroutine.
            self.budget.pass_on(stack.capacity() * size_of::<Value>());
            return stack;
        }
        let mut stack = Vec::new();
        self.reserve_small(&mut stack, slots);
        stack.resize(slots, Value::NIL);
        stack
    }

    /// Gives back what is kept for new coroutines.
    pub(super) fn drop_spare_stacks(&mut self) {
        for stack in std::mem::take(&mut self.spare_stacks) {
            self.budget.give(stack.capacity() * size_of::<Value>());
        }
    }

    /// Drops unmarked boxed objects, at most `n` looked at ([`DROPPED`] for one that
    /// is dropped); true when done.
    pub(super) fn sweep_boxed(&mut self, mut n: usize) -> bool {
        while self.boxed_sweep > 0 {
            if n == 0 {
                return false;
            }
            n -= 1;
            self.boxed_sweep -= 1;
            let i = self.boxed_sweep;
            let h = self.boxed[i];
            // SAFETY: X1, X2.
            unsafe {
                if (*h).mark != self.marker.epoch {
                    n = n.saturating_sub(DROPPED - 1);
                    self.boxed.swap_remove(i);
                    if (*h).kind == Kind::Coroutine {
                        self.unlist_coroutine(h.cast());
                    }
                    if (*h).kind == Kind::Coroutine
                        && self.spare_stacks.len() < MAX_SPARE_STACKS
                        // A stack in use after its end is to be noticed.
                        && !self.poison
                    {
                        let stack = &mut (*h.cast::<Coroutine>()).stack;
                        if (FIRST_STACK + EXTRA_SLOTS..=MAX_SPARE_SLOTS).contains(&stack.len()) {
                            // Its bytes stay on the account.
                            let stack = std::mem::take(stack);
                            self.spare_stacks.push(stack);
                        }
                    }
                    self.budget.give(boxed_size(h));
                    if let Some(data) = take_host_data(h) {
                        self.budget.reserve.push(&mut self.host_data, data);
                    }
                    drop_boxed(h);
                }
            }
        }
        true
    }

    /// All boxed objects of a kind that are not known to be dead.
    pub(crate) fn boxed_of(&mut self, kind: Kind) -> Vec<*mut Header> {
        self.finish_sweep();
        // SAFETY: X1; after the sweep every object in the list is intact.
        self.boxed
            .iter()
            .copied()
            .filter(|&h| unsafe { (*h).kind } == kind)
            .collect()
    }

    /// Drops everything.
    ///
    /// # Safety
    /// The heap is not used any more.
    pub(super) unsafe fn release_boxed(&mut self) {
        for data in std::mem::take(&mut self.host_data) {
            data.drop_now();
        }
        for h in std::mem::take(&mut self.boxed) {
            // SAFETY: X1.
            unsafe {
                if let Some(data) = take_host_data(h) {
                    data.drop_now();
                }
                drop_boxed(h);
            }
        }
    }
}

impl Heap {
    /// Makes a coroutine with an empty stack.
    pub(crate) fn new_coroutine(&mut self, slots: usize) -> *mut Coroutine {
        let mut stack = self.new_stack(slots + EXTRA_SLOTS);
        // SAFETY: slot 1 exists.
        unsafe {
            set_word(
                &raw mut stack[1],
                return_into(&STUB_COROUTINE) as u64,
                u64::from(tag::LINK),
            );
        }
        self.adopt(on_stack(stack, 2))
    }
}

/// A coroutine that has not begun, with the first frame at `base`.
pub(crate) fn on_stack(stack: Vec<Value>, base: usize) -> Coroutine {
    Coroutine {
        header: header(Kind::Coroutine, 0),
        status: CoroutineStatus::Suspended,
        failed: false,
        stack,
        pc: std::ptr::null(),
        base,
        top: base,
        open_upvalues: std::ptr::null_mut(),
        to_be_closed: Vec::new(),
        resumer: std::ptr::null_mut(),
        n_host_calls: 0,
        is_wrap: false,
        started: false,
        is_watched: false,
        n_pcalls: 0,
        hook: Default::default(),
        error: Value::NIL,
    }
}
