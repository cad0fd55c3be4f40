//! The host's side: calls into Lua, protected or not, finalizers, limits.
//!
//! A host call pushes a continuation to the frame it was made from and runs the
//! interpreter until the HALT stub. Its result or error is left at the place of
//! the function.
//!
//! Invariants: HO1 VM3 holds at every call; HO2 after a failed call the stack is
//! cut to where the function stood and nothing above is open or to be closed.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use moonswap_bytecode::{Instruction, OpCode};

use crate::context::Context;
use crate::coroutine;
use crate::error::Raised;
use crate::frame::{self, Frame, continuation_word, frame_top, return_into, set_word};
use crate::interp::{self, Next};
use crate::meta;
use crate::meta_event::Event;
use crate::object::{Coroutine, CoroutineStatus};
use crate::value::{Value, store, tag};
use crate::vm::{MAX_HOST_DEPTH, Vm};

/// Calls the function at slot `at` with the arguments above its link slot
/// (`at + 2`…`at + 2 + n`); results stand from `at` to `vm.top`.
///
/// Layout on entry: slot `at - 1` is free for the continuation.
pub(crate) unsafe fn call_at(vm: &mut Vm, at: usize, n: usize) -> Result<usize, Raised> {
    // SAFETY: HO1.
    unsafe {
        let top = call_until(vm, at, n, &frame::STUB_HALT)?;
        Ok(top - at)
    }
}

/// [`call_at`] for one result, which stands at slot `at`; `vm.top` is of no use
/// afterwards.
pub(crate) unsafe fn call_one(vm: &mut Vm, at: usize, n: usize) -> Result<(), Raised> {
    // SAFETY: HO1.
    unsafe { call_until(vm, at, n, &frame::STUB_HALT_ONE).map(|_| ()) }
}

/// Calls until the function returns into `stub`; answers the slot of `vm.top`.
unsafe fn call_until(
    vm: &mut Vm,
    at: usize,
    n: usize,
    stub: &'static [u64; 2],
) -> Result<usize, Raised> {
    // SAFETY: HO1.
    unsafe {
        if vm.host_depth + vm.resume_depth >= MAX_HOST_DEPTH {
            let extra = vm.host_depth + vm.resume_depth >= MAX_HOST_DEPTH + 20;
            return Err(if extra {
                vm.raise_message("error in error handling")
            } else {
                vm.raise_located("C stack overflow")
            });
        }
        let f = vm.stack_base.add(at);
        let (base, pc) = (vm.index_of(vm.base), vm.pc);
        let co = vm.current;
        set_word(f.sub(1), pc as u64, continuation_word(at - base, 0));
        let blocks = pc.is_null() && is_blocking(*vm.base.sub(2));
        vm.hot.n_blocking += u32::from(blocks);
        vm.host_depth += 1;
        (*co).n_host_calls += 1;
        vm.host_failed = false;
        let next = interp::precall(vm, return_into(stub), f, n);
        run_to_halt(vm, next);
        (*co).n_host_calls -= 1;
        vm.host_depth -= 1;
        vm.hot.n_blocking -= u32::from(blocks);
        if vm.hot.is_held && vm.hot.n_blocking == 0 {
            vm.hot.is_held = false;
            vm.poll.request();
        }
        let failed = std::mem::take(&mut vm.host_failed);
        debug_assert!(std::ptr::eq(vm.current, co));
        vm.base = vm.stack_base.add(base);
        vm.pc = pc;
        if failed {
            vm.top = vm.stack_base.add(at);
            return Err(Raised(()));
        }
        Ok(vm.index_of(vm.top))
    }
}

/// Whether a patch must wait while this function calls back: natives that are
/// in the middle of something (`sort`, `gsub`), not `require` or the host.
unsafe fn is_blocking(function: Value) -> bool {
    // SAFETY: V1.
    unsafe {
        function.tag == tag::NATIVE
            && (*function.as_native()).header.flags & crate::object::Native::TRANSPARENT == 0
    }
}

unsafe fn run_to_halt(vm: &mut Vm, next: Next) {
    // SAFETY: `next` came from precall.
    unsafe { interp::run(vm, next) }
}

