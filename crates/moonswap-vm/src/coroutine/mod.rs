//! Coroutines: one value stack each, switched without native recursion.
//!
//! Resuming and yielding change `vm.current` and go on in the same dispatch
//! loop. Layout of a fresh stack: slot 0 nil, slot 1 a link into FINCO (the
//! bottom frame of base 2), then the body's function slot.
//!
//! Invariants: C1 a suspended coroutine that has started stands in a native
//! frame of `yield` whose function slot is `base`; one that has not started has
//! its body in slot 2. C2 a Normal coroutine stands in the native frame of
//! `resume`/wrap with function slot `base`. C3 open upvalues of a coroutine
//! form one list, highest slot first. C4 one that failed keeps its error for
//! `coroutine.close`. C5 slots above the top of one that does not run hold
//! nothing of worth; the collector clears them whenever it looks at it, because
//! it may not look again before the next resume.

use std::ptr;

use crate::error::Raised;
use crate::frame::{self, return_into};
use crate::heap::header;
use crate::host;
use crate::hotpatch::seam;
use crate::interp::{Next, leave_native, precall};
use crate::object::stack::FIRST_STACK;
use crate::object::{Coroutine, CoroutineStatus, Kind, Native, NativeCode, NativeKind, Upvalue};
use crate::unwind::throw;
use crate::value::{Value, copy, store, tag};
use crate::vm::Vm;

/// Coroutines resumed inside each other (the reference's C stack limit).
const MAX_NESTED: u32 = 195;

/// Makes a coroutine that will run `body`.
pub(crate) fn with_body(vm: &mut Vm, body: Value) -> *mut Coroutine {
    let co = vm.heap.new_coroutine(FIRST_STACK);
    // SAFETY: just made.
    unsafe {
        (&mut (*co).stack)[2] = body;
        (*co).top = 3;
        crate::hook::inherit(vm, co);
    }
    co
}

/// The open upvalue of a stack slot of the current coroutine, made if needed.
///
/// # Safety
/// C3; `place` is a slot of the current coroutine's stack.
pub(crate) unsafe fn find_upvalue(vm: &mut Vm, place: *mut Value) -> *mut Upvalue {
    // SAFETY: C3.
    unsafe {
        let co = vm.current;
        find_upvalue_of(vm, co, place)
    }
}

/// The same for any coroutine.
///
/// # Safety
/// C3; `co` is live and `place` is a slot of its stack.
pub(crate) unsafe fn find_upvalue_of(
    vm: &mut Vm,
    co: *mut Coroutine,
    place: *mut Value,
) -> *mut Upvalue {
    // SAFETY: C3.
    unsafe {
        let mut link = &raw mut (*co).open_upvalues;
        while !(*link).is_null() && (**link).value >= place {
            if (**link).value == place {
                return *link;
            }
            link = &raw mut (**link).next_open;
        }
        let up = vm.heap.new_open_upvalue(place, *link);
        *link = up;
        up
    }
}

/// Closes all open upvalues of `co` at or above `level`.
///
/// # Safety
/// C3; `co` is live and `level` is an address in its stack.
#[inline(always)]
pub(crate) unsafe fn close_upvalues(vm: &mut Vm, co: *mut Coroutine, level: *mut Value) {
    // SAFETY: C3.
    unsafe {
        if !(*co).open_upvalues.is_null() && (*(*co).open_upvalues).value >= level {
            close_upvalues_slow(vm, co, level);
        }
    }
}

/// # Safety
/// As [`close_upvalues`].
#[inline(never)]
unsafe fn close_upvalues_slow(vm: &mut Vm, co: *mut Coroutine, level: *mut Value) {
    // SAFETY: C3; from here on the value is reached through the upvalue only,
    // which may be marked already: barrier.
    unsafe {
        while !(*co).open_upvalues.is_null() && (*(*co).open_upvalues).value >= level {
            let up = (*co).open_upvalues;
            (*co).open_upvalues = (*up).next_open;
            copy(&raw mut (*up).closed, (*up).value);
            (*up).value = &raw mut (*up).closed;
            vm.heap.barrier(up.cast(), (*up).closed);
        }
    }
}

