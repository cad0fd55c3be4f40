//! Captured variables of functions, by number (from 1).
//!
//! A closure has the `header.word` variables it was made with, and those that a
//! patch gave its function since (`heap/backfill.rs`): they are nil until written.
//!
//! Invariants: V1.

use super::walk;
use crate::object::{Closure, Upvalue, Version};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// Where a captured variable is.
enum Place {
    Lua(*mut Upvalue),
    /// By index, of a closure that was made without it.
    Late(usize),
    Native(usize),
}

fn find(f: Value, n: i64) -> Option<Place> {
    let index = usize::try_from(n).ok()?.checked_sub(1)?;
    // SAFETY: V1; the index is tested.
    unsafe {
        match f.tag {
            tag::CLOSURE => {
                let c = f.as_closure();
                if index >= (*c).header.word as usize {
                    let n = usize::from((*walk::current_version(f)?).n_upvalues);
                    return (index < n).then_some(Place::Late(index));
                }
                let up = *Closure::upvalue_at(c, index);
                Some(if up.is_null() {
                    Place::Late(index)
                } else {
                    Place::Lua(up)
                })
            }
            tag::NATIVE => {
                (index < (&(*f.as_native()).upvalues).len()).then_some(Place::Native(index))
            }
            _ => None,
        }
    }
}

/// The variable of a Lua function itself, made if the function lacks it.
fn cell(vm: &mut Vm, f: Value, place: Place) -> Option<*mut Upvalue> {
    match place {
        Place::Lua(up) => Some(up),
        // SAFETY: V1: a live closure.
        Place::Late(i) => Some(unsafe { vm.undo().backfilled_upvalue(f.as_closure(), i) }),
        Place::Native(_) => None,
    }
}

/// Natives' variables have no names, stripped ones "(no name)".
fn name(f: Value, n: i64) -> Vec<u8> {
    // SAFETY: V1.
    let Some(record) = (unsafe { walk::current_version(f).map(|v| Version::record(v)) }) else {
        return Vec::new();
    };
    match record.upvalue_name(n as usize - 1) {
        Some(name) if !record.is_stripped => name.as_bytes().to_vec(),
        _ => b"(no name)".to_vec(),
    }
}

/// Name and value of captured variable `n`.
pub(crate) fn upvalue(vm: &Vm, f: Value, n: i64) -> Option<(Vec<u8>, Value)> {
    let place = find(f, n)?;
    // SAFETY: V1: an upvalue points to a valid slot, open or closed.
    let value = unsafe {
        match place {
            Place::Lua(up) => *(*up).value,
            Place::Late(i) => {
                let up = vm.heap.find_upvalue(f.as_closure(), i);
                up.map_or(Value::NIL, |up| *(*up).value)
            }
            Place::Native(i) => (&(*f.as_native()).upvalues)[i],
        }
    };
    Some((name(f, n), Value::raw(value.payload, value.tag)))
}

/// Stores into captured variable `n`; answers its name.
pub(crate) fn set_upvalue(vm: &mut Vm, f: Value, n: i64, value: Value) -> Option<Vec<u8>> {
    // SAFETY: as in `upvalue`; barrier right after the store.
    unsafe {
        match find(f, n)? {
            place @ (Place::Lua(_) | Place::Late(_)) => {
                let up = cell(vm, f, place)?;
                vm.undo().variable(up);
                store((*up).value, value);
                vm.heap.barrier(up.cast(), value);
            }
            Place::Native(i) => {
                let native = f.as_native();
                vm.undo().native_variable(native, i);
                (&mut (*native).upvalues)[i] = value;
                vm.heap.barrier(native.cast(), value);
            }
        }
    }
    Some(name(f, n))
}

/// Identity of captured variable `n`.
pub(crate) fn upvalue_id(vm: &mut Vm, f: Value, n: i64) -> Option<usize> {
    match find(f, n)? {
        place @ (Place::Lua(_) | Place::Late(_)) => cell(vm, f, place).map(|up| up as usize),
        // SAFETY: V1; the index was tested.
        Place::Native(i) => Some(unsafe { &raw const (&(*f.as_native()).upvalues)[i] } as usize),
    }
}

/// Makes variable `n1` of `f1` the same as `n2` of `f2`; false unless both are
/// variables of Lua functions.
pub(crate) fn upvalue_join(vm: &mut Vm, f1: Value, n1: i64, f2: Value, n2: i64) -> bool {
    let up = find(f2, n2).and_then(|place| cell(vm, f2, place));
    let (Some(place), Some(up)) = (find(f1, n1), up) else {
        return false;
    };
    // SAFETY: V1; the index was tested; barrier right after the store.
    unsafe {
        if f1.tag == tag::CLOSURE {
            vm.undo().captured(f1.as_closure(), n1 as usize - 1);
        }
        match place {
            Place::Lua(_) => {
                *Closure::upvalue_at(f1.as_closure(), n1 as usize - 1) = up;
                vm.heap.barrier_object(f1.header(), up.cast());
            }
            Place::Late(i) => vm.heap.set_backfilled_upvalue(f1.as_closure(), i, up),
            Place::Native(_) => return false,
        }
    }
    true
}
