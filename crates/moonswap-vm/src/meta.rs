//! Metamethods, primitive comparison, and the texts of type errors.
//!
//! Invariants: V1 a value with a heap tag points to a live object of its kind.

use moonswap_number as number;

use crate::debug::names;
use crate::error::Raised;
use crate::meta_event::Event;
use crate::object::{StringObject, Table};
use crate::table::{self, TableError};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// Number of events whose absence is cached in a metatable's header.
const CACHED: u8 = 8;

/// Metamethod of a metatable (null allowed), through the absence cache.
#[inline(always)]
pub(crate) fn fast(vm: &Vm, metatable: *mut Table, event: Event) -> Value {
    if metatable.is_null() {
        return Value::NIL;
    }
    // SAFETY: V1.
    unsafe {
        let bit = 1u8 << (event as u8);
        debug_assert!((event as u8) < CACHED);
        if (*metatable).header.flags & bit != 0 {
            return Value::NIL;
        }
        let f = table::get_short(metatable, vm.event_name(event));
        if f.is_nil() {
            (*metatable).header.flags |= bit;
        }
        f
    }
}

/// Metamethod of any value.
pub(crate) fn of(vm: &Vm, value: Value, event: Event) -> Value {
    let mt = vm.metatable(value);
    if mt.is_null() {
        return Value::NIL;
    }
    // SAFETY: V1.
    unsafe { table::get_short(mt, vm.event_name(event)) }
}

/// The first operand's metamethod, else the second's.
pub(crate) fn of_binary(vm: &Vm, l: Value, r: Value, event: Event) -> Value {
    let f = of(vm, l, event);
    if f.is_nil() { of(vm, r, event) } else { f }
}

/// `__eq` of two values that are not primitively equal: tables or userdata only.
pub(crate) fn of_equality(vm: &Vm, l: Value, r: Value) -> Value {
    if l.tag != r.tag || !matches!(l.tag, tag::TABLE | tag::USERDATA) {
        return Value::NIL;
    }
    let f = fast(vm, vm.metatable(l), Event::Eq);
    if f.is_nil() {
        fast(vm, vm.metatable(r), Event::Eq)
    } else {
        f
    }
}

/// Integer value of a number for bit operations (strings do not convert).
pub(crate) fn to_integer_for_bits(v: Value) -> Option<i64> {
    match v.tag {
        tag::INTEGER => Some(v.as_i64()),
        tag::FLOAT => number::float_to_int(v.as_f64()),
        _ => None,
    }
}

/// Text of a number, as `tostring` gives it.
pub(crate) fn number_text(v: Value, buffer: &mut number::NumberBuffer) -> &[u8] {
    if v.tag == tag::INTEGER {
        buffer.format_int(v.as_i64())
    } else {
        buffer.format_float(v.as_f64())
    }
}

/// Number from a number or numeric string.
pub(crate) fn to_number(v: Value) -> Option<Value> {
    match v.tag {
        tag::INTEGER | tag::FLOAT => Some(v),
        tag::STRING => {
            // SAFETY: V1.
            Some(
                match number::parse(unsafe { StringObject::bytes(v.as_string()) })? {
                    number::Number::Int(i) => Value::integer(i),
                    number::Number::Float(f) => Value::float(f),
                },
            )
        }
        _ => None,
    }
}

/// Order of numbers or strings; `None` if a metamethod has to decide.
pub(crate) fn raw_order(event: Event, l: Value, r: Value) -> Option<bool> {
    let strict = event == Event::Lt;
    let answer = match (l.tag, r.tag) {
        (tag::INTEGER, tag::INTEGER) => {
            let (l, r) = (l.as_i64(), r.as_i64());
            if strict { l < r } else { l <= r }
        }
        (tag::FLOAT, tag::FLOAT) => {
            let (l, r) = (l.as_f64(), r.as_f64());
            if strict { l < r } else { l <= r }
        }
        (tag::INTEGER, tag::FLOAT) => {
            let (l, r) = (l.as_i64(), r.as_f64());
            if strict {
                number::int_lt_float(l, r)
            } else {
                number::int_le_float(l, r)
            }
        }
        (tag::FLOAT, tag::INTEGER) => {
            let (l, r) = (l.as_f64(), r.as_i64());
            if strict {
                number::float_lt_int(l, r)
            } else {
                number::float_le_int(l, r)
            }
        }
        (tag::STRING, tag::STRING) => {
            // SAFETY: V1.
            let (l, r) = unsafe {
                (
                    StringObject::bytes(l.as_string()),
                    StringObject::bytes(r.as_string()),
                )
            };
            if strict { l < r } else { l <= r }
        }
        _ => return None,
    };
    Some(answer)
}

