//! Places for values in both parts. Invariants: see `mod.rs` (T1–T4) and
//! `write.rs` (T5).

use std::ptr;

use super::{EMPTY_NODE, hash_key, node_at, tag_at};
use crate::heap::Heap;
use crate::object::{Node, Table};
use crate::value::{Value, tag};

/// Next unused node from the top; null if the part is full.
///
/// # Safety
/// T1: a live table.
#[inline]
pub(super) unsafe fn find_free(t: *mut Table) -> *mut Node {
    // SAFETY: T1; last_free is 0 without a real node part.
    unsafe {
        while (*t).last_free > 0 {
            (*t).last_free -= 1;
            let n = (*t).nodes.add((*t).last_free as usize);
            if (*n).key_tag == tag::NIL {
                return n;
            }
        }
        ptr::null_mut()
    }
}

/// # Safety
/// A node of a live table's own node part; key and value are live.
#[inline(always)]
pub(super) unsafe fn write_node(n: *mut Node, key: Value, value: Value) {
    // SAFETY: by the caller.
    unsafe {
        (*n).value = value.payload;
        (*n).key = key.payload;
        (*n).value_tag = value.tag;
        (*n).key_tag = key.tag;
    }
}

/// The key of an entry, with or without a value, that T5 is about.
///
/// # Safety
/// A node of a live table.
#[inline(always)]
pub(super) unsafe fn is_keyed(n: *const Node) -> bool {
    // SAFETY: by the caller.
    unsafe { !matches!((*n).key_tag, tag::NIL | tag::DEAD_KEY) }
}

/// Tries to place a key that is absent; false if the node part is full.
///
/// # Safety
/// T1, T3: a live table of this heap's; the key is live, normalised and absent.
#[inline]
pub(super) unsafe fn place<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    key: Value,
    value: Value,
) -> bool {
    // SAFETY: T1, T3.
    unsafe {
        if std::ptr::eq((*t).nodes, &raw const EMPTY_NODE) {
            return false;
        }
        let home = node_at(t, hash_key(key.payload, key.tag));
        if (*home).value_tag == tag::NIL && !(KEEP && is_keyed(home)) {
            // Unused or removed: the links stay, other chains may need them.
            write_node(home, key, value);
            return true;
        }
        let free = find_free(t);
        if free.is_null() {
            return false;
        }
        let other_home = node_at(t, hash_key((*home).key, (*home).key_tag));
        if other_home == home {
            write_node(free, key, value);
            (*free).next = if (*home).next == 0 {
                0
            } else {
                (home.offset_from(free) as i32) + (*home).next
            };
            (*home).next = free.offset_from(home) as i32;
        } else {
            // The occupant is a guest here: it moves, the key gets its home.
            let mut previous = other_home;
            while previous.offset((*previous).next as isize) != home {
                debug_assert!((*previous).next != 0);
                previous = previous.offset((*previous).next as isize);
            }
            (*previous).next = free.offset_from(previous) as i32;
            let moved = Value::raw((*home).value, (*home).value_tag);
            let moved_key = Value::raw((*home).key, (*home).key_tag);
            write_node(free, moved_key, moved);
            (*free).next = if (*home).next == 0 {
                0
            } else {
                (home.offset_from(free) as i32) + (*home).next
            };
            (*home).next = 0;
            write_node(home, key, value);
            // A sliced traversal may have passed the new place but not the old.
            heap.barrier(t.cast(), moved);
            heap.barrier(t.cast(), moved_key);
        }
        true
    }
}

/// Array slot `at` (0-based, below capacity): nils up to it, then the value.
///
/// # Safety
/// T4: a live table, whose array part has room for `at`.
pub(super) unsafe fn put_array(t: *mut Table, at: usize, value: Value) {
    // SAFETY: T4.
    unsafe {
        let n = (*t).array_len as usize;
        if at >= n {
            ptr::write_bytes(tag_at(t, n), tag::NIL, at - n);
            (*t).array_len = at as u32 + 1;
        }
        *(*t).array.add(at) = value.payload;
        *tag_at(t, at) = value.tag;
    }
}
