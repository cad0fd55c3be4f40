//! Errors on their way: from where they are raised to the `pcall`, host call or
//! coroutine that takes them, closing variables in between.
//!
//! Nothing is kept to find the catcher: frames are walked (`frame.rs`). The
//! message handler of `xpcall` runs first, on top of the intact stack, also when
//! the error has natives that call back on its way to the `xpcall`.
//!
//! Invariants: U1 `vm.error` is the value; U2 VM3 holds on entry; U3 a frame
//! returning into FINPCALL/FINXPCALL/FINUNWIND has a native pcall frame below.

use std::sync::atomic::Ordering;

use moonswap_bytecode::OpCode;

use crate::coroutine;
use crate::frame::{self, Frame, frame_top, return_into};
use crate::host;
use crate::hotpatch::seam;
use crate::interp::{Next, leave_native};
use crate::meta;
use crate::meta_event::Event;
use crate::object::NativeKind;
use crate::value::{Value, copy, store, tag};
use crate::vm::{InFlightError, Vm};

/// Errors in a row that a message handler may raise.
const MAX_HANDLER_ERRORS: u32 = 190;

enum Catcher {
    /// pcall or xpcall with this native frame base.
    Protected(*mut Value),
    /// A host activation: index of its function slot.
    Host(*mut Value),
    Coroutine,
}

/// Where an error goes that leaves a host call.
enum Beyond {
    /// An `xpcall` with this native frame base.
    Handler(*mut Value),
    /// The end of the coroutine.
    Bottom,
    /// A `pcall`, or who made the host call takes errors.
    Elsewhere,
}

/// Follows the frames below the host call whose function slot is `f`.
///
/// # Safety
/// F1, U3: `f` is the function slot of a host call that stands.
unsafe fn find_beyond(f: *mut Value) -> Beyond {
    // SAFETY: F1, U3.
    unsafe {
        let mut frame = Frame {
            base: f.add(2),
            pc: std::ptr::null(),
        };
        loop {
            if frame.return_op() == Some(OpCode::Halt) {
                let word = frame::meta_word(frame.original_base().sub(3));
                if frame::continuation_aux(word) == host::TAKES_ERRORS {
                    return Beyond::Elsewhere;
                }
            }
            let Some((below, op)) = frame.caller() else {
                return Beyond::Bottom;
            };
            if matches!(
                op,
                OpCode::FinishPcall | OpCode::FinishXpcall | OpCode::FinishUnwind
            ) {
                return if is_xpcall(below.base) {
                    Beyond::Handler(below.base)
                } else {
                    Beyond::Elsewhere
                };
            }
            frame = below;
        }
    }
}

/// # Safety
/// F1: `base` is that of a native's frame.
unsafe fn is_xpcall(base: *mut Value) -> bool {
    // SAFETY: F1: a native's frame.
    unsafe {
        let native = *base.sub(2);
        native.tag == tag::NATIVE && (*native.as_native()).kind == NativeKind::Xpcall
    }
}

/// An error leaves the host call at slot `at`: what must happen while the frames
/// above still stand.
///
/// # Safety
/// U1–U3; slot `at` is that of the host call.
unsafe fn before_host(vm: &mut Vm, at: usize) {
    // SAFETY: U1–U3.
    unsafe {
        if vm.in_flight.handled || is_uncatchable(vm) {
            return;
        }
        match find_beyond(vm.stack_base.add(at)) {
            Beyond::Handler(base) => {
                vm.in_flight.handled = call_message_handler(vm, base, at + 2);
            }
            Beyond::Bottom if vm.in_flight.raised_in.is_none() => {
                let pending = (*vm.current).to_be_closed.last();
                if pending.is_none_or(|&p| (p as usize) < at) {
                    vm.in_flight.raised_in = Some((vm.index_of(vm.base), vm.pc));
                }
            }
            Beyond::Bottom | Beyond::Elsewhere => {}
        }
    }
}

/// Whether protected calls have to let the error pass.
fn is_uncatchable(vm: &Vm) -> bool {
    vm.limits.has_tripped() || vm.in_flight.expelled.is_some()
}

/// Finds where the error goes. What was to be ended before it can be caught may end
/// on the way.
///
/// # Safety
/// U1–U3.
unsafe fn find_catcher(vm: &mut Vm) -> Catcher {
    // SAFETY: F1, U2.
    unsafe {
        // The error of another activation, if a native has caught that one.
        let expelled = vm
            .in_flight
            .expelled
            .filter(|&place| seam::still_stands(vm, place));
        vm.in_flight.expelled = expelled;
        let mut frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        loop {
            if let Some(place) = vm.in_flight.expelled
                && place.is(vm.current, frame)
            {
                vm.in_flight.expelled = None;
            }
            match frame.return_op() {
                Some(OpCode::FinishPcall | OpCode::FinishXpcall | OpCode::FinishUnwind) => {
                    if let Some((below, _)) = frame.caller() {
                        if !is_uncatchable(vm) {
                            return Catcher::Protected(below.base);
                        }
                        frame = below;
                        continue;
                    }
                    return Catcher::Coroutine;
                }
                Some(OpCode::Halt) => return Catcher::Host(frame.original_base().sub(2)),
                _ => match frame.caller() {
                    Some((below, _)) => frame = below,
                    None => return Catcher::Coroutine,
                },
            }
        }
    }
}