/// Type name for messages: `__name` of the metatable if it is a string.
pub(crate) fn type_name(vm: &Vm, v: Value) -> Vec<u8> {
    if matches!(v.tag, tag::TABLE | tag::USERDATA) {
        let name = of(vm, v, Event::Name);
        if name.tag == tag::STRING {
            // SAFETY: V1.
            return unsafe { StringObject::bytes(name.as_string()) }.to_vec();
        }
    }
    if v.tag == tag::LIGHT {
        return b"light userdata".to_vec();
    }
    v.type_name().as_bytes().to_vec()
}

fn raise_parts(vm: &mut Vm, parts: &[&[u8]]) -> Raised {
    vm.raise_located_parts(parts)
}

/// "attempt to VERB a TYPE value (local 'x')".
pub(crate) fn raise_type(vm: &mut Vm, v: Value, verb: &str) -> Raised {
    let info = names::of_value(vm, v);
    let kind = type_name(vm, v);
    raise_parts(
        vm,
        &[
            b"attempt to ",
            verb.as_bytes(),
            b" a ",
            &kind,
            b" value",
            &info,
        ],
    )
}

/// Indexing something that cannot be indexed; names the key where the
/// reference does.
pub(crate) fn raise_index(vm: &mut Vm, object: Value, key: Value) -> Raised {
    let info = names::of_indexed(vm, object, key);
    let kind = type_name(vm, object);
    raise_parts(vm, &[b"attempt to index a ", &kind, b" value", &info])
}

/// Calling something that cannot be called; `f` is its stack slot.
pub(crate) fn raise_call(vm: &mut Vm, f: *mut Value) -> Raised {
    // SAFETY: VM3, a slot of the current stack.
    let v = unsafe { *f };
    let info = names::of_called(vm, v);
    let kind = type_name(vm, v);
    raise_parts(vm, &[b"attempt to call a ", &kind, b" value", &info])
}

/// Arithmetic or bit operation on wrong operands.
pub(crate) fn raise_arith(vm: &mut Vm, event: Event, l: Value, r: Value) -> Raised {
    let bits = matches!(
        event,
        Event::BitAnd
            | Event::BitOr
            | Event::BitXor
            | Event::ShiftLeft
            | Event::ShiftRight
            | Event::BitNot
    );
    let is_number = |v: Value| matches!(v.tag, tag::INTEGER | tag::FLOAT);
    if bits && is_number(l) && is_number(r) {
        let culprit = if to_integer_for_bits(l).is_none() {
            l
        } else {
            r
        };
        let info = names::of_value(vm, culprit);
        return raise_parts(vm, &[b"number", &info, b" has no integer representation"]);
    }
    let culprit = if is_number(l) { r } else { l };
    raise_type(
        vm,
        culprit,
        if bits {
            "perform bitwise operation on"
        } else {
            "perform arithmetic on"
        },
    )
}

/// Concatenation of wrong operands.
pub(crate) fn raise_concat(vm: &mut Vm, l: Value, r: Value) -> Raised {
    let text = matches!(l.tag, tag::STRING | tag::INTEGER | tag::FLOAT);
    raise_type(vm, if text { r } else { l }, "concatenate")
}

/// Order of values that have none.
pub(crate) fn raise_compare(vm: &mut Vm, l: Value, r: Value) -> Raised {
    let (a, b) = (type_name(vm, l), type_name(vm, r));
    if a == b {
        raise_parts(vm, &[b"attempt to compare two ", &a, b" values"])
    } else {
        raise_parts(vm, &[b"attempt to compare ", &a, b" with ", &b])
    }
}

/// "bad 'for' limit (number expected, got nil)".
pub(crate) fn raise_for(vm: &mut Vm, v: Value, what: &str) -> Raised {
    let what = if what == "initial" {
        "initial value"
    } else {
        what
    };
    let kind = type_name(vm, v);
    raise_parts(
        vm,
        &[
            b"bad 'for' ",
            what.as_bytes(),
            b" (number expected, got ",
            &kind,
            b")",
        ],
    )
}

/// Why a table refused a store.
pub(crate) fn raise_table_error(vm: &mut Vm, e: TableError) -> Raised {
    match e {
        TableError::NilKey => vm.raise_located("table index is nil"),
        TableError::NanKey => vm.raise_located("table index is NaN"),
        TableError::Overflow => vm.raise_located("table overflow"),
        TableError::OutOfMemory => vm.raise_memory(),
    }
}

/// The metamethod `__close` disappeared after the variable was marked.
pub(crate) fn raise_close(vm: &mut Vm, v: Value, slot: usize) -> Raised {
    let _ = (v, slot);
    vm.raise_located("attempt to call a nil value (metamethod 'close')")
}

/// "variable 'x' got a non-closable value".
pub(crate) fn raise_not_closable(vm: &mut Vm, place: *mut Value) -> Raised {
    let slot = vm.index_of(place);
    let name = names::of_slot(vm, slot);
    raise_parts(vm, &[b"variable '", &name, b"' got a non-closable value"])
}
