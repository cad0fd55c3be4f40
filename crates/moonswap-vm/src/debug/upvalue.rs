//! Captured variables of functions, by number (from 1).
//!
//! Invariants: V1; a closure has `header.word` captured variables, and the
//! current version of its slot names at least the ones it was made with.

use super::info;
use crate::object::{Closure, Upvalue};
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// Where a captured variable is.
enum Place {
    Lua(*mut Upvalue),
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
                    return None;
                }
                let up = *Closure::upvalue_at(c, index);
                (!up.is_null()).then_some(Place::Lua(up))
            }
            tag::NATIVE => {
                (index < (&(*f.as_native()).upvalues).len()).then_some(Place::Native(index))
            }
            _ => None,
        }
    }
}

/// Natives' variables have no names, stripped ones "(no name)".
fn name(f: Value, n: i64) -> Vec<u8> {
    // SAFETY: V1.
    let Some(prototype) = (unsafe { info::current_prototype(f) }) else {
        return Vec::new();
    };
    match prototype.upvalues.get(n as usize - 1) {
        Some(u) if !prototype.is_stripped() => u.name.as_bytes().to_vec(),
        _ => b"(no name)".to_vec(),
    }
}

/// Name and value of captured variable `n`.
pub(crate) fn upvalue(vm: &Vm, f: Value, n: i64) -> Option<(Vec<u8>, Value)> {
    let _ = vm;
    let place = find(f, n)?;
    // SAFETY: V1: an upvalue points to a valid slot, open or closed.
    let value = unsafe {
        match place {
            Place::Lua(up) => *(*up).value,
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
            Place::Lua(up) => {
                store((*up).value, value);
                vm.heap.barrier(up.cast(), value);
            }
            Place::Native(i) => {
                let native = f.as_native();
                (&mut (*native).upvalues)[i] = value;
                vm.heap.barrier(native.cast(), value);
            }
        }
    }
    Some(name(f, n))
}

/// Identity of captured variable `n`.
pub(crate) fn upvalue_id(vm: &Vm, f: Value, n: i64) -> Option<usize> {
    let _ = vm;
    match find(f, n)? {
        Place::Lua(up) => Some(up as usize),
        // SAFETY: V1; the index was tested.
        Place::Native(i) => Some(unsafe { &raw const (&(*f.as_native()).upvalues)[i] } as usize),
    }
}

/// Makes variable `n1` of `f1` the same as `n2` of `f2`; false unless both are
/// variables of Lua functions.
pub(crate) fn upvalue_join(vm: &mut Vm, f1: Value, n1: i64, f2: Value, n2: i64) -> bool {
    let (Some(Place::Lua(_)), Some(Place::Lua(up))) = (find(f1, n1), find(f2, n2)) else {
        return false;
    };
    // SAFETY: V1; the index was tested; barrier right after the store.
    unsafe {
        *Closure::upvalue_at(f1.as_closure(), n1 as usize - 1) = up;
        vm.heap.barrier_object(f1.header(), up.cast());
    }
    true
}