/// # Safety
/// U2; the catcher is where this error goes.
unsafe fn count(vm: &mut Vm, catcher: &Catcher) {
    let null = std::ptr::null_mut();
    let (end, host) = match *catcher {
        Catcher::Protected(base) => (base, null),
        Catcher::Host(f) => (null, f),
        Catcher::Coroutine => (null, null),
    };
    // SAFETY: U2.
    unsafe { seam::on_caught(vm, end, host) };
}

/// Raises `vm.error` in the topmost frame; returns where to go on.
///
/// # Safety
/// U1–U3.
#[cold]
#[inline(never)]
pub(crate) unsafe fn throw(vm: &mut Vm) -> Next {
    // SAFETY: U1–U3.
    unsafe {
        seam::on_throw(vm);
        let catcher = find_catcher(vm);
        if seam::wants_caught(vm) {
            count(vm, &catcher);
        }
        deliver(vm, catcher)
    }
}

/// Raises `vm.error` in place of a call that cannot be made: the function in
/// slot `at`, which would have returned to `ret`, has no frame. The topmost
/// frame is the one that called; if that is a boundary, it is the catcher.
///
/// # Safety
/// U1–U3; `ret` points to an instruction (F1), and `at` is a slot of the current stack.
#[cold]
#[inline(never)]
pub(crate) unsafe fn throw_call(vm: &mut Vm, ret: *const u64, at: usize) -> Next {
    // SAFETY: U1–U3; `ret` points to an instruction (F1).
    unsafe {
        let catcher = match moonswap_bytecode::Instruction::from_bits(*ret).opcode() {
            Some(OpCode::FinishPcall | OpCode::FinishXpcall | OpCode::FinishUnwind)
                if !is_uncatchable(vm) =>
            {
                Catcher::Protected(vm.base)
            }
            Some(OpCode::Halt) => {
                // The link that the call had no time to write: the frame below
                // is found through it (F1).
                let f = vm.stack_base.add(at);
                frame::set_word(
                    f.add(1),
                    ret.expose_provenance() as u64,
                    u64::from(tag::LINK),
                );
                Catcher::Host(f)
            }
            Some(OpCode::FinishCoroutine) => Catcher::Coroutine,
            _ => {
                let catcher = find_catcher(vm);
                if seam::wants_caught(vm) {
                    count(vm, &catcher);
                }
                catcher
            }
        };
        deliver(vm, catcher)
    }
}

/// # Safety
/// U1–U3; the catcher is where this error goes.
unsafe fn deliver(vm: &mut Vm, catcher: Catcher) -> Next {
    // SAFETY: U1–U3.
    unsafe {
        match catcher {
            Catcher::Protected(base) => {
                let at = vm.index_of(base);
                if !std::mem::take(&mut vm.in_flight).handled {
                    call_message_handler(vm, base, 0);
                    if is_uncatchable(vm) {
                        // The handler was ended by a limit or by the watchdog.
                        return throw(vm);
                    }
                    vm.in_flight = InFlightError::default();
                }
                seam::on_unwind(vm);
                let base = vm.stack_base.add(at);
                unwind_to(vm, base)
            }
            Catcher::Host(f) => {
                // The host call returns Err; `top` marks its place.
                let at = vm.index_of(f);
                before_host(vm, at);
                host::close_above(vm, at);
                vm.top = vm.stack_base.add(at);
                vm.host_failed = true;
                Next {
                    pc: return_into(&frame::STUB_HALT),
                    base: vm.top,
                }
            }
            Catcher::Coroutine => coroutine::fail(vm),
        }
    }
}

/// If the catcher is `xpcall`, replaces the error by what its handler returns.
/// The handler runs above slot `lowest` at least. False if a limit or the
/// watchdog ended it: the error is theirs then, and perhaps nothing catches it.
///
/// # Safety
/// U1–U3; `base` is that of the catcher's native frame.
unsafe fn call_message_handler(vm: &mut Vm, base: *mut Value, lowest: usize) -> bool {
    // SAFETY: U3; the handler is kept in the frame's first slot.
    unsafe {
        if !is_xpcall(base) {
            return true;
        }
        let handler = *base;
        let top = live_top(vm).max(lowest);
        // An error in the handler is handled by the handler again, as often as
        // the reference can nest them.
        for attempt in 0..MAX_HANDLER_ERRORS {
            if vm.handling_overflow && attempt > 1 {
                break;
            }
            vm.top = top_of(vm, top);
            let error = vm.error;
            vm.message_handlers += 1;
            let at_limit = vm.host_depth + vm.resume_depth >= crate::vm::MAX_HOST_DEPTH;
            let before = std::mem::replace(&mut vm.handles_depth, at_limit);
            let result = host::call_protected(vm, handler, &[error]);
            vm.handles_depth = before;
            vm.message_handlers -= 1;
            match result {
                Ok(value) => {
                    vm.error = value;
                    return true;
                }
                // A handler that hangs would hang again.
                Err(_) if vm.limits.has_tripped() || vm.in_flight.is_expulsion => return false,
                Err(_) => {}
            }
        }
        let _ = vm.raise_message("error in error handling");
        true
    }
}

