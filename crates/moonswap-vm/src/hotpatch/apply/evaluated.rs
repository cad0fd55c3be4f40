//! Changes between expressions: what the old expression gave is compared with what
//! the program has, and what the new one gives takes its place.
//!
//! A value that is the very object that the old expression gives is exchanged for the
//! new one. A table that only looks like it was made by the expression: it keeps its
//! identity and gets the new contents.
//!
//! Invariants: HP2, HP3; J1: nothing is collected while these run.

use super::running::{set, with};
use crate::context::{Context, Outcome};
use crate::table;
use crate::value::{Value, tag};

/// Tables nest this deep at most when they are compared.
const DEPTH: usize = 100;
/// Fields that are compared at most.
const FIELDS: usize = 1 << 20;

/// `hold(i, value)`
pub(crate) fn hold(cx: &mut Context<'_>) -> Outcome<usize> {
    const MOST: i64 = 1 << 16;
    let i = cx.check_int(0)?;
    if !(0..MOST).contains(&i) {
        return Err(cx.error_plain("there is no such value"));
    }
    let (i, value) = (i as usize, cx.value(1));
    with(&mut cx.vm(), |t| {
        if t.held.len() <= i {
            t.held.resize(i + 1, None);
        }
        t.held[i] = Some(value);
    });
    Ok(0)
}

/// The value that was kept under a number.
pub(crate) fn held(cx: &Context<'_>, number: usize) -> Option<Value> {
    with(&mut cx.vm(), |t| t.held.get(number).copied().flatten()).flatten()
}

/// Whether two values are one, or tables that look the same.
///
/// # Safety
/// They are live.
pub(crate) unsafe fn alike(a: Value, b: Value) -> bool {
    let mut left = FIELDS;
    // SAFETY: by the caller.
    unsafe { alike_within(a, b, DEPTH, &mut left) }
}

/// # Safety
/// Both are live (V1).
unsafe fn alike_within(a: Value, b: Value, depth: usize, left: &mut usize) -> bool {
    if is_same(a, b) {
        return true;
    }
    if a.tag != tag::TABLE || b.tag != tag::TABLE || depth == 0 {
        return false;
    }
    // SAFETY: live tables; nothing is collected.
    unsafe {
        let (a, b) = (a.as_table(), b.as_table());
        if (*a).metatable != (*b).metatable {
            return false;
        }
        let (mut key, mut n) = (Value::NIL, 0_usize);
        while let Ok(Some((next, value))) = table::next(a, key) {
            if *left == 0 || !alike_within(value, table::get(b, next), depth - 1, left) {
                return false;
            }
            *left -= 1;
            n += 1;
            key = next;
        }
        let (mut key, mut m) = (Value::NIL, 0_usize);
        while let Ok(Some((next, _))) = table::next(b, key) {
            m += 1;
            if m > n {
                return false;
            }
            key = next;
        }
        n == m
    }
}

/// One object, or one number of one kind.
pub(crate) fn is_same(a: Value, b: Value) -> bool {
    // `1` and `1.0` are equal keys and other values.
    a.tag == b.tag && (a.tag <= tag::TRUE || a.payload == b.payload || a.raw_equal(b))
}

/// What is to stand where `live` does, which is [`alike`] `old`: `new`, or `live` with
/// the contents of `new`.
pub(crate) fn settle(cx: &mut Context<'_>, live: Value, old: Value, new: Value) -> Outcome<Value> {
    if is_same(live, old) || live.tag != tag::TABLE || new.tag != tag::TABLE {
        return Ok(new);
    }
    // SAFETY: live tables; nothing is collected.
    unsafe {
        let (from, into) = (new.as_table(), live.as_table());
        if (*from).metatable != (*into).metatable {
            return Ok(new);
        }
        let mut gone = Vec::new();
        let mut key = Value::NIL;
        while let Ok(Some((next, _))) = table::next(into, key) {
            if table::get(from, next).is_nil() {
                gone.push(next);
            }
            key = next;
        }
        for key in gone {
            set(cx, live, key, Value::NIL)?;
        }
        let mut key = Value::NIL;
        while let Ok(Some((next, value))) = table::next(from, key) {
            let (was, before) = (table::get(into, next), table::get(old.as_table(), next));
            let value = settle(cx, was, before, value)?;
            if !is_same(was, value) {
                set(cx, live, next, value)?;
            }
            key = next;
        }
    }
    Ok(live)
}
