//! Raw tables: stores, growth, presizing. Invariants: see `mod.rs` (T1–T4).
//!
//! *Keeping* stores (`KEEP`) are for tables whose writes may be undone without
//! memory (`undo/mod.rs`): T5 as long as only such stores are made and
//! `heap.logged` is set, a key that had a node or an array slot keeps one,
//! with or without a value.

use std::ptr;

use super::{
    EMPTY_NODE, empty_nodes, find_int, find_other, find_short, hash_key, integer_key, node_at,
    node_count, tag_at,
};
use crate::heap::Heap;
use crate::heap::part::{
    INLINE_ARRAY, INLINE_NODES, ZERO_FIRST, array_bytes, fit_array, node_bytes,
};
use crate::object::{Header, Node, StringObject, Table};
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
const MAX_ARRAY: usize = 1 << 30;

/// Stores under any key.
///
/// # Safety
/// `t` is a live table of `heap`, key and value are live.
pub(crate) unsafe fn set(
    heap: &mut Heap,
    t: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe { set_in::<false>(heap, t, key, value) }
}

/// [`set`] that keeps keys (T5). If the key has its place already, it allocates
/// nothing and cannot fail.
///
/// # Safety
/// As [`set`].
pub(crate) unsafe fn set_keeping(
    heap: &mut Heap,
    t: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe { set_in::<true>(heap, t, key, value) }
}

#[inline(always)]
unsafe fn set_in<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe {
        match key.tag {
            tag::INTEGER => set_int_in::<KEEP>(heap, t, key.as_i64(), value),
            tag::STRING if StringObject::is_short(key.as_string()) => {
                let node = find_short(t, key.as_string());
                set_node::<KEEP>(heap, t, node, key, value)
            }
            tag::NIL => Err(TableError::NilKey),
            tag::FLOAT => match integer_key(key.as_f64()) {
                Some(i) => set_int_in::<KEEP>(heap, t, i, value),
                None if key.as_f64().is_nan() => Err(TableError::NanKey),
                None => set_other::<KEEP>(heap, t, key, value),
            },
            _ => set_other::<KEEP>(heap, t, key, value),
        }
    }
}

unsafe fn set_other<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller of `set`.
    unsafe { set_node::<KEEP>(heap, t, find_other(t, key, false), key, value) }
}

/// Stores under a short string.
///
/// # Safety
/// `t` is a live table of `heap`, `key` a live short string, `value` live.
#[inline]
pub(crate) unsafe fn set_short(
    heap: &mut Heap,
    t: *mut Table,
    key: *mut StringObject,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe { set_node::<false>(heap, t, find_short(t, key), Value::string(key), value) }
}

/// Stores into the found node or inserts.
#[inline(always)]
unsafe fn set_node<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    n: *mut Node,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: n is a node of t or null.
    unsafe {
        if n.is_null() {
            if value.is_nil() {
                return Ok(());
            }
            return insert::<KEEP>(heap, t, key, value);
        }
        if (*n).value_tag == tag::NIL {
            if value.is_nil() {
                return Ok(());
            }
            // The collector may have seen this entry as removed.
            (*t).header.flags = 0;
            heap.barrier(t.cast(), key);
        }
        (*n).value = value.payload;
        (*n).value_tag = value.tag;
        heap.barrier(t.cast(), value);
        Ok(())
    }
}

/// Stores under an integer.
///
/// # Safety
/// `t` is a live table of `heap`, `value` live.
#[inline(always)]
pub(crate) unsafe fn set_int(
    heap: &mut Heap,
    t: *mut Table,
    key: i64,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller.
    unsafe { set_int_in::<false>(heap, t, key, value) }
}

#[inline(always)]
unsafe fn set_int_in<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    key: i64,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: T2, T4.
    unsafe {
        let at = (key as u64).wrapping_sub(1);
        let n = u64::from((*t).array_len);
        if at < n {
            *(*t).array.add(at as usize) = value.payload;
            *tag_at(t, at as usize) = value.tag;
            if value.is_nil() && at + 1 == n {
                (*t).array_len -= 1;
            }
            heap.barrier(t.cast(), value);
            return Ok(());
        }
        if at == n && n < u64::from((*t).array_cap) {
            if !value.is_nil() {
                *(*t).array.add(at as usize) = value.payload;
                *tag_at(t, at as usize) = value.tag;
                (*t).array_len += 1;
                heap.barrier(t.cast(), value);
            }
            return Ok(());
        }
        set_int_slow::<KEEP>(heap, t, key, value)
    }
}

