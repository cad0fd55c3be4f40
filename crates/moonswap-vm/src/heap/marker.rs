//! Marking: what an object refers to, by kind.
//!
//! Invariants:
//! - M1: everything on the gray stack is allocated, and stays so until the end
//!   of marking (nothing is swept while marking).
//! - M2: big tables are traversed in slices of table and index, never of raw
//!   positions, so that tables may change in between.

use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;

use super::class::{class_of, class_size};
use super::part::{
    CLASS_SHIFT, INLINE_ARRAY, INLINE_NODES, PART_HEADER, array_bytes, footprint, is_small,
    node_bytes,
};
use super::reserve::Reserve;
use super::size::{boxed_size, closure_size, string_size};
use super::timer::Timer;
use crate::meta_event::Event;
use crate::object::{
    Closure, Coroutine, Header, Instance, Kind, Native, Node, PrototypeSlot, StringObject, Table,
    Upvalue, UserData, Version,
};
use crate::table::{get_short, node_count, tag_at};
use crate::value::{Value, tag};

/// Entries traversed at a time: a table of 10^6 entries in one piece is a
/// pause of 5 to 15 ms. Tiny in debug tests, so that slicing is met often.
pub(super) const SLICE: usize = if cfg!(all(test, debug_assertions)) {
    8
} else {
    1024
};
/// Bytes marked between two looks at the clock: some 10 µs, or ten times that where
/// every object is a cache miss.
const TIMED: usize = 32 * 1024;
/// In tables up to this size, string keys of removed entries are kept, so that
/// setting the field again reuses its node (and caches of it stay valid).
const KEEP_KEYS: usize = 64;

/// What `__mode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weak {
    /// Strong.
    No,
    /// `"v"`
    Values,
    /// `"k"`: ephemerons.
    Keys,
    /// `"kv"`
    All,
}

/// Rest of a big table.
pub(super) struct Slice {
    table: *mut Table,
    weak: Weak,
    /// Next array slot, then next node.
    array: usize,
    node: usize,
}

/// State of the marking.
pub(crate) struct Marker {
    /// Mark of what was reached in this cycle; afterwards of what survived.
    pub(crate) epoch: u8,
    pub(super) atomic: bool,
    /// Helps the lists to grow when the system refuses memory.
    reserve: Rc<Reserve>,
    gray: Vec<*mut Header>,
    slices: Vec<Slice>,
    /// Bytes marked.
    pub(super) live: usize,
    /// Bytes traversed: the measure of a step.
    pub(super) work: usize,
    /// Weak tables met in this cycle.
    pub(super) weak: Vec<*mut Table>,
    /// Upvalues that were open when marked.
    pub(super) open_upvalues: Vec<*mut Upvalue>,
    pub(super) mode_name: *mut StringObject,
    /// Late variables of closures (LA1).
    pub(super) extra_upvalues: HashMap<*mut Closure, *mut Closure>,
}

impl Marker {
    pub(super) fn new(reserve: Rc<Reserve>) -> Self {
        Self {
            epoch: 1,
            atomic: false,
            reserve,
            gray: Vec::new(),
            slices: Vec::new(),
            live: 0,
            work: 0,
            weak: Vec::new(),
            open_upvalues: Vec::new(),
            mode_name: ptr::null_mut(),
            extra_upvalues: HashMap::new(),
        }
    }

    /// Forgets the last cycle; all objects are white in the new epoch. Marks
    /// on objects are 0, the last complete epoch or those of cycles given up
    /// since, so 254 values are plenty.
    pub(super) fn begin(&mut self) {
        self.epoch = if self.epoch >= 250 { 1 } else { self.epoch + 1 };
        self.atomic = false;
        self.gray.clear();
        self.slices.clear();
        self.live = 0;
        self.work = 0;
        self.weak.clear();
        self.open_upvalues.clear();
    }

    /// Addresses of objects that are marked but not traversed completely.
    pub(super) fn unfinished(&self) -> foldhash::HashSet<usize> {
        self.gray
            .iter()
            .map(|&h| h as usize)
            .chain(self.slices.iter().map(|s| s.table as usize))
            .collect()
    }

    /// Gives the memory of unusually big stacks back.
    pub(super) fn end(&mut self) {
        self.gray.shrink_to(64 * 1024);
        self.weak = Vec::new();
        self.open_upvalues = Vec::new();
    }

    /// Bytes of the marker's own tables.
    pub(super) fn bytes(&self) -> usize {
        (self.gray.capacity() + self.weak.capacity() + self.open_upvalues.capacity())
            * size_of::<usize>()
            + self.slices.capacity() * size_of::<Slice>()
            + self.extra_upvalues.capacity() * 2 * size_of::<usize>()
    }

