//! The host's side: calls into Lua, protected or not, finalizers, limits.
//! What the host holds (`Machine`, `Root`) is in `machine.rs`.
//!
//! A host call pushes a continuation to the frame it was made from and runs the
//! interpreter until the HALT stub. Its result or error is left at the place of
//! the function.
//!
//! Invariants: HO1 VM3 holds at every call; HO2 after a failed call the stack is
//! cut to where the function stood and nothing above is open or to be closed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::callee::FROZEN;
use crate::coroutine;
use crate::error::Raised;
use crate::frame::{self, Frame, continuation_word, frame_top, return_into, set_word};
use crate::host_data;
use crate::hotpatch::seam;
use crate::interp::{self, Next};
use crate::limits;
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Coroutine, CoroutineStatus};
use crate::value::{Value, store, tag};
use crate::vm::{InFlightError, MAX_HOST_DEPTH, Vm};

/// Finalizers called at every safe point, and between two looks at the clock.
const FINALIZERS_AT_ONCE: usize = 8;
/// Time that finalizers take at one safe point, roughly.
const FINALIZER_TIME: Duration = Duration::from_micros(500);

/// In a host call's continuation: whoever made it takes errors, so that message
/// handlers further out have nothing to do with them.
pub(crate) const TAKES_ERRORS: u32 = 1;

/// Calls the function at slot `at` with the arguments above its link slot
/// (`at + 2`…`at + 2 + n`); results stand from `at` to `vm.top`.
///
/// Layout on entry: slot `at - 1` is free for the continuation. `takes_errors` is 0 or [`TAKES_ERRORS`].
/// # Safety
/// HO1; at slot `at` stands the function, `n` arguments from `at + 2` on, and above them
/// nothing that is still needed.
pub(crate) unsafe fn call_at(
    vm: &mut Vm,
    at: usize,
    n: usize,
    takes_errors: u32,
) -> Result<usize, Raised> {
    // SAFETY: HO1.
    unsafe {
        let top = call_until(vm, at, n, &frame::STUB_HALT, takes_errors)?;
        Ok(top - at)
    }
}

/// [`call_at`] for one result, which stands at slot `at`; `vm.top` is of no use
/// afterwards.
/// # Safety
/// As [`call_at`].
pub(crate) unsafe fn call_one(vm: &mut Vm, at: usize, n: usize) -> Result<(), Raised> {
    // SAFETY: HO1.
    unsafe { call_until(vm, at, n, &frame::STUB_HALT_ONE, 0).map(|_| ()) }
}

/// Calls until the function returns into `stub`; answers the slot of `vm.top`.
/// # Safety
/// As [`call_at`]; `stub` ends the call.
unsafe fn call_until(
    vm: &mut Vm,
    at: usize,
    n: usize,
    stub: &'static [u64; 2],
    takes_errors: u32,
) -> Result<usize, Raised> {
    // SAFETY: HO1.
    unsafe {
        let is_host_entry = seam::wants_host_entry(vm);
        if is_host_entry || limits::is_due(vm) {
            // The collector must find nothing stale among the arguments.
            let f = vm.stack_base.add(at);
            store(f.sub(1), Value::NIL);
            store(f.add(1), Value::NIL);
            if is_host_entry {
                seam::on_host_entry(vm);
            }
            if limits::is_due(vm) {
                limits::begin(vm);
                seam::on_limited_entry(vm);
                limits::enter(vm)?;
            }
        }
        let depth = vm.host_depth + vm.resume_depth;
        if depth >= MAX_HOST_DEPTH {
            // The handler of such an overflow has some levels for itself.
            if depth >= MAX_HOST_DEPTH + 20 {
                return Err(vm.raise_message("error in error handling"));
            }
            if !vm.handles_depth {
                return Err(vm.raise_located("C stack overflow"));
            }
        }
        let f = vm.stack_base.add(at);
        let (base, pc) = (vm.index_of(vm.base), vm.pc);
        let co = vm.current;
        set_word(
            f.sub(1),
            pc as u64,
            continuation_word(at - base, takes_errors),
        );
        let blocks = !FROZEN && pc.is_null() && is_blocking(*vm.base.sub(2));
        seam::on_native_callback(vm, blocks);
        vm.host_depth += 1;
        (*co).n_host_calls += 1;
        let n_pcalls = (*co).n_pcalls;
        vm.host_failed = false;
        vm.in_flight.raised_in = None;
        let mut next = interp::precall(vm, return_into(stub), f, n);
        if vm.poll.requested.load(Ordering::Relaxed) {
            // A host that only calls functions which call nothing and do not
            // loop passes no other safe point.
            next = interp::poll_at_entry(vm, next);
        }
        run_to_halt(vm, next);
        (*co).n_host_calls -= 1;
        vm.host_depth -= 1;
        seam::on_native_callback_end(vm, blocks);
        let failed = std::mem::take(&mut vm.host_failed);
        debug_assert!(std::ptr::eq(vm.current, co));
        vm.base = vm.stack_base.add(base);
        vm.pc = pc;
        if failed {
            vm.top = vm.stack_base.add(at);
            // The error of a limit has passed protected calls unnoticed.
            (*co).n_pcalls = n_pcalls;
            if vm.limits.has_tripped() {
                vm.leave_overflow_at_top();
                limits::leave(vm);
            }
            return Err(Raised(()));
        }
        if std::ptr::eq(stub, &frame::STUB_HALT_ONE) {
            vm.top = vm.stack_base.add(at + 1);
        }
        // A native, or the host, may call natives that allocate for ever.
        interp::settle(vm);
        Ok(vm.index_of(vm.top))
    }
}