/// Calls a value from above the live top; returns its first result.
pub(crate) unsafe fn call_value(
    vm: &mut Vm,
    function: Value,
    args: &[Value],
) -> Result<Value, Raised> {
    // SAFETY: HO1.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        let top = if frame.is_lua() {
            frame_top(vm.base).max(vm.top)
        } else {
            vm.top
        };
        let saved_top = vm.index_of(vm.top);
        let at = vm.index_of(top) + 1;
        vm.ensure_stack(top, args.len() + 16)?;
        let f = vm.stack_base.add(at);
        store(f, function);
        for (i, &arg) in args.iter().enumerate() {
            store(f.add(2 + i), arg);
        }
        vm.top = f.add(2 + args.len());
        let result = call_one(vm, at, args.len()).map(|()| *vm.stack_base.add(at));
        vm.top = vm.stack_base.add(saved_top);
        result
    }
}

/// Runs the to-be-closed variables and closes upvalues at or above slot `level`
/// because of `vm.error` (a `__close` that fails replaces it).
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
            let error = vm.error;
            // Hold the error on the stack: the call may collect.
            let hold = place.add(1);
            store(hold, error);
            vm.top = hold.add(1);
            let f = meta::of(vm, value, Event::Close);
            if call_value_at(vm, f, &[value, error]).is_ok() {
                vm.error = error;
            }
        }
        let place = vm.stack_base.add(level);
        coroutine::close_upvalues(vm, vm.current, place);
    }
}

unsafe fn call_value_at(vm: &mut Vm, f: Value, args: &[Value]) -> Result<Value, Raised> {
    // SAFETY: HO1: a native-like frame at top.
    unsafe { call_value(vm, f, args) }
}

/// `coroutine.close`: ends a suspended or failed coroutine. `Err` carries the
/// error of a `__close` or the one it died with.
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
        while let Some(pending) = (*co).to_be_closed.pop() {
            let place = (&mut (*co).stack).as_mut_ptr().add(pending as usize);
            coroutine::close_upvalues(vm, co, place);
            let value = *place;
            let f = meta::of(vm, value, Event::Close);
            let error = outcome.unwrap_or(Value::NIL);
            store(vm.top, error);
            vm.top = vm.top.add(1);
            let top = vm.index_of(vm.top);
            if call_value(vm, f, &[value, error]).is_err() {
                outcome = Some(vm.error);
            }
            vm.top = vm.stack_base.add(top - 1);
        }
        let bottom = (&mut (*co).stack).as_mut_ptr();
        coroutine::close_upvalues(vm, co, bottom);
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

/// Raises when a limit was reached.
pub(crate) fn check_limits(vm: &mut Vm) -> Result<(), Raised> {
    if vm.limits.interrupted.swap(false, Ordering::AcqRel) {
        vm.limits.uncatchable = true;
        return Err(vm.raise_located("interrupted!"));
    }
    if vm
        .limits
        .deadline
        .is_some_and(|d| std::time::Instant::now() >= d)
    {
        vm.limits.deadline = None;
        vm.limits.uncatchable = true;
        return Err(vm.raise_located("deadline exceeded"));
    }
    Ok(())
}

/// Calls up to `most` pending finalizers.
pub(crate) unsafe fn run_finalizers(vm: &mut Vm, most: usize) {
    // SAFETY: HO1 at a safe point.
    unsafe {
        if vm.in_finalizer {
            return;
        }
        for _ in 0..most {
            let Some(object) = vm.heap.next_finalizer() else {
                return;
            };
            finalize(vm, object);
        }
    }
}

/// Calls one object's `__gc`; an error becomes a warning.
unsafe fn finalize(vm: &mut Vm, object: Value) {
    // SAFETY: HO1; the object is an argument on the stack while it runs.
    unsafe {
        let f = meta::of(vm, object, Event::Gc);
        if !matches!(f.tag, tag::CLOSURE | tag::NATIVE) {
            return;
        }
        let finalizing = vm.heap.set_finalizing(true);
        let was_in_finalizer = std::mem::replace(&mut vm.in_finalizer, true);
        let saved = vm.error;
        let overflow = vm.handling_overflow;
        let result = call_value(vm, f, &[object]);
        if !overflow {
            vm.leave_overflow(vm.base);
        }
        vm.in_finalizer = was_in_finalizer;
        vm.heap.set_finalizing(finalizing);
        if result.is_err() {
            let error = vm.error;
            let text: &[u8] = if error.tag == tag::STRING {
                crate::object::StringObject::bytes(error.as_string())
            } else {
                b"error object is not a string"
            };
            let message = [b"error in ", &b"__gc"[..], b" (", text, b")"].concat();
            vm.warning(&message, false);
        }
        vm.error = saved;
    }
}

