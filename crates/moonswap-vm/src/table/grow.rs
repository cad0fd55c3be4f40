//! Growth and presizing of both parts. Invariants: see `mod.rs` (T1–T4) and
//! `write.rs` (T5).

use std::ptr;

use super::place::{is_keyed, place, put_array};
use super::{empty_nodes, find_int, node_count, tag_at};
use crate::heap::Heap;
use crate::heap::part::{
    INLINE_ARRAY, INLINE_NODES, ZERO_FIRST, array_bytes, fit_array, node_bytes,
};
use crate::object::{Header, Node, Table};
use crate::value::{Value, tag};

/// Why a store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableError {
    /// The key is nil.
    #[error("table index is nil")]
    NilKey,
    /// The key is not a number.
    #[error("table index is NaN")]
    NanKey,
    /// More entries than a table can hold.
    #[error("table overflow")]
    Overflow,
    /// No memory for the larger table.
    #[error("not enough memory")]
    OutOfMemory,
}

/// Most nodes (24 bytes each) and array slots of one table.
const MAX_NODES: usize = 1 << 30;

pub(super) const MAX_ARRAY: usize = 1 << 30;

/// Non-nil entries in the array slots `from..to`.
///
/// # Safety
/// T4: a live table; `to` is at most its capacity.
pub(super) unsafe fn count_array(t: *const Table, from: usize, to: usize) -> usize {
    // SAFETY: T4.
    unsafe {
        let to = to.min((*t).array_len as usize);
        if from >= to {
            return 0;
        }
        let tags = std::slice::from_raw_parts(tag_at(t, from), to - from);
        tags.iter().filter(|&&b| b != tag::NIL).count()
    }
}

/// Larger array part; entries of the hash part that belong there now move.
///
/// # Safety
/// T1–T4: a live table of this heap's.
pub(super) unsafe fn grow_array(
    heap: &mut Heap,
    t: *mut Table,
    cap: usize,
) -> Result<(), TableError> {
    // SAFETY: T2, T4.
    unsafe {
        let old_cap = (*t).array_cap as usize;
        resize_array(heap, t, cap)?;
        let n = node_count(t);
        if n == 0 {
            return Ok(());
        }
        let mut take = |node: *mut Node| {
            let value = Value::raw((*node).value, (*node).value_tag);
            put_array(t, (*node).key as usize - 1, value);
            heap.barrier(t.cast(), value);
            (*node).value_tag = tag::NIL;
        };
        if n <= cap - old_cap {
            for i in 0..n {
                let node = (*t).nodes.add(i);
                if (*node).key_tag == tag::INTEGER
                    && (*node).value_tag != tag::NIL
                    && (*node).key.wrapping_sub(1) < cap as u64
                {
                    take(node);
                }
            }
        } else {
            for key in old_cap + 1..=cap {
                let node = find_int(t, key as i64);
                if !node.is_null() && (*node).value_tag != tag::NIL {
                    take(node);
                }
            }
        }
        Ok(())
    }
}

/// Array part of exactly `cap` slots; entries above are lost.
///
/// # Safety
/// T1–T4: a live table of this heap's.
pub(super) unsafe fn resize_array(
    heap: &mut Heap,
    t: *mut Table,
    cap: usize,
) -> Result<(), TableError> {
    // SAFETY: T4; the old part is freed only after the copy.
    unsafe {
        let (old, old_cap) = ((*t).array, (*t).array_cap as usize);
        let keep = ((*t).array_len as usize).min(cap);
        let inline = (*t).header.extra & INLINE_ARRAY != 0;
        let (old_bytes, bytes) = (array_bytes(old_cap), array_bytes(cap));
        let is_large = !inline && old_cap != 0 && !crate::heap::part::is_small(old_bytes);
        if cap > old_cap && is_large {
            let data = heap.realloc_part(old.cast(), old_bytes, bytes);
            if data.is_null() {
                return Err(TableError::OutOfMemory);
            }
            let array = data.cast::<u64>();
            ptr::copy(
                array.add(old_cap).cast::<u8>(),
                array.add(cap).cast::<u8>(),
                keep,
            );
            (*t).array = array;
            (*t).array_cap = cap as u32;
            return Ok(());
        }
        let mut array = ptr::null_mut::<u64>();
        if cap != 0 {
            array = heap.alloc_part(t.cast(), bytes).cast();
            if array.is_null() {
                return Err(TableError::OutOfMemory);
            }
            if keep != 0 {
                ptr::copy_nonoverlapping(old, array, keep);
                ptr::copy_nonoverlapping(
                    old.add(old_cap).cast::<u8>(),
                    array.add(cap).cast::<u8>(),
                    keep,
                );
            }
        }
        (*t).array = array;
        (*t).array_cap = cap as u32;
        (*t).array_len = keep as u32;
        if inline {
            (*t).header.extra &= !INLINE_ARRAY;
        } else if old_cap != 0 {
            heap.free_part(old.cast(), old_bytes);
        }
        Ok(())
    }
}