/// Whether a patch must wait while this function calls back: natives that are
/// in the middle of something (`sort`, `gsub`), not `require` or the host.
/// # Safety
/// V1.
unsafe fn is_blocking(function: Value) -> bool {
    // SAFETY: V1.
    unsafe {
        function.tag == tag::NATIVE
            && (*function.as_native()).header.flags & crate::object::Native::TRANSPARENT == 0
    }
}

/// # Safety
/// `next` comes from `precall` of a call that returns into a HALT stub.
unsafe fn run_to_halt(vm: &mut Vm, next: Next) {
    // SAFETY: `next` came from precall.
    unsafe { interp::run(vm, next) }
}

/// Calls a value from above the live top; returns its first result.
/// # Safety
/// HO1, V1; above the live top nothing is needed.
pub(crate) unsafe fn call_value(
    vm: &mut Vm,
    function: Value,
    args: &[Value],
) -> Result<Value, Raised> {
    // SAFETY: HO1.
    unsafe { call_above(vm, function, args, 0) }
}

/// [`call_value`] for callers that take errors.
/// # Safety
/// As [`call_value`].
pub(crate) unsafe fn call_protected(
    vm: &mut Vm,
    function: Value,
    args: &[Value],
) -> Result<Value, Raised> {
    // SAFETY: HO1.
    unsafe { call_above(vm, function, args, TAKES_ERRORS) }
}

/// # Safety
/// As [`call_value`].
unsafe fn call_above(
    vm: &mut Vm,
    function: Value,
    args: &[Value],
    takes_errors: u32,
) -> Result<Value, Raised> {
    // SAFETY: HO1.
    unsafe {
        let top = vm.top_in_use();
        let saved_top = vm.index_of(vm.top);
        let at = vm.index_of(top) + 1;
        vm.ensure_stack(top, args.len() + 16)?;
        let f = vm.stack_base.add(at);
        store(f, function);
        for (i, &arg) in args.iter().enumerate() {
            store(f.add(2 + i), arg);
        }
        vm.top = f.add(2 + args.len());
        let result = call_until(vm, at, args.len(), &frame::STUB_HALT_ONE, takes_errors)
            .map(|_| *vm.stack_base.add(at));
        vm.top = vm.stack_base.add(saved_top);
        result
    }
}

