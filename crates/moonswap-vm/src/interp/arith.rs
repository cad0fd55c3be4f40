//! Arithmetic and bit operations.
//!
//! Invariants as in `interp`. Bodies test integers first, then floats; all else
//! (mixed operands of rare operators, strings, metamethods, errors) is one
//! out-of-line function per instruction form.

use moonswap_bytecode::{Instruction, OpCode};
use moonswap_number as number;

use super::drive::Driver;
use super::operand::{a, c_signed, kc, ra, rb, rc, x};
use super::{Next, advance, call_metamethod};
use crate::meta;
use crate::meta_event::Event;
use crate::unwind::throw;
use crate::value::{Value, store, tag};
use crate::vm::Vm;

/// # Safety
/// `r` is a register of the frame.
#[inline(always)]
unsafe fn put_int(r: *mut Value, i: i64) {
    // SAFETY: by the caller.
    unsafe {
        (*r).payload = i as u64;
        (*r).tag = tag::INTEGER;
    }
}

/// # Safety
/// `r` is a register of the frame.
#[inline(always)]
unsafe fn put_float(r: *mut Value, f: f64) {
    // SAFETY: by the caller.
    unsafe {
        (*r).payload = f.to_bits();
        (*r).tag = tag::FLOAT;
    }
}

/// `+ - *`: integer and float forms of a wrapping operator.
macro_rules! basic {
    ($name:ident, $int:ident, $op:tt) => {
        /// # Safety
        /// The contract of operations (`interp`); `l` and `r` are its operands.
        #[inline(always)]
        pub(super) unsafe fn $name<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm, l: *const Value, r: *const Value) -> D::Out {
            // SAFETY: I1.
            unsafe {
                if (*l).tag == tag::INTEGER && (*r).tag == tag::INTEGER {
                    put_int(ra(pc, base), (*l).as_i64().$int((*r).as_i64()));
                    return d.dispatch(advance(pc, base));
                }
                if (*l).tag == tag::FLOAT {
                    if (*r).tag == tag::FLOAT {
                        put_float(ra(pc, base), (*l).as_f64() $op (*r).as_f64());
                        return d.dispatch_cold::<1>(advance(pc, base));
                    }
                    if (*r).tag == tag::INTEGER {
                        put_float(ra(pc, base), (*l).as_f64() $op (*r).as_i64() as f64);
                        return d.dispatch_cold::<1>(advance(pc, base));
                    }
                } else if (*l).tag == tag::INTEGER && (*r).tag == tag::FLOAT {
                    put_float(ra(pc, base), (*l).as_i64() as f64 $op (*r).as_f64());
                    return d.dispatch_cold::<1>(advance(pc, base));
                }
                d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
            }
        }
    };
}
basic!(add, wrapping_add, +);
basic!(sub, wrapping_sub, -);
basic!(mul, wrapping_mul, *);

/// `R[B] op C` with a small integer.
macro_rules! immediate {
    ($name:ident, $int:ident, $op:tt) => {
        /// # Safety
        /// The contract of operations (`interp`).
        #[inline(always)]
        pub(super) unsafe fn $name<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm) -> D::Out {
            // SAFETY: I1.
            unsafe {
                let l = rb(pc, base);
                if (*l).tag == tag::INTEGER {
                    put_int(ra(pc, base), (*l).as_i64().$int(c_signed(pc)));
                    return d.dispatch(advance(pc, base));
                }
                if (*l).tag == tag::FLOAT {
                    put_float(ra(pc, base), (*l).as_f64() $op c_signed(pc) as f64);
                    return d.dispatch_cold::<1>(advance(pc, base));
                }
                d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
            }
        }
    };
}
immediate!(add_imm, wrapping_add, +);
immediate!(sub_imm, wrapping_sub, -);

/// # Safety
/// `v` is a register or a constant.
#[inline(always)]
unsafe fn as_float(v: *const Value) -> Option<f64> {
    // SAFETY: by the caller.
    unsafe {
        match (*v).tag {
            tag::FLOAT => Some((*v).as_f64()),
            tag::INTEGER => Some((*v).as_i64() as f64),
            _ => None,
        }
    }
}

/// # Safety
/// The contract of operations (`interp`); `l` and `r` are its operands.
#[inline(always)]
pub(super) unsafe fn div<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    l: *const Value,
    r: *const Value,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        if let (Some(l), Some(r)) = (as_float(l), as_float(r)) {
            put_float(ra(pc, base), l / r);
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`); `l` and `r` are its operands.
#[inline(always)]
pub(super) unsafe fn int_div<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    l: *const Value,
    r: *const Value,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        if (*l).tag == tag::INTEGER && (*r).tag == tag::INTEGER {
            let (m, n) = ((*l).as_i64(), (*r).as_i64());
            // 0 and -1 need care (error, overflow): out of line.
            if (n as u64).wrapping_add(1) > 1 {
                let q = m / n;
                let q = if (m ^ n) < 0 && q * n != m { q - 1 } else { q };
                put_int(ra(pc, base), q);
                return d.dispatch(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`); `l` and `r` are its operands.
