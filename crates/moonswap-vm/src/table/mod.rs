//! Raw tables: lookup, length, traversal (writing: `write.rs`). No metamethods.
//!
//! Array part: values and tag bytes apart. Hash part: chained scatter with
//! Brent's variation on 24-byte nodes, load up to 100 %; hits cost 28
//! instructions in a warm 64-entry table, removed entries keep their key, so
//! `next` goes on after assigning nil.
//!
//! Invariants:
//! - T1: `nodes` points to `header.word + 1` nodes (a power of two), or to the
//!   static [`EMPTY_NODE`], which is never written.
//! - T2: integer keys `1..=array_cap` are never in the node part; float keys
//!   with integer values are never in it at all.
//! - T3: every live key is on the chain that starts at its main position; a
//!   node with nil value may be on foreign chains and keeps its links.
//! - T4: `array` has room for `array_cap` values and, behind them, as many tag
//!   bytes; the tags `0..array_len` are initialised.
//! - T6: a table with ZERO_FIRST has one node, and had key 0 there when it got the
//!   bit; another node part takes the bit away.

pub(crate) mod grow;
mod new;
mod place;
#[cfg(test)]
mod tests;
pub(crate) mod write;

pub(crate) use grow::{TableError, reserve};
pub(crate) use write::{set, set_int, set_keeping, set_short};

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::heap::part::ZERO_FIRST;
use crate::object::{Node, StringObject, Table};
use crate::string::{equal_long, fold, hash_of};
use crate::value::{Value, tag};

/// Node part of tables without one.
pub(crate) static EMPTY_NODE: Node = Node {
    value: 0,
    key: 0,
    value_tag: tag::NIL,
    key_tag: tag::NIL,
    pad: 0,
    next: 0,
};

/// `next` was given a key that is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidKey;

/// Cursors of [`next_at`] with this bit are node indices.
const NODE_CURSOR: u32 = 1 << 31;

/// Cursor in front of key 0, and behind it, of a table that begins with it: node
/// indices that no table has.
const ZERO_CURSOR: u32 = u32::MAX - 1;
const AFTER_ZERO: u32 = u32::MAX;

#[inline(always)]
pub(crate) fn empty_nodes() -> *mut Node {
    (&raw const EMPTY_NODE).cast_mut()
}

/// Number of real nodes.
/// # Safety
/// T1–T4: a live table.
#[inline(always)]
pub(crate) unsafe fn node_count(t: *const Table) -> usize {
    // SAFETY: T1.
    unsafe {
        if std::ptr::eq((*t).nodes, &raw const EMPTY_NODE) {
            0
        } else {
            (*t).header.word as usize + 1
        }
    }
}

/// Tag byte of array slot `i` (0-based).
/// # Safety
/// T4: a live table; `i` is below the capacity of its array part.
#[inline(always)]
pub(crate) unsafe fn tag_at(t: *const Table, i: usize) -> *mut u8 {
    // SAFETY: T4, i < array_cap by the caller.
    unsafe { (*t).array.add((*t).array_cap as usize).cast::<u8>().add(i) }
}

/// Array slot `i` (1-based) as (value word, tag byte); null if not there.
/// # Safety
/// `t` points to a live table.
#[inline(always)]
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) unsafe fn array_get(t: *const Table, i: i64) -> (*mut u64, *mut u8) {
    // SAFETY: T4.
    unsafe {
        let at = (i as u64).wrapping_sub(1);
        if at < u64::from((*t).array_len) {
            ((*t).array.add(at as usize), tag_at(t, at as usize))
        } else {
            (std::ptr::null_mut(), std::ptr::null_mut())
        }
    }
}

/// What [`mix`] adds and multiplies with: random, or else somebody could choose
/// keys that collide. One pair for the process, because a fixed address costs no
/// more than a constant; set by the first VM, before there is a table.
static MIXER: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(1)];

/// Chooses [`MIXER`]; every heap calls it before it makes a table.
pub(crate) fn choose_mixer() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        let random = || RandomState::new().build_hasher().finish();
        MIXER[0].store(random(), Ordering::Relaxed);
        // Odd and with its highest bit: no part of a key is lost.
        MIXER[1].store(random() | 1 << 63 | 1, Ordering::Relaxed);
    });
}

/// Mixes integers and addresses: multiples of 65536 must not collide.
#[inline(always)]
fn mix(x: u64) -> u32 {
    mix_with(
        x,
        MIXER[0].load(Ordering::Relaxed),
        MIXER[1].load(Ordering::Relaxed),
    )
}

#[inline(always)]
fn mix_with(x: u64, a: u64, b: u64) -> u32 {
    let h = fold(x ^ a, b);
    (h ^ (h >> 32)) as u32
}