/// Runs the to-be-closed variables and closes upvalues at or above slot `level`
/// because of `vm.error` (a `__close` that fails replaces it).
/// # Safety
/// HO1; `level` is a slot of the current stack, and no frame above it goes on.
pub(crate) unsafe fn close_above(vm: &mut Vm, level: usize) {
    // SAFETY: HO1; every turn pops one entry.
    unsafe {
        // The frames above are gone: methods are called from the one below, so
        // that the distance to it is never negative.
        if let Some((below, _)) = (Frame {
            base: vm.stack_base.add(level + 2),
            pc: std::ptr::null(),
        })
        .caller()
        {
            vm.base = below.base;
            vm.pc = below.pc;
        }
        while let Some(pending) = (*vm.current)
            .to_be_closed
            .last()
            .copied()
            .filter(|&p| p as usize >= level)
        {
            (*vm.current).to_be_closed.pop();
            let place = vm.stack_base.add(pending as usize);
            coroutine::close_upvalues(vm, vm.current, place);
            let value = *place;
            let (error, is_memory) = (vm.error, vm.is_memory_error);
            // Hold the error on the stack: the call may collect.
            let hold = place.add(1);
            store(hold, error);
            vm.top = hold.add(1);
            crate::unwind::commit_pending(vm);
            let f = meta::of(vm, value, Event::Close);
            let in_flight = std::mem::take(&mut vm.in_flight);
            if call_value(vm, f, &[value, error]).is_ok() {
                vm.error = error;
                vm.is_memory_error = is_memory;
                vm.in_flight = InFlightError {
                    raised_in: None,
                    ..in_flight
                };
            } else {
                // Another error takes its place.
                vm.in_flight.expelled = in_flight.expelled;
                vm.in_flight.is_expulsion |= in_flight.is_expulsion;
            }
        }
        let place = vm.stack_base.add(level);
        coroutine::close_upvalues(vm, vm.current, place);
    }
}