/// `coroutine.resume(co, …)` or a call of a wrap function: `n` arguments in the
/// topmost (native) frame.
///
/// # Safety
/// VM3: the topmost frame is the native frame of `resume` or of a wrap function, with `n`
/// arguments (C1, C2).
pub(crate) unsafe fn enter_resume(vm: &mut Vm, n: usize, wrap: bool) -> Next {
    // SAFETY: VM3; C1, C2.
    unsafe {
        let base = vm.base;
        let co_value = if wrap {
            let native = (*base.sub(2)).as_native();
            (&(*native).upvalues)[0]
        } else {
            *base
        };
        if !wrap && (n == 0 || co_value.tag != tag::COROUTINE) {
            let at = vm.index_of(base);
            let cx = crate::context::Context::of_frame(vm, at);
            let _ = cx.type_error(0, "thread");
            return throw(vm);
        }
        let co = co_value.as_coroutine();
        let skip = usize::from(!wrap);
        let refusal = match (*co).status {
            CoroutineStatus::Suspended => None,
            CoroutineStatus::Dead => Some("cannot resume dead coroutine"),
            CoroutineStatus::Running | CoroutineStatus::Normal | CoroutineStatus::Closing => {
                Some("cannot resume non-suspended coroutine")
            }
        };
        if let Some(text) = refusal {
            return refuse(vm, text, wrap);
        }
        if vm.resume_depth + vm.host_depth >= MAX_NESTED {
            return refuse(vm, "C stack overflow", wrap);
        }
        // Leave the resumer in the native frame of resume (C2).
        let from = vm.current;
        (*from).status = CoroutineStatus::Normal;
        (*from).base = vm.index_of(base.sub(2));
        (*from).top = vm.index_of(vm.top);
        (*from).pc = ptr::null();
        let args = vm.index_of(base.add(skip));
        let n_args = n - skip.min(n);
        (*co).resumer = from;
        (*co).is_wrap = wrap;
        (*co).status = CoroutineStatus::Running;
        vm.resume_depth += 1;
        vm.current = co;
        vm.use_stack();
        crate::hook::refresh_if_needed(vm);
        vm.heap.note_resumed(co);
        let at = if (*co).started { (*co).base } else { 2 };
        let f = vm.stack_base.add(at);
        vm.base = f.add(2).min(vm.stack_limit);
        vm.pc = ptr::null();
        vm.top = f.add(2);
        if !(*co).started {
            vm.base = vm.stack_base.add(2);
        }
        if vm.ensure_stack(f.add(2), n_args + 8).is_err() {
            return throw(vm);
        }
        let f = vm.stack_base.add(at);
        let source = (&(*from).stack).as_ptr().add(args);
        for i in 0..n_args {
            copy(f.add(2 + i), source.add(i));
        }
        vm.top = f.add(2 + n_args);
        if (*co).started {
            // The arguments are the results of yield.
            return leave_native(vm, f.add(2), n_args);
        }
        (*co).started = true;
        precall(vm, return_into(&frame::STUB_COROUTINE), f, n_args)
    }
}

/// resume answers `false, text`; a wrap function raises it.
///
/// # Safety
/// VM3: the native frame of `resume` or of a wrap function is on top.
unsafe fn refuse(vm: &mut Vm, text: &str, wrap: bool) -> Next {
    // SAFETY: VM3: the native frame of resume is on top.
    unsafe {
        if wrap {
            let _ = raise_at_caller(vm, text);
            return throw(vm);
        }
        let base = vm.base;
        let message = vm.string_value(text.as_bytes());
        store(base, Value::boolean(false));
        store(base.add(1), message);
        vm.top = base.add(2);
        leave_native(vm, base, 2)
    }
}

/// # Safety
/// VM3: a native's frame is on top.
unsafe fn raise_at_caller(vm: &mut Vm, text: &str) -> Raised {
    // SAFETY: VM3.
    unsafe { vm.raise_at_level(1, text.as_bytes()) }
}

/// `coroutine.yield(…)`.
///
/// # Safety
/// VM3: the native frame of `yield` is on top, with `n` arguments below `vm.top`.
pub(crate) unsafe fn enter_yield(vm: &mut Vm, n: usize) -> Next {
    // SAFETY: VM3; C1.
    unsafe {
        let co = vm.current;
        if (*co).resumer.is_null() || (*co).n_host_calls > 0 {
            let is_outside = co == vm.main || (*co).resumer.is_null();
            let text = if is_outside && vm.n_closing == 0 {
                "attempt to yield from outside a coroutine"
            } else {
                "attempt to yield across a C-call boundary"
            };
            let _ = vm.raise_message(text);
            return throw(vm);
        }
        (*co).base = vm.index_of(vm.base.sub(2));
        (*co).top = vm.index_of(vm.base);
        (*co).pc = ptr::null();
        (*co).status = CoroutineStatus::Suspended;
        seam::on_yield(vm, co);
        let from = vm.index_of(vm.base);
        hand_over(vm, co, from, n)
    }
}

/// A function that is `coroutine.yield`.
pub(crate) fn yield_function(vm: &mut Vm) -> Value {
    let native = vm.heap.adopt(Native {
        header: header(Kind::Native, 0),
        kind: NativeKind::Yield,
        // The interpreter runs natives of this kind itself.
        code: NativeCode::Function(|_| Ok(0)),
        upvalues: Box::default(),
        name: "yield",
    });
    Value::native(native)
}

