//! The collector's view of a stack.
//!
//! Values are marked by tag up to the live top; versions through the frames
//! that pin them, so that stale links in dead registers keep nothing alive.

use super::marker::Marker;
use crate::frame::Frame;
use crate::object::{Coroutine, CoroutineStatus};
use crate::value::tag;

impl Marker {
    /// Marks what the stack of `co` refers to; in the atomic step, and whenever it
    /// does not run, also clears the slots above the live top (VM4).
    ///
    /// # Safety
    /// `co` is live; if it is running, the VM has saved pc, base and top in it.
    pub(super) unsafe fn mark_stack(&mut self, co: *mut Coroutine) {
        // SAFETY: F1 for all frames of the stack.
        unsafe {
            let stack = (&mut (*co).stack).as_mut_ptr();
            let size = (*co).stack.len();
            let (base, pc) = match (*co).status {
                CoroutineStatus::Running => ((*co).base, (*co).pc),
                // What failed may stand in a Lua frame.
                _ => ((*co).base + 2, (*co).pc),
            };
            let mut top = (*co).top.min(size);
            if (*co).failed {
                // The registers of a Lua frame reach beyond what was recorded.
                top = size;
            } else if (*co).status == CoroutineStatus::Dead {
                top = 2;
            }
            let stands = (*co).failed || (*co).status != CoroutineStatus::Dead;
            // The main coroutine is never resumed: it is not `started`, but has
            // frames, also while it waits for one that it resumed.
            let begun = (*co).started
                || matches!(
                    (*co).status,
                    CoroutineStatus::Running | CoroutineStatus::Normal
                );
            if stands && begun {
                let mut frame = Frame {
                    base: stack.add(base),
                    pc: pc.cast(),
                };
                loop {
                    let version = frame.version();
                    if !version.is_null() {
                        self.mark_object(version.cast());
                    }
                    match frame.caller() {
                        Some((below, _)) => frame = below,
                        None => break,
                    }
                }
            }
            self.mark_value((*co).hook.function);
            self.mark_value((*co).error);
            for i in 0..top {
                let v = stack.add(i);
                if (*v).is_collectable() {
                    self.mark_value(*v);
                }
            }
            // One that does not run may not be looked at again before it is resumed
            // and covers these slots with frames (C5).
            let rests = matches!(
                (*co).status,
                CoroutineStatus::Suspended | CoroutineStatus::Dead
            );
            if (self.atomic || rests) && !(*co).failed {
                for i in top..size {
                    let v = stack.add(i);
                    (*v).payload = 0;
                    (*v).tag = tag::NIL;
                }
            }
        }
    }
}
