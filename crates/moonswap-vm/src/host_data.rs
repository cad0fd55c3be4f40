//! What the host gave to objects that are gone: closures of natives, data of userdata.
//!
//! The collector puts it aside. Its destructors run afterwards, where finalizers do:
//! they may enter the VM through handles.
//!
//! Invariants: HO1, VM3, M2, CX1.

use crate::contained::contained;
use crate::object::{Context, HostData};
use crate::vm::Vm;

/// Slots that a destructor may use, as a native may.
const ROOM: usize = 64;

/// Emits a warning of the machine's own. The host's function for warnings is called as
/// destructors are.
pub(crate) fn warn(vm: &mut Vm, message: Vec<u8>) {
    match vm.warning_sink {
        Some(_) => vm.heap.host_data.push(HostData::Warning(message)),
        None => vm.warning(&message, false),
    }
}

/// Runs the destructors that are due. Those of what they leave behind wait.
///
/// # Safety
/// HO1 at a safe point.
pub(crate) unsafe fn drop_all(vm: &mut Vm) {
    if vm.heap.host_data.is_empty() || vm.is_dropping {
        return;
    }
    let due = std::mem::take(&mut vm.heap.host_data);
    vm.is_dropping = true;
    // SAFETY: by the caller; what runs inside leaves the stack as it was (HO2), and the
    // rest is put back.
    unsafe {
        let top = vm.top_in_use();
        let saved_top = vm.index_of(vm.top);
        let at = vm.index_of(top);
        let (error, was_memory) = (vm.error, vm.is_memory_error);
        let overflow = vm.handling_overflow;
        let in_flight = std::mem::take(&mut vm.in_flight);
        // What the code of a patch leads to may have to be undone (J1): no way in.
        let is_open = !vm.undo_log.is_open() && vm.ensure_stack(top, ROOM).is_ok();
        for data in due {
            vm.top = vm.stack_base.add(at);
            let sink = vm.warning_sink.clone();
            let end = || match (data, sink) {
                (HostData::Warning(text), Some(sink)) => {
                    // A panic in it must not keep what is due from its end.
                    let _ = contained(|| sink(&text));
                    None
                }
                (data, _) => data.drop_now(),
            };
            let panic = if is_open {
                Context::of_frame(vm, at).suspended(end)
            } else {
                end()
            };
            if let Some(text) = panic {
                let text = format!("error in the destructor of host data (panic: {text})");
                warn(vm, text.into_bytes());
            }
        }
        vm.in_flight = in_flight;
        if !overflow {
            vm.leave_overflow(vm.base);
        }
        vm.error = error;
        vm.is_memory_error = was_memory;
        vm.top = vm.stack_base.add(saved_top);
    }
    vm.is_dropping = false;
}