/// Saves the running coroutine's position where the collector looks for it.
pub(crate) unsafe fn sync_current(vm: &mut Vm) {
    // SAFETY: VM3.
    unsafe {
        let frame = Frame {
            base: vm.base,
            pc: vm.pc,
        };
        let top = if frame.is_lua() {
            live_registers_end(vm)
        } else {
            vm.top
        };
        let co = vm.current;
        (*co).base = vm.index_of(vm.base);
        (*co).pc = vm.pc.cast();
        (*co).top = vm.index_of(top);
    }
}

/// End of the registers that live at the safe point of the topmost Lua frame:
/// what dead temporaries refer to is garbage, and programs wait for it to go.
unsafe fn live_registers_end(vm: &Vm) -> *mut Value {
    // SAFETY: VM3, I1: operands lie in the frame.
    unsafe {
        let all = frame_top(vm.base);
        if vm.pc.is_null() {
            return all;
        }
        let i = Instruction::from_bits(*vm.pc);
        let a = usize::from(i.register_a());
        let n = match i.opcode() {
            Some(OpCode::Call) => a + 2 + usize::from(i.b()),
            Some(OpCode::ForLoop) => a + 4,
            Some(OpCode::JumpBack) => usize::from(i.a()),
            _ => return all,
        };
        vm.base.add(n).min(all)
    }
}

/// A full collection; finalizers run afterwards.
pub(crate) unsafe fn full_collect(vm: &mut Vm) {
    // SAFETY: at a safe point or in a native with everything on the stack.
    unsafe {
        sync_current(vm);
        let roots: *const Vm = vm;
        (*std::ptr::addr_of_mut!(vm.heap)).collect_full(&*roots);
    }
}

/// Memory ran short at this safe point: collects everything and raises if that
/// does not help. With `finalize`, finalizers may be called.
#[cold]
pub(crate) unsafe fn relieve(vm: &mut Vm, finalize: bool) -> Result<(), Raised> {
    // SAFETY: at a safe point.
    unsafe {
        sync_current(vm);
        let roots: *const Vm = vm;
        (*std::ptr::addr_of_mut!(vm.heap)).collect_emergency(&*roots);
        vm.shrink_stack();
        if vm.heap.is_relieved() {
            return Ok(());
        }
        if finalize && !vm.in_finalizer && vm.heap.has_pending_finalizers() {
            // What waits for its finalizer is garbage after that.
            run_finalizers(vm, usize::MAX);
            sync_current(vm);
            let roots: *const Vm = vm;
            (*std::ptr::addr_of_mut!(vm.heap)).collect_emergency(&*roots);
            if vm.heap.is_relieved() {
                return Ok(());
            }
        }
        Err(vm.raise_memory())
    }
}

/// Room for `bytes` more, by a collection if need be: what a native does before
/// it makes something large, with everything it needs on the stack.
pub(crate) unsafe fn make_room(vm: &mut Vm, bytes: usize) -> Result<(), Raised> {
    // SAFETY: as `collect_for`.
    unsafe {
        if vm.heap.permit(bytes).is_err()
            && !(collect_for(vm, vm.top) && vm.heap.permit(bytes).is_ok())
        {
            return Err(vm.raise_memory());
        }
        Ok(())
    }
}

/// An allocation of what runs now was refused: collects. False if there is no
/// sense in trying again.
///
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
        let roots: *const Vm = vm;
        let collected = (*std::ptr::addr_of_mut!(vm.heap)).collect_emergency(&*roots);
        vm.heap.is_relieved();
        collected
    }
}

struct Shared {
    vm: RefCell<Option<Box<Vm>>>,
    pointer: *mut Vm,
}