/// Bin of an array index: the i with 2^(i-1) < k <= 2^i.
#[inline(always)]
pub(super) fn bin(k: u64) -> usize {
    (u64::BITS - (k - 1).leading_zeros()) as usize
}

/// The node part is full: new sizes for both parts, so that more than half of
/// the array slots are used, with room for `key`.
///
/// # Safety
/// T1–T4: a live table of this heap's.
#[cold]
#[inline(never)]
pub(super) unsafe fn rehash(heap: &mut Heap, t: *mut Table, key: Value) -> Result<(), TableError> {
    // SAFETY: by the caller of `set`.
    unsafe {
        let keep = heap.logged;
        let n_nodes = node_count(t);
        let stays = |n: *const Node| (*n).value_tag != tag::NIL || (keep && is_keyed(n));
        let mut bins = [0usize; 32];
        let mut n_live = 1;
        let mut n_integers = 0;
        let mut count = |k: u64, k_tag: u8| {
            if k_tag == tag::INTEGER && k.wrapping_sub(1) < MAX_ARRAY as u64 {
                bins[bin(k)] += 1;
                n_integers += 1;
            }
        };
        count(key.payload, key.tag);
        for i in 0..n_nodes {
            let n = (*t).nodes.add(i);
            if stays(n) {
                n_live += 1;
                count((*n).key, (*n).key_tag);
            }
        }
        let old_cap = (*t).array_cap as usize;
        let mut cap = old_cap;
        if n_integers != 0 {
            // Existing array entries, by bins.
            let (mut from, mut b) = (0usize, 0usize);
            while from < (*t).array_len as usize {
                let to = 1usize << b;
                let used = count_array(t, from, to);
                bins[b] += used;
                n_integers += used;
                from = to;
                b += 1;
            }
            let (mut sum, mut best) = (0, 0);
            for (b, n) in bins.iter().enumerate().take(31) {
                let size = 1usize << b;
                if n_integers <= size / 2 {
                    break;
                }
                sum += n;
                if sum > size / 2 {
                    best = size;
                }
            }
            // Between half and the present capacity: leave it.
            if best > old_cap || best * 2 <= old_cap {
                cap = if best == 0 { 0 } else { fit_array(best) };
                if cap < old_cap && (cap * 2 > old_cap || keep) {
                    cap = old_cap;
                }
            }
        }
        // Which keys of the hash part stay there?
        let in_array = |k: u64, k_tag: u8| k_tag == tag::INTEGER && k.wrapping_sub(1) < cap as u64;
        let mut wanted = n_live;
        if n_integers != 0 && cap > 0 {
            wanted -= usize::from(in_array(key.payload, key.tag));
            for i in 0..n_nodes {
                let n = (*t).nodes.add(i);
                if stays(n) && in_array((*n).key, (*n).key_tag) {
                    wanted -= 1;
                }
            }
        }
        wanted += count_array(t, cap, old_cap);
        if wanted > MAX_NODES {
            return Err(TableError::Overflow);
        }
        let mut nodes = if wanted == 0 {
            0
        } else {
            wanted.next_power_of_two()
        };
        // Insertions and removals in turn: without slack the table would be
        // rehashed every few insertions.
        if nodes == n_nodes && nodes >= 16 && wanted * 8 > nodes * 7 {
            nodes *= 2;
        }
        resize(heap, t, cap, nodes)
    }
}

