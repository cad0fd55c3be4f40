//! Numeric and generic `for`.
//!
//! Invariants as in `interp`. FORPREP computes the number of turns for integer
//! loops and leaves it in the limit's register, so FORLOOP neither compares
//! with the limit nor can overflow; it writes payloads only, the tags of the
//! hidden registers are set once.

use moonswap_number as number;

use super::drive::Driver;
use super::operand::{bc, c, ra};
use super::{Next, advance, jump, precall};
use crate::meta;
use crate::object::NativeKind;
use crate::table;
use crate::unwind::throw;
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn for_loop<D: Driver>(d: D, pc: *const u64, base: *mut Value) -> D::Out {
    // SAFETY: I1; FORPREP set up the registers.
    unsafe {
        let r = ra(pc, base);
        if (*r.add(2)).tag == tag::INTEGER {
            let count = (*r.add(1)).payload;
            if count == 0 {
                return d.dispatch_cold::<1>(advance(pc, base));
            }
            let i = (*r).payload.wrapping_add((*r.add(2)).payload);
            (*r.add(1)).payload = count - 1;
            (*r).payload = i;
            (*r.add(3)).payload = i;
            (*r.add(3)).tag = tag::INTEGER;
            return d.dispatch(jump(pc, base, bc(pc)));
        }
        let step = (*r.add(2)).as_f64();
        let i = (*r).as_f64() + step;
        let limit = (*r.add(1)).as_f64();
        if if step > 0.0 { i <= limit } else { limit <= i } {
            (*r).payload = i.to_bits();
            (*r.add(3)).payload = i.to_bits();
            (*r.add(3)).tag = tag::FLOAT;
            return d.dispatch_cold::<2>(jump(pc, base, bc(pc)));
        }
        d.dispatch_cold::<3>(advance(pc, base))
    }
}

/// Whole-number limit of an integer loop; `None`: the loop does not run.
fn integer_limit(limit: Value, start: i64, step: i64) -> Option<Option<i64>> {
    let bound = match limit.tag {
        tag::INTEGER => limit.as_i64(),
        tag::FLOAT => {
            let f = limit.as_f64();
            // NaN is taken for a limit below all numbers, as in the reference.
            let whole = if step > 0 { f.floor() } else { f.ceil() };
            match number::float_to_int(whole) {
                Some(i) => i,
                None if f > 0.0 => {
                    if step < 0 {
                        return Some(None);
                    }
                    i64::MAX
                }
                None => {
                    if step > 0 {
                        return Some(None);
                    }
                    i64::MIN
                }
            }
        }
        _ => return None,
    };
    if if step > 0 {
        start > bound
    } else {
        start < bound
    } {
        Some(None)
    } else {
        Some(Some(bound))
    }
}

/// Turns that follow the first one.
fn turns(first: i64, bound: i64, by: i64) -> u64 {
    if by > 0 {
        (bound as u64).wrapping_sub(first as u64) / by as u64
    } else {
        (first as u64).wrapping_sub(bound as u64)
            / ((by.wrapping_add(1).wrapping_neg() as u64).wrapping_add(1))
    }
}