/// Hash of a (normalised) key.
/// # Safety
/// V1: the key is live.
#[inline(always)]
unsafe fn hash_key(key: u64, key_tag: u8) -> u32 {
    match key_tag {
        // SAFETY: a STRING key points to a live string.
        tag::STRING => unsafe { hash_of(key as *mut StringObject) },
        tag::INTEGER => mix(key),
        tag::FALSE | tag::TRUE => u32::from(key_tag),
        tag::FLOAT => mix(key ^ 0x8000),
        _ => mix(key >> 4),
    }
}

/// # Safety
/// T1–T4: a live table.
#[inline(always)]
unsafe fn node_at(t: *const Table, hash: u32) -> *mut Node {
    // SAFETY: T1.
    unsafe { (*t).nodes.add((hash & (*t).header.word) as usize) }
}

/// The integer a float key stands for.
#[inline(always)]
pub(crate) fn integer_key(f: f64) -> Option<i64> {
    let i = f as i64;
    // 2^63 saturates to i64::MAX, which as f64 is 2^63 again.
    (i as f64 == f && f < 9_223_372_036_854_775_808.0).then_some(i)
}

/// Node of a short string key; null if absent.
/// # Safety
/// `t` is a live table, `key` a live short string.
#[inline(always)]
pub(crate) unsafe fn find_short(t: *const Table, key: *const StringObject) -> *mut Node {
    // SAFETY: T1, T3.
    unsafe {
        let mut n = node_at(t, (*key).header.word);
        loop {
            if (*n).key == key as u64 && (*n).key_tag == tag::STRING {
                return n;
            }
            let next = (*n).next;
            if next == 0 {
                return std::ptr::null_mut();
            }
            n = n.offset(next as isize);
        }
    }
}

/// Node of an integer key; null if absent.
/// # Safety
/// T1–T4: a live table.
#[inline(always)]
unsafe fn find_int(t: *const Table, key: i64) -> *mut Node {
    // SAFETY: T1, T3.
    unsafe {
        let mut n = node_at(t, mix(key as u64));
        loop {
            if (*n).key == key as u64 && (*n).key_tag == tag::INTEGER {
                return n;
            }
            let next = (*n).next;
            if next == 0 {
                return std::ptr::null_mut();
            }
            n = n.offset(next as isize);
        }
    }
}

/// Node of a key that is neither integer nor short string. With `dead`, also
/// finds the key of a removed entry whose object the collector gave up.
/// # Safety
/// T1, T3: a live table; the key is live.
unsafe fn find_other(t: *const Table, key: Value, dead: bool) -> *mut Node {
    // SAFETY: T1, T3; string keys are live.
    unsafe {
        let mut n = node_at(t, hash_key(key.payload, key.tag));
        loop {
            let same = match key.tag {
                tag::FALSE | tag::TRUE => (*n).key_tag == key.tag,
                tag::FLOAT => {
                    (*n).key_tag == tag::FLOAT && f64::from_bits((*n).key) == key.as_f64()
                }
                tag::STRING => {
                    (*n).key_tag == tag::STRING
                        && ((*n).key == key.payload
                            || equal_long((*n).key as *const StringObject, key.as_string()))
                }
                _ => (*n).key_tag == key.tag && (*n).key == key.payload,
            };
            if same
                || (dead
                    && (*n).key_tag == tag::DEAD_KEY
                    && (*n).key == key.payload
                    && key.is_collectable())
            {
                return n;
            }
            let next = (*n).next;
            if next == 0 {
                return std::ptr::null_mut();
            }
            n = n.offset(next as isize);
        }
    }
}

/// # Safety
/// A node of a live table.
#[inline(always)]
unsafe fn node_value(n: *const Node) -> Value {
    // SAFETY: by the caller.
    unsafe {
        if n.is_null() {
            Value::NIL
        } else {
            Value::raw((*n).value, (*n).value_tag)
        }
    }
}

/// Value of a short string key.
/// # Safety
/// `t` is a live table, `key` a live short string.
#[inline]
pub(crate) unsafe fn get_short(t: *const Table, key: *const StringObject) -> Value {
    // SAFETY: by the caller.
    unsafe { node_value(find_short(t, key)) }
}

/// Value of an integer key.
/// # Safety
/// `t` is a live table.
#[inline]
pub(crate) unsafe fn get_int(t: *const Table, key: i64) -> Value {
    // SAFETY: T2, T4.
    unsafe {
        let at = (key as u64).wrapping_sub(1);
        if at < u64::from((*t).array_len) {
            let tag = *tag_at(t, at as usize);
            if tag == tag::NIL {
                return Value::NIL;
            }
            return Value::raw(*(*t).array.add(at as usize), tag);
        }
        if (*t).header.word == 0 && std::ptr::eq((*t).nodes, &raw const EMPTY_NODE) {
            return Value::NIL;
        }
        node_value(find_int(t, key))
    }
}

