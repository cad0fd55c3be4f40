//! Heap check for tests: finds missing barriers and roots far better than
//! review. Independent of the marker's code.

use foldhash::HashSet;

use super::marker::Weak;
use super::part::{INLINE_ARRAY, INLINE_NODES, PART_HEADER};
use super::size::boxed_size;
use super::{Heap, Phase};
use crate::object::{
    Closure, Coroutine, Header, Instance, Kind, Native, PrototypeSlot, StringObject, Table,
    Upvalue, UserData, Version,
};
use crate::table::{node_count, tag_at};
use crate::value::{Value, tag};

/// Calls `f` for everything an object refers to.
///
/// # Safety
/// An allocated object of the kind that its header says (H1).
unsafe fn children(heap: &Heap, h: *mut Header, mut f: impl FnMut(*mut Header)) {
    let mut pointer = |p: *mut Header| {
        if !p.is_null() {
            f(p);
        }
    };
    macro_rules! value {
        ($v:expr) => {
            let v: Value = $v;
            if v.is_collectable() {
                pointer(v.header());
            }
        };
    }
    // SAFETY: the caller's object is allocated and of its kind.
    unsafe {
        match (*h).kind {
            Kind::Table => {
                let t = h.cast::<Table>();
                pointer((*t).metatable.cast());
                if (*t).array_cap != 0 && (*h).extra & INLINE_ARRAY == 0 {
                    pointer((*t).array.cast::<u8>().sub(PART_HEADER).cast());
                }
                if node_count(t) != 0 && (*h).extra & INLINE_NODES == 0 {
                    pointer((*t).nodes.cast::<u8>().sub(PART_HEADER).cast());
                }
                for i in 0..(*t).array_len as usize {
                    let tag = *tag_at(t, i);
                    if tag != tag::NIL {
                        value!(Value::raw(*(*t).array.add(i), tag));
                    }
                }
                for i in 0..node_count(t) {
                    let n = (*t).nodes.add(i);
                    value!(Value::raw((*n).key, (*n).key_tag));
                    value!(Value::raw((*n).value, (*n).value_tag));
                }
            }
            Kind::Closure => {
                let c = h.cast::<Closure>();
                pointer((*c).callee.cast());
                for i in 0..(*h).word as usize {
                    pointer((*Closure::upvalue_at(c, i)).cast());
                }
                if (*h).flags & Closure::HAS_EXTRA_UPVALUES != 0 {
                    let extra_upvalues = heap.marker.extra_upvalues.get(&c);
                    pointer(extra_upvalues.map_or(std::ptr::null_mut(), |a| a.cast()));
                }
            }
            Kind::Upvalue => {
                let u = h.cast::<Upvalue>();
                if !Upvalue::is_open(u) {
                    value!((*u).closed);
                }
            }
            Kind::Native => {
                for v in &*(*h.cast::<Native>()).upvalues {
                    value!(*v);
                }
            }
            Kind::UserData => {
                pointer((*h.cast::<UserData>()).metatable.cast());
                for v in &*(*h.cast::<UserData>()).user_values {
                    value!(*v);
                }
            }
            Kind::Coroutine => pointer((*h.cast::<Coroutine>()).open_upvalues.cast()),
            Kind::Slot => {
                pointer(PrototypeSlot::version(h.cast()).cast());
                pointer((*h.cast::<PrototypeSlot>()).instance.cast());
            }
            Kind::Version => {
                let v = h.cast::<Version>();
                for i in 0..(*v).n_constants as usize {
                    value!(*Version::constants(v).add(i));
                }
                for &c in Version::children(v) {
                    pointer(c.cast());
                }
                pointer((*v).slot.cast());
            }
            Kind::Instance => {
                let i = &*h.cast::<Instance>();
                pointer(i.main.cast());
                pointer(i.environment.cast());
                if let Some(more) = &i.more {
                    value!(more.returned);
                    for v in more.arguments.iter().flat_map(|all| all.iter()) {
                        value!(*v);
                    }
                    for &c in &more.cells {
                        pointer(c.cast());
                    }
                }
            }
            Kind::String | Kind::Part | Kind::Free => {}
        }
    }
}

impl Heap {
    /// Checks that every pointer hits the start of an allocated object and
    /// that no black object refers to a white one. For tests; slow.
    ///
    /// # Panics
    /// If something is wrong.
    pub(crate) fn verify(&self) {
        let mut objects = Vec::new();
        self.for_each_cell(|h, _| objects.push(h));
        objects.extend_from_slice(&self.boxed);
        let mut known: HashSet<usize> = objects.iter().map(|&h| h as usize).collect();
        self.for_each_large(|h| {
            known.insert(h as usize);
        });
        self.verify_account();
        // Being swept: the dead may refer to what is gone already.
        if self.phase == Phase::Sweep {
            return;
        }
        let unfinished = self.marker.unfinished();
        for h in objects {
            // SAFETY: allocated objects.
            unsafe {
                let black = (*h).mark == self.black && !unfinished.contains(&(h as usize));
                let weak = (*h).kind == Kind::Table && {
                    let m = (*h.cast::<Table>()).metatable;
                    !m.is_null() && self.marker.weak_mode(m) != Weak::No
                };
                let moving = (*h).kind == Kind::Coroutine;
                children(self, h, |child| {
                    assert!(
                        known.contains(&(child as usize)),
                        "{:?} {h:?} -> {child:?} is not an object",
                        (*h).kind
                    );
                    if black && !weak && !moving {
                        assert!(
                            (*child).mark == self.black,
                            "black {:?} {h:?} -> white {:?} {child:?}",
                            (*h).kind,
                            (*child).kind
                        );
                    }
                });
            }
        }
    }

    /// What is there must be what is on the account, byte for byte.
    fn verify_account(&self) {
        let mut held = self.pool.reserved();
        for stack in &self.spare_stacks {
            held += stack.capacity() * size_of::<Value>();
        }
        held += self.large_held();
        // SAFETY: allocated objects; X1.
        unsafe {
            for &h in &self.boxed {
                held += boxed_size(h);
            }
            self.for_each_cell(|h, _| {
                if (*h).kind == Kind::String {
                    held += StringObject::body_capacity(h.cast());
                }
            });
        }
        assert_eq!(held, self.budget.held(), "held, on the account");
    }

    /// Allocated objects of a kind (dead ones not yet swept included).
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) fn count_kind(&self, kind: Kind) -> usize {
        let mut n = 0;
        // SAFETY: allocated objects.
        unsafe {
            self.for_each_cell(|h, _| n += usize::from((*h).kind == kind));
            n + self.boxed.iter().filter(|&&h| (*h).kind == kind).count()
        }
    }
}
