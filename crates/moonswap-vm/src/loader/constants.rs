//! Constants as values.
//!
//! Invariants: L1.

use std::sync::Arc;

use moonswap_bytecode::{Constant, LiteralConstant, Numbered};

use crate::object::{Instance, StringObject, Version};
use crate::value::{Value, tag};
use crate::vm::Vm;

/// A constant, wherever it is written.
pub(super) enum Written<'a> {
    /// What is a value at once.
    Value(Value),
    Shared(&'a Arc<[u8]>),
    Numbered(Numbered<&'a [u8]>),
    Cell(u32),
}

/// What is a constant.
pub(super) trait Write {
    fn written(&self) -> Written<'_>;
}

impl Write for Constant {
    #[inline]
    fn written(&self) -> Written<'_> {
        match self {
            Self::Nil => Written::Value(Value::NIL),
            Self::Boolean(b) => Written::Value(Value::boolean(*b)),
            Self::Integer(i) => Written::Value(Value::integer(*i)),
            Self::Float(f) => Written::Value(Value::float(*f)),
            Self::String(s) => Written::Shared(s),
            Self::Cell(i) => Written::Cell(*i),
        }
    }
}

impl Write for LiteralConstant<'_> {
    #[inline]
    fn written(&self) -> Written<'_> {
        match self {
            Self::Nil => Written::Value(Value::NIL),
            Self::Boolean(b) => Written::Value(Value::boolean(*b)),
            Self::Integer(i) => Written::Value(Value::integer(*i)),
            Self::Float(f) => Written::Value(Value::float(*f)),
            Self::String(s) => Written::Numbered(*s),
            Self::Cell(i) => Written::Cell(*i),
        }
    }
}

/// A constant as a value.
///
/// # Safety
/// The instance is live.
#[inline]
pub(super) unsafe fn value(vm: &mut Vm, constant: &impl Write, instance: *mut Instance) -> Value {
    match constant.written() {
        Written::Value(value) => value,
        Written::Shared(s) => match &mut vm.loads.strings {
            Some(known) => known.value(&mut vm.heap, s),
            None => vm.string_value(s),
        },
        Written::Numbered(s) => match &mut vm.loads.strings {
            Some(known) => known.numbered(&mut vm.heap, s),
            None => vm.string_value(s.text()),
        },
        Written::Cell(i) => {
            // SAFETY: by the caller; a missing cell becomes one.
            unsafe {
                let i = i as usize;
                let mut cell = Instance::cells(instance).get(i).copied();
                let cell = *cell.get_or_insert(std::ptr::null_mut());
                if !cell.is_null() {
                    return Value::raw(cell as u64, tag::CELL);
                }
                let cell = vm.heap.new_closed_upvalue(Value::NIL);
                vm.heap.more(instance, |more| {
                    if i >= more.cells.len() {
                        more.cells.resize(i + 1, std::ptr::null_mut());
                    }
                    more.cells[i] = cell;
                });
                vm.heap.barrier_object(instance.cast(), cell.cast());
                Value::raw(cell as u64, tag::CELL)
            }
        }
    }
}

/// Makes constants use the long strings of a version again; null is none.
///
/// # Safety
/// Null or a live version.
pub(crate) unsafe fn know_strings_of(vm: &mut Vm, version: *mut Version) {
    if version.is_null() {
        return;
    }
    let Some(known) = &mut vm.loads.strings else {
        return;
    };
    // SAFETY: live version (the caller's).
    unsafe {
        for i in 0..(*version).n_constants as usize {
            let value = *Version::constants(version).add(i);
            if value.tag != tag::STRING {
                continue;
            }
            known.note(StringObject::bytes(value.as_string()), value);
        }
    }
}