/// Value of any key (nil and NaN: nil).
/// # Safety
/// `t` is a live table, `key` a live value.
pub(crate) unsafe fn get(t: *const Table, key: Value) -> Value {
    // SAFETY: by the caller.
    unsafe {
        match key.tag {
            tag::STRING if StringObject::is_short(key.as_string()) => get_short(t, key.as_string()),
            tag::INTEGER => get_int(t, key.as_i64()),
            tag::NIL => Value::NIL,
            tag::FLOAT => match integer_key(key.as_f64()) {
                Some(i) => get_int(t, i),
                None => node_value(find_other(t, key, false)),
            },
            _ => node_value(find_other(t, key, false)),
        }
    }
}

/// A border. O(1) for arrays used as stacks; drops trailing nils of the array
/// part from `array_len` on the way.
/// # Safety
/// `t` is a live table.
#[inline]
pub(crate) unsafe fn len(t: *mut Table) -> i64 {
    // SAFETY: T4.
    unsafe {
        let n = (*t).array_len as usize;
        if n > 0 && *tag_at(t, n - 1) != tag::NIL {
            if std::ptr::eq((*t).nodes, &raw const EMPTY_NODE) || n < (*t).array_cap as usize {
                return n as i64;
            }
            return len_beyond(t, n as i64);
        }
        len_slow(t)
    }
}

/// [`len`] where the array part's end tells it.
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(crate) unsafe fn len_fast(t: *mut Table) -> Option<i64> {
    // SAFETY: T4.
    unsafe {
        let n = (*t).array_len as usize;
        if n > 0
            && *tag_at(t, n - 1) != tag::NIL
            && (std::ptr::eq((*t).nodes, &raw const EMPTY_NODE) || n < (*t).array_cap as usize)
        {
            return Some(n as i64);
        }
        None
    }
}

/// The array part ends in nil, or is empty.
/// # Safety
/// T1–T4: a live table.
#[cold]
unsafe fn len_slow(t: *mut Table) -> i64 {
    // SAFETY: T4.
    unsafe {
        let mut n = (*t).array_len as usize;
        for _ in 0..4 {
            if n == 0 || *tag_at(t, n - 1) != tag::NIL {
                break;
            }
            n -= 1;
        }
        (*t).array_len = n as u32;
        if n == 0 {
            // T2: with capacity, key 1 is not in the hash part.
            if (*t).array_cap != 0 || node_count(t) == 0 {
                return 0;
            }
            return len_beyond(t, 0);
        }
        if *tag_at(t, n - 1) != tag::NIL {
            return n as i64;
        }
        let (mut low, mut high) = (0, n);
        // low: present or 0; high: nil (1-based)
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if *tag_at(t, middle - 1) == tag::NIL {
                high = middle;
            } else {
                low = middle;
            }
        }
        low as i64
    }
}

/// `n` is present (or 0) and the sequence may go on in the hash part.
/// # Safety
/// T1–T4: a live table.
#[cold]
unsafe fn len_beyond(t: *mut Table, n: i64) -> i64 {
    // SAFETY: by the caller of `len`.
    unsafe {
        if get_int(t, n + 1).is_nil() {
            return n;
        }
        let mut low = n + 1;
        let mut high = low;
        loop {
            if high > i64::MAX / 2 {
                // Keys up to the largest integer: count.
                let mut i = n + 1;
                while i < i64::MAX && !get_int(t, i + 1).is_nil() {
                    i += 1;
                }
                return i;
            }
            high *= 2;
            if get_int(t, high).is_nil() {
                break;
            }
            low = high;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if get_int(t, middle).is_nil() {
                high = middle;
            } else {
                low = middle;
            }
        }
        low
    }
}

/// Entry at or after a cursor (0 = start), with the cursor behind it. Cursors
/// stay valid while entries are changed or removed.
/// # Safety
/// `t` is a live table.
#[inline]
pub(crate) unsafe fn next_at(t: *const Table, cursor: u32) -> Option<(u32, Value, Value)> {
    // SAFETY: T1, T4.
    unsafe {
        let mut j = 0;
        if cursor & NODE_CURSOR == 0 {
            let n = (*t).array_len as usize;
            let mut i = cursor as usize;
            while i < n {
                let tag = *tag_at(t, i);
                if tag != tag::NIL {
                    return Some((
                        i as u32 + 1,
                        Value::integer(i as i64 + 1),
                        Value::raw(*(*t).array.add(i), tag),
                    ));
                }
                i += 1;
            }
            if (*t).header.extra & ZERO_FIRST != 0 && holds_zero((*t).nodes) {
                return None;
            }
        } else {
            j = cursor & !NODE_CURSOR;
        }
        let last = (*t).header.word;
        while j <= last {
            let n = (*t).nodes.add(j as usize);
            j += 1;
            if (*n).value_tag != tag::NIL {
                let key = Value::raw((*n).key, (*n).key_tag);
                return Some((j | NODE_CURSOR, key, Value::raw((*n).value, (*n).value_tag)));
            }
        }
        match cursor {
            ZERO_CURSOR | AFTER_ZERO => next_around_zero(t, cursor),
            _ => None,
        }
    }
}