/// The body returned: results from `base` up to top.
///
/// # Safety
/// The driver's: FINCO of the current coroutine, whose results stand from `base` to
/// `vm.top`.
#[inline(never)]
pub(crate) unsafe fn finish(base: *mut Value, vm: *mut Vm) -> Next {
    // SAFETY: layout of FINCO.
    unsafe {
        let vm = &mut *vm;
        let co = vm.current;
        (*co).status = CoroutineStatus::Dead;
        seam::on_coroutine_dead(vm, co);
        // Nothing is open any more, unless a binary chunk left it so.
        close_upvalues(vm, co, base);
        (*co).to_be_closed.clear();
        let n = vm.top.offset_from(base) as usize;
        let from = vm.index_of(base);
        (*co).top = 2;
        (*co).base = 2;
        hand_over(vm, co, from, n)
    }
}

/// Gives `n` values at slot `from` of `co`'s stack to its resumer and goes on
/// there.
///
/// # Safety
/// C2; `co` is live and has `n` values at slot `from`; it does not run any more.
unsafe fn hand_over(vm: &mut Vm, co: *mut Coroutine, from: usize, n: usize) -> Next {
    // SAFETY: C2: the resumer stands in resume's native frame.
    unsafe {
        let to = (*co).resumer;
        (*co).resumer = ptr::null_mut();
        switch_back(vm, to);
        if vm.ensure_stack(vm.base, n + 8).is_err() {
            return throw(vm);
        }
        let base = vm.base;
        let source = (&(*co).stack).as_ptr().add(from);
        let mut out = base;
        if !(*co).is_wrap {
            store(out, Value::boolean(true));
            out = out.add(1);
        }
        for i in 0..n {
            copy(out.add(i), source.add(i));
        }
        vm.top = out.add(n);
        let results = vm.top.offset_from(base) as usize;
        leave_native(vm, base, results)
    }
}

/// # Safety
/// C2: `to` is live and stands in `resume`.
unsafe fn switch_back(vm: &mut Vm, to: *mut Coroutine) {
    // SAFETY: C2.
    unsafe {
        vm.resume_depth -= 1;
        vm.current = to;
        (*to).status = CoroutineStatus::Running;
        vm.use_stack();
        crate::hook::refresh_if_needed(vm);
        vm.heap.note_resumed(to);
        let f = vm.stack_base.add((*to).base);
        vm.base = f.add(2);
        vm.top = vm.base;
        vm.pc = ptr::null();
    }
}

/// An error reached the bottom of the current coroutine.
///
/// # Safety
/// C2, VM3; `vm.error` is the error and the current coroutine is not the main one.
pub(crate) unsafe fn fail(vm: &mut Vm) -> Next {
    // SAFETY: C2; `vm.error` is the value. The main coroutine's bottom is never
    // reached: all its frames stand above a host activation.
    unsafe {
        let co = vm.current;
        // The frames inside natives' callbacks are cut off, but not overwritten.
        let in_flight = std::mem::take(&mut vm.in_flight);
        let (raised_in, counted) = (in_flight.raised_in, in_flight.counted);
        let expelled = in_flight.expelled;
        let (base, pc) = raised_in.unwrap_or((vm.index_of(vm.base), vm.pc));
        (*co).base = base - 2;
        (*co).pc = pc.cast();
        (*co).top = vm.index_of(vm.top.max(vm.base)).max(base);
        (*co).status = CoroutineStatus::Dead;
        seam::on_coroutine_dead(vm, co);
        (*co).failed = true;
        let to = (*co).resumer;
        (*co).resumer = ptr::null_mut();
        let error = vm.error;
        (*co).error = error;
        vm.heap.barrier(co.cast(), error);
        switch_back(vm, to);
        vm.leave_overflow(vm.base);
        if (*co).is_wrap || vm.limits.has_tripped() || expelled.is_some() {
            // A wrap function closes the coroutine and passes the error on.
            vm.top = vm.base.add(1);
            store(vm.base, error);
            let error = host::close_coroutine(vm, co).err().unwrap_or(error);
            vm.error = error;
            let is_own = vm.limits.has_tripped() || expelled.is_some() || vm.is_memory_error;
            if error.tag == tag::STRING && !is_own {
                let mut text = crate::debug::position::at_level(vm, 1).to_vec();
                text.extend_from_slice(crate::object::StringObject::bytes(error.as_string()));
                vm.error = vm.string_value(&text);
            }
            // It is the same error that goes on.
            vm.in_flight.counted = counted;
            vm.in_flight.expelled = expelled;
            vm.in_flight.is_expulsion = in_flight.is_expulsion;
            return throw(vm);
        }
        let base = vm.base;
        store(base, Value::boolean(false));
        store(base.add(1), error);
        vm.error = Value::NIL;
        vm.top = base.add(2);
        leave_native(vm, base, 2)
    }
}
