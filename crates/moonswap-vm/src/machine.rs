//! What the host holds: the VM itself, its values, the handle to stop it.
//!
//! The host may come into a VM from anywhere: a `Machine` is a value that
//! closures, globals and destructors can keep. A VM has one *entry*, and behind
//! it lies the pointer by which the VM may be reached just now. Who comes in
//! takes the pointer along, so that nobody else comes in; a native that calls
//! the host's code puts its own there for the time being
//! ([`Context::suspended`]), which it can only do while nothing is borrowed
//! from its context.
//!
//! Invariants: M1 a VM is reached from outside by the pointer behind its entry
//! only, and that pointer is taken away for the time; M2 what is put there is
//! derived from the pointer that was taken; M3 a VM that was left in the middle
//! of something (a panic of the host passed through Lua code) is never entered
//! again; M4 what a root holds stays alive and at its address as long as the root
//! and the VM do, and the bytes of a string are never written to again.

use std::any::Any;
use std::ptr::NonNull;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::context::Context;
use crate::entry::{Entry, Released};
use crate::host;
use crate::hotpatch::request::mailbox::Mailbox;
use crate::hotpatch::{AtSafePoint, Patcher};
use crate::limits::{self, Interrupter};
use crate::object::{Coroutine, StringObject};
use crate::root::Root;
use crate::safepoint::PollHandle;
use crate::stress::Stress;
use crate::value::{store, tag};
use crate::vm::Vm;

struct Shared {
    /// The VM, owned; from `Box::into_raw`.
    vm: NonNull<Vm>,
    entry: Rc<Entry<Vm>>,
    /// Tells whose a root is.
    released: Rc<Released>,
    interrupter: Interrupter,
    poll: Arc<PollHandle>,
    mailbox: Arc<Mailbox>,
}

/// One VM, owned by the host. Clones share it; it stays on its thread.
///
/// Only one at a time can be inside: methods that enter the VM panic when
/// called while a [`Context`] of it is in use (from a native function that was
/// not [`suspended`](Context::suspended), from a closure given to
/// [`with`](Machine::with), from the destructor of a value that Lua owns).
#[derive(Clone)]
pub struct Machine(Rc<Shared>);

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Machine").field(&self.0.vm).finish()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// Somebody inside the VM; leaving pays for what was allocated (collector,
/// finalizers) and puts the pointer back behind the entry.
struct Visit<'m> {
    entry: &'m Entry<Vm>,
    vm: NonNull<Vm>,
    /// How the VM must be left: running coroutine, slot of the topmost frame
    /// and of the top, host activations.
    current: *mut Coroutine,
    base: usize,
    top: usize,
    depth: u32,
}

impl Visit<'_> {
    fn vm(&mut self) -> &mut Vm {
        // SAFETY: M1.
        unsafe { self.vm.as_mut() }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let (current, base, depth) = (self.current, self.base, self.depth);
        let top = self.top;
        let vm = self.vm();
        if !std::ptr::eq(vm.current, current)
            || vm.index_of(vm.base) != base
            || vm.host_depth != depth
        {
            self.entry.is_broken.set(true);
            return;
        }
        // SAFETY: VM1; `top` was the top of this stack.
        vm.top = unsafe { vm.stack_base.add(top) };
        // While a panic is on its way, others pay.
        if !std::thread::panicking() {
            // SAFETY: all that is in use is below the top.
            unsafe { crate::interp::settle(vm) };
        }
        self.entry.way.set(Some(self.vm));
    }
}

impl Machine {
    /// A VM with empty globals and no libraries.
    pub fn new() -> Machine {
        let vm = Vm::new(crate::interp::dispatch_table());
        let entry = Rc::clone(&vm.entry);
        let released = Rc::clone(&vm.released);
        let interrupter = limits::interrupter(&vm);
        let poll = Arc::clone(&vm.poll);
        let mailbox = Arc::clone(&vm.hot.mailbox);
        let vm = NonNull::from(Box::leak(vm));
        entry.way.set(Some(vm));
        let machine = Machine(Rc::new(Shared {
            vm,
            entry,
            released,
            interrupter,
            poll,
            mailbox,
        }));
        let mut visit = machine.enter();
        visit.vm().machine = Rc::downgrade(&machine.0) as Weak<dyn Any>;
        if let Some(stress) = Stress::of_environment() {
            visit.vm().set_stress(stress);
        }
        drop(visit);
        machine
    }