    #[inline(always)]
    pub(super) fn is_drained(&self) -> bool {
        self.gray.is_empty() && self.slices.is_empty()
    }

    /// Traverses a marked table again.
    ///
    /// # Safety
    /// `t` is live and marked.
    pub(super) unsafe fn retrace(&mut self, t: *mut Table) {
        // SAFETY: by the caller.
        unsafe {
            let metatable = (*t).metatable;
            let weak = if metatable.is_null() {
                Weak::No
            } else {
                self.weak_mode(metatable)
            };
            self.reserve.push(
                &mut self.slices,
                Slice {
                    table: t,
                    weak,
                    array: 0,
                    node: 0,
                },
            );
        }
    }

    /// Slices of `t` that begin behind array index `from` begin one earlier.
    #[cold]
    pub(super) fn step_back(&mut self, t: *mut Table, from: usize) {
        for slice in &mut self.slices {
            if std::ptr::eq(slice.table, t) && slice.array > from {
                slice.array -= 1;
            }
        }
    }

    /// Marks what a value refers to.
    ///
    /// # Safety
    /// The value is live.
    #[inline(always)]
    pub(crate) unsafe fn mark_value(&mut self, value: Value) {
        if value.is_collectable() {
            // SAFETY: by the caller.
            unsafe { self.mark_object(value.header()) };
        }
    }

    /// Marks an object; what it refers to follows later.
    ///
    /// # Safety
    /// `h` is allocated and not null.
    #[inline(always)]
    pub(crate) unsafe fn mark_object(&mut self, h: *mut Header) {
        // SAFETY: by the caller.
        unsafe {
            if (*h).mark == self.epoch {
                return;
            }
            (*h).mark = self.epoch;
            if (*h).kind == Kind::String {
                self.count_string(h.cast());
            } else {
                self.reserve.push(&mut self.gray, h);
            }
        }
    }

    /// # Safety
    /// `p` is null or a live object, whose struct begins with a header.
    #[inline]
    unsafe fn mark_nullable<T>(&mut self, p: *mut T) {
        if !p.is_null() {
            // SAFETY: by the caller, T begins with a header.
            unsafe { self.mark_object(p.cast()) };
        }
    }

    /// # Safety
    /// A live string.
    #[inline(always)]
    unsafe fn count_string(&mut self, s: *mut StringObject) {
        // SAFETY: by the caller.
        unsafe {
            self.live += string_size(s);
            self.work += 32;
        }
    }

    /// # Safety
    /// V1.
    #[inline(always)]
    pub(super) unsafe fn is_white(&self, value: Value) -> bool {
        // SAFETY: by the caller, the value is live.
        unsafe { value.is_collectable() && (*value.header()).mark != self.epoch }
    }

    /// Traverses until the stack is empty or `budget` bytes are done.
    ///
    /// # Safety
    /// M1.
    pub(super) unsafe fn drain(&mut self, budget: usize) {
        let limit = self.work.saturating_add(budget);
        while self.work < limit {
            // SAFETY: M1.
            unsafe {
                if let Some(h) = self.gray.pop() {
                    self.traverse(h);
                } else if let Some(slice) = self.slices.pop() {
                    self.traverse_slice(slice);
                } else {
                    return;
                }
            }
        }
    }

    /// As [`drain`](Self::drain), and stops when the time is up; the part of the budget
    /// that is left then.
    ///
    /// # Safety
    /// M1.
    pub(super) unsafe fn drain_until(&mut self, budget: usize, timer: &Timer) -> usize {
        let mut left = budget;
        while left > 0 && !self.is_drained() {
            let part = left.min(TIMED);
            // SAFETY: M1.
            unsafe { self.drain(part) };
            left -= part;
            if timer.is_up() {
                return left;
            }
        }
        0
    }