/// One VM, owned by the host. Clones share it; it stays on its thread.
#[derive(Clone)]
pub struct Machine(Rc<Shared>);

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Machine").field(&self.0.pointer).finish()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// A VM with empty globals and no libraries.
    pub fn new() -> Machine {
        let mut vm = Vm::new();
        let pointer: *mut Vm = &raw mut *vm;
        let machine = Machine(Rc::new(Shared {
            vm: RefCell::new(Some(vm)),
            pointer,
        }));
        // SAFETY: the box does not move.
        unsafe { (*pointer).machine = Rc::downgrade(&machine.0) as Weak<dyn std::any::Any> };
        machine
    }

    pub(crate) fn of(vm: &Vm) -> Option<Machine> {
        let any: Rc<dyn std::any::Any> = vm.machine.upgrade()?;
        any.downcast::<Shared>().ok().map(Machine)
    }

    /// Runs `f` with a context whose stack is empty. Inside a native function
    /// it sits above the running native. What `f` leaves pushed is dropped.
    pub fn with<R>(&self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        // SAFETY: the VM lives as long as the machine; re-entrance is by design:
        // a context only keeps the raw pointer.
        unsafe {
            let vm = self.0.pointer;
            let top = (*vm).index_of((*vm).top);
            let mut cx = Context::of_frame(&mut *vm, top, 0);
            let result = f(&mut cx);
            (*vm).top = (*vm).stack_base.add(top);
            result
        }
    }

    /// A handle other threads use to stop what Lua does.
    pub fn interrupter(&self) -> Interrupter {
        // SAFETY: as `with`.
        unsafe {
            let vm = &*self.0.pointer;
            Interrupter {
                flag: Arc::clone(&vm.limits.interrupted),
                poll: Arc::clone(&vm.poll),
            }
        }
    }

    /// Commits queued patches and does due collector work. For hosts that run
    /// no Lua for a while.
    pub fn poll(&self) {
        // SAFETY: the host's frame is on top: nothing runs.
        unsafe {
            let vm = &mut *self.0.pointer;
            crate::hotpatch::mailbox::drain(vm, true);
            crate::interp::collect_if_due(vm);
        }
    }

    /// Times of the collector's steps since the start or the last reset.
    pub fn gc_stats(&self) -> crate::gc_stats::GcStats {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).gc_stats.clone() }
    }

    /// Begins to count the collector's steps anew.
    pub fn reset_gc_stats(&self) {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).gc_stats.reset() };
    }

    /// Takes the times of the collector's steps from `clock` (CPU time, say)
    /// in place of the time that passes; begins to count anew.
    pub fn set_gc_clock(&self, clock: crate::gc_stats::GcClock) {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).gc_stats = crate::gc_stats::GcStats::new(clock) };
    }

    /// For tests of the VM itself. `collect`: a full collection at every safe
    /// point; `step`: a small step of one; freed memory is spoilt. `stack`: the
    /// stack moves whenever it may. `verify_every`: safe points between checks
    /// of the heap, which panic.
    #[doc(hidden)]
    pub fn set_stress(&self, collect: bool, step: bool, stack: bool, verify_every: u32) {
        // SAFETY: as `with`.
        unsafe {
            let vm = &mut *self.0.pointer;
            vm.heap.stress = collect;
            vm.heap.stress_step = step;
            vm.heap.poison = collect || step;
            vm.stress = crate::vm::Stress {
                move_stack: stack,
                verify_every,
                until_verify: 1,
            };
            vm.poll.request();
        }
    }

    /// For tests: lets the `n`-th allocation of the VM from now on fail (0: none).
    #[doc(hidden)]
    pub fn set_failing_allocation(&self, n: u64) {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).heap.fail_nth(n) };
    }

    /// For tests: whether the allocation that is to fail is still to come.
    #[doc(hidden)]
    pub fn is_failure_pending(&self) -> bool {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).heap.is_failing() }
    }

    /// For tests: checks the whole heap; panics if it finds something wrong.
    #[doc(hidden)]
    pub fn verify_heap(&self) {
        // SAFETY: the host's frame is on top: nothing runs.
        unsafe {
            let vm = &mut *self.0.pointer;
            sync_current(vm);
            vm.heap.verify();
        }
    }

    /// Bytes the VM has taken from the system: what the memory limit limits.
    pub fn system_memory(&self) -> usize {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).heap.system_bytes() }
    }

    /// A handle other threads use to submit patches.
    pub fn patcher(&self) -> crate::hotpatch::Patcher {
        // SAFETY: as `with`.
        unsafe {
            let vm = &*self.0.pointer;
            crate::hotpatch::Patcher::new(Arc::clone(&vm.hot.mailbox), Arc::clone(&vm.poll))
        }
    }

    /// Calls `hook` at every safe point from now on (`None`: no more). A hook
    /// that runs Lua code or applies patches does so as at any safe point.
    #[allow(clippy::type_complexity)]
    pub fn set_safe_point_hook(&self, hook: Option<Box<dyn FnMut(&mut Context<'_>)>>) {
        // SAFETY: as `with`.
        unsafe {
            let vm = &mut *self.0.pointer;
            vm.safe_point_hook = hook;
            if vm.safe_point_hook.is_some() {
                vm.poll.request();
            }
        }
    }

    /// Ends each run of Lua at `deadline` with an error that cannot be caught;
    /// `None` lifts it.
    pub fn set_deadline(&self, deadline: Option<std::time::Instant>) {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).limits.deadline = deadline };
    }

    /// Limits what the VM takes from the system to `bytes`; `None` lifts it. Beyond
    /// it Lua code gets the error "not enough memory", which it can catch.
    pub fn set_memory_limit(&self, bytes: Option<usize>) {
        // SAFETY: as `with`.
        unsafe { (*self.0.pointer).heap.set_memory_limit(bytes) };
    }

    /// Calls all finalizers, as closing a state does; those of objects made
    /// meanwhile are not called. Inside one of them (`os.exit` with its second
    /// argument) the others are called, none twice. The VM stays usable.
    pub fn close(&self) {
        // SAFETY: as `poll`.
        unsafe {
            let vm = &mut *self.0.pointer;
            if vm.is_closing {
                run_closing(vm);
                return;
            }
            vm.is_closing = true;
            let pending = vm.heap.take_all_finalizers();
            // They live on the stack while their finalizers run.
            let saved = vm.index_of(vm.top);
            if vm.ensure_stack(vm.top, pending.len() + 16).is_err() {
                return;
            }
            for &object in &pending {
                store(vm.top, object);
                vm.top = vm.top.add(1);
            }
            vm.closing = pending.into();
            run_closing(vm);
            vm.top = vm.stack_base.add(saved);
        }
    }
}

