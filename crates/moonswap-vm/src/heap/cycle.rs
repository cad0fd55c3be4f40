//! The collector's cycle: when to step, how much, and the atomic step.
//!
//! Pause -> Mark (steps of bounded work, roots rescanned in steps of their own
//! until a rescan finds little) -> atomic -> Sweep (mostly by the allocator)
//! -> Pause. Steps are taken at safe points only, where all roots are visible.
//!
//! Invariants: H1–H4 of `mod.rs`; B3: everything is swept before marking.

use super::mode::{FLOOR, Forced, Roots};
use super::timer::Timer;
use super::{Heap, NO_BLACK, Phase};
use crate::gc_stats::GcClock;
use crate::object::Upvalue;
use crate::stress::Stress;
use crate::value;

/// Allocation between steps.
pub(super) const STEP: isize = 64 * 1024;
/// Bytes marked per byte allocated at multiplier 100. Measured: 4 is best of
/// 2, 4, 8 in time and keeps the heap at 2 to 2.2 times the live size.
pub(super) const MARK_PER_BYTE: usize = 4;
/// Most allocation paid by one step (about 0.7 ms of marking); the rest of a
/// burst is paid at the next safe points.
const MAX_PAID: isize = 512 * 1024;
/// Bytes marked by a complete collection between two looks at the limits (about
/// 1 ms).
pub(super) const SLICE: usize = 1 << 20;
/// Live bytes from which on marking goes twice as fast: what the program allocates
/// and stores meanwhile stays for a cycle.
const MIDDLE_HEAP: usize = 1 << 20;
/// Live bytes from which on it also begins so early that it ends when the pause would.
const LARGE_HEAP: usize = 32 << 20;
/// Blocks swept by a step; about 10 µs each.
const SWEEP_BLOCKS: usize = 8;
/// Strings that die cost a block's time: they leave the intern table one by one.
const SWEPT_STRINGS: usize = 64;
/// Live bytes up to which a burst of allocation is paid by several parts of a cycle in
/// one step; in a larger heap they would take too long together.
const BURST_HEAP: usize = 8 << 20;
/// That many parts at most.
const PARTS: usize = 4;
/// Boxed objects looked at (four for one that is dropped) and large parts
/// freed by a step: more than are made between two, so that what is dead never
/// piles up.
pub(super) const SWEEP_BOXED: usize = 4096;
pub(super) const SWEEP_LARGE: usize = 64;
/// Entries of an intern table of another size moved by a step; 10 to 20 µs.
const MOVED_STRINGS: usize = 2048;
/// A rescan that finds less is followed by the atomic step.
const SMALL_RESCAN: usize = 16 * 1024;
/// Rescans at most: a program that keeps producing must not delay the end.
const MAX_RESCANS: u32 = 8;

