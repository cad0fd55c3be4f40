//! The heap: allocation of all objects and their collection.
//!
//! Small objects are cells of size-class blocks (`block`), large table parts
//! come from the system allocator (`large`), objects with destructors are
//! boxed (`boxed`). The collector marks incrementally (`marker`, `weak`,
//! `finalizer`) in steps sized by the allocation since (`cycle`), or in one piece
//! (`collect`), and sweeps lazily in the allocator. Nothing here runs Lua code or collects during an
//! allocation: natives and instructions hold raw pointers without rooting.
//!
//! Invariants:
//! - H1: a live object's header says its kind; its cell class or box is known
//!   from kind and fields.
//! - H2: while marking, no marked (black) object refers to an unmarked one that
//!   is not about to be marked (gray stack, rescans); stores call the barrier.
//! - H3: objects are allocated with mark 0 (white); a new part of a marked
//!   table is marked.
//! - H4: outside marking `black` equals no object's mark, so the barrier's
//!   compare fails.

mod backfill;
mod block;
mod boxed;
mod budget;
pub(crate) mod class;
mod collect;
mod control;
mod cycle;
mod finalizer;
pub(crate) mod large;
mod marker;
mod mode;
pub(crate) mod part;
mod pool;
mod reserve;
mod sanitize;
mod size;
#[cfg(test)]
mod tests;
pub(crate) mod timer;
mod trace;
mod verify;
mod weak;

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use self::marker::Marker;
pub(crate) use self::mode::{Forced, Mode, Roots, Settings};
pub(crate) use self::reserve::{PROBE_FROM, Reserve, probe};

use self::class::{N_CLASSES, class_of};
use self::part::Large;
use self::pool::{Cell, Class, Pool};
use self::reserve::Budget;
use self::size::closure_size;
use crate::callee::callee_of;
use crate::meta_event::Event;
use crate::object::{
    Closure, Coroutine, Header, HostData, Kind, PrototypeSlot, StringObject, Upvalue,
};
use crate::safepoint::PollHandle;
use crate::string::intern::Interner;
use crate::value::Value;

/// The memory limit does not allow an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not enough memory")]
pub(crate) struct OutOfMemory;

/// Where the collector stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Swept; waiting for the next cycle.
    Pause,
    /// Marking incrementally.
    Mark,
    /// Marked; not everything swept.
    Sweep,
}

/// Impossible mark: see H4.
const NO_BLACK: u8 = 255;

/// The heap of one VM.
pub(crate) struct Heap {
    /// Free list per class; first, because every allocation starts here.
    free: [*mut Cell; N_CLASSES],
    /// Mark of black objects while marking, otherwise an impossible value.
    pub(crate) black: u8,
    phase: Phase,
    /// Swept cells are overwritten (tests).
    pub(crate) poison: bool,
    /// Free lists are one cell long (tests).
    single_cells: bool,
    /// Freed cells are not used again for a while (tests).
    keep_freed: bool,
    /// To be done at this safe point, whatever the debt (tests).
    forced: Option<Forced>,
    running: bool,
    /// No collection may be made (a patch is being prepared).
    busy: bool,
    /// Writes go into the undo log of a patch that is being prepared
    /// (`undo/mod.rs`): tables keep the keys they had.
    pub(crate) logged: bool,
    /// A finalizer runs: no collection except an emergency one.
    finalizing: bool,
    requested: bool,
    mode: Mode,
    /// Memory ran short: a safe point must collect, and raise if that does not
    /// help.
    pub(crate) limit_exceeded: bool,
    /// Bytes charged since the end of the last marking.
    charged: isize,
    /// A step is due when `charged` reaches this.
    trigger: isize,
    /// Bytes found live by the last marking.
    live: usize,
    /// Those of them that only objects waiting for their finalizers reach.
    doomed: usize,
    /// Charge at the last step of this cycle.
    charged_at_step: isize,
    /// Charge when the step that is due was first put off.
    put_off_at: Option<isize>,
    /// Charge when marking could end for the first time, but with inexact roots.
    ending_since: Option<isize>,
    n_rescans: u32,
    pause: usize,
    step_multiplier: usize,
    pub(super) budget: Budget,
    /// Something asked for in a native could not be made and has a stand-in: the
    /// native must fail.
    pub(crate) deferred: bool,
    /// "not enough memory": there must be no need to allocate it.
    pub(crate) memory_message: *mut StringObject,
    /// What the host gave to objects that are gone; its destructors are due.
    pub(crate) host_data: Vec<HostData>,
    pub(crate) seed: u64,
    marker: Marker,
    pub(crate) strings: Interner,
    classes: Vec<Class>,
    pool: Pool,
    sweep_class: usize,
    large: Vec<Large>,
    large_sweep: usize,
    boxed: Vec<*mut Header>,
    boxed_sweep: usize,
    /// All coroutines among them (X3).
    coroutines: Vec<*mut Coroutine>,
    /// Stacks of dead coroutines, all of one size (see `boxed`).
    pub(super) spare_stacks: Vec<Vec<Value>>,
    finalizers: Vec<*mut Header>,
    pending: VecDeque<*mut Header>,
    /// How many of them are to be called at the next safe points.
    owed_finalizers: usize,
    /// Coroutines resumed since they were marked.
    pub(crate) ran_since_marking: Vec<*mut Coroutine>,
    pub(crate) single: [*mut StringObject; 256],
    /// Names of the metamethod events, in order of [`Event`].
    pub(crate) event_names: [*mut StringObject; Event::COUNT],
    poll: Arc<PollHandle>,
}

