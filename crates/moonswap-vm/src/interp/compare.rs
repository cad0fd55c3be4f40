//! Comparisons with jumps, tests, `not`, `#`.
//!
//! Invariants as in `interp`.

use moonswap_bytecode::{Instruction, OpCode};

use super::drive::Driver;
use super::operand::{a, b_signed, bc, c, kb, ra, rb, x};
use super::{Next, advance, call_metamethod, jump};
use crate::meta;
use crate::meta_event::Event;
use crate::object::StringObject;
use crate::unwind::throw;
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
unsafe fn branch(pc: *const u64, base: *mut Value, taken: bool) -> Next {
    // SAFETY: I1.
    unsafe {
        if taken {
            jump(pc, base, c(pc) as isize)
        } else {
            advance(pc, base)
        }
    }
}

/// [`branch`] with both ways apart from each other and from those of other FROMs.
macro_rules! split {
    ($d:ident, $pc:ident, $base:ident, $taken:expr, $from:literal) => {
        if $taken {
            $d.dispatch_cold::<{ $from * 2 + 1 }>(jump($pc, $base, c($pc) as isize))
        } else {
            $d.dispatch_cold::<{ $from * 2 }>(advance($pc, $base))
        }
    };
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn equal<D: Driver, const WANTED: bool>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let (l, r) = (ra(pc, base), rb(pc, base));
        if (*l).tag == (*r).tag {
            if (*l).tag == tag::INTEGER {
                return split!(d, pc, base, ((*l).payload == (*r).payload) == WANTED, 0);
            }
            // Without a payload, or the same object (a float may be NaN).
            if (*l).tag <= tag::TRUE || ((*l).payload == (*r).payload && (*l).tag != tag::FLOAT) {
                return split!(d, pc, base, WANTED, 1);
            }
            // Short strings are one object per content.
            if (*l).tag == tag::STRING && StringObject::is_short((*l).as_string()) {
                return split!(d, pc, base, !WANTED, 2);
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| {
            equal_slow(pc, base, vm, WANTED)
        })
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn equal_slow(pc: *const u64, base: *mut Value, vm: *mut Vm, wanted: bool) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        let vm = &mut *vm;
        let (l, r) = (*ra(pc, base), *rb(pc, base));
        if l.raw_equal(r) {
            return branch(pc, base, wanted);
        }
        let f = meta::of_equality(vm, l, r);
        if f.is_nil() {
            return branch(pc, base, !wanted);
        }
        vm.pc = pc;
        vm.base = base;
        call_metamethod(vm, pc, base, f, &[l, r])
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn equal_const<D: Driver, const WANTED: bool>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let (l, r) = (ra(pc, base), kb(pc));
        if (*l).tag == (*r).tag && (*l).tag != tag::FLOAT {
            if (*l).payload == (*r).payload {
                return split!(d, pc, base, WANTED, 0);
            }
            if (*l).tag == tag::INTEGER
                || ((*l).tag == tag::STRING && StringObject::is_short((*l).as_string()))
            {
                return split!(d, pc, base, !WANTED, 1);
            }
        }
        if (*l).tag != (*r).tag && (*l).tag != tag::INTEGER && (*l).tag != tag::FLOAT {
            return split!(d, pc, base, !WANTED, 2);
        }
        d.slow(pc, base, vm, |pc, base, _| {
            equal_const_slow(pc, base, WANTED)
        })
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
unsafe fn equal_const_slow(pc: *const u64, base: *mut Value, wanted: bool) -> Next {
    // SAFETY: I1.
    unsafe { branch(pc, base, (*ra(pc, base)).raw_equal(*kb(pc)) == wanted) }
}

macro_rules! order {
    ($name:ident, $op:tt) => {
        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        pub(super) unsafe fn $name<D: Driver, const WANTED: bool>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
            // SAFETY: I1.
            unsafe {
                let (l, r) = (ra(pc, base), rb(pc, base));
                if (*l).tag == tag::INTEGER && (*r).tag == tag::INTEGER {
                    return split!(d, pc, base, ((*l).as_i64() $op (*r).as_i64()) == WANTED, 0);
                }
                if (*l).tag == tag::FLOAT && (*r).tag == tag::FLOAT {
                    return split!(d, pc, base, ((*l).as_f64() $op (*r).as_f64()) == WANTED, 1);
                }
                d.slow(pc, base, vm, |pc, base, vm| order_slow(pc, base, vm))
            }
        }
    };
}
order!(less, <);
order!(less_equal, <=);

macro_rules! order_imm {
    ($name:ident, $op:tt) => {
        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        pub(super) unsafe fn $name<D: Driver, const WANTED: bool>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
            // SAFETY: I1.
            unsafe {
                let l = ra(pc, base);
                if (*l).tag == tag::INTEGER {
                    return split!(d, pc, base, ((*l).as_i64() $op b_signed(pc)) == WANTED, 0);
                }
                if (*l).tag == tag::FLOAT {
                    return split!(d, pc, base, ((*l).as_f64() $op b_signed(pc) as f64) == WANTED, 1);
                }
                d.slow(pc, base, vm, |pc, base, vm| order_slow(pc, base, vm))
            }
        }
    };
}
order_imm!(less_imm, <);
order_imm!(less_equal_imm, <=);
order_imm!(greater_imm, >);
order_imm!(greater_equal_imm, >=);

