//! Raw tables: stores, growth, presizing. Invariants: see `mod.rs` (T1–T4).
//!
//! *Keeping* stores (`KEEP`) are for tables whose writes may be undone without
//! memory (`undo/mod.rs`): T5 as long as only such stores are made and
//! `heap.logged` is set, a key that had a node or an array slot keeps one,
//! with or without a value.

use super::grow::{MAX_ARRAY, TableError, count_array, grow_array, rehash};
use super::place::{place, put_array};
use super::{find_int, find_other, find_short, integer_key, node_count, tag_at};
use crate::heap::Heap;
use crate::heap::part::fit_array;
use crate::object::{Node, StringObject, Table};
use crate::value::{Value, tag};

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

/// # Safety
/// As [`set`]: a live table of this heap's, live key and value.
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

/// # Safety
/// As [`set`]: a live table of this heap's, live key and value.
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
///
/// # Safety
/// As [`set`]; `n` is null or a node of `t` with this key.
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

/// # Safety
/// As [`set`]: a live table of this heap's, live key and value.
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

/// # Safety
/// As [`set`]: a live table of this heap's, live key and value.
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

/// Adds an absent key (normalised) with a non-nil value.
///
/// # Safety
/// As [`set`]; the key is normalised and absent, the value is not nil.
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