impl Heap {
    /// An empty heap with a random hash seed.
    pub(crate) fn new(poll: Arc<PollHandle>) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Self::with_seed(poll, seed)
    }

    /// An empty heap with a given hash seed (reproducible `pairs` order of
    /// string keys).
    pub(crate) fn with_seed(poll: Arc<PollHandle>, seed: u64) -> Self {
        crate::table::choose_mixer();
        // Long strings keep half of the seed until they are hashed; spreading
        // it keeps the full width for the short ones.
        let budget = Budget::new();
        let marker = Marker::new(Rc::clone(&budget.reserve));
        let mut heap = Self {
            free: [ptr::null_mut(); N_CLASSES],
            black: NO_BLACK,
            phase: Phase::Pause,
            poison: false,
            single_cells: false,
            keep_freed: false,
            forced: None,
            running: true,
            busy: false,
            logged: false,
            finalizing: false,
            requested: false,
            mode: Mode::Incremental,
            limit_exceeded: false,
            charged: 0,
            trigger: mode::FLOOR,
            live: 0,
            doomed: 0,
            charged_at_step: 0,
            put_off_at: None,
            ending_since: None,
            n_rescans: 0,
            pause: 200,
            step_multiplier: 100,
            budget,
            deferred: false,
            memory_message: ptr::null_mut(),
            host_data: Vec::new(),
            seed,
            marker,
            strings: Interner::new(),
            classes: (0..N_CLASSES).map(|_| Class::new()).collect(),
            pool: Pool::new(),
            sweep_class: 0,
            large: Vec::new(),
            large_sweep: 0,
            boxed: Vec::new(),
            boxed_sweep: 0,
            coroutines: Vec::new(),
            spare_stacks: Vec::new(),
            finalizers: Vec::new(),
            pending: VecDeque::new(),
            owed_finalizers: 0,
            ran_since_marking: Vec::new(),
            single: [ptr::null_mut(); 256],
            event_names: [ptr::null_mut(); Event::COUNT],
            poll,
        };
        for b in 0..=255u8 {
            let hash = crate::string::hash(&[b], seed);
            heap.single[b as usize] = heap.new_short(&[b], hash);
        }
        for (i, name) in Event::NAMES.iter().enumerate() {
            heap.event_names[i] = heap.string(name.as_bytes());
        }
        heap.memory_message = heap.string(b"not enough memory");
        heap.marker.mode_name = heap.event_names[Event::Mode as usize];
        heap
    }

    /// Accounts for memory taken from the system or put on a free list.
    #[inline(always)]
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.charge_signed(bytes as isize);
    }

    #[inline(always)]
    fn charge_signed(&mut self, bytes: isize) {
        self.charged += bytes;
        if self.charged >= self.trigger && !self.requested {
            self.ask();
        }
    }

    #[cold]
    fn ask(&mut self) {
        if self.running {
            self.requested = true;
            self.poll.request_step();
        }
    }

    /// Whether there may be something to do at a safe point: what is past the trigger
    /// has asked for a step, unless the collector is blocked. Cheaper than to look.
    #[inline(always)]
    pub(crate) fn has_asked(&self) -> bool {
        self.requested | (self.owed_finalizers != 0)
    }

    fn reserved_estimate(&self) -> usize {
        (self.live as isize + self.charged).max(0) as usize
    }

    /// Live bytes of the last marking plus allocation since.
    pub(crate) fn bytes_in_use(&self) -> usize {
        self.reserved_estimate().saturating_sub(self.free_bytes())
    }

    /// Live bytes of the last marking.
    pub(crate) fn bytes_live(&self) -> usize {
        self.live
    }

    /// Bytes of blocks held (for tests and statistics).
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn bytes_reserved(&self) -> usize {
        self.pool.reserved()
    }

    #[inline(always)]
    pub(crate) fn epoch(&self) -> u8 {
        self.marker.epoch
    }

    #[inline(always)]
    pub(crate) fn is_sweeping(&self) -> bool {
        self.phase == Phase::Sweep
    }

    /// A closure; its captured variables are still null.
    #[inline]
    pub(crate) fn new_closure(
        &mut self,
        slot: *mut PrototypeSlot,
        n_upvalues: usize,
    ) -> *mut Closure {
        let c = self
            .alloc(class_of(closure_size(n_upvalues)))
            .cast::<Closure>();
        // SAFETY: the cell has room for n pointers behind the two fields.
        unsafe {
            (&raw mut (*c).header).write(header(Kind::Closure, n_upvalues as u32));
            (*c).callee = callee_of(slot);
            for i in 0..n_upvalues {
                *Closure::upvalue_at(c, i) = ptr::null_mut();
            }
        }
        c
    }

    /// A captured variable that lives in a stack slot.
    #[inline]
    pub(crate) fn new_open_upvalue(
        &mut self,
        slot: *mut Value,
        next: *mut Upvalue,
    ) -> *mut Upvalue {
        let u = self.alloc(class_of(size_of::<Upvalue>())).cast::<Upvalue>();
        // SAFETY: the cell has the size of an upvalue.
        unsafe {
            u.write(Upvalue {
                header: header(Kind::Upvalue, 0),
                value: slot,
                closed: Value::NIL,
                next_open: next,
            })
        };
        u
    }

    /// A captured variable with a value of its own.
    #[inline]
    pub(crate) fn new_closed_upvalue(&mut self, value: Value) -> *mut Upvalue {
        let u = self.new_open_upvalue(ptr::null_mut(), ptr::null_mut());
        // SAFETY: just made.
        unsafe {
            (*u).closed = value;
            (*u).value = &raw mut (*u).closed;
        }
        u
    }

    /// To be called next to every store of `value` into `parent`.
    ///
    /// # Safety
    /// Both are live.
    #[inline(always)]
    pub(crate) unsafe fn barrier(&mut self, parent: *mut Header, value: Value) {
        // SAFETY: by the caller.
        unsafe {
            if value.is_collectable() && (*parent).mark == self.black {
                self.barrier_cold(value.header());
            }
        }
    }

    /// Whether storing `value` into `parent` needs [`Heap::barrier`].
    ///
    /// # Safety
    /// Both are live.
    #[inline(always)]
    pub(crate) unsafe fn needs_barrier(&self, parent: *mut Header, value: Value) -> bool {
        // SAFETY: by the caller.
        unsafe { value.is_collectable() && (*parent).mark == self.black }
    }

    /// [`Heap::barrier`] for objects that are not values.
    ///
    /// # Safety
    /// Both are live.
    #[inline(always)]
    pub(crate) unsafe fn barrier_object(&mut self, parent: *mut Header, child: *mut Header) {
        // SAFETY: by the caller.
        unsafe {
            if (*parent).mark == self.black {
                self.barrier_cold(child);
            }
        }
    }

    /// Forward: the child is marked. (Backward would leave re-grayed tables to
    /// the atomic step: 14 ms instead of 0.3 ms at 10^6 objects.)
    ///
    /// # Safety
    /// A live object.
    #[cold]
    #[inline(never)]
    unsafe fn barrier_cold(&mut self, child: *mut Header) {
        // SAFETY: by the caller.
        unsafe { self.marker.mark_object(child) };
    }

    /// The entries of a table changed places; if it was traversed already,
    /// that must be repeated.
    ///
    /// # Safety
    /// `owner` is a live table.
    #[inline]
    pub(crate) unsafe fn retrace(&mut self, owner: *mut Header) {
        // SAFETY: by the caller.
        unsafe {
            if (*owner).mark == self.black {
                self.marker.retrace(owner.cast());
            }
        }
    }

    /// The array entries of a table behind index `from` (0-based) each moved down by
    /// one: what a traversal in progress has before it must not slip behind it.
    ///
    /// # Safety
    /// `owner` is a live table.
    #[inline]
    pub(crate) unsafe fn moved_down(&mut self, owner: *mut Header, from: usize) {
        // SAFETY: by the caller.
        unsafe {
            if (*owner).mark == self.black {
                self.marker.step_back(owner.cast(), from);
            }
        }
    }

    /// A coroutine is being resumed: if it is or gets marked in this cycle, its
    /// stack must be looked at again. White ones count too: they may be marked
    /// while they run and then go on. `flags` says that it is listed.
    ///
    /// # Safety
    /// `co` is live.
    #[inline]
    pub(crate) unsafe fn note_resumed(&mut self, co: *mut Coroutine) {
        // SAFETY: by the caller.
        unsafe {
            if self.phase == Phase::Mark && (*co).header.flags == 0 {
                (*co).header.flags = 1;
                self.budget.reserve.push(&mut self.ran_since_marking, co);
            }
        }
    }
}

/// A fresh (white) header.
#[inline(always)]
pub(crate) const fn header(kind: Kind, word: u32) -> Header {
    Header {
        kind,
        mark: 0,
        flags: 0,
        extra: 0,
        word,
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: the heap goes away as a whole.
        unsafe {
            self.release_boxed();
            self.release_large();
            self.release_blocks();
        }
    }
}

impl std::fmt::Debug for Heap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heap")
            .field("phase", &self.phase)
            .field("bytes", &self.bytes_in_use())
            .finish_non_exhaustive()
    }
}