/// `coroutine.close`: ends a suspended or failed coroutine. `Err` carries the
/// error of a `__close` or the one it died with.
/// # Safety
/// HO1; `co` is live and does not run.
pub(crate) unsafe fn close_coroutine(vm: &mut Vm, co: *mut Coroutine) -> Result<(), Value> {
    // SAFETY: HO1; the coroutine does not run. Its `__close` methods are called
    // from the current coroutine.
    unsafe {
        let mut outcome = if (*co).failed {
            Some((*co).error)
        } else {
            None
        };
        // Closing it again from one of its `__close` methods is refused.
        (*co).status = CoroutineStatus::Closing;
        vm.n_closing += 1;
        outcome = close_variables(vm, co, outcome);
        vm.n_closing -= 1;
        (*co).status = CoroutineStatus::Dead;
        (*co).failed = false;
        (*co).error = Value::NIL;
        (*co).top = 2;
        (*co).base = 0;
        match outcome {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Calls the `__close` methods of the main coroutine's pending variables; the
/// last one's error has no one left to go to.
/// # Safety
/// HO1: the host's frame is on top.
pub(crate) unsafe fn close_main(vm: &mut Vm) {
    // SAFETY: HO1 by the caller.
    unsafe {
        let main = vm.main;
        let _ = close_variables(vm, main, None);
    }
}

/// Calls the `__close` methods of all pending variables of `co`, from the topmost
/// native frame of the current coroutine, and closes its upvalues. Answers the
/// error that is on its way afterwards.
/// # Safety
/// HO1: a native's frame is on top; `co` is live and its frames do not go on.
unsafe fn close_variables(
    vm: &mut Vm,
    co: *mut Coroutine,
    mut outcome: Option<Value>,
) -> Option<Value> {
    // SAFETY: HO1; every turn pops one entry.
    unsafe {
        while let Some(pending) = (*co).to_be_closed.pop() {
            let place = (&mut (*co).stack).as_mut_ptr().add(pending as usize);
            coroutine::close_upvalues(vm, co, place);
            let value = *place;
            let error = outcome.unwrap_or(Value::NIL);
            store(vm.top, error);
            store(vm.top.add(1), value);
            vm.top = vm.top.add(2);
            let top = vm.index_of(vm.top);
            if outcome.is_some() {
                crate::unwind::commit_pending(vm);
            }
            let f = meta::of(vm, value, Event::Close);
            if call_protected(vm, f, &[value, error]).is_err() {
                outcome = Some(vm.error);
            }
            vm.top = vm.stack_base.add(top - 2);
        }
        let bottom = (&mut (*co).stack).as_mut_ptr();
        coroutine::close_upvalues(vm, co, bottom);
        outcome
    }
}

/// Raises when a limit was reached.
pub(crate) fn check_limits(vm: &mut Vm) -> Result<(), Raised> {
    limits::check(vm)
}

/// Calls all pending finalizers.
/// # Safety
/// HO1 at a safe point.
pub(crate) unsafe fn run_finalizers(vm: &mut Vm) {
    // SAFETY: HO1 at a safe point.
    unsafe {
        host_data::drop_all(vm);
        while may_finalize(vm) && finalize_next(vm) {}
        host_data::drop_all(vm);
    }
}

/// Calls the finalizers that are due. If that takes long the program goes on in
/// between, to the next safe point: a backlog takes a share of its time.
/// # Safety
/// HO1 at a safe point.
pub(crate) unsafe fn run_due_finalizers(vm: &mut Vm) {
    // SAFETY: HO1 at a safe point.
    unsafe {
        host_data::drop_all(vm);
        if !vm.heap.has_pending_finalizers() || !may_finalize(vm) {
            return;
        }
        let due = vm.heap.due_finalizers().max(FINALIZERS_AT_ONCE);
        let start = Instant::now();
        for i in 1..=due {
            if !may_finalize(vm) || !finalize_next(vm) {
                return;
            }
            // What they allocate is to be collected as what others allocate.
            if i % FINALIZERS_AT_ONCE == 0 && (vm.heap.is_due() || start.elapsed() > FINALIZER_TIME)
            {
                break;
            }
        }
        host_data::drop_all(vm);
        if vm.heap.owes_finalizers() {
            vm.poll.request_step();
        }
    }
}

/// Whether finalizers may be called here.
fn may_finalize(vm: &Vm) -> bool {
    // What the code of a patch leads to may have to be undone (J1). After a limit
    // of time they stay pending: called now they would end at once.
    !vm.in_finalizer && !vm.undo_log.is_open() && !vm.limits.is_spent()
}

/// Calls the next finalizer; false if there is none.
/// # Safety
/// HO1 at a safe point.
unsafe fn finalize_next(vm: &mut Vm) -> bool {
    let object = vm.heap.next_finalizer();
    if let Some(object) = object {
        // SAFETY: HO1.
        unsafe { finalize(vm, object) };
    }
    object.is_some()
}

/// Calls one object's `__gc`; an error becomes a warning.
/// # Safety
/// HO1 at a safe point; a live object.
unsafe fn finalize(vm: &mut Vm, object: Value) {
    // SAFETY: HO1; the object is an argument on the stack while it runs.
    unsafe {
        let f = meta::of(vm, object, Event::Gc);
        if !matches!(f.tag, tag::CLOSURE | tag::NATIVE) {
            return;
        }
        let finalizing = vm.heap.set_finalizing(true);
        let was_in_finalizer = std::mem::replace(&mut vm.in_finalizer, true);
        let (saved, was_memory) = (vm.error, vm.is_memory_error);
        let overflow = vm.handling_overflow;
        let in_flight = std::mem::take(&mut vm.in_flight);
        let result = call_protected(vm, f, &[object]);
        vm.in_flight = in_flight;
        if !overflow {
            vm.leave_overflow(vm.base);
        }
        vm.in_finalizer = was_in_finalizer;
        limits::resume_break(vm);
        vm.heap.set_finalizing(finalizing);
        let is_limit = vm.limits.has_tripped() || vm.limits.has_ended();
        if result.is_err() && !is_limit {
            let error = vm.error;
            let text: &[u8] = if error.tag == tag::STRING {
                crate::object::StringObject::bytes(error.as_string())
            } else {
                b"error object is not a string"
            };
            let message = [b"error in ", &b"__gc"[..], b" (", text, b")"].concat();
            host_data::warn(vm, message);
        }
        vm.error = saved;
        vm.is_memory_error = was_memory;
    }
}

/// Saves the running coroutine's position where the collector looks for it.
/// # Safety
/// VM3.
pub(crate) unsafe fn sync_current(vm: &mut Vm) {
    // SAFETY: VM3.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        let top = if frame.is_lua() {
            let frame = Frame {
                base: vm.base,
                pc: vm.pc,
            };
            frame.live_end().unwrap_or_else(|| frame_top(vm.base))
        } else {
            vm.top
        };
        let co = vm.current;
        (*co).base = vm.index_of(vm.base);
        (*co).pc = vm.pc.cast();
        (*co).top = vm.index_of(top);
    }
}

/// Whether no dead temporary of the topmost frame counts as a root.
/// # Safety
/// VM3.
pub(crate) unsafe fn are_registers_exact(vm: &Vm) -> bool {
    let frame = Frame {
        base: vm.base,
        pc: vm.pc,
    };
    // SAFETY: VM3.
    unsafe { !frame.is_lua() || frame.live_end().is_some() }
}

/// A full collection; finalizers run afterwards.
/// # Safety
/// At a safe point, or in a native all of whose values are on the stack.
pub(crate) unsafe fn full_collect(vm: &mut Vm) {
    // SAFETY: at a safe point or in a native with everything on the stack.
    unsafe {
        sync_current(vm);
        let (heap, roots) = vm.heap_and_roots();
        heap.collect_full(&roots);
    }
}

/// Memory ran short at this safe point: collects everything and raises if that
/// does not help. With `finalize`, finalizers may be called.
/// # Safety
/// At a safe point, or in a native all of whose values are on the stack.
#[cold]
pub(crate) unsafe fn relieve(vm: &mut Vm, finalize: bool) -> Result<(), Raised> {
    // SAFETY: at a safe point.
    unsafe {
        sync_current(vm);
        let (heap, roots) = vm.heap_and_roots();
        heap.collect_emergency(&roots);
        vm.shrink_stack();
        if vm.heap.is_relieved() {
            return Ok(());
        }
        if finalize && !vm.in_finalizer && vm.heap.has_pending_finalizers() {
            // What waits for its finalizer is garbage after that.
            run_finalizers(vm);
            sync_current(vm);
            let (heap, roots) = vm.heap_and_roots();
            heap.collect_emergency(&roots);
            if vm.heap.is_relieved() {
                return Ok(());
            }
        }
        Err(vm.raise_memory())
    }
}

/// Room for `bytes` more, by a collection if need be: what a native does before
/// it makes something large, with everything it needs on the stack.
/// # Safety
/// At a safe point, or in a native all of whose values are on the stack.
pub(crate) unsafe fn make_room(vm: &mut Vm, bytes: usize) -> Result<(), Raised> {
    // SAFETY: as `collect_for`.
    unsafe {
        if vm.heap.permit(bytes).is_err()
            && !({
                let top = vm.top;
                collect_for(vm, top)
            } && vm.heap.permit(bytes).is_ok())
        {
            return Err(vm.raise_memory());
        }
        Ok(())
    }
}

/// An allocation of what runs now was refused: collects. False if there is no
/// sense in trying again.
/// # Safety
/// VM3; all that is in use is reachable from the roots and the stack below
/// `top`.
#[cold]
pub(crate) unsafe fn collect_for(vm: &mut Vm, top: *mut Value) -> bool {
    // SAFETY: by the caller.
    unsafe {
        if vm.heap.failed_on_purpose() {
            return false;
        }
        sync_current(vm);
        let co = vm.current;
        (*co).top = (*co).top.max(vm.index_of(top));
        let (heap, roots) = vm.heap_and_roots();
        let collected = heap.collect_emergency(&roots);
        vm.heap.is_relieved();
        collected
    }
}

/// Calls the finalizers of a VM that is being closed.
/// # Safety
/// HO1: the VM is being closed, and nothing runs.
pub(crate) unsafe fn run_closing(vm: &mut Vm) {
    // SAFETY: HO1; the objects are on the stack of `Machine::close`.
    unsafe {
        while !vm.limits.is_spent()
            && let Some(object) = vm.closing.pop_front()
        {
            finalize(vm, object);
            // An interrupt ends the whole closing.
            if vm.limits.has_ended() {
                break;
            }
        }
        vm.closing.clear();
    }
}