/// The hidden registers of a numeric loop that is at `index` and gets another limit
/// and step; a loop that is beyond its limit ends at the next turn. `None`: it would
/// be an error, or its index would be of another type.
pub(crate) fn other_limits(index: Value, limit: Value, step: Value) -> Option<[Value; 3]> {
    let limit = if limit.tag == tag::STRING {
        meta::to_number(limit)?
    } else {
        limit
    };
    if index.tag == tag::INTEGER && step.tag == tag::INTEGER {
        let (first, by) = (index.as_i64(), step.as_i64());
        if by == 0 {
            return None;
        }
        let bound = integer_limit(limit, first, by)?;
        let left = bound.map_or(0, |bound| turns(first, bound, by));
        return Some([index, Value::integer(left as i64), step]);
    }
    let float = |v: Value| match v.tag {
        tag::INTEGER => Some(v.as_i64() as f64),
        tag::FLOAT => Some(v.as_f64()),
        _ => None,
    };
    let (at, limit, by) = (float(index)?, float(limit)?, float(step)?);
    if by == 0.0 {
        return None;
    }
    Some([at, limit, by].map(Value::float))
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn for_prep(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, VM3.
    unsafe {
        let r = ra(pc, base);
        let (start, limit, step) = (*r, *r.add(1), *r.add(2));
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        // Numeric strings convert, the reference does it too.
        let limit = if limit.tag == tag::STRING {
            meta::to_number(limit).unwrap_or(limit)
        } else {
            limit
        };
        if start.tag == tag::INTEGER && step.tag == tag::INTEGER {
            let (first, by) = (start.as_i64(), step.as_i64());
            if by == 0 {
                let _ = vm.raise_located("'for' step is zero");
                return throw(vm);
            }
            let Some(bound) = integer_limit(limit, first, by) else {
                let _ = meta::raise_for(vm, *r.add(1), "limit");
                return throw(vm);
            };
            let Some(bound) = bound else {
                return jump(pc, base, bc(pc));
            };
            (*r.add(1)).payload = turns(first, bound, by);
            (*r.add(1)).tag = tag::INTEGER;
            store(r.add(3), start);
            return advance(pc, base);
        }
        let float = |v: Value| {
            let v = meta::to_number(v)?;
            Some(if v.tag == tag::INTEGER {
                v.as_i64() as f64
            } else {
                v.as_f64()
            })
        };
        let Some(flimit) = float(limit) else {
            let _ = meta::raise_for(vm, limit, "limit");
            return throw(vm);
        };
        let Some(fstep) = float(step) else {
            let _ = meta::raise_for(vm, step, "step");
            return throw(vm);
        };
        let Some(fstart) = float(start) else {
            let _ = meta::raise_for(vm, start, "initial");
            return throw(vm);
        };
        if fstep == 0.0 {
            let _ = vm.raise_located("'for' step is zero");
            return throw(vm);
        }
        // Not a number is neither below nor above: such a loop runs once.
        if if fstep > 0.0 {
            flimit < fstart
        } else {
            fstart < flimit
        } {
            return jump(pc, base, bc(pc));
        }
        store(r, Value::float(fstart));
        store(r.add(1), Value::float(flimit));
        store(r.add(2), Value::float(fstep));
        store(r.add(3), Value::float(fstart));
        advance(pc, base)
    }
}

/// `for k, v in next, t`: the hidden control register's padding is no place for
/// a cursor, so the key's node index is looked up from the key; array parts go
/// by index.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn t_for_call<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let r = ra(pc, base);
        let f = r.sub(4);
        if (*f).tag == tag::NATIVE && c(pc) <= 2 {
            let kind = (*(*f).as_native()).kind;
            if kind == NativeKind::Next && (*r.sub(3)).tag == tag::TABLE {
                return d.slow(pc, base, vm, |pc, base, vm| next_pair(pc, base, vm));
            }
            if kind == NativeKind::IpairsStep
                && (*r.sub(3)).tag == tag::TABLE
                && (*r.sub(2)).tag == tag::INTEGER
            {
                return d.slow(pc, base, vm, |pc, base, vm| ipairs_step(pc, base, vm));
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| general_call(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn general_call(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, VM3: the loop's window reaches R[A+3].
    unsafe {
        let r = ra(pc, base);
        copy(r, r.sub(4));
        copy(r.add(2), r.sub(3));
        copy(r.add(3), r.sub(2));
        (*vm).pc = pc;
        (*vm).base = base;
        precall(&mut *vm, pc.add(1), r, 2)
    }
}

/// # Safety
/// `r` and the `wanted - 1` registers above it are the frame's.
#[inline(always)]
unsafe fn put_pair(r: *mut Value, wanted: usize, key: Value, value: Value) {
    // SAFETY: by the caller; wanted <= 2.
    unsafe {
        store(r, key);
        if wanted == 2 {
            store(r.add(1), value);
        }
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn next_pair(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1. The closing register's payload (R[A-1], nil in such loops)
    // keeps the cursor; it is trusted only if the entry before it is the
    // control key.
    unsafe {
        let r = ra(pc, base);
        let t = (*r.sub(3)).as_table();
        let control = *r.sub(2);
        let closing = r.sub(1);
        let cursor = if control.is_nil() {
            Some(table::first_cursor(t))
        } else if (*closing).tag == tag::NIL
            && table::cursor_is_after(t, (*closing).payload as u32, control)
        {
            Some((*closing).payload as u32)
        } else {
            table::cursor_of(t, control).ok()
        };
        let Some(cursor) = cursor else {
            return general_call(pc, base, vm);
        };
        match table::next_at(t, cursor) {
            Some((after, key, value)) => {
                if (*closing).tag == tag::NIL {
                    (*closing).payload = u64::from(after);
                }
                put_pair(r, c(pc), key, value);
            }
            None => put_pair(r, c(pc), Value::NIL, Value::NIL),
        }
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
unsafe fn ipairs_step(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe {
        let r = ra(pc, base);
        let t = (*r.sub(3)).as_table();
        let i = (*r.sub(2)).as_i64().wrapping_add(1);
        let value = table::get_int(t, i);
        if value.is_nil() {
            if !(*t).metatable.is_null() {
                return general_call(pc, base, vm);
            }
            put_pair(r, c(pc), Value::NIL, Value::NIL);
        } else {
            put_pair(r, c(pc), Value::integer(i), value);
        }
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn t_for_loop<D: Driver>(d: D, pc: *const u64, base: *mut Value) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let r = ra(pc, base);
        if (*r).tag == tag::NIL {
            return d.dispatch_cold::<1>(advance(pc, base));
        }
        copy(r.sub(2), r);
        d.dispatch(jump(pc, base, bc(pc)))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn t_for_prep<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let closing = ra(pc, base).add(3);
        if (*closing).tag != tag::NIL {
            return d.slow(pc, base, vm, |pc, base, vm| {
                t_for_prep_closing(pc, base, vm)
            });
        }
        d.dispatch(jump(pc, base, bc(pc)))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
unsafe fn t_for_prep_closing(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        if super::closure::mark_to_be_closed(vm, ra(pc, base).add(3)).is_err() {
            return throw(vm);
        }
        jump(pc, base, bc(pc))
    }
}
