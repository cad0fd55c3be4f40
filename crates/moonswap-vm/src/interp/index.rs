//! Reading and writing tables.
//!
//! Invariants as in `interp`. Field accesses with constant short keys keep a
//! guess of the node index in the instruction's `x` byte; it is verified by
//! comparing the key, so nothing ever has to invalidate it.

use moonswap_bytecode::MULTI;

use super::drive::Driver;
use super::operand::{a, b, c, kb, kc, ra, rb, rc, x};
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
const MAX_CHAIN: usize = 2000;

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
                    return match table::set(&mut vm.heap, t, key, value) {
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

#[inline(never)]
unsafe fn set_slow(
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
            Err(_) => throw(vm),
        }
    }
}

/// Node guessed by the instruction, if it holds the key.
#[inline(always)]
unsafe fn guessed(pc: *const u64, t: *mut Table, key: *const Value) -> *mut Node {
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
#[inline(always)]
unsafe fn find_and_remember(pc: *const u64, t: *mut Table, key: *mut StringObject) -> *mut Node {
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

#[inline(always)]
unsafe fn put_node(r: *mut Value, node: *const Node) {
    // SAFETY: by the caller.
    unsafe {
        (*r).payload = (*node).value;
        (*r).tag = (*node).value_tag;
    }
}

/// `R[A] := object[K]`, K a short string.
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
                return d.go(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, move |pc, base, vm| {
            get_field_miss(pc, base, vm, place(pc, base))
        })
    }
}

/// The guess failed: the table's own node elsewhere, else along tables of
/// `__index`, else the general way.
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
                    return d.go(advance(pc, base));
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
                            return d.go(advance(pc, base));
                        }
                    }
                }
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| self_miss(pc, base, vm))
    }
}

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

/// Where a store finds its object, key and value.
type Places = (*const Value, *const Value, *const Value);

/// `object[K] := value`.
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
                return d.go(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, move |pc, base, vm| {
            let (object, key, value) = places(pc, base);
            set_field_miss(pc, base, vm, object, key, value)
        })
    }
}

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

/// Reads array entry `i` into R[A]; false if it is not in the array part or nil.
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

/// Overwrites array entry `i`; false if it is not in the array part, or nil,
/// or the store needs a barrier and BARRIER is not set.
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
            return d.go(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| get_table_miss(pc, base, vm))
    }
}

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
            return d.go(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| {
            get_slow(pc, base, vm, *rb(pc, base), Value::integer(c(pc) as i64))
        })
    }
}

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
            return d.go(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| set_table_miss(pc, base, vm))
    }
}

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
            return d.go(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| set_index_miss(pc, base, vm))
    }
}

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

#[inline(never)]
pub(super) unsafe fn set_list(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1: R[A] is the fresh table, its items follow.
    unsafe {
        let vm = &mut *vm;
        let r = ra(pc, base);
        let t = (*r).as_table();
        let n = if b(pc) == usize::from(MULTI) {
            vm.top.offset_from(r) as usize - 1
        } else {
            b(pc)
        };
        let first = ((usize::from(x(pc)) << 16) | c(pc)) * 50;
        let _ = table::reserve(&mut vm.heap, t, first + n, 0);
        for i in 1..=n {
            if let Err(e) = table::set_int(&mut vm.heap, t, (first + i) as i64, *r.add(i)) {
                vm.pc = pc;
                vm.base = base;
                let _ = meta::raise_table_error(vm, e);
                return throw(vm);
            }
        }
        advance(pc, base)
    }
}
