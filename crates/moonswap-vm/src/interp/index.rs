//! Reading tables.
//!
//! Invariants as in `interp`. Field accesses with constant short keys keep a
//! guess of the node index in the instruction's `x` byte; it is verified by
//! comparing the key, so nothing ever has to invalidate it.

use super::drive::Driver;
use super::operand::{a, b, c, kc, ra, rb, rc, x};
use super::{Next, advance, call_metamethod};
use crate::error::Raised;
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Node, StringObject, Table};
use crate::table;
use crate::unwind::throw;
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// What reading an index comes to.
pub(crate) enum Lookup {
    /// Found (or nil).
    Found(Value),
    /// A metamethod must be called with (receiver, key).
    Call { function: Value, receiver: Value },
}

/// Longest chain of `__index`/`__newindex` tables.
pub(super) const MAX_CHAIN: usize = 2000;

/// `object[key]` up to a metamethod call.
pub(crate) fn lookup(vm: &mut Vm, object: Value, key: Value) -> Result<Lookup, Raised> {
    let mut object = object;
    for _ in 0..MAX_CHAIN {
        let handler = if object.tag == tag::TABLE {
            // SAFETY: V1: live table.
            unsafe {
                let t = object.as_table();
                let found = table::get(t, key);
                if !found.is_nil() {
                    return Ok(Lookup::Found(found));
                }
                let f = meta::fast(vm, (*t).metatable, Event::Index);
                if f.is_nil() {
                    return Ok(Lookup::Found(Value::NIL));
                }
                f
            }
        } else {
            let f = meta::of(vm, object, Event::Index);
            if f.is_nil() {
                return Err(meta::raise_index(vm, object, key));
            }
            f
        };
        if matches!(handler.tag, tag::CLOSURE | tag::NATIVE) {
            return Ok(Lookup::Call {
                function: handler,
                receiver: object,
            });
        }
        object = handler;
    }
    Err(vm.raise_located("'__index' chain too long; possible loop"))
}

/// # Safety
/// The contract of operations (`interp`), V1.
#[inline(never)]
unsafe fn get_slow(
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    object: Value,
    key: Value,
) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        match lookup(vm, object, key) {
            Ok(Lookup::Found(value)) => {
                store(base.byte_add(a(pc)), value);
                advance(pc, base)
            }
            Ok(Lookup::Call { function, receiver }) => {
                call_metamethod(vm, pc, base, function, &[receiver, key])
            }
            Err(_) => throw(vm),
        }
    }
}

/// Node guessed by the instruction, if it holds the key.
///
/// # Safety
/// I1; a live table, and the constant of the instruction at `pc`.
#[inline(always)]
pub(super) unsafe fn guessed(pc: *const u64, t: *mut Table, key: *const Value) -> *mut Node {
    // SAFETY: I1; the mask keeps the guess inside the node part.
    unsafe {
        let i = u32::from(x(pc)) & (*t).header.word;
        let node = (*t).nodes.add(i as usize);
        if (*node).key == (*key).payload && (*node).key_tag == tag::STRING {
            node
        } else {
            std::ptr::null_mut()
        }
    }
}

/// Finds the key and remembers where, if it fits the guess byte.
///
/// # Safety
/// I1; a live table and a live short string.
#[inline(always)]
pub(super) unsafe fn find_and_remember(
    pc: *const u64,
    t: *mut Table,
    key: *mut StringObject,
) -> *mut Node {
    // SAFETY: I1; code is this VM's private, mutable copy.
    unsafe {
        let node = table::find_short(t, key);
        if !node.is_null() {
            let i = node.offset_from((*t).nodes) as usize;
            *pc.cast_mut().cast::<u8>().add(1) = i as u8;
        }
        node
    }
}

/// # Safety
/// `r` is a register of the frame, `node` one of a live table.
#[inline(always)]
unsafe fn put_node(r: *mut Value, node: *const Node) {
    // SAFETY: by the caller.
    unsafe {
        (*r).payload = (*node).value;
        (*r).tag = (*node).value_tag;
    }
}

