//! What a failed patch goes back to: the undo log is opened here, with a copy of
//! what is kept as a whole, and its entries about the VM are taken back.
//!
//! Invariants: HP2, J1, J3.

use std::sync::Arc;

use crate::debug::{local, walk};
use crate::frame::Frame;
use crate::heap::Settings;
use crate::hook;
use crate::hotpatch::AtSafePoint;
use crate::hotpatch::observe::event::Listener;
use crate::object::{PrototypeSlot, Table};
use crate::undo::{Local, Mark, Outer};
use crate::vm::Vm;

/// What is copied as a whole.
pub(crate) struct Checkpoint {
    gc: Settings,
    type_metatables: [*mut Table; 16],
    warn_on: bool,
    warn_continues: bool,
    /// The newest instance.
    last_serial: u64,
    /// Once one has come or gone: those before.
    listeners: Option<Vec<(u64, Listener)>>,
}

/// Opens the undo log of a patch.
pub(crate) fn begin(vm: &mut Vm) {
    vm.undo_log.open();
    vm.hot.checkpoint = Some(Checkpoint {
        gc: vm.heap.settings(),
        type_metatables: vm.type_metatables,
        warn_on: vm.warn_on,
        warn_continues: vm.warn_continues,
        last_serial: vm.hot.last_serial,
        listeners: None,
    });
}

/// Code of the patch is about to run: its writes are watched until the end.
pub(crate) fn watch(vm: &mut Vm) {
    if vm.heap.logged || !vm.undo_log.is_open() {
        return;
    }
    vm.undo_log.watch();
    vm.heap.logged = true;
    vm.poll.table.set_logged(true);
    vm.poll.rearm();
}

/// The patch is sure to be committed: what it did stays.
pub(crate) fn forget(vm: &mut Vm) {
    close(vm);
}

/// The patch has failed: all is as it was when the log was opened.
pub(crate) fn undo(vm: &mut AtSafePoint) {
    revert(vm, None);
    if let Some(before) = vm.hot.checkpoint.take() {
        vm.type_metatables = before.type_metatables;
        vm.warn_on = before.warn_on;
        vm.warn_continues = before.warn_continues;
        vm.heap.set_settings(before.gc);
        for chunk in vm.hot.instances.get_mut().hide_after(before.last_serial) {
            vm.hot.withdraw(&chunk);
        }
        if let Some(listeners) = before.listeners {
            vm.hot.events.set_listeners(listeners);
        }
    }
    close(vm);
}

/// All is as it was at the mark.
pub(crate) fn undo_to(vm: &mut AtSafePoint, mark: Mark) {
    revert(vm, Some(mark));
}

fn close(vm: &mut Vm) {
    vm.hot.checkpoint = None;
    if vm.heap.logged {
        vm.heap.logged = false;
        vm.poll.table.set_logged(false);
        vm.poll.rearm();
    }
    vm.undo_log.close(&vm.heap);
    if vm.heap.has_pending_finalizers() {
        // Polls in the patch's code left them alone.
        vm.poll.request();
    }
}

fn revert(vm: &mut AtSafePoint, mark: Option<Mark>) {
    // SAFETY: J1: objects are live.
    unsafe {
        let vm: &mut Vm = vm;
        while let Some(entry) = vm.undo_log.revert(&mut vm.heap, mark) {
            revert_outer(vm, entry);
        }
    }
}

/// # Safety
/// J1: an entry of the open log.
unsafe fn revert_outer(vm: &mut Vm, entry: Outer) {
    // SAFETY: J1: objects are live.
    unsafe {
        match entry {
            Outer::Local(local) => revert_local(vm, &local),
            Outer::Hook(coroutine, old) => hook::put(vm, coroutine, *old),
            Outer::Module(chunk, old) => {
                if old.is_null() {
                    vm.hot.modules.remove(&*chunk);
                } else {
                    vm.hot.modules.insert(*chunk, old);
                }
            }
            Outer::Slot(slot, flags) => {
                // Closures of it may still be somewhere.
                let made = (*slot).header.flags & PrototypeSlot::MADE;
                (*slot).header.flags = flags | made;
                crate::hotpatch::touch(vm, (*slot).instance);
            }
        }
    }
}

/// The activation may have ended or gone on, if its coroutine did.
///
/// # Safety
/// J1: an entry of the open log.
unsafe fn revert_local(vm: &mut Vm, entry: &Local) {
    // SAFETY: J1; the activation is looked for, and has the same registers where
    // it is at the same instruction (D2 for those that are no variables).
    unsafe {
        let stack = (&mut (*entry.coroutine).stack).as_mut_ptr();
        let is_it = |frame: Frame| {
            frame.base.offset_from(stack) as usize == entry.base && frame.pc == entry.pc
        };
        if walk::levels(vm, Some(entry.coroutine)).any(|(frame, _)| is_it(frame)) {
            local::put(stack.add(entry.slot), entry.is_variable, entry.old);
            if let Some(other) = walk::other(vm, Some(entry.coroutine)) {
                vm.heap.note_resumed(other);
            }
        }
    }
}

/// Another instance of a module is about to be kept alive.
pub(crate) fn module(vm: &mut Vm, chunk: &Arc<str>) {
    let old = vm.hot.modules.get(chunk).copied();
    vm.undo().module(chunk, old.unwrap_or(std::ptr::null_mut()));
}

/// A listener is about to come or go.
pub(crate) fn listeners(vm: &mut Vm) {
    if vm.heap.logged
        && let Some(before) = &mut vm.hot.checkpoint
    {
        let now = || vm.hot.events.listeners().to_vec();
        before.listeners.get_or_insert_with(now);
    }
}
