//! A trap where the outermost activation of a changed function will return to:
//! it asks for a scan at the moment that a waiting patch waits for, which looks
//! at random times would meet only by chance.
//!
//! The operation byte of one instruction of a live version is overwritten with
//! TRAP; its operands stay, since callees read those of the instruction they
//! return behind. Whoever runs it, in whatever activation of the version, puts
//! the operation back, asks, and runs it.
//!
//! Invariants: HP2, F1, F2; TR1 the operation byte at `place` is TRAP as long as
//! the trap is set, and TRAP stands nowhere else but where MG1 says (`migrate.rs`); TR2 the version is marked by
//! the collector as long.

use moonswap_bytecode::OpCode;

use crate::frame::Frame;
use crate::heap::Marker;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::planner::planned::Changed;
use crate::hotpatch::registry::frames::top_frame;
use crate::object::Version;
use crate::vm::Vm;

pub(crate) struct Trap {
    place: *mut u8,
    operation: OpCode,
    version: *mut Version,
}

impl Trap {
    pub(crate) fn mark(&self, marker: &mut Marker) {
        // SAFETY: TR2.
        unsafe { marker.mark_object(self.version.cast()) };
    }
}

/// Sets the trap for the running activations of these functions.
pub(crate) fn set(vm: &mut AtSafePoint, changed: &Changed) {
    // SAFETY: HP2, F1, F2: return addresses of frames that a CALL made point to
    // instructions of the version that the frame below pins; TR1.
    unsafe {
        clear(vm);
        // A hook would be called twice for the instruction.
        if vm.poll.table.is_hooked() {
            return;
        }
        let Some(mut frame) = outermost(vm, changed) else {
            return;
        };
        while let Some((below, operation)) = frame.caller() {
            if !operation.is_internal() {
                let place = frame.return_address().cast::<u8>().cast_mut();
                vm.hot.trap = Some(Trap {
                    place,
                    operation,
                    version: below.version(),
                });
                *place = OpCode::Trap as u8;
                return;
            }
            frame = below;
        }
    }
}

fn outermost(vm: &AtSafePoint, changed: &Changed) -> Option<Frame> {
    // SAFETY: HP2, F1, F2.
    unsafe {
        let mut found = None;
        let mut co = vm.current;
        while !co.is_null() {
            let mut next = top_frame(vm, co);
            while let Some(frame) = next {
                let version = frame.version();
                if !version.is_null() && changed.contains(&(*version).slot) {
                    found = Some(frame);
                }
                next = frame.caller().map(|(below, _)| below);
            }
            co = (*co).resumer;
        }
        found
    }
}

/// Takes the trap away.
pub(crate) fn clear(vm: &mut Vm) {
    if let Some(trap) = vm.hot.trap.take() {
        // SAFETY: TR1, TR2.
        unsafe { *trap.place = trap.operation as u8 };
    }
}

/// An error is about to end activations, perhaps those that return to the trap.
pub(crate) fn skipped(vm: &mut Vm) {
    if vm.hot.trap.is_some() {
        clear(vm);
        super::obstacle::ask(vm);
    }
}

/// The operation that stands at `pc` but for the trap.
pub(crate) fn operation_at(vm: &Vm, pc: *const u64) -> Option<OpCode> {
    let trap = vm.hot.trap.as_ref()?;
    std::ptr::eq(trap.place, pc.cast()).then_some(trap.operation)
}