/// Exactly these sizes (nodes: 0 or a power of two, enough for the entries).
///
/// # Safety
/// T1–T4: a live table of this heap's.
pub(super) unsafe fn resize(
    heap: &mut Heap,
    t: *mut Table,
    cap: usize,
    nodes: usize,
) -> Result<(), TableError> {
    // SAFETY: T1–T4 hold again at the end; nothing can fail after the change
    // of the node part except the array's growth, which comes first.
    unsafe {
        let owner = t.cast::<Header>();
        let mut new_nodes = empty_nodes();
        if nodes != 0 {
            let p = heap.alloc_part(owner, node_bytes(nodes));
            if p.is_null() {
                return Err(TableError::OutOfMemory);
            }
            ptr::write_bytes(p, 0, node_bytes(nodes));
            new_nodes = p.cast();
        }
        let old_cap = (*t).array_cap as usize;
        // Array entries that move to the hash part.
        let mut evicted = Vec::new();
        for i in cap..(*t).array_len as usize {
            if *tag_at(t, i) != tag::NIL {
                evicted.push((i as i64 + 1, Value::raw(*(*t).array.add(i), *tag_at(t, i))));
            }
        }
        if cap != old_cap
            && let Err(error) = resize_array(heap, t, cap)
        {
            if nodes != 0 {
                heap.free_part(new_nodes.cast(), node_bytes(nodes));
            }
            return Err(error);
        }
        let (old_nodes, n_old) = ((*t).nodes, node_count(t));
        (*t).nodes = new_nodes;
        (*t).header.extra &= !ZERO_FIRST;
        (*t).header.word = if nodes == 0 { 0 } else { nodes as u32 - 1 };
        (*t).last_free = nodes as u32;
        if heap.logged {
            take_over::<true>(heap, t, old_nodes, n_old);
        } else {
            take_over::<false>(heap, t, old_nodes, n_old);
        }
        for (key, value) in evicted {
            let placed = place::<false>(heap, t, Value::integer(key), value);
            debug_assert!(placed);
        }
        if n_old != 0 {
            if (*t).header.extra & INLINE_NODES != 0 {
                (*t).header.extra &= !INLINE_NODES;
            } else {
                heap.free_part(old_nodes.cast(), node_bytes(n_old));
            }
        }
        // Entries changed places: a traversal in progress starts again.
        heap.retrace(owner);
        Ok(())
    }
}

/// Entries of an old node part go where they belong now.
///
/// # Safety
/// T1–T5: the table has room for all entries of the `n_old` old nodes.
#[inline(always)]
pub(super) unsafe fn take_over<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    old_nodes: *mut Node,
    n_old: usize,
) {
    // SAFETY: by the caller, there is room for all; T5: keys without a value that
    // belong into the array have their slot there.
    unsafe {
        let cap = u64::from((*t).array_cap);
        for i in (0..n_old).rev() {
            let n = old_nodes.add(i);
            if (*n).value_tag == tag::NIL && !(KEEP && is_keyed(n)) {
                continue;
            }
            let value = Value::raw((*n).value, (*n).value_tag);
            if (*n).key_tag == tag::INTEGER && (*n).key.wrapping_sub(1) < cap {
                if !KEEP || !value.is_nil() {
                    put_array(t, (*n).key as usize - 1, value);
                }
            } else {
                let placed = place::<KEEP>(heap, t, Value::raw((*n).key, (*n).key_tag), value);
                debug_assert!(placed);
            }
        }
    }
}

/// Makes room for so many entries at least.
///
/// # Safety
/// `t` is a live table of `heap`.
pub(crate) unsafe fn reserve(
    heap: &mut Heap,
    t: *mut Table,
    n_array: usize,
    n_hash: usize,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe {
        if n_array > MAX_ARRAY || n_hash > MAX_NODES {
            return Err(TableError::Overflow);
        }
        if n_array > (*t).array_cap as usize {
            grow_array(heap, t, n_array)?;
        }
        if n_hash > node_count(t) {
            resize(heap, t, (*t).array_cap as usize, n_hash.next_power_of_two())?;
        }
        Ok(())
    }
}
