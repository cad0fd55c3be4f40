//! Making closures; closing variables; the scope record.
//!
//! Invariants as in `interp`.

use moonswap_bytecode::Capture;

use super::operand::{bc, ra};
use super::{Next, advance, call::call_continuation};
use crate::coroutine;
use crate::error::Raised;
use crate::frame::{
    self, BY_HOOK, continuation_aux, continuation_distance, frame_top, meta_word, return_into,
};
use crate::loader::Site;
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Closure, Instance, PrototypeSlot, Version};
use crate::unwind::throw;
use crate::value::{Value, store};
use crate::vm::Vm;

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn make(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, F2: captures are listed at the site, in the frame's own
    // version; nothing collects before the closure is complete (I3).
    unsafe {
        let vm = &mut *vm;
        let version = frame::version_of(base);
        let site = Site::of(version, bc(pc) as usize);
        let slot = Version::child(version, site.child);
        (*slot).header.flags |= PrototypeSlot::MADE;
        let closure = vm.heap.new_closure(slot, site.n_captures());
        let n_fixed = usize::from(PrototypeSlot::n_fixed(slot));
        for i in 0..site.n_captures() {
            let up = match site.capture(i) {
                Capture::Register(r) => coroutine::find_upvalue(vm, base.add(usize::from(r))),
                Capture::Upvalue(u) => {
                    *Closure::upvalue_at(super::moves::running_closure(base), usize::from(u))
                }
                Capture::Cell(cell) => {
                    let up = Instance::cells((*slot).instance)
                        .get(cell as usize)
                        .copied()
                        .unwrap_or(std::ptr::null_mut());
                    if up.is_null() {
                        vm.heap.new_closed_upvalue(Value::NIL)
                    } else {
                        up
                    }
                }
                Capture::Late(u) => {
                    let running = super::moves::running_closure(base);
                    vm.undo().backfilled_upvalue(running, usize::from(u))
                }
                // Beyond those that all closures have, the closure lacks it.
                Capture::Vacant if i >= n_fixed => std::ptr::null_mut(),
                Capture::Vacant => vm.heap.new_closed_upvalue(Value::NIL),
            };
            *Closure::upvalue_at(closure, i) = up;
        }
        store(ra(pc, base), Value::closure(closure));
        advance(pc, base)
    }
}

/// If a to-be-closed variable at or above `level` is pending, calls its
/// `__close`, after which the instruction at `pc` runs again. Values up to
/// `live` are kept.
///
/// # Safety
/// The contract of operations (`interp`). `level` and `live` are addresses in the current
/// stack.
pub(super) unsafe fn close_pending(
    vm: &mut Vm,
    pc: *const u64,
    base: *mut Value,
    level: *mut Value,
    live: *mut Value,
) -> Option<Next> {
    // SAFETY: I1, VM2/VM3.
    unsafe {
        let level = vm.index_of(level);
        let pending = *(*vm.current).to_be_closed.last()?;
        if (pending as usize) < level {
            return None;
        }
        (*vm.current).to_be_closed.pop();
        let place = vm.stack_base.add(pending as usize);
        coroutine::close_upvalues(vm, vm.current, place);
        vm.pc = pc;
        vm.base = base;
        let value = *place;
        let kept = live.offset_from(base).max(0) as usize;
        let at = frame_top(base).max(live);
        let at_index = vm.index_of(at);
        if vm.ensure_stack(at, 16).is_err() {
            return Some(throw(vm));
        }
        let (base, at) = (vm.base, vm.stack_base.add(at_index));
        let f = meta::of(vm, value, Event::Close);
        if f.is_nil() {
            let _ = meta::raise_close(vm, value, pending as usize);
            return Some(throw(vm));
        }
        Some(call_continuation(
            vm,
            pc,
            base,
            at,
            kept as u32,
            return_into(&frame::STUB_CLOSE),
            f,
            &[value, Value::NIL],
        ))
    }
}

/// `__close` called by an instruction returned: run the instruction again.
///
/// # Safety
/// The driver's: FINCLOSE with the result at `f`.
pub(super) unsafe fn finish_close(f: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINCLOSE.
    unsafe {
        let cont = f.sub(1);
        let word = meta_word(cont);
        let base = f.sub(continuation_distance(word));
        let aux = continuation_aux(word);
        (*vm).top = base.add((aux & !BY_HOOK) as usize);
        if aux & BY_HOOK != 0 {
            crate::hook::go_on(&mut *vm);
        }
        Next {
            pc: (*cont).payload as *const u64,
            base,
        }
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn close(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1.
    unsafe {
        let vm = &mut *vm;
        let level = ra(pc, base);
        if let Some(next) = close_pending(vm, pc, base, level, base) {
            return next;
        }
        coroutine::close_upvalues(vm, vm.current, level);
        advance(pc, base)
    }
}

/// Registers the variable in `place`; nil and false need no closing.
///
/// # Safety
/// VM3; `place` is a slot of the topmost frame.
pub(super) unsafe fn mark_to_be_closed(vm: &mut Vm, place: *mut Value) -> Result<(), Raised> {
    // SAFETY: VM3.
    unsafe {
        if (*place).is_falsy() {
            return Ok(());
        }
        let index = vm.index_of(place);
        if meta::of(vm, *place, Event::Close).is_nil() {
            return Err(meta::raise_not_closable(vm, place));
        }
        (*vm.current).to_be_closed.push(index as u32);
        Ok(())
    }
}

/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn to_be_closed(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, VM3.
    unsafe {
        let vm = &mut *vm;
        vm.pc = pc;
        vm.base = base;
        match mark_to_be_closed(vm, ra(pc, base)) {
            Ok(()) => advance(pc, base),
            Err(_) => throw(vm),
        }
    }
}

/// Keeps the main chunk's top-level locals: all of a module's, the captured
/// ones of a `load`ed string.
///
/// # Safety
/// The contract of operations (`interp`).
#[inline(never)]
pub(super) unsafe fn keep_scope(pc: *const u64, base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: I1, F2.
    unsafe {
        crate::hotpatch::seam::on_main_end(&mut *vm, base, pc);
        advance(pc, base)
    }
}