/// Calls the finalizers of a VM that is being closed.
unsafe fn run_closing(vm: &mut Vm) {
    // SAFETY: HO1; the objects are on the stack of `Machine::close`.
    unsafe {
        while let Some(object) = vm.closing.pop_front() {
            finalize(vm, object);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(vm) = self.vm.get_mut().take() {
            vm.hot.mailbox.close();
            drop(vm);
        }
    }
}

/// Stops Lua from another thread with an error that cannot be caught.
#[derive(Clone, Debug)]
pub struct Interrupter {
    flag: Arc<std::sync::atomic::AtomicBool>,
    poll: Arc<crate::safepoint::PollHandle>,
}

impl Interrupter {
    /// Raises "interrupted!" at the next safe point.
    pub fn interrupt(&self) {
        self.flag.store(true, Ordering::Release);
        self.poll.request();
    }
}

/// A value the host keeps alive. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Root(Rc<RootEntry>);

#[derive(Debug)]
struct RootEntry {
    index: u32,
    machine: std::rc::Weak<dyn std::any::Any>,
    vm: *mut Vm,
}

impl Root {
    pub(crate) fn new(vm: &mut Vm, value: Value) -> Root {
        let index = match vm.free_roots.pop() {
            Some(index) => {
                vm.roots[index as usize] = (value, 1);
                index
            }
            None => {
                vm.roots.push((value, 1));
                (vm.roots.len() - 1) as u32
            }
        };
        // A root made while marking may be reachable from nowhere else.
        let roots = vm.registry;
        // SAFETY: live registry; the barrier only marks.
        unsafe { vm.heap.barrier(roots.cast(), value) };
        Root(Rc::new(RootEntry {
            index,
            machine: vm.machine.clone(),
            vm,
        }))
    }

    pub(crate) fn value(&self, vm: &Vm) -> Option<Value> {
        if !std::ptr::eq(self.0.vm, vm) {
            return None;
        }
        vm.roots.get(self.0.index as usize).map(|e| e.0)
    }
}

impl Drop for RootEntry {
    fn drop(&mut self) {
        if self.machine.upgrade().is_some() {
            // SAFETY: the machine lives, so does its VM.
            unsafe {
                let vm = &mut *self.vm;
                vm.roots[self.index as usize] = (Value::NIL, 0);
                vm.free_roots.push(self.index);
            }
        }
    }
}
