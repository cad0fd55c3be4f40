//! Writing tables, and making them.
//!
//! Invariants as in `interp`; the guess of field accesses as in `index`.

use moonswap_bytecode::MULTI;

use super::drive::Driver;
use super::index::{MAX_CHAIN, find_and_remember, guessed};
use super::operand::{b, c, kb, kc, ra, rb, rc, x};
use super::{Next, advance, call_metamethod};
use crate::error::Raised;
use crate::meta;
use crate::meta_event::Event;
use crate::object::Table;
use crate::table;
use crate::unwind::throw;
use crate::value::{Value, tag};
use crate::vm::Vm;

/// What writing an index comes to.
pub(crate) enum Store {
    /// Done.
    Done,
    /// A metamethod must be called with (receiver, key, value).
    Call { function: Value, receiver: Value },
}

/// `object[key] = value` up to a metamethod call.
pub(crate) fn store_lookup(
    vm: &mut Vm,
    object: Value,
    key: Value,
    value: Value,
) -> Result<Store, Raised> {
    let mut object = object;
    for _ in 0..MAX_CHAIN {
        let handler = if object.tag == tag::TABLE {
            // SAFETY: V1: live table.
            unsafe {
                let t = object.as_table();
                let f = if (*t).metatable.is_null() || !table::get(t, key).is_nil() {
                    Value::NIL
                } else {
                    meta::fast(vm, (*t).metatable, Event::NewIndex)
                };
                if f.is_nil() {
                    return match vm.undo().set(t, key, value) {
                        Ok(()) => Ok(Store::Done),
                        Err(e) => Err(meta::raise_table_error(vm, e)),
                    };
                }
                f
            }
        } else {
            let f = meta::of(vm, object, Event::NewIndex);
            if f.is_nil() {
                return Err(meta::raise_index(vm, object, key));
            }
            f
        };
        if matches!(handler.tag, tag::CLOSURE | tag::NATIVE) {
            return Ok(Store::Call {
                function: handler,
                receiver: object,
            });
        }
        object = handler;
    }
    Err(vm.raise_located("'__newindex' chain too long; possible loop"))
}

/// # Safety
/// The contract of operations (`interp`), V1.
#[inline(never)]
pub(super) unsafe fn set_slow(
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    object: Value,
    key: Value,
    value: Value,
) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        match store_lookup(vm, object, key, value) {
            Ok(Store::Done) => advance(pc, base),
            Ok(Store::Call { function, receiver }) => {
                call_metamethod(vm, pc, base, function, &[receiver, key, value])
            }
            Err(_) => set_failed(vm, object, key, value),
        }
    }
}

/// A store that failed: for want of memory it is tried again after a collection.
///
/// # Safety
/// V1; VM3: the frame of the store is on top, with `pc` at it.
#[cold]
#[inline(never)]
unsafe fn set_failed(vm: &mut Vm, object: Value, key: Value, value: Value) -> Next {
    // SAFETY: as set_slow, which saved pc and base; the memory error came from
    // the store itself, so the second attempt ends like it or is done.
    unsafe {
        let (pc, base) = (vm.pc, vm.base);
        if !vm.is_memory_error || !crate::host::collect_for(vm, base) {
            return throw(vm);
        }
        match store_lookup(vm, object, key, value) {
            Ok(Store::Done) => advance(pc, base),
            Ok(Store::Call { function, receiver }) => {
                call_metamethod(vm, pc, base, function, &[receiver, key, value])
            }
            Err(_) => throw(vm),
        }
    }
}

/// Where a store finds its object, key and value.
type Places = (*const Value, *const Value, *const Value);

