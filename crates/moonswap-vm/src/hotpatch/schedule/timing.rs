//! When a patch may be committed: what its policy waits for.
//!
//! Two kinds of obstacles: those that are known at once (a native that is
//! calling back, a host that does not poll), and activations of changed
//! functions, for which one has to look (`activity.rs`).
//!
//! Invariants: HP2, F1.

use moonswap_hotpatch::{Policy, Refused, SuspendedPolicy, Timing};

use super::activity::{self, Found, Wanted};
use super::obstacle::Obstacle;
use super::trap;
use crate::frame::{Frame, STUB_CLOSE, STUB_META, return_into};
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::planner::planned::Planned;
use crate::hotpatch::registry::frames;
use crate::object::Native;
use crate::value::tag;

/// What stands in the way whatever the patch changes.
pub(crate) fn obstacle(vm: &AtSafePoint, policy: &Policy, host_polls: bool) -> Option<Obstacle> {
    let waits_for_natives = policy.timing.waits_for_natives();
    if policy.dry || host_polls {
        None
    } else if policy.timing == Timing::Checkpoint {
        Some(Obstacle::HostPoll)
    } else if waits_for_natives && vm.hot.gate.is_blocked() {
        Some(Obstacle::Native(blocking_native(vm)))
    } else {
        None
    }
}

/// Name of the innermost native that blocks commits.
fn blocking_native(vm: &AtSafePoint) -> &'static str {
    // SAFETY: VM3, F1, V1.
    unsafe {
        let mut co = vm.current;
        while !co.is_null() {
            let mut next = frames::top_frame(vm, co);
            while let Some(frame) = next {
                let below = frame.caller().map(|(below, _)| below);
                if let Some(below) = below
                    && frame.return_op() == Some(moonswap_bytecode::OpCode::Halt)
                    && below.pc.is_null()
                    && let function = below.function()
                    && function.tag == tag::NATIVE
                    && (*function.as_native()).header.flags & Native::TRANSPARENT == 0
                {
                    return (*function.as_native()).name;
                }
                next = below;
            }
            co = (*co).resumer;
        }
        "?"
    }
}

/// Whether the policy has to know what is active.
pub(crate) fn asks_for_quiet(policy: &Policy) -> bool {
    !policy.dry
        && (policy.timing == Timing::Quiescent || policy.suspended == SuspendedPolicy::Refuse)
}

/// Whether activations of changed functions stand in the way.
pub(crate) enum Quiet {
    Yes,
    NotYet(Found),
    Never(Refused),
}

/// Looks; `last`: there will be no other look.
pub(crate) fn quiet(
    vm: &mut AtSafePoint,
    planned: &[Planned],
    policy: &Policy,
    last: bool,
) -> Quiet {
    if !asks_for_quiet(policy) || planned.iter().all(|(_, plan)| plan.is_empty()) {
        return Quiet::Yes;
    }
    let quiescent = policy.timing == Timing::Quiescent;
    // Those that will be closed may have time until then.
    let to_be_closed = policy.suspended == SuspendedPolicy::Close;
    let refuses_now = policy.suspended == SuspendedPolicy::Refuse && policy.deadline.is_none();
    let wanted = Wanted {
        running: quiescent,
        suspended: !(to_be_closed && (last || policy.deadline.is_none())),
        first: !last && !refuses_now,
    };
    // SAFETY: HP2.
    let (mut found, changed) = unsafe {
        let changed = activity::changed(vm, planned);
        let found = activity::scan(vm, wanted, &|version| changed.contains(&(*version).slot));
        (found, changed)
    };
    let refuses = last || refuses_now && found.iter().any(|f| f.activation.suspended);
    if found.is_empty() {
        Quiet::Yes
    } else if refuses {
        let all = found.into_iter().map(|f| f.activation).collect();
        Quiet::Never(Refused::by_activations(all))
    } else {
        let found = found.swap_remove(0);
        if !found.activation.suspended {
            trap::set(vm, &changed);
        }
        Quiet::NotYet(found)
    }
}

/// Whether what runs now was called by the machine in the middle of something:
/// as a hook, a finalizer or a metamethod.
pub(crate) fn is_called_by_machine(vm: &AtSafePoint) -> bool {
    if vm.in_finalizer || vm.hook.interrupted.is_some() {
        return true;
    }
    // SAFETY: VM3, F1.
    unsafe {
        let mut co = vm.current;
        while !co.is_null() {
            let mut next: Option<Frame> = frames::top_frame(vm, co);
            while let Some(frame) = next {
                let to = frame.return_address();
                if to == return_into(&STUB_META) || to == return_into(&STUB_CLOSE) {
                    return true;
                }
                next = frame.caller().map(|(below, _)| below);
            }
            co = (*co).resumer;
        }
    }
    false
}