#[inline(always)]
pub(super) unsafe fn modulo<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    l: *const Value,
    r: *const Value,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        if (*l).tag == tag::INTEGER && (*r).tag == tag::INTEGER {
            let (m, n) = ((*l).as_i64(), (*r).as_i64());
            if (n as u64).wrapping_add(1) > 1 {
                let q = m % n;
                let q = if q != 0 && (q ^ n) < 0 { q + n } else { q };
                put_int(ra(pc, base), q);
                return d.dispatch(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`); `l` and `r` are its operands.
#[inline(always)]
pub(super) unsafe fn pow<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    l: *const Value,
    r: *const Value,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        if let (Some(l), Some(r)) = (as_float(l), as_float(r)) {
            // Any other power is a call.
            if r == 2.0 {
                put_float(ra(pc, base), l * l);
                return d.dispatch(advance(pc, base));
            }
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

macro_rules! bitwise {
    ($name:ident, $op:tt) => {
        /// # Safety
        /// The contract of operations (`interp`); `l` and `r` are its operands.
        #[inline(always)]
        pub(super) unsafe fn $name<D: Driver>(d: D, pc: *const u64, base: *mut Value, vm: *mut Vm, l: *const Value, r: *const Value) -> D::Out {
            // SAFETY: I1.
            unsafe {
                if (*l).tag == tag::INTEGER && (*r).tag == tag::INTEGER {
                    put_int(ra(pc, base), (*l).as_i64() $op (*r).as_i64());
                    return d.dispatch(advance(pc, base));
                }
                d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
            }
        }
    };
}
bitwise!(bit_and, &);
bitwise!(bit_or, |);
bitwise!(bit_xor, ^);

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn shift<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    left: bool,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let (l, r) = (rb(pc, base), rc(pc, base));
        if (*l).tag == tag::INTEGER && (*r).tag == tag::INTEGER {
            let by = (*r).as_i64();
            put_int(
                ra(pc, base),
                number::shift_left((*l).as_i64(), if left { by } else { by.wrapping_neg() }),
            );
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn shift_imm<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
    left: bool,
) -> D::Out {
    // SAFETY: I1; 0 <= C < 64 is verified.
    unsafe {
        let l = rb(pc, base);
        if (*l).tag == tag::INTEGER {
            let by = c_signed(pc) as u32 & 63;
            let bits = (*l).payload;
            put_int(
                ra(pc, base),
                (if left { bits << by } else { bits >> by }) as i64,
            );
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn negate<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let v = rb(pc, base);
        if (*v).tag == tag::INTEGER {
            put_int(ra(pc, base), (*v).as_i64().wrapping_neg());
            return d.dispatch(advance(pc, base));
        }
        if (*v).tag == tag::FLOAT {
            put_float(ra(pc, base), -(*v).as_f64());
            return d.dispatch_cold::<1>(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(always)]
pub(super) unsafe fn bit_not<D: Driver>(
    d: D,
    pc: *const u64,
    base: *mut Value,
    vm: *mut Vm,
) -> D::Out {
    // SAFETY: I1.
    unsafe {
        let v = rb(pc, base);
        if (*v).tag == tag::INTEGER {
            put_int(ra(pc, base), !(*v).as_i64());
            return d.dispatch(advance(pc, base));
        }
        d.slow(pc, base, vm, |pc, base, vm| slow(pc, base, vm))
    }
}

/// The event of an arithmetic instruction.
pub(crate) fn event_of(op: OpCode) -> Option<Event> {
    Some(match op {
        OpCode::Add | OpCode::AddImm | OpCode::AddConst => Event::Add,
        OpCode::Sub | OpCode::SubImm | OpCode::SubConst => Event::Sub,
        OpCode::Mul | OpCode::MulConst => Event::Mul,
        OpCode::Mod | OpCode::ModConst => Event::Mod,
        OpCode::Pow | OpCode::PowConst => Event::Pow,
        OpCode::Div | OpCode::DivConst => Event::Div,
        OpCode::IntDiv | OpCode::IntDivConst => Event::IntDiv,
        OpCode::BitAnd | OpCode::BitAndConst => Event::BitAnd,
        OpCode::BitOr | OpCode::BitOrConst => Event::BitOr,
        OpCode::BitXor | OpCode::BitXorConst => Event::BitXor,
        OpCode::ShiftLeft | OpCode::ShiftLeftImm => Event::ShiftLeft,
        OpCode::ShiftRight | OpCode::ShiftRightImm => Event::ShiftRight,
        OpCode::Negate => Event::Negate,
        OpCode::BitNot => Event::BitNot,
        OpCode::Concat => Event::Concat,
        _ => return None,
    })
}

/// Arithmetic without metamethods: `None` if the operands do not allow it,
/// `Err` for division by zero.
pub(crate) fn raw_arith(
    vm: &mut Vm,
    event: Event,
    l: Value,
    r: Value,
) -> Option<Result<Value, crate::Raised>> {
    use Event as E;
    let ints = l.tag == tag::INTEGER && r.tag == tag::INTEGER;
    let (m, n) = (l.as_i64(), r.as_i64());
    match event {
        E::Add if ints => return Some(Ok(Value::integer(m.wrapping_add(n)))),
        E::Sub if ints => return Some(Ok(Value::integer(m.wrapping_sub(n)))),
        E::Mul if ints => return Some(Ok(Value::integer(m.wrapping_mul(n)))),
        E::Negate if ints => return Some(Ok(Value::integer(m.wrapping_neg()))),
        E::IntDiv if ints => {
            if n == 0 {
                return Some(Err(vm.raise_located("attempt to divide by zero")));
            }
            return Some(Ok(Value::integer(number::int_floor_div(m, n))));
        }
        E::Mod if ints => {
            if n == 0 {
                return Some(Err(vm.raise_located("attempt to perform 'n%0'")));
            }
            return Some(Ok(Value::integer(number::int_mod(m, n))));
        }
        E::BitAnd | E::BitOr | E::BitXor | E::ShiftLeft | E::ShiftRight | E::BitNot => {
            let m = meta::to_integer_for_bits(l)?;
            let n = meta::to_integer_for_bits(r)?;
            return Some(Ok(Value::integer(match event {
                E::BitAnd => m & n,
                E::BitOr => m | n,
                E::BitXor => m ^ n,
                E::ShiftLeft => number::shift_left(m, n),
                E::ShiftRight => number::shift_right(m, n),
                _ => !m,
            })));
        }
        _ => {}
    }
    // SAFETY: both are plain values.
    let (x, y) = unsafe { (as_float(&raw const l)?, as_float(&raw const r)?) };
    Some(Ok(Value::float(match event {
        E::Add => x + y,
        E::Sub => x - y,
        E::Mul => x * y,
        E::Div => x / y,
        E::Pow => {
            if y == 2.0 {
                x * x
            } else {
                x.powf(y)
            }
        }
        E::IntDiv => (x / y).floor(),
        E::Mod => number::float_mod(x, y),
        E::Negate => -x,
        _ => return None,
    })))
}

/// Operands of an arithmetic instruction in source order.
///
/// # Safety
/// The contract of operations (`interp`).
pub(crate) unsafe fn operands(pc: *const u64, base: *mut Value) -> (OpCode, Value, Value) {
    // SAFETY: I1, I2.
    unsafe {
        let op = Instruction::from_bits(*pc).opcode().unwrap_unchecked();
        let (l, r) = operands_of(op, pc, base);
        (op, l, r)
    }
}

/// The same, whatever stands in place of the operation.
///
/// # Safety
/// The contract of operations (`interp`).
pub(super) unsafe fn operands_of(op: OpCode, pc: *const u64, base: *mut Value) -> (Value, Value) {
    // SAFETY: I1, I2.
    unsafe {
        let l = *rb(pc, base);
        let r = match op {
            OpCode::AddImm | OpCode::SubImm | OpCode::ShiftLeftImm | OpCode::ShiftRightImm => {
                Value::integer(c_signed(pc))
            }
            OpCode::AddConst
            | OpCode::SubConst
            | OpCode::MulConst
            | OpCode::ModConst
            | OpCode::PowConst
            | OpCode::DivConst
            | OpCode::IntDivConst
            | OpCode::BitAndConst
            | OpCode::BitOrConst
            | OpCode::BitXorConst => *kc(pc),
            OpCode::Negate | OpCode::BitNot => l,
            _ => *rc(pc, base),
        };
        if x(pc) == 1 { (r, l) } else { (l, r) }
    }
}

/// Everything the fast paths do not do.
///
/// # Safety
/// The contract of operations (`interp`).
#[cold]
#[inline(never)]
pub(super) unsafe fn slow(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        let (op, l, r) = operands(pc, base);
        let Some(event) = event_of(op) else {
            return advance(pc, base);
        };
        match raw_arith(vm, event, l, r) {
            Some(Ok(value)) => {
                store(base.byte_add(a(pc)), value);
                return advance(pc, base);
            }
            Some(Err(_)) => return throw(vm),
            None => {}
        }
        let f = meta::of_binary(vm, l, r, event);
        if f.is_nil() {
            let _ = meta::raise_arith(vm, event, l, r);
            return throw(vm);
        }
        call_metamethod(vm, pc, base, f, &[l, r])
    }
}