/// Event, operands in metamethod order, and the outcome that jumps.
///
/// # Safety
/// The contract of operations (`interp`).
unsafe fn order_operands(pc: *const u64, base: *mut Value) -> (Event, Value, Value, bool) {
    // SAFETY: I1, I2.
    unsafe {
        let op = Instruction::from_bits(*pc).opcode().unwrap_unchecked();
        let l = *ra(pc, base);
        let immediate = || {
            if x(pc) & 1 != 0 {
                Value::float(b_signed(pc) as f64)
            } else {
                Value::integer(b_signed(pc))
            }
        };
        match op {
            OpCode::JumpLt => (Event::Lt, l, *rb(pc, base), true),
            OpCode::JumpNotLt => (Event::Lt, l, *rb(pc, base), false),
            OpCode::JumpLe => (Event::Le, l, *rb(pc, base), true),
            OpCode::JumpNotLe => (Event::Le, l, *rb(pc, base), false),
            OpCode::JumpLtImm => (Event::Lt, l, immediate(), true),
            OpCode::JumpNotLtImm => (Event::Lt, l, immediate(), false),
            OpCode::JumpLeImm => (Event::Le, l, immediate(), true),
            OpCode::JumpNotLeImm => (Event::Le, l, immediate(), false),
            OpCode::JumpGtImm => (Event::Lt, immediate(), l, true),
            OpCode::JumpNotGtImm => (Event::Lt, immediate(), l, false),
            OpCode::JumpGeImm => (Event::Le, immediate(), l, true),
            _ => (Event::Le, immediate(), l, false),
        }
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
unsafe fn order_slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let (event, l, r, wanted) = order_operands(pc, base);
        if let Some(result) = meta::raw_order(event, l, r) {
            return branch(pc, base, result == wanted);
        }
        let f = meta::of_binary(vm, l, r, event);
        if f.is_nil() {
            let _ = meta::raise_compare(vm, l, r);
            return throw(vm);
        }
        call_metamethod(vm, pc, base, f, &[l, r])
    }
}

/// A metamethod called by the instruction at `pc` returned `result`.
///
/// # Safety
/// The contract of operations (`interp`).
pub(super) unsafe fn finish_comparison(
    pc: *const u64,
    base: *mut Value,
    op: OpCode,
    result: bool,
) -> Next {
    // SAFETY: I1, I2.
    unsafe {
        let wanted = matches!(
            op,
            OpCode::JumpEq
                | OpCode::JumpLt
                | OpCode::JumpLe
                | OpCode::JumpLtImm
                | OpCode::JumpLeImm
                | OpCode::JumpGtImm
                | OpCode::JumpGeImm
        );
        branch(pc, base, result == wanted)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn jump_if<D: Driver, const WANTED: bool>(
    d: D,
    pc: *const u64,
    base: *mut Value,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        if (*ra(pc, base)).is_falsy() == WANTED {
            return d.dispatch(advance(pc, base));
        }
        d.dispatch_cold::<1>(jump(pc, base, bc(pc)))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn jump_if_set<D: Driver, const WANTED: bool>(
    d: D,
    pc: *const u64,
    base: *mut Value,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let r = rb(pc, base);
        if (*r).is_falsy() == WANTED {
            return d.dispatch(advance(pc, base));
        }
        copy(ra(pc, base), r);
        d.dispatch_cold::<1>(jump(pc, base, c(pc) as isize))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn not(pc: *const u64, base: *mut Value) -> Next {
    // SAFETY: I1.
    unsafe {
        (*ra(pc, base)).tag = if (*rb(pc, base)).is_falsy() {
            tag::TRUE
        } else {
            tag::FALSE
        };
        advance(pc, base)
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn length<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1; a TABLE value points to a live table.
    unsafe {
        let v = rb(pc, base);
        if (*v).tag == tag::TABLE {
            let t = (*v).as_table();
            if (*t).metatable.is_null()
                && let Some(n) = crate::table::len_fast(t)
            {
                let r = ra(pc, base);
                (*r).payload = n as u64;
                (*r).tag = tag::INTEGER;
                return d.dispatch(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| length_slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
unsafe fn length_slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let v = *rb(pc, base);
        let result = if v.tag == tag::STRING {
            Value::integer((*v.as_string()).len as i64)
        } else {
            let f = meta::of(vm, v, Event::Len);
            if !f.is_nil() {
                return call_metamethod(vm, pc, base, f, &[v, v]);
            }
            if v.tag != tag::TABLE {
                let _ = meta::raise_type(vm, v, "get length of");
                return throw(vm);
            }
            Value::integer(crate::table::len(v.as_table()))
        };
        store(base.byte_add(a(pc)), result);
        advance(pc, base)
    }
}