    /// # Safety
    /// M1: an object from the gray stack.
    unsafe fn traverse(&mut self, h: *mut Header) {
        // SAFETY: M1; the struct belongs to the kind.
        unsafe {
            match (*h).kind {
                Kind::Table => self.traverse_table(h.cast()),
                Kind::Closure => {
                    let c = h.cast::<Closure>();
                    let n = (*c).header.word as usize;
                    self.count(class_size(class_of(closure_size(n))));
                    self.mark_nullable((*c).callee);
                    for i in 0..n {
                        self.mark_nullable(*Closure::upvalue_at(c, i));
                    }
                    if (*h).flags & Closure::HAS_EXTRA_UPVALUES != 0 {
                        self.mark_extra_upvalues(c);
                    }
                }
                Kind::Upvalue => {
                    let u = h.cast::<Upvalue>();
                    self.count(class_size(class_of(size_of::<Upvalue>())));
                    if Upvalue::is_open(u) {
                        self.reserve.push(&mut self.open_upvalues, u);
                    } else {
                        self.mark_value((*u).closed);
                    }
                }
                Kind::Native => {
                    self.count(boxed_size(h));
                    for v in &*(*h.cast::<Native>()).upvalues {
                        self.mark_value(*v);
                    }
                }
                Kind::UserData => {
                    self.count(boxed_size(h));
                    let u = h.cast::<UserData>();
                    self.mark_nullable((*u).metatable);
                    for v in &*(*u).user_values {
                        self.mark_value(*v);
                    }
                }
                Kind::Coroutine => self.traverse_coroutine(h.cast()),
                Kind::Slot => {
                    self.count(boxed_size(h));
                    let s = h.cast::<PrototypeSlot>();
                    self.mark_nullable(PrototypeSlot::version(s));
                    self.mark_nullable((*s).instance);
                }
                Kind::Version => self.traverse_version(h.cast()),
                Kind::Instance => {
                    self.count(boxed_size(h));
                    let i = h.cast::<Instance>();
                    self.mark_nullable((*i).main);
                    self.mark_nullable((*i).environment);
                    if let Some(more) = Instance::more(i) {
                        self.mark_value(more.returned);
                        for value in more.arguments.iter().flat_map(|all| all.iter()) {
                            self.mark_value(*value);
                        }
                        for &cell in &more.cells {
                            self.mark_nullable(cell);
                        }
                        if let Some(registry) =
                            Instance::patched(i).and_then(|p| p.registry.as_ref())
                        {
                            for (_, slot) in registry.iter() {
                                self.mark_nullable(slot);
                            }
                        }
                    }
                }
                Kind::String | Kind::Part | Kind::Free => {
                    debug_assert!(false, "gray {:?}", (*h).kind)
                }
            }
        }
    }

    #[inline(always)]
    fn count(&mut self, bytes: usize) {
        self.live += bytes;
        self.work += bytes;
    }

    /// # Safety
    /// M1: a live object of this kind.
    unsafe fn traverse_version(&mut self, v: *mut Version) {
        // SAFETY: M1; the constants stand behind the code.
        unsafe {
            self.count(boxed_size(v.cast()));
            for i in 0..(*v).n_constants as usize {
                let k = *Version::constants(v).add(i);
                if k.tag == tag::CELL {
                    self.mark_nullable(k.payload as *mut Header);
                } else {
                    self.mark_value(k);
                }
            }
            for &child in Version::children(v) {
                self.mark_nullable(child);
            }
            self.mark_nullable((*v).slot);
        }
    }

    /// # Safety
    /// M1: a live object of this kind.
    unsafe fn traverse_coroutine(&mut self, co: *mut Coroutine) {
        // SAFETY: M1.
        unsafe {
            self.live += boxed_size(co.cast());
            self.scan_stack(co);
        }
    }

    /// Looks at a coroutine's stack (again).
    ///
    /// # Safety
    /// `co` is live.
    pub(super) unsafe fn scan_stack(&mut self, co: *mut Coroutine) {
        // SAFETY: M1.
        unsafe {
            self.work += size_of::<Coroutine>() + (*co).top * 16;
            self.mark_nullable((*co).resumer);
            self.mark_stack(co);
            // They are linked through each other, used or not, so all live as
            // long as the stack; `extra` tells the atomic step that it does.
            let mut u = (*co).open_upvalues;
            while !u.is_null() {
                if (*u).header.mark != self.epoch {
                    (*u).header.mark = self.epoch;
                    self.count(class_size(class_of(size_of::<Upvalue>())));
                }
                (*u).header.extra = self.epoch;
                u = (*u).next_open;
            }
        }
    }

    /// Marks a table's parts themselves.
    ///
    /// # Safety
    /// L1: a table's part of `bytes` bytes.
    unsafe fn mark_part(&mut self, data: *mut u8, bytes: usize) {
        // SAFETY: the part has a header in front (L1).
        unsafe {
            let h = data.sub(PART_HEADER).cast::<Header>();
            if (*h).mark != self.epoch {
                (*h).mark = self.epoch;
                self.live += footprint(bytes);
            }
        }
    }