/// # Safety
/// VM3.
unsafe fn live_top(vm: &Vm) -> usize {
    // SAFETY: VM3.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        let top = if frame.is_lua() {
            frame_top(vm.base).max(vm.base)
        } else {
            vm.top.max(vm.base)
        };
        vm.index_of(top)
    }
}

/// # Safety
/// VM1: `index` is a slot of the current stack.
unsafe fn top_of(vm: &Vm, index: usize) -> *mut Value {
    // SAFETY: an index of the current stack.
    unsafe { vm.stack_base.add(index) }
}

/// Closes what is open above the native frame of (x)pcall at `base`, one
/// `__close` at a time, then returns `false, error` from it.
///
/// # Safety
/// U1, U3; `base` is that of the native frame of `pcall` or `xpcall`.
unsafe fn unwind_to(vm: &mut Vm, base: *mut Value) -> Next {
    // SAFETY: U1, U3.
    unsafe {
        let level = vm.index_of(base);
        // A method that cannot be called replaces the error; a loop, as there
        // may be as many of them as the stack has slots.
        while let Some(pending) = (*vm.current)
            .to_be_closed
            .last()
            .copied()
            .filter(|&p| p as usize >= level)
        {
            (*vm.current).to_be_closed.pop();
            let at_index = pending as usize + 1;
            let place = vm.stack_base.add(pending as usize);
            coroutine::close_upvalues(vm, vm.current, place);
            let value = *place;
            let error = vm.error;
            vm.base = vm.stack_base.add(level);
            vm.pc = std::ptr::null();
            vm.top = place.add(1);
            if vm.ensure_stack(vm.top, 16).is_err() {
                continue;
            }
            commit_pending(vm);
            let f = meta::of(vm, value, Event::Close);
            if f.is_nil() {
                let _ = meta::raise_close(vm, value, pending as usize);
                continue;
            }
            let at = vm.stack_base.add(at_index);
            store(at, error);
            let base = vm.stack_base.add(level);
            return crate::interp::call_unwinding(vm, base, at.add(1), f, &[value, error]);
        }
        let base = vm.stack_base.add(level);
        coroutine::close_upvalues(vm, vm.current, base);
        (*vm.current).n_pcalls = (*vm.current).n_pcalls.saturating_sub(1);
        vm.leave_overflow(base);
        store(base, Value::boolean(false));
        let error = vm.error;
        store(base.add(1), error);
        vm.error = Value::NIL;
        vm.top = base.add(2);
        leave_native(vm, base, 2)
    }
}

/// Commits what was requested before the next `__close` method is called because of
/// `vm.error`: after the last one there may be no safe point for long.
///
/// # Safety
/// VM3; all that is in use stands below `vm.top`. The stack may move.
pub(crate) unsafe fn commit_pending(vm: &mut Vm) {
    // SAFETY: by the caller; VM2: there is room for the error.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        // What the collector keeps of a Lua frame ends at its registers.
        let has_place = vm.pc.is_null() && !frame.is_lua();
        if !has_place || !vm.poll.requested.load(Ordering::Relaxed) || vm.limits.is_spent() {
            return;
        }
        let at = vm.index_of(vm.top);
        store(vm.top, vm.error);
        vm.top = vm.top.add(1);
        let in_flight = std::mem::take(&mut vm.in_flight);
        seam::on_poll(vm);
        vm.in_flight = in_flight;
        vm.top = vm.stack_base.add(at);
        copy(&raw mut vm.error, vm.top);
    }
}

/// A `__close` called while unwinding returned: go on unwinding.
///
/// # Safety
/// The driver's: FINUNWIND, with the error below the continuation of the frame at `f`.
#[inline(never)]
pub(crate) unsafe fn finish_close(f: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINUNWIND: the error stands below the continuation.
    unsafe {
        let vm = &mut *vm;
        let cont = f.sub(1);
        let base = f.sub(frame::continuation_distance(frame::meta_word(cont)));
        let mut error = Value::NIL;
        copy(&raw mut error, cont.sub(1));
        vm.error = error;
        unwind_to(vm, base)
    }
}
