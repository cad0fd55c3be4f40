//! The watchdog: activations of code on probation that take too long.
//!
//! While a patch on probation has a time (`guard.slow`), the timer (`timer.rs`)
//! asks for a scan several times within it, and once more when the time of an
//! activation is over; nothing else does. A scan notes of each such patch the
//! outermost activation of its versions, in the running coroutine and those that
//! resumed it, and marks its link: an activation that is met again with its mark
//! has not returned since. Calls write links anew, so they know nothing of it.
//! Tail calls hand the mark on (a loop of them never returns either): the tag of
//! a marked link sends them the slow way. A coroutine that yields and a host that
//! polls end what was noted.
//!
//! An activation that is too old is *expelled*: an error is raised that nothing
//! can catch which was called by it; below it the error is like any other. Its
//! `<close>` variables are closed. The patch is undone before the error goes on
//! its way (`unwind.rs`). What is still there as long again (a native swallowed
//! the error, a `__close` method hangs as well) is ended as by a limit of time.
//!
//! Natives that loop look when they are charged (`limits.rs`). What is in neither,
//! a native that waits for the system say, is expelled when it comes back.
//!
//! Invariants: F1, F2, VM3; HP3: versions compared with are kept by the history.
//! WD1 a mark is set in links of Lua frames only, and changes neither the return
//! address nor the version.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moonswap_hotpatch::path_name;

use super::probation::{Probation, Quarantined, Seen};
use crate::error::Raised;
use crate::frame::{Frame, Place, mark_seen};
use crate::hotpatch::cause::Cause;
use crate::hotpatch::registry::frames::top_frame;
use crate::limits::{self, Limit};
use crate::object::{Closure, Coroutine, Version};
use crate::timer::{self, Purpose};
use crate::vm::{InFlightError, Vm};

/// Longest time between two scans: an activation may have begun as long ago when
/// it is first seen.
const LONGEST_PERIOD: Duration = Duration::from_millis(50);
/// Shortest one.
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);
/// A scan that took a time is followed by so many such times without one.
const RATIO: u32 = 50;

/// Whether the activation that was expelled still stands there.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn stands(vm: &Vm, place: Place) -> bool {
    let mut found = false;
    // SAFETY: VM3.
    unsafe {
        each_frame(vm, |coroutine, frame| {
            found |= std::ptr::eq(coroutine, place.coroutine)
                && frame.is_seen()
                && Place::of(coroutine, frame) == place;
        });
    }
    found
}

/// Whether a closure runs code of a patch on probation, or of one that was undone.
///
/// # Safety
/// A live closure.
pub(crate) unsafe fn watches(vm: &Vm, closure: *mut Closure) -> bool {
    // SAFETY: a live closure.
    let version = unsafe { Closure::version(closure) };
    let mut watched = vm.hot.guards.active.iter();
    watched.any(|probation| probation.versions.contains(&version))
}

/// The outermost activation of a patch's code that a scan has found.
struct Met {
    coroutine: *mut Coroutine,
    frame: Frame,
    place: Place,
    is_marked: bool,
    /// How many frames stand above it.
    depth: usize,
}

/// Calls `visit` for the Lua frames of the running coroutine and of those that
/// resumed it, from the topmost down.
///
/// # Safety
/// VM3.
unsafe fn each_frame(vm: &Vm, mut visit: impl FnMut(*mut Coroutine, Frame)) {
    // SAFETY: VM3, F1, C2.
    unsafe {
        let mut coroutine = vm.current;
        while !coroutine.is_null() {
            let mut next = top_frame(vm, coroutine);
            while let Some(frame) = next {
                if frame.is_lua() {
                    visit(coroutine, frame);
                }
                next = frame.caller().map(|(below, _)| below);
            }
            coroutine = (*coroutine).resumer;
        }
    }
}

/// What a probation watches for has been asked about: whether the time for a scan
/// has come.
#[inline]
pub(crate) fn is_asked(vm: &Vm) -> bool {
    vm.poll.guard_rings.load(Ordering::Relaxed)
}

/// Scans. The error is that an activation was expelled.
#[cold]
pub(crate) fn scan(vm: &mut Vm) -> Result<(), Raised> {
    let start = Instant::now();
    let dog = &vm.hot.guards.dog;
    if dog.has_no_timer && dog.ring.is_some_and(|at| start < at) {
        vm.poll.request();
        return Ok(());
    }
    vm.poll.guard_rings.store(false, Ordering::Release);
    // SAFETY: VM3 at safe points and in natives.
    let slow = unsafe { note_all(vm, start) };
    set_timer(vm, start.elapsed() * RATIO);
    match slow {
        Some(at) => Err(expel(vm, at)),
        None => Ok(()),
    }
}

