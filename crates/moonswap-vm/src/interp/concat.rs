//! `..`: strings and numbers joined in one go, the rest by `__concat`.
//!
//! Invariants as in `interp`. The window R[B]… holds temporaries, so partial
//! results may replace operands there: concatenation goes from the right, and
//! after a metamethod the instruction goes on with what is left.

use moonswap_number::NumberBuffer;
use smallvec::SmallVec;

use super::operand::{a, b, c};
use super::{Next, advance};
use crate::frame::{self, continuation_aux, frame_top, meta_word, return_into};
use crate::meta;
use crate::meta_event::Event;
use crate::object::StringObject;
use crate::unwind::throw;
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn concat(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe { go_on(pc, base, &mut *vm, c(pc)) }
}

fn is_text(v: Value) -> bool {
    matches!(v.tag, tag::STRING | tag::INTEGER | tag::FLOAT)
}

/// Concatenates the first `n` operands of the window.
///
/// # Safety
/// The contract of operations (`interp`). `n` operands of the window are left.
unsafe fn go_on(pc: *const u64, base: *mut Value, vm: &mut Vm, n: usize) -> Next {
    // SAFETY: I1–I3, VM3.
    unsafe {
        vm.pc = pc;
        vm.base = base;
        let window = base.byte_add(b(pc));
        let mut n = n;
        while n > 1 {
            // longest run of texts at the right end
            let mut run = 0;
            while run < n && is_text(*window.add(n - 1 - run)) {
                run += 1;
            }
            if run < 2 {
                let (l, r) = (*window.add(n - 2), *window.add(n - 1));
                let f = meta::of_binary(vm, l, r, Event::Concat);
                if f.is_nil() {
                    let _ = meta::raise_concat(vm, l, r);
                    return throw(vm);
                }
                return super::call::call_continuation(
                    vm,
                    pc,
                    base,
                    frame_top(base),
                    n as u32,
                    return_into(&frame::STUB_META),
                    f,
                    &[l, r],
                );
            }
            let first = window.add(n - run);
            let mut collected = false;
            // One place that calls `join`, which is worth being inlined here.
            loop {
                match join(vm, std::slice::from_raw_parts(first, run)) {
                    Some(value) => break store(first, value),
                    None if !collected && crate::host::collect_for(vm, base) => collected = true,
                    None => {
                        let _ = vm.raise_memory();
                        return throw(vm);
                    }
                }
            }
            n -= run - 1;
        }
        copy(base.byte_add(a(pc)), window);
        advance(pc, base)
    }
}

/// Joins strings and numbers; `None` if there is no memory for the result.
///
/// # Safety
/// V1; nothing collects meanwhile.
#[inline]
pub(crate) unsafe fn join(vm: &mut Vm, parts: &[Value]) -> Option<Value> {
    // SAFETY: V1 strings are live and nothing collects here.
    unsafe {
        let count = parts.iter().filter(|v| v.tag != tag::STRING).count();
        let mut buffers: SmallVec<[NumberBuffer; 4]> = SmallVec::new();
        buffers.resize_with(count, NumberBuffer::new);
        let mut texts: SmallVec<[&[u8]; 8]> = SmallVec::new();
        let mut free = buffers.iter_mut();
        let mut total = 0usize;
        for v in parts {
            let text: &[u8] = if v.tag == tag::STRING {
                StringObject::bytes(v.as_string())
            } else {
                free.next()
                    .map_or(&[], |buffer| crate::meta::number_text(*v, buffer))
            };
            total = total.checked_add(text.len())?;
            texts.push(text);
        }
        let joined = crate::string::concat(&mut vm.heap, &texts).ok()?;
        Some(Value::string(joined))
    }
}

/// `__concat` of the last two operands returned: its result replaces them.
///
/// # Safety
/// The driver's: FINMETA of the CONCAT at `pc`, with the result at `f`.
pub(super) unsafe fn finish(pc: *const u64, base: *mut Value, vm: *mut Vm, f: *mut Value) -> Next {
    // SAFETY: layout of FINMETA with the operand count in aux.
    unsafe {
        let n = continuation_aux(meta_word(f.sub(1))) as usize;
        let window = base.byte_add(b(pc));
        copy(window.add(n - 2), f);
        go_on(pc, base, &mut *vm, n - 1)
    }
}