/// `object[K] := value`.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
unsafe fn set_field_of<D, P>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    places: P,
) -> D::Out
where
    D: Driver,
    P: Fn(*const u64, *mut Value) -> Places + Copy,
{
    // SAFETY: I1; overwriting a non-nil value needs no metamethod and leaves
    // the absence cache right; a store that needs a barrier is done by the
    // general way.
    unsafe {
        let (object, key, value) = places(pc, base);
        if (*object).tag == tag::TABLE {
            let t = (*object).as_table();
            let node = guessed(pc, t, key);
            if !node.is_null()
                && (*node).value_tag != tag::NIL
                && !(*vm).heap.needs_barrier(t.cast(), *value)
            {
                (*node).value = (*value).payload;
                (*node).value_tag = (*value).tag;
                return d.dispatch(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, move |pc, base, vm| {
            let (object, key, value) = places(pc, base);
            set_field_miss(pc, base, vm, object, key, value)
        })
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn set_field_miss(
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    object: *const Value,
    key: *const Value,
    value: *const Value,
) -> Next {
    // SAFETY: as set_field_of.
    unsafe {
        if (*object).tag == tag::TABLE {
            let t = (*object).as_table();
            let node = find_and_remember(pc, t, (*key).as_string());
            if !node.is_null() && (*node).value_tag != tag::NIL {
                (*node).value = (*value).payload;
                (*node).value_tag = (*value).tag;
                (*vm).heap.barrier(t.cast(), *value);
                return advance(pc, base);
            }
            let f = meta::fast(&*vm, (*t).metatable, Event::NewIndex);
            if f.is_nil() {
                if table::set_short(&mut (*vm).heap, t, (*key).as_string(), *value).is_ok() {
                    return advance(pc, base);
                }
            } else if matches!(f.tag, tag::CLOSURE | tag::NATIVE) {
                return call_metamethod(&mut *vm, pc, base, f, &[*object, *key, *value]);
            }
        }
        set_slow(pc, base, vm, *object, *key, *value)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn set_field<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        set_field_of(d, pc, base, vm, |pc, base| {
            (ra(pc, base), kb(pc), rc(pc, base))
        })
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn set_tab_up<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        set_field_of(d, pc, base, vm, |pc, base| {
            (
                (*super::moves::upvalue(base, b(pc))).value,
                kc(pc),
                ra(pc, base),
            )
        })
    }
}

/// Overwrites array entry `i`; false if it is not in the array part, or nil,
/// or the store needs a barrier and BARRIER is not set.
///
/// # Safety
/// A live table of this VM's, and a live value (V1).
#[inline(always)]
unsafe fn array_write<const BARRIER: bool>(
    vm: *mut Vm,
    t: *mut Table,
    i: i64,
    value: *const Value,
) -> bool {
    // SAFETY: the index is checked; barrier after the store.
    unsafe {
        let at = (i as u64).wrapping_sub(1);
        if at < u64::from((*t).array_len) {
            let values = (*t).array;
            let t_byte = values
                .add((*t).array_cap as usize)
                .cast::<u8>()
                .add(at as usize);
            if *t_byte != tag::NIL || (*t).metatable.is_null() {
                if !BARRIER && (*vm).heap.needs_barrier(t.cast(), *value) {
                    return false;
                }
                *values.add(at as usize) = (*value).payload;
                *t_byte = (*value).tag;
                if BARRIER {
                    (*vm).heap.barrier(t.cast(), *value);
                }
                return true;
            }
        }
        false
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn set_table<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let (object, key) = (ra(pc, base), rb(pc, base));
        if (*object).tag == tag::TABLE
            && (*key).tag == tag::INTEGER
            && array_write::<false>(vm, (*object).as_table(), (*key).as_i64(), rc(pc, base))
        {
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| set_table_miss(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn set_table_miss(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe {
        let (object, key, value) = (ra(pc, base), rb(pc, base), rc(pc, base));
        if (*object).tag == tag::TABLE {
            let t = (*object).as_table();
            if (*key).tag == tag::INTEGER && array_write::<true>(vm, t, (*key).as_i64(), value) {
                return advance(pc, base);
            }
            let f = if (*t).metatable.is_null() || !table::get(t, *key).is_nil() {
                Value::NIL
            } else {
                meta::fast(&*vm, (*t).metatable, Event::NewIndex)
            };
            if f.is_nil() {
                if table::set(&mut (*vm).heap, t, *key, *value).is_ok() {
                    return advance(pc, base);
                }
            } else if matches!(f.tag, tag::CLOSURE | tag::NATIVE) {
                return call_metamethod(&mut *vm, pc, base, f, &[*object, *key, *value]);
            }
        }
        set_slow(pc, base, vm, *object, *key, *value)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn set_index<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let object = ra(pc, base);
        if (*object).tag == tag::TABLE
            && array_write::<false>(vm, (*object).as_table(), b(pc) as i64, rc(pc, base))
        {
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| set_index_miss(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn set_index_miss(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe {
        let (object, value) = (ra(pc, base), rc(pc, base));
        if (*object).tag == tag::TABLE
            && array_write::<true>(vm, (*object).as_table(), b(pc) as i64, value)
        {
            return advance(pc, base);
        }
        set_slow(pc, base, vm, *object, Value::integer(b(pc) as i64), *value)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn new_table(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1; the store needs no barrier (stack).
    unsafe {
        let t = (*vm).heap.new_table(b(pc), c(pc));
        let r = ra(pc, base);
        (*r).payload = t as u64;
        (*r).tag = tag::TABLE;
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn set_list(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1: R[A] is the fresh table, its items follow.
    unsafe {
        let vm = &mut *vm;
        let r = ra(pc, base);
        let t = (*r).as_table();
        if b(pc) == 0 {
            table::visit_zero_first(t);
            return advance(pc, base);
        }
        let n = if b(pc) == usize::from(MULTI) {
            vm.top.offset_from(r) as usize - 1
        } else {
            b(pc)
        };
        let first = ((usize::from(x(pc)) << 16) | c(pc)) * 50;
        vm.pc = pc;
        vm.base = base;
        if table::reserve(&mut vm.heap, t, first + n, 0).is_err()
            && crate::host::collect_for(vm, r.add(n + 1))
        {
            let _ = table::reserve(&mut vm.heap, t, first + n, 0);
        }
        for i in 1..=n {
            if let Err(e) = table::set_int(&mut vm.heap, t, (first + i) as i64, *r.add(i)) {
                let _ = meta::raise_table_error(vm, e);
                return throw(vm);
            }
        }
        advance(pc, base)
    }
}