/// `R[A] := object[K]`, K a short string.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn get_field_of<D, O>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    place: O,
) -> D::Out
where
    D: Driver,
    O: Fn(*const u64, *mut Value) -> *const Value + Copy,
{
    // SAFETY: I1.
    unsafe {
        let object = place(pc, base);
        if (*object).tag == tag::TABLE {
            let t = (*object).as_table();
            let node = guessed(pc, t, kc(pc));
            if !node.is_null() && (*node).value_tag != tag::NIL {
                put_node(ra(pc, base), node);
                return d.dispatch(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, move |pc, base, vm| {
            get_field_miss(pc, base, vm, place(pc, base))
        })
    }
}

/// The guess failed: the table's own node elsewhere, else along tables of
/// `__index`, else the general way.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn get_field_miss(
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    object: *const Value,
) -> Next {
    // SAFETY: I1.
    unsafe {
        let key = (*kc(pc)).as_string();
        let mut v = *object;
        for _ in 0..8 {
            if v.tag != tag::TABLE {
                break;
            }
            let t = v.as_table();
            let node = find_and_remember(pc, t, key);
            if !node.is_null() && (*node).value_tag != tag::NIL {
                put_node(ra(pc, base), node);
                return advance(pc, base);
            }
            let f = meta::fast(&*vm, (*t).metatable, Event::Index);
            if f.is_nil() {
                (*ra(pc, base)).tag = tag::NIL;
                return advance(pc, base);
            }
            if matches!(f.tag, tag::CLOSURE | tag::NATIVE) {
                return call_metamethod(&mut *vm, pc, base, f, &[v, *kc(pc)]);
            }
            v = f;
        }
        get_slow(pc, base, vm, *object, *kc(pc))
    }
}

/// `R[A+2] := R[B]; R[A] := R[B][K]`.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn self_field<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let object = rb(pc, base);
        let r = ra(pc, base);
        if (*object).tag == tag::TABLE {
            let t = (*object).as_table();
            let mt = (*t).metatable;
            if mt.is_null() {
                let node = guessed(pc, t, kc(pc));
                if !node.is_null() && (*node).value_tag != tag::NIL {
                    copy(r.add(2), object);
                    put_node(r, node);
                    return d.dispatch(advance(pc, base));
                }
            } else {
                // Usual object: the method is in the `__index` table of the
                // metatable, not in the object.
                let own = table::find_short(t, (*kc(pc)).as_string());
                if own.is_null() || (*own).value_tag == tag::NIL {
                    let class = table::get_short(mt, (*vm).event_name(Event::Index));
                    if class.tag == tag::TABLE {
                        let node = guessed(pc, class.as_table(), kc(pc));
                        if !node.is_null() && (*node).value_tag != tag::NIL {
                            copy(r.add(2), object);
                            put_node(r, node);
                            return d.dispatch(advance(pc, base));
                        }
                    }
                }
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| self_miss(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn self_miss(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1. The receiver is stored last: its register may be R[A].
    unsafe {
        let object = *rb(pc, base);
        let r = ra(pc, base);
        store(r.add(2), object);
        let key = *kc(pc);
        let mut v = object;
        for _ in 0..8 {
            if v.tag != tag::TABLE {
                break;
            }
            let t = v.as_table();
            let node = find_and_remember(pc, t, key.as_string());
            if !node.is_null() && (*node).value_tag != tag::NIL {
                put_node(r, node);
                return advance(pc, base);
            }
            let f = meta::fast(&*vm, (*t).metatable, Event::Index);
            if f.is_nil() {
                break;
            }
            v = f;
        }
        get_slow(pc, base, vm, object, key)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn get_tab_up<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        get_field_of(d, pc, base, vm, |pc, base| {
            (*super::moves::upvalue(base, b(pc))).value
        })
    }
}

/// Reads array entry `i` into R[A]; false if it is not in the array part or nil.
///
/// # Safety
/// `r` is a register of the frame, `t` a live table.
#[inline(always)]
unsafe fn array_read(r: *mut Value, t: *mut Table, i: i64) -> bool {
    // SAFETY: the index is checked against the used part.
    unsafe {
        let at = (i as u64).wrapping_sub(1);
        if at < u64::from((*t).array_len) {
            let values = (*t).array;
            let t_byte = *values
                .add((*t).array_cap as usize)
                .cast::<u8>()
                .add(at as usize);
            if t_byte != tag::NIL {
                (*r).payload = *values.add(at as usize);
                (*r).tag = t_byte;
                return true;
            }
        }
        false
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn get_table<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let (object, key) = (rb(pc, base), rc(pc, base));
        if (*object).tag == tag::TABLE
            && (*key).tag == tag::INTEGER
            && array_read(ra(pc, base), (*object).as_table(), (*key).as_i64())
        {
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| get_table_miss(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn get_table_miss(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe {
        let (object, key) = (*rb(pc, base), *rc(pc, base));
        let mut v = object;
        for _ in 0..8 {
            if v.tag != tag::TABLE {
                break;
            }
            let t = v.as_table();
            let found = table::get(t, key);
            if !found.is_nil() {
                store(ra(pc, base), found);
                return advance(pc, base);
            }
            let f = meta::fast(&*vm, (*t).metatable, Event::Index);
            if f.is_nil() {
                (*ra(pc, base)).tag = tag::NIL;
                return advance(pc, base);
            }
            if matches!(f.tag, tag::CLOSURE | tag::NATIVE) {
                return call_metamethod(&mut *vm, pc, base, f, &[v, key]);
            }
            v = f;
        }
        get_slow(pc, base, vm, object, key)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn get_index<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let object = rb(pc, base);
        if (*object).tag == tag::TABLE
            && array_read(ra(pc, base), (*object).as_table(), c(pc) as i64)
        {
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| {
            get_slow(pc, base, vm, *rb(pc, base), Value::integer(c(pc) as i64))
        })
    }
}