impl Heap {
    /// A step should be taken at this safe point.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        !self.is_blocked()
            && (self.forced.is_some() || (self.is_past_trigger() && !self.poll.is_step_put_off()))
    }

    #[inline(always)]
    fn is_past_trigger(&self) -> bool {
        self.running && self.charged >= self.trigger
    }

    /// A patch was committed, and what it allocated may have made a step due: the
    /// new code is called first. Who waited for the patch resumes the step, or the
    /// next allocation does; one that patches alone have put off for as long as
    /// between two steps is not put off further.
    pub(crate) fn put_off_step(&mut self) {
        if !self.is_past_trigger() {
            return;
        }
        let first = *self.put_off_at.get_or_insert(self.charged);
        if self.charged - first < STEP {
            self.requested = false;
            self.poll.put_off_step();
        }
    }

    /// For tests: the safe point that is under way collects, unless the program
    /// has stopped the collector.
    pub(crate) fn force(&mut self, what: Forced) {
        if self.running && !self.is_blocked() {
            self.forced = Some(what);
        }
    }

    /// Takes over the modes for tests that concern the heap.
    pub(crate) fn set_stress(&mut self, stress: &Stress) {
        self.poison = *stress != Stress::default();
        self.single_cells = stress.cells;
        self.keep_freed = stress.keep;
        self.forced = None;
    }

    /// Whether operations that allocate should look here ([`Heap::is_due`], or
    /// memory is short).
    #[cfg_attr(moonswap_tail, allow(dead_code))]
    #[inline(always)]
    pub(crate) fn wants_memory_point(&self) -> bool {
        self.limit_exceeded || (self.requested && self.is_due())
    }

    /// A poll found nothing due, because memory was given back since the
    /// request: the next allocation above the trigger asks again.
    pub(crate) fn forget_request(&mut self) {
        if !self.is_blocked() {
            self.requested = false;
        }
    }

    /// One step of a collection. Bounded work, except for the atomic parts.
    ///
    /// # Safety
    /// At a safe point; `roots` covers everything that is in use.
    pub(crate) unsafe fn step(&mut self, roots: &dyn Roots, clock: GcClock) {
        // Code without safe points proper asks again by its next allocation.
        self.requested = false;
        if self.forced.is_none() && self.ends_later(roots) {
            return;
        }
        self.put_off_at = None;
        if self.is_blocked() {
            return;
        }
        let forced = self.forced.take();
        if forced == Some(Forced::Step) {
            // SAFETY: by the caller.
            unsafe { self.advance(roots, 256, &Timer::NEVER) };
            self.charged_at_step = self.charged;
            return;
        }
        if forced.is_some() {
            // SAFETY: by the caller.
            unsafe { self.collect_full(roots) };
            return;
        }
        if !self.running || self.charged < self.trigger {
            return;
        }
        // What a step does in a small heap takes a known time, and counts of instructions
        // are to be the same in every run.
        let timer = match self.live >= LARGE_HEAP {
            true => Timer::start(clock),
            false => Timer::NEVER,
        };
        self.strings.move_some(MOVED_STRINGS);
        let since = self.charged - self.charged_at_step;
        let haste = self.haste();
        // What goes faster is done in more steps, not in longer ones.
        let between = STEP / haste as isize;
        let paid = since.clamp(between, MAX_PAID / haste as isize);
        let mut work = (paid as usize * MARK_PER_BYTE * haste / 100)
            .saturating_mul(self.step_multiplier.max(1));
        // Pace: a heap that has doubled since the cycle began must not outrun it.
        if self.phase == Phase::Mark && self.charged > 2 * (self.live as isize).max(FLOOR) {
            work *= 2;
        }
        if self.phase == Phase::Sweep && self.charged < self.pause_trigger() {
            // Blocks are swept by the allocator, which is about to write
            // there anyway; what is left when the next cycle is due, by steps.
            self.charged_at_step = self.charged;
            self.owe_finalizers(paid);
            let share = (paid / STEP).max(1) as usize;
            let boxed = self.sweep_boxed(SWEEP_BOXED * share);
            let large = self.sweep_large(SWEEP_LARGE * share);
            self.trigger = if boxed && large && !self.has_pending_finalizers() {
                self.pause_trigger()
            } else {
                self.charged + STEP
            };
            return;
        }
        if self.has_pending_finalizers() {
            self.owe_finalizers(paid);
        }
        let phase = self.phase;
        // SAFETY: by the caller.
        let left = unsafe {
            let mut left = self.advance(roots, work, &timer);
            // A small heap is marked in the step that begins the cycle: one large
            // allocation then does not delay the mark, which takes well under
            // a millisecond, past what the program does next.
            let is_small = self.live <= MAX_PAID as usize;
            if phase == Phase::Pause && is_small {
                left = self.advance(roots, MAX_PAID as usize * MARK_PER_BYTE, &timer);
            }
            // Few large allocations give few steps.
            if since > MAX_PAID && self.live <= BURST_HEAP {
                self.advance_for_burst(roots, work, &timer);
            }
            left
        };
        // Only marking leaves something to be paid later.
        let unpaid = if phase == Phase::Mark && self.phase == Phase::Mark {
            let unmarked = left as u128 * paid as u128 / work.max(1) as u128;
            (since - paid).max(0) + unmarked as isize
        } else {
            0
        };
        self.charged_at_step = self.charged - unpaid;
        if self.phase != Phase::Pause {
            self.trigger = if unpaid > between || self.ending_since.is_some() {
                self.charged
            } else {
                self.charged + between
            };
            self.charge(0);
        }
    }

    /// Several parts of a cycle, of which one marks.
    ///
    /// # Safety
    /// As [`Heap::step`]: the roots are complete.
    unsafe fn advance_for_burst(&mut self, roots: &dyn Roots, work: usize, timer: &Timer) {
        let mut has_marked = false;
        for _ in 0..PARTS {
            if self.phase == Phase::Mark && !self.marker.is_drained() {
                if has_marked {
                    return;
                }
                has_marked = true;
            }
            // SAFETY: by the caller of `step`.
            unsafe { self.advance(roots, work, timer) };
            if self.phase == Phase::Pause || timer.is_up() {
                return;
            }
        }
    }

    /// Does up to `work` bytes of work in the present phase. Bytes that were to be
    /// marked and are not, because the time was up. The end of a phase ends the work.
    ///
    /// # Safety
    /// As [`Heap::step`]: the roots are complete.
    pub(super) unsafe fn advance(
        &mut self,
        roots: &dyn Roots,
        work: usize,
        timer: &Timer,
    ) -> usize {
        // SAFETY: by the caller of `step`.
        unsafe {
            match self.phase {
                Phase::Pause => self.begin_cycle(roots),
                Phase::Mark => {
                    let left = self.marker.drain_until(work, timer);
                    if !self.marker.is_drained() {
                        return left;
                    }
                    self.finish_marking(roots);
                }
                Phase::Sweep => self.sweep_some(work, timer),
            }
        }
        0
    }

    /// Sweeps about `work` bytes' worth.
    pub(super) fn sweep_some(&mut self, work: usize, timer: &Timer) {
        let boxed = self.sweep_boxed(SWEEP_BOXED);
        let large = self.sweep_large(SWEEP_LARGE);
        // A block costs about as much as marking half its size.
        let mut left = (work / 32768).clamp(1, SWEEP_BLOCKS) as isize;
        while left > 0 {
            let strings = self.strings.len();
            if self.sweep_one() == 0 {
                if boxed && large {
                    self.end_cycle();
                }
                return;
            }
            left -= 1 + ((strings - self.strings.len()) / SWEPT_STRINGS) as isize;
            if timer.is_up() {
                return;
            }
        }
    }

    pub(super) fn end_cycle(&mut self) {
        self.phase = Phase::Pause;
        self.trim_unused();
        self.strings.shrink();
        self.marker.end();
        self.trigger = self.pause_trigger();
    }

    /// How many times as fast as usual marking goes.
    fn haste(&self) -> usize {
        1 + usize::from(self.live >= MIDDLE_HEAP)
    }

    /// Allocation after which the next cycle begins. What is about to be finalised
    /// is as good as free: if it counted, more and more would wait for the next.
    pub(super) fn pause_trigger(&self) -> isize {
        let live = self.live.saturating_sub(self.doomed);
        let mut pause = (live / 100).saturating_mul(self.pause.saturating_sub(100));
        if self.live >= LARGE_HEAP {
            // What is allocated while all of it is marked.
            let per_byte = MARK_PER_BYTE * self.haste() * self.step_multiplier.max(1);
            pause = pause.saturating_sub((live / per_byte).saturating_mul(100));
        }
        let pause = (pause.min(isize::MAX as usize) as isize).max(FLOOR);
        match self.budget.limit() {
            Some(limit) => pause.min(limit.saturating_sub(self.live).max(STEP as usize) as isize),
            None => pause,
        }
    }

    /// # Safety
    /// As [`Heap::step`]: the roots are complete.
    pub(super) unsafe fn begin_cycle(&mut self, roots: &dyn Roots) {
        debug_assert!(self.phase == Phase::Pause);
        self.phase = Phase::Mark;
        self.marker.begin();
        self.black = self.marker.epoch;
        self.n_rescans = 0;
        // The allocation of the pause is not to be paid by marking.
        self.charged_at_step = self.charged;
        self.forget_resumed();
        // SAFETY: by the caller of `step`; permanent strings are allocated.
        unsafe {
            for i in 0..256 {
                self.marker.mark_object(self.single[i].cast());
            }
            for i in 0..self.event_names.len() {
                self.marker.mark_object(self.event_names[i].cast());
            }
            self.marker.mark_object(self.memory_message.cast());
            self.mark_pending();
            roots.mark(&mut self.marker);
            // What runs now goes on after having been marked.
            let mut co = roots.running();
            while !co.is_null() {
                self.marker.mark_object(co.cast());
                self.note_resumed(co);
                co = (*co).resumer;
            }
        }
    }

    /// Empties the list of coroutines to look at again. Nothing was swept since
    /// they came on it.
    fn forget_resumed(&mut self) {
        for co in self.ran_since_marking.drain(..) {
            // SAFETY: not freed yet.
            unsafe { (*co).header.flags = 0 };
        }
    }

    /// Looks at everything again that changes without barriers.
    ///
    /// # Safety
    /// As [`Heap::step`]: the roots are complete.
    unsafe fn rescan(&mut self, roots: &dyn Roots) {
        // SAFETY: by the caller of `step`.
        unsafe {
            roots.mark(&mut self.marker);
            let mut co = roots.running();
            while !co.is_null() {
                if (*co).header.mark == self.marker.epoch {
                    self.marker.scan_stack(co);
                } else {
                    self.marker.mark_object(co.cast());
                }
                co = (*co).resumer;
            }
            for i in 0..self.ran_since_marking.len() {
                let co = self.ran_since_marking[i];
                if (*co).header.mark == self.marker.epoch {
                    self.marker.scan_stack(co);
                }
            }
        }
    }

    /// The gray stack is empty: rescan as a step of its own, or end.
    ///
    /// # Safety
    /// As [`Heap::step`]: the roots are complete.
    unsafe fn finish_marking(&mut self, roots: &dyn Roots) {
        // SAFETY: by the caller of `step`.
        unsafe {
            let before = self.marker.live;
            self.rescan(roots);
            self.marker.drain(SMALL_RESCAN);
            self.n_rescans += 1;
            let small =
                self.marker.is_drained() && self.marker.live.saturating_sub(before) < SMALL_RESCAN;
            if small || self.n_rescans > MAX_RESCANS {
                // What a few large allocations owe is done at once.
                let is_little = self.charged - self.charged_at_step < STEP + STEP / 16;
                if !roots.are_exact() && is_little && self.ending_since.is_none() {
                    self.ending_since = Some(self.charged);
                    return;
                }
                self.atomic(roots);
            }
        }
    }

    /// Marking could end, but not with these roots: objects that only dead temporaries
    /// refer to would never be finalised in a loop that always comes here. The next
    /// safe point at which registers are exact ends it, or this one after some more
    /// allocation.
    fn ends_later(&self, roots: &dyn Roots) -> bool {
        let is_early = |since| self.charged - since < STEP;
        !roots.are_exact() && self.ending_since.is_some_and(is_early)
    }

    /// End of marking, in one piece.
    ///
    /// # Safety
    /// As [`Heap::step`]: the roots are complete.
    pub(super) unsafe fn atomic(&mut self, roots: &dyn Roots) {
        // SAFETY: by the caller of `step`; nothing allocated is freed before
        // the phase changes.
        unsafe {
            self.marker.atomic = true;
            self.rescan(roots);
            self.marker.drain(usize::MAX);
            self.mark_open_upvalues(0);
            self.marker.converge();
            self.marker.clear_values(0);
            let n_weak = self.marker.weak.len();
            let n_open = self.marker.open_upvalues.len();
            let reached = self.marker.live;
            self.separate_finalizers();
            self.mark_pending();
            self.marker.drain(usize::MAX);
            self.mark_open_upvalues(n_open);
            self.marker.converge();
            self.doomed = self.marker.live - reached;
            self.marker.clear_keys();
            self.marker.clear_values(n_weak.min(self.marker.weak.len()));
            self.close_orphans();
            self.marker.forget_extra_upvalues();
            let epoch = self.marker.epoch;
            roots.forget_dead(&|h| (*h).mark == epoch);
            self.black = NO_BLACK;
            self.forget_resumed();
            self.live = self.marker.live;
            self.charged = 0;
            self.charged_at_step = 0;
            self.put_off_at = None;
            self.ending_since = None;
            self.phase = Phase::Sweep;
            self.large_sweep = self.large.len();
            self.boxed_sweep = self.boxed.len();
            self.begin_block_sweep();
            self.trigger = STEP;
        }
    }

    /// A variable may be reachable although the coroutine on whose stack it
    /// lives is not.
    ///
    /// # Safety
    /// Marking: the coroutines in the list are allocated.
    unsafe fn mark_open_upvalues(&mut self, start: usize) {
        // SAFETY: stacks are freed by the sweep only.
        unsafe {
            let mut i = start;
            while i < self.marker.open_upvalues.len() {
                let u = self.marker.open_upvalues[i];
                i += 1;
                self.marker.mark_value(*(*u).value);
                self.marker.drain(usize::MAX);
            }
        }
    }

    /// Closes reachable variables of unreachable coroutines, whose stacks the
    /// sweep will free.
    ///
    /// # Safety
    /// The end of marking, before anything is swept.
    unsafe fn close_orphans(&mut self) {
        // SAFETY: as above; `extra` = epoch says that the stack survives.
        unsafe {
            for i in 0..self.marker.open_upvalues.len() {
                let u: *mut Upvalue = self.marker.open_upvalues[i];
                if Upvalue::is_open(u) && (*u).header.extra != self.marker.epoch {
                    value::copy(&raw mut (*u).closed, (*u).value);
                    (*u).value = &raw mut (*u).closed;
                    (*u).next_open = std::ptr::null_mut();
                }
            }
        }
    }
}