/// Array slot `at` (0-based, below capacity): nils up to it, then the value.
unsafe fn put_array(t: *mut Table, at: usize, value: Value) {
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

#[cold]
#[inline(never)]
unsafe fn set_int_slow<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    key: i64,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: T2, T4.
    unsafe {
        let at = (key as u64).wrapping_sub(1);
        let cap = u64::from((*t).array_cap);
        if at < cap {
            if !value.is_nil() {
                put_array(t, at as usize, value);
                heap.barrier(t.cast(), value);
            }
            return Ok(());
        }
        if node_count(t) != 0 {
            let n = find_int(t, key);
            if !n.is_null() {
                return set_node::<KEEP>(heap, t, n, Value::integer(key), value);
            }
        }
        if value.is_nil() {
            return Ok(());
        }
        // Append to a full array: double it, unless it has many holes (then
        // the counting rehash decides, which bounds the memory of queues).
        if at == cap
            && u64::from((*t).array_len) == cap
            && (cap < 8 || count_array(t, 0, cap as usize) as u64 * 4 >= cap * 3)
        {
            let wanted = (cap as usize * 2).max(4);
            if wanted > MAX_ARRAY {
                return Err(TableError::Overflow);
            }
            grow_array(heap, t, fit_array(wanted))?;
            put_array(t, at as usize, value);
            heap.barrier(t.cast(), value);
            return Ok(());
        }
        insert::<KEEP>(heap, t, Value::integer(key), value)
    }
}

/// Non-nil entries in the array slots `from..to`.
unsafe fn count_array(t: *const Table, from: usize, to: usize) -> usize {
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
unsafe fn grow_array(heap: &mut Heap, t: *mut Table, cap: usize) -> Result<(), TableError> {
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
unsafe fn resize_array(heap: &mut Heap, t: *mut Table, cap: usize) -> Result<(), TableError> {
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

/// Next unused node from the top; null if the part is full.
#[inline]
unsafe fn find_free(t: *mut Table) -> *mut Node {
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

#[inline(always)]
unsafe fn write_node(n: *mut Node, key: Value, value: Value) {
    // SAFETY: by the caller.
    unsafe {
        (*n).value = value.payload;
        (*n).key = key.payload;
        (*n).value_tag = value.tag;
        (*n).key_tag = key.tag;
    }
}

/// The key of an entry, with or without a value, that T5 is about.
#[inline(always)]
unsafe fn is_keyed(n: *const Node) -> bool {
    // SAFETY: by the caller.
    unsafe { !matches!((*n).key_tag, tag::NIL | tag::DEAD_KEY) }
}

/// Tries to place a key that is absent; false if the node part is full.
#[inline]
unsafe fn place<const KEEP: bool>(
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

/// Adds an absent key (normalised) with a non-nil value.
#[inline(never)]
unsafe fn insert<const KEEP: bool>(
    heap: &mut Heap,
    t: *mut Table,
    key: Value,
    value: Value,
) -> Result<(), TableError> {
    // SAFETY: by the caller of `set`.
    unsafe {
        (*t).header.flags = 0;
        if !place::<KEEP>(heap, t, key, value) {
            rehash(heap, t, key)?;
            if key.tag == tag::INTEGER && key.payload.wrapping_sub(1) < u64::from((*t).array_cap) {
                put_array(t, key.payload as usize - 1, value);
            } else {
                let placed = place::<KEEP>(heap, t, key, value);
                debug_assert!(placed);
            }
        }
        heap.barrier(t.cast(), key);
        heap.barrier(t.cast(), value);
        Ok(())
    }
}

/// Bin of an array index: the i with 2^(i-1) < k <= 2^i.
#[inline(always)]
fn bin(k: u64) -> usize {
    (u64::BITS - (k - 1).leading_zeros()) as usize
}

/// The node part is full: new sizes for both parts, so that more than half of
/// the array slots are used, with room for `key`.
#[cold]
#[inline(never)]
unsafe fn rehash(heap: &mut Heap, t: *mut Table, key: Value) -> Result<(), TableError> {
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
unsafe fn resize(
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
#[inline(always)]
unsafe fn take_over<const KEEP: bool>(
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