/// Notes the activations; the index of the probation that is to blame if one of them has
/// stood for too long.
///
/// # Safety
/// VM3.
unsafe fn note_all(vm: &mut Vm, now: Instant) -> Option<usize> {
    // SAFETY: VM3, F1, F2, HP3.
    unsafe {
        let watched = &vm.hot.guards.active;
        let mut met: Vec<Option<Met>> = Vec::new();
        met.resize_with(watched.len(), || None);
        let mut depth = 0;
        each_frame(vm, |coroutine, frame| {
            let version = frame.version();
            let is_marked = frame.is_seen();
            let place = Place::of(coroutine, frame);
            depth += 1;
            for (probation, met) in watched.iter().zip(&mut met) {
                let is_known =
                    is_marked && probation.seen.as_ref().is_some_and(|s| s.place == place);
                let is_new = || now < probation.until && probation.versions.contains(&version);
                if probation.is_watched(now) && (is_known || is_new()) {
                    *met = Some(Met {
                        coroutine,
                        frame,
                        place,
                        is_marked,
                        depth,
                    });
                }
            }
        });
        let mut is_slow = false;
        // The innermost activation that stands still: those below wait for it.
        let mut innermost: Option<(usize, usize)> = None;
        let main = vm.main;
        for (i, (probation, met)) in vm.hot.guards.active.iter_mut().zip(met).enumerate() {
            let Some(met) = met else {
                probation.seen = None;
                continue;
            };
            match &probation.seen {
                Some(seen) if met.is_marked && seen.place == met.place => {
                    let age = now.saturating_duration_since(seen.since);
                    let slow = probation.slow.unwrap_or(Duration::MAX);
                    is_slow |= age >= slow;
                    // It may have been met one scan later than those below.
                    if age >= slow / 2 && innermost.is_none_or(|(depth, _)| met.depth < depth) {
                        innermost = Some((met.depth, i));
                    }
                }
                Some(_) | None => {
                    probation.seen = Some(Seen {
                        place: met.place,
                        since: now,
                        function: path_name(&Version::id(met.frame.version())),
                        is_expelled: false,
                    });
                    mark_seen(met.frame.base);
                }
            }
            // Whoever yields in between has not stood still.
            let mut coroutine = vm.current;
            while !std::ptr::eq(coroutine, main) && !coroutine.is_null() {
                (*coroutine).is_watched = true;
                if std::ptr::eq(coroutine, met.coroutine) {
                    break;
                }
                coroutine = (*coroutine).resumer;
            }
        }
        innermost.filter(|_| is_slow).map(|(_, at)| at)
    }
}

/// The activation noted of a probation has taken too long.
fn expel(vm: &mut Vm, at: usize) -> Raised {
    let probation = &mut vm.hot.guards.active[at];
    let (patch, slow) = (probation.patch, probation.slow.unwrap_or_default());
    let Some(seen) = &mut probation.seen else {
        return Raised(());
    };
    let again = std::mem::replace(&mut seen.is_expelled, true);
    seen.since = Instant::now();
    let (place, function) = (seen.place, seen.function.clone());
    let is_new = !std::mem::replace(&mut probation.is_undone, true);
    if is_new {
        let used_up = Quarantined::new(probation, Cause::Slow, &function);
        vm.hot.guards.due.push(used_up);
    }
    let mut text = format!(
        "interrupted: {function} of patch {patch} did not return within {} s",
        slow.as_secs_f64()
    );
    if is_new {
        text.push_str("; the patch is undone");
    }
    vm.poll.request();
    if again {
        return limits::trip(vm, Limit::Hang, &text);
    }
    let raised = vm.raise_located(text);
    vm.in_flight = InFlightError {
        counted: true,
        expelled: Some(place),
        is_expulsion: true,
        ..InFlightError::default()
    };
    raised
}

/// The coroutine yields: what stands in it is not at a standstill.
///
/// # Safety
/// `coroutine` is live.
#[cold]
#[inline(never)]
pub(crate) unsafe fn yielded(vm: &mut Vm, coroutine: *mut Coroutine) {
    // SAFETY: the running coroutine.
    unsafe { (*coroutine).is_watched = false };
    for probation in &mut vm.hot.guards.active {
        let seen = probation.seen.as_ref();
        if seen.is_some_and(|seen| std::ptr::eq(seen.place.coroutine, coroutine)) {
            probation.seen = None;
        }
    }
}

/// The host polls: nothing stands still.
pub(crate) fn host_polls(vm: &mut Vm) {
    for probation in &mut vm.hot.guards.active {
        probation.seen = None;
    }
}

/// Sets the timer for the next look and for the end of probations; scans not before
/// `rest` has passed.
pub(crate) fn set_timer(vm: &mut Vm, rest: Duration) {
    let now = Instant::now();
    let next = |p: &Probation| {
        let slow = p.slow.filter(|_| p.is_watched(now)).map(|slow| {
            let period = (slow / 4).clamp(SHORTEST_PERIOD, LONGEST_PERIOD).max(rest);
            let over = p
                .seen
                .as_ref()
                .and_then(|seen| seen.since.checked_add(slow));
            over.map_or(now + period, |over| {
                over.clamp(now + rest, now + period.max(rest))
            })
        });
        // Behind its end it waits for a safe point.
        let end = if p.until > now {
            p.until
        } else {
            now + LONGEST_PERIOD
        };
        slow.into_iter().chain([end]).min()
    };
    let guards = &mut vm.hot.guards;
    let ring = guards.active.iter().filter_map(next).min();
    let old = std::mem::replace(&mut guards.dog.ring, ring);
    let has_no_timer = std::mem::take(&mut guards.dog.has_no_timer);
    let old = if has_no_timer { None } else { old };
    if ring.is_some() && old == ring {
        return;
    }
    if !timer::set(&vm.poll, old, ring, Purpose::Guard) {
        vm.hot.guards.dog.has_no_timer = true;
        // Every safe point has to look at the clock.
        vm.poll.guard_rings.store(true, Ordering::Release);
        vm.poll.request();
    }
}

/// The VM goes away.
pub(crate) fn forget(vm: &mut Vm) {
    let dog = std::mem::take(&mut vm.hot.guards.dog);
    if !dog.has_no_timer {
        timer::set(&Arc::clone(&vm.poll), dog.ring, None, Purpose::Guard);
    }
}