/// # Safety
/// T1, T6: a live table with ZERO_FIRST.
#[cold]
unsafe fn next_around_zero(t: *const Table, cursor: u32) -> Option<(u32, Value, Value)> {
    // SAFETY: T1, T6: there is a node.
    unsafe {
        let n = (*t).nodes;
        if cursor == ZERO_CURSOR && holds_zero(n) && (*n).value_tag != tag::NIL {
            let value = Value::raw((*n).value, (*n).value_tag);
            return Some((AFTER_ZERO, Value::integer(0), value));
        }
        next_at(t, 0)
    }
}

/// # Safety
/// A node of a live table.
#[inline(always)]
unsafe fn holds_zero(n: *const Node) -> bool {
    // SAFETY: by the caller, a node.
    unsafe { (*n).key_tag == tag::INTEGER && (*n).key == 0 }
}

/// Cursor in front of the first entry.
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(crate) unsafe fn first_cursor(t: *const Table) -> u32 {
    // SAFETY: by the caller.
    match unsafe { (*t).header.extra } & ZERO_FIRST {
        0 => 0,
        _ => ZERO_CURSOR,
    }
}

/// Key 0 is visited in front of the keys from 1 on, which the array part has, if
/// it is the only other key: the order in which the reference has the entries of
/// `{[0] = a, [1] = b, …}`, where all are in its hash part.
/// # Safety
/// `t` is a live table that nothing traverses.
pub(crate) unsafe fn visit_zero_first(t: *mut Table) {
    // SAFETY: by the caller, T1, T6.
    unsafe {
        if node_count(t) == 1 && holds_zero((*t).nodes) {
            (*t).header.extra |= ZERO_FIRST;
        }
    }
}

/// Whether a guessed cursor stands right behind `key`; any guess is allowed.
/// # Safety
/// `t` is a live table.
#[inline]
pub(crate) unsafe fn cursor_is_after(t: *const Table, cursor: u32, key: Value) -> bool {
    // SAFETY: T1, T4: the guess is checked against the parts' sizes.
    unsafe {
        if cursor & NODE_CURSOR == 0 {
            return key.tag == tag::INTEGER
                && key.payload == u64::from(cursor)
                && cursor <= (*t).array_len;
        }
        let j = cursor & !NODE_CURSOR;
        if j == 0 || j - 1 > (*t).header.word {
            return false;
        }
        let n = (*t).nodes.add(j as usize - 1);
        (*n).key == key.payload && (*n).key_tag == key.tag
    }
}

/// Cursor behind a key (nil: start).
/// # Safety
/// `t` is a live table, `key` a live value.
pub(crate) unsafe fn cursor_of(t: *const Table, key: Value) -> Result<u32, InvalidKey> {
    // SAFETY: by the caller.
    unsafe {
        match key.tag {
            tag::NIL => return Ok(first_cursor(t)),
            // stored as an integer, so `next` never gave it: as the reference, refused
            tag::FLOAT if integer_key(key.as_f64()).is_some() => return Err(InvalidKey),
            _ => {}
        }
        if key.tag == tag::INTEGER && (key.payload.wrapping_sub(1)) < u64::from((*t).array_cap) {
            return Ok(key.payload as u32);
        }
        let n = match key.tag {
            tag::INTEGER => find_int(t, key.as_i64()),
            _ => find_other(t, key, true),
        };
        if n.is_null() || node_count(t) == 0 {
            return Err(InvalidKey);
        }
        if holds_zero(n) && (*t).header.extra & ZERO_FIRST != 0 {
            return Ok(AFTER_ZERO);
        }
        Ok((n.offset_from((*t).nodes) as u32 + 1) | NODE_CURSOR)
    }
}

/// Entry after `key` (nil: the first).
/// # Safety
/// `t` is a live table, `key` a live value.
pub(crate) unsafe fn next(
    t: *const Table,
    key: Value,
) -> Result<Option<(Value, Value)>, InvalidKey> {
    // SAFETY: by the caller.
    unsafe { Ok(next_at(t, cursor_of(t, key)?).map(|(_, k, v)| (k, v))) }
}