    pub(crate) fn of(vm: &Vm) -> Option<Machine> {
        let any: Rc<dyn Any> = vm.machine.upgrade()?;
        any.downcast::<Shared>().ok().map(Machine)
    }

    /// Takes the pointer from behind the entry.
    fn enter(&self) -> Visit<'_> {
        let entry = &*self.0.entry;
        let Some(mut pointer) = entry.way.take() else {
            if entry.is_broken.get() {
                panic!("a panic left the Lua VM in the middle of something");
            }
            panic!(
                "the Lua VM is in use: a native function lets the host in with Context::suspended"
            );
        };
        // SAFETY: M1.
        let vm = unsafe { pointer.as_mut() };
        Visit {
            entry,
            current: vm.current,
            base: vm.index_of(vm.base),
            top: vm.index_of(vm.top),
            depth: vm.host_depth,
            vm: pointer,
        }
    }

    /// Whether the VM can be entered now; if not, the methods that enter it
    /// panic.
    pub fn is_free(&self) -> bool {
        self.0.entry.way.get().is_some()
    }

    /// Runs `f` with a context whose stack is empty. Inside a native function
    /// that is [`suspended`](Context::suspended) it sits above the native. What
    /// `f` leaves pushed is dropped. Afterwards the collector works off what was
    /// allocated, and finalizers may be called.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn with<R>(&self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let mut visit = self.enter();
        let top = visit.top;
        f(&mut Context::of_frame(visit.vm(), top))
    }

    /// The bytes of the string that a root of this VM holds; `None` if it holds
    /// something else. Does not enter the VM: that may be in use.
    ///
    /// ```
    /// let machine = moonswap_vm::Machine::new();
    /// let root = machine.with(|cx| {
    ///     cx.push_bytes(b"text");
    ///     cx.root_top()
    /// });
    /// assert_eq!(machine.string_bytes(&root), Some(&b"text"[..]));
    /// ```
    pub fn string_bytes<'a>(&'a self, root: &'a Root) -> Option<&'a [u8]> {
        let value = root.held();
        if value.tag != tag::STRING || !Rc::ptr_eq(&root.released(), &self.0.released) {
            return None;
        }
        // SAFETY: M4: both are borrowed for as long as the bytes are.
        Some(unsafe { StringObject::bytes(value.as_string()) })
    }

    /// A handle other threads use to stop what Lua does.
    pub fn interrupter(&self) -> Interrupter {
        self.0.interrupter.clone()
    }

    /// A handle other threads use to submit patches.
    pub fn patcher(&self) -> Patcher {
        Patcher::new(Arc::clone(&self.0.mailbox), Arc::clone(&self.0.poll))
    }

    /// Commits queued patches and does due collector work. For hosts that run
    /// no Lua for a while.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn poll(&self) {
        let mut visit = self.enter();
        // SAFETY: the host's frame is on top: nothing runs (HP2).
        unsafe {
            let vm = AtSafePoint::new(visit.vm());
            crate::hotpatch::request::mailbox::drain(vm, true);
            crate::interp::collect_if_due(vm);
        }
    }

    /// Times of the collector's steps since the start or the last reset.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn gc_stats(&self) -> crate::gc_stats::GcStats {
        self.enter().vm().gc_stats.clone()
    }

    /// Begins to count the collector's steps anew.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn reset_gc_stats(&self) {
        self.enter().vm().gc_stats.reset();
    }

    /// Takes the times of the collector's steps from `clock` (CPU time, say)
    /// in place of the time that passes; begins to count anew.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn set_gc_clock(&self, clock: crate::gc_stats::GcClock) {
        self.enter().vm().gc_stats = crate::gc_stats::GcStats::new(clock);
    }

    /// For tests of the VM itself: see [`Stress`].
    #[doc(hidden)]
    pub fn set_stress(&self, stress: Stress) -> Stress {
        self.enter().vm().set_stress(stress)
    }

    /// For tests: lets the `n`-th allocation of the VM from now on fail (0: none).
    #[doc(hidden)]
    pub fn set_failing_allocation(&self, n: u64) {
        self.enter().vm().heap.fail_nth(n);
    }

    /// For tests: whether the allocation that is to fail is still to come.
    #[doc(hidden)]
    pub fn is_failure_pending(&self) -> bool {
        self.enter().vm().heap.is_failing()
    }

    /// For tests: checks the whole heap; panics if it finds something wrong.
    #[doc(hidden)]
    pub fn verify_heap(&self) {
        let mut visit = self.enter();
        let vm = visit.vm();
        // SAFETY: the host's frame is on top: nothing runs.
        unsafe { crate::host::sync_current(vm) };
        vm.heap.verify();
    }

    /// For tests: how many versions of functions there are, reachable or not
    /// collected yet.
    #[doc(hidden)]
    pub fn live_versions(&self) -> usize {
        let mut visit = self.enter();
        visit.vm().heap.boxed_of(crate::object::Kind::Version).len()
    }

    /// Bytes the VM has taken from the system: what the memory limit limits.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn system_memory(&self) -> usize {
        self.enter().vm().heap.system_bytes()
    }

    /// Calls `hook` at every safe point from now on (`None`: no more). A hook
    /// that runs Lua code or applies patches does so as at any safe point.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    #[allow(clippy::type_complexity)]
    pub fn set_safe_point_hook(&self, hook: Option<Box<dyn FnMut(&mut Context<'_>)>>) {
        let mut visit = self.enter();
        let vm = visit.vm();
        vm.safe_point_hook = hook;
        if vm.safe_point_hook.is_some() {
            vm.poll.request();
        }
    }

    /// From `deadline` on Lua does not run: what runs then is ended with an
    /// error that cannot be caught, within milliseconds and without the caller's
    /// doing anything, and later calls end at once, until another deadline is
    /// set. `None` lifts it. Natives that wait for the system are not woken.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn set_deadline(&self, deadline: Option<std::time::Instant>) {
        limits::set_deadline(self.enter().vm(), deadline);
    }

    /// Lets Lua run for `units` more: one per call and per iteration of a loop, and
    /// one per 16 elements or bytes that a library function handles. Then it
    /// is ended as by a deadline, until it gets more. `None` lifts it. Code that
    /// counts is a little slower. The same program takes the same amount.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn set_fuel(&self, units: Option<u64>) {
        limits::set_fuel(self.enter().vm(), units);
    }

    /// What is left of the fuel; `None` if it is not limited.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn fuel(&self) -> Option<u64> {
        limits::fuel(self.enter().vm())
    }

    /// Limits what the VM takes from the system to `bytes`; `None` lifts it. Beyond
    /// it Lua code gets the error "not enough memory", which it can catch.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn set_memory_limit(&self, bytes: Option<usize>) {
        self.enter().vm().heap.set_memory_limit(bytes);
    }

    /// Calls all finalizers, as closing a state does; those of objects made
    /// meanwhile are not called. Inside one of them (`os.exit` with its second
    /// argument) the others are called, none twice. The VM stays usable.
    ///
    /// # Panics
    /// If the VM is in use (see [`Machine`]).
    pub fn close(&self) {
        let mut visit = self.enter();
        let vm = visit.vm();
        // SAFETY: as `poll`; HO1.
        unsafe {
            if vm.is_closing {
                host::run_closing(vm);
                return;
            }
            vm.is_closing = true;
            let pending = vm.heap.take_all_finalizers();
            // They live on the stack while their finalizers run.
            if vm.ensure_top(pending.len() + 16).is_err() {
                return;
            }
            for &object in &pending {
                store(vm.top, object);
                vm.top = vm.top.add(1);
            }
            vm.closing = pending.into();
            host::run_closing(vm);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.mailbox.close();
        // SAFETY: from `Box::into_raw`, dropped once. Nobody is inside: who is
        // holds a machine.
        let mut vm = unsafe { Box::from_raw(self.vm.as_ptr()) };
        limits::forget(&mut vm);
        crate::hotpatch::schedule::waiting::forget(&mut vm);
        crate::hotpatch::after::watchdog::forget(&mut vm);
    }
}
