//! Limits of time: deadline, fuel, and interrupts from other threads.
//!
//! A limit that is reached *trips*. From then until the outermost call from
//! the host has ended, nothing of the program runs any more: protected calls
//! and message handlers are passed by, `__close` methods and finalizers are not
//! called, every new call into Lua fails at once, and should a native have
//! swallowed the error, the next safe point raises it again. That outermost call
//! fails, and [`Limits::take_ended`] says by which limit.
//!
//! Who looks: the poll (`interp/poll.rs`), entries into Lua from natives and
//! metamethods, and natives that loop ([`charge`]). Deadlines need no one to
//! look at the clock meanwhile: the timer (`timer.rs`) asks for a poll when the
//! time has come. Where there are no threads, and for fuel, the VM is *metered*:
//! safe points count down, by dispatch entries of their own, so code without
//! such limits pays nothing.
//!
//! Not here: the memory limit (`heap`).

mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Raised;
use crate::hotpatch::seam;
use crate::object::Context;
use crate::safepoint::PollHandle;
use crate::timer::{self, Purpose};
use crate::vm::Vm;

pub(crate) use state::Limits;
pub use state::{Ended, Limit};

/// Steps of a library function (elements, bytes) that cost one unit of fuel.
const STEPS_PER_UNIT: usize = 16;

/// Raises if a limit was reached.
pub(crate) fn check(vm: &mut Vm) -> Result<(), Raised> {
    // Whoever swallows the error meets it again.
    if let Some(ended) = &vm.limits.tripped {
        let message = ended.message.clone();
        vm.poll.request();
        return Err(vm.raise_message(message));
    }
    let Some(limit) = vm.limits.reached() else {
        vm.poll.overdue.store(false, Ordering::Release);
        if has_to_break(vm) {
            return Err(vm.raise_break());
        }
        if seam::wants_limit(vm) {
            return seam::on_limit(vm);
        }
        return Ok(());
    };
    vm.limits.interrupted.store(false, Ordering::Release);
    Err(trip(vm, limit, limit.text()))
}

/// A limit is reached: nothing of the program runs any more.
pub(crate) fn trip(vm: &mut Vm, limit: Limit, text: &str) -> Raised {
    let raised = vm.raise_located(text);
    let message = vm.error_text().unwrap_or_else(|| text.as_bytes().to_vec());
    let at = vm.index_of(vm.top);
    vm.limits.tripped = Some(Ended {
        limit,
        message,
        traceback: Context::of_frame(vm, at).traceback(None, None, 0),
    });
    vm.limits.is_counted = false;
    vm.limits.armed = true;
    vm.poll.look.store(true, Ordering::Release);
    vm.poll.request();
    raised
}

/// Whether [`Interrupter::break_in`] waits for what runs. An error in a finalizer
/// is only a warning, so it waits until that has ended, for the program proper.
pub(crate) fn has_to_break(vm: &Vm) -> bool {
    vm.limits.broken_in.load(Ordering::Relaxed) && !vm.in_finalizer
}

/// Whether a long piece of work has to stop, so that [`charge`] can say why.
pub(crate) fn has_to_stop(vm: &Vm) -> bool {
    vm.limits.is_spent() || has_to_break(vm)
}

/// A finalizer has ended: polls within it took a request they did not serve.
pub(crate) fn resume_break(vm: &Vm) {
    if has_to_break(vm) {
        vm.poll.request();
    }
}

/// Whether a call that is about to enter Lua has to [`begin`] and [`enter`] first.
#[inline(always)]
pub(crate) fn is_due(vm: &Vm) -> bool {
    vm.poll.look.load(Ordering::Relaxed)
}

/// A call of the host that is not within another one forgets how the last one ended.
#[cold]
pub(crate) fn begin(vm: &mut Vm) {
    if vm.host_depth == 0 {
        vm.limits.tripped = None;
        vm.limits.ended = None;
        vm.limits.refresh_armed();
    }
}

/// A call from a native or the host is about to enter Lua, and something is due.
#[cold]
#[inline(never)]
pub(crate) fn enter(vm: &mut Vm) -> Result<(), Raised> {
    if vm.host_depth > 0 && vm.limits.has_tripped() {
        return check(vm);
    }
    if vm.limits.metered {
        vm.limits.spend(1);
    }
    let look = vm.host_depth == 0 || vm.poll.requested.load(Ordering::Relaxed);
    if look || vm.limits.overdrawn {
        let result = check(vm);
        if vm.host_depth == 0 && vm.limits.has_tripped() {
            // The call does not even begin.
            end(vm);
        }
        return result;
    }
    Ok(())
}