    /// # Safety
    /// M1: a live object of this kind.
    unsafe fn traverse_table(&mut self, t: *mut Table) {
        // SAFETY: M1.
        unsafe {
            let extra = (*t).header.extra;
            let cell = class_size((extra >> CLASS_SHIFT) as usize);
            self.count(cell);
            let n_nodes = node_count(t);
            if n_nodes != 0 && extra & INLINE_NODES == 0 {
                self.mark_part((*t).nodes.cast(), node_bytes(n_nodes));
            }
            let cap = (*t).array_cap as usize;
            if cap != 0 && extra & INLINE_ARRAY == 0 {
                self.mark_part((*t).array.cast(), array_bytes(cap));
            }
            let mut weak = Weak::No;
            let metatable = (*t).metatable;
            if !metatable.is_null() {
                self.mark_object(metatable.cast());
                weak = self.weak_mode(metatable);
                if weak != Weak::No {
                    self.reserve.push(&mut self.weak, t);
                }
            }
            let slice = Slice {
                table: t,
                weak,
                array: 0,
                node: 0,
            };
            self.traverse_slice(slice);
        }
    }

    /// `__mode` of a metatable.
    ///
    /// # Safety
    /// Null or a live table.
    pub(super) unsafe fn weak_mode(&self, metatable: *mut Table) -> Weak {
        const ABSENT: u8 = 1 << Event::Mode as u8;
        // SAFETY: M1.
        unsafe {
            if (*metatable).header.flags & ABSENT != 0 {
                return Weak::No;
            }
            let mode = get_short(metatable, self.mode_name);
            if mode.tag != tag::STRING {
                if mode.is_nil() {
                    (*metatable).header.flags |= ABSENT;
                }
                return Weak::No;
            }
            let bytes = StringObject::bytes(mode.as_string());
            match (bytes.contains(&b'k'), bytes.contains(&b'v')) {
                (false, false) => Weak::No,
                (false, true) => Weak::Values,
                (true, false) => Weak::Keys,
                (true, true) => Weak::All,
            }
        }
    }

    /// Up to [`SLICE`] array entries and nodes; the rest is put back.
    ///
    /// # Safety
    /// M1: the slice is one of a live table.
    unsafe fn traverse_slice(&mut self, mut s: Slice) {
        // SAFETY: M1, M2: sizes are read anew.
        unsafe {
            let t = s.table;
            let n = (*t).array_len as usize;
            if s.array < n {
                let end = n.min(s.array + SLICE);
                if s.weak == Weak::No || s.weak == Weak::Keys {
                    for i in s.array..end {
                        let tag = *tag_at(t, i);
                        if tag >= tag::STRING {
                            self.mark_value(Value::raw(*(*t).array.add(i), tag));
                        }
                    }
                }
                self.work += (end - s.array) * 9;
                s.array = end;
                if end < n {
                    self.reserve.push(&mut self.slices, s);
                    return;
                }
            }
            let n = node_count(t);
            if s.node < n {
                let end = n.min(s.node + SLICE / 2);
                for i in s.node..end {
                    self.traverse_node((*t).nodes.add(i), s.weak, n);
                }
                self.work += node_bytes(end - s.node);
                s.node = end;
                if end < n {
                    self.reserve.push(&mut self.slices, s);
                }
            }
        }
    }

    /// # Safety
    /// M1: a node of a live table, whose node part has `n_nodes`.
    #[inline(always)]
    unsafe fn traverse_node(&mut self, n: *mut Node, weak: Weak, n_nodes: usize) {
        // SAFETY: M1.
        unsafe {
            let key = Value::raw((*n).key, (*n).key_tag);
            if (*n).value_tag == tag::NIL {
                self.removed_key(n, n_nodes);
                return;
            }
            let value = Value::raw((*n).value, (*n).value_tag);
            match weak {
                Weak::No => {
                    self.mark_value(key);
                    self.mark_value(value);
                }
                Weak::Values => self.mark_value(key),
                Weak::Keys => {
                    // Ephemeron: the value counts if the key does. Strings are
                    // values, not objects.
                    if key.tag == tag::STRING {
                        self.mark_value(key);
                    }
                    if !self.is_white(key) {
                        self.mark_value(value);
                    }
                }
                // String keys of entries that stay are marked at the end.
                Weak::All => {}
            }
        }
    }

    /// The key of an entry with nil value must not keep its object alive, nor
    /// be mistaken for a new object at the same address.
    ///
    /// # Safety
    /// M1: a node of a live table, whose node part has `n_nodes`.
    #[inline]
    pub(super) unsafe fn removed_key(&mut self, n: *mut Node, n_nodes: usize) {
        // SAFETY: M1; key objects of a node are allocated until a cycle finds
        // the entry removed.
        unsafe {
            let key = Value::raw((*n).key, (*n).key_tag);
            if key.is_collectable() {
                if key.tag == tag::STRING
                    && n_nodes <= KEEP_KEYS
                    && StringObject::is_short(key.as_string())
                {
                    self.mark_object(key.header());
                } else if self.is_white(key) {
                    (*n).key_tag = tag::DEAD_KEY;
                }
            }
        }
    }
}

const _: () = assert!(is_small(0));