/// A call from the host has failed; it was the outermost one if `host_depth`
/// is 0 again.
pub(crate) fn leave(vm: &mut Vm) {
    if vm.limits.has_tripped() {
        if vm.host_depth == 0 {
            end(vm);
        } else {
            vm.poll.request();
        }
    }
}

/// The outermost call is over.
fn end(vm: &mut Vm) {
    vm.limits.ended = vm.limits.tripped.take();
    vm.limits.refresh_armed();
    vm.poll.overdue.store(false, Ordering::Release);
}

/// From within long loops of natives: `steps` elements or bytes were handled.
#[inline]
pub(crate) fn charge(vm: &mut Vm, steps: usize) -> Result<(), Raised> {
    let asked = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    let watched = seam::wants_limit(vm);
    if !vm.limits.armed && !asked(&vm.limits.interrupted) && !has_to_break(vm) && !watched {
        return Ok(());
    }
    if vm.limits.metered {
        vm.limits.spend(steps.div_ceil(STEPS_PER_UNIT) as u64);
    }
    let result = check(vm);
    if vm.host_depth == 0 {
        // No call would end by it.
        end(vm);
    }
    result
}

fn refresh(vm: &mut Vm, without_timer: bool) {
    vm.limits.refresh_armed();
    vm.limits.metered = without_timer || vm.limits.fuel.is_some();
    vm.poll.table.set_metered(vm.limits.metered);
    vm.poll.request();
}

pub(crate) fn set_deadline(vm: &mut Vm, deadline: Option<Instant>) {
    let rings = timer::set(&vm.poll, vm.limits.deadline, deadline, Purpose::Deadline);
    // The timer's thread is past the old deadline, or will never come to it.
    vm.poll.overdue.store(false, Ordering::Release);
    vm.limits.deadline = deadline;
    refresh(vm, deadline.is_some() && !rings);
}

/// Sets the deadline of one part of a run, unless there is an earlier one. [`end_part`]
/// is given what it answers.
pub(crate) fn begin_part(vm: &mut Vm, time: Duration) -> Option<Part> {
    let deadline = Instant::now().checked_add(time)?;
    let outer = vm.limits.deadline;
    if vm.limits.is_spent() || outer.is_some_and(|outer| outer <= deadline) {
        return None;
    }
    set_deadline(vm, Some(deadline));
    Some(Part { outer })
}

/// The part is over. True if its deadline ended it: the run itself goes on.
pub(crate) fn end_part(vm: &mut Vm, part: Part) -> bool {
    let is_ours = |ended: &mut Ended| ended.limit == Limit::Deadline;
    let limits = &mut vm.limits;
    let ended = { limits.tripped.take_if(is_ours) }.or_else(|| limits.ended.take_if(is_ours));
    set_deadline(vm, part.outer);
    ended.is_some()
}

/// A part of a run that has a deadline of its own.
pub(crate) struct Part {
    /// The deadline of the whole.
    outer: Option<Instant>,
}

pub(crate) fn set_fuel(vm: &mut Vm, fuel: Option<u64>) {
    let without_timer = vm.limits.metered && vm.limits.fuel.is_none();
    vm.limits.fuel = fuel;
    vm.limits.meter = 0;
    vm.limits.spend(0);
    refresh(vm, without_timer);
}

/// The VM goes away.
pub(crate) fn forget(vm: &mut Vm) {
    timer::set(&vm.poll, vm.limits.deadline.take(), None, Purpose::Deadline);
}

/// What is left of the fuel.
pub(crate) fn fuel(vm: &Vm) -> Option<u64> {
    vm.limits.fuel.map(|rest| rest + vm.limits.meter)
}

pub(crate) fn interrupter(vm: &Vm) -> Interrupter {
    Interrupter {
        flag: Arc::clone(&vm.limits.interrupted),
        broken_in: Arc::clone(&vm.limits.broken_in),
        poll: Arc::clone(&vm.poll),
    }
}

/// Stops Lua from another thread with an error that cannot be caught.
#[derive(Clone)]
pub struct Interrupter {
    flag: Arc<AtomicBool>,
    broken_in: Arc<AtomicBool>,
    poll: Arc<PollHandle>,
}

impl std::fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupter")
    }
}

impl Interrupter {
    /// Ends what runs with "interrupted!" at the next safe point; if nothing
    /// runs, the next call into Lua.
    pub fn interrupt(&self) {
        self.poll.overdue.store(true, Ordering::Release);
        self.flag.store(true, Ordering::Release);
        self.poll.request();
    }

    /// Raises "interrupted!" at the next safe point as an error like any other:
    /// `pcall` catches it and Lua goes on, as after Ctrl-C in the reference's
    /// stand-alone interpreter. A finalizer that runs is not broken off: what it
    /// interrupted is, afterwards.
    pub fn break_in(&self) {
        self.broken_in.store(true, Ordering::Release);
        self.poll.request();
    }
}
