//! What embedders ask for: other globals, values beside userdata, limits.
//!
//! Invariants: CX1 to CX3 (`context/mod.rs`).

use super::Context;
use crate::object::CoroutineStatus;
use crate::value::{Value, tag};

impl Context<'_> {
    /// Pops a table and makes it the table of globals: of chunks loaded from now on,
    /// and `push_globals`. False (and nothing done) if it is no table.
    pub fn set_globals(&self) -> bool {
        let value = self.pop_value();
        if value.tag != tag::TABLE {
            return false;
        }
        let mut vm = self.vm();
        vm.globals = value.as_table();
        let registry = vm.registry;
        // SAFETY: CX2: live registry, which keeps the globals at key 2.
        unsafe { vm.heap.barrier(registry.cast(), value) };
        self.push_registry();
        self.push_value(value);
        let registry = self.height() - 2;
        let kept = self.raw_set_int(registry, 2);
        self.pop(1);
        kept.is_ok()
    }

    /// Pushes the value that is kept beside the userdata at index `i`; nil if there
    /// is none, or no userdata.
    pub fn push_user_value(&self, i: usize) {
        let value = self.value(i);
        let kept = if value.tag == tag::USERDATA {
            // SAFETY: CX2: live.
            let values = unsafe { &(*value.as_userdata()).user_values };
            values.first().copied().unwrap_or(Value::NIL)
        } else {
            Value::NIL
        };
        self.push_value(kept);
    }

    /// Pops a value and keeps it beside the userdata at index `i`.
    pub fn set_user_value(&self, i: usize) {
        let kept = self.pop_value();
        let value = self.value(i);
        if value.tag != tag::USERDATA {
            return;
        }
        let userdata = value.as_userdata();
        let mut vm = self.vm();
        // SAFETY: CX2: live; `&self` methods hold no reference to it; barrier after
        // the store.
        unsafe {
            vm.heap
                .change_boxed(userdata, |u| u.user_values = vec![kept].into());
            vm.heap.barrier(value.header(), kept);
        }
    }

    /// The limit on what the VM takes from the system, if there is one.
    pub fn memory_limit(&self) -> Option<usize> {
        self.vm().heap.memory_limit()
    }

    /// Whether the coroutine ended with an error.
    pub fn coroutine_failed(&self, c: super::CoroutineRef<'_>) -> bool {
        // SAFETY: CX2.
        unsafe { (*c.0).failed }
    }

    /// Pops a function that the coroutine at index `i`, which was closed, is going to
    /// run as if it were new. False if it is not dead.
    pub fn restart_coroutine(&self, i: usize) -> bool {
        let body = self.pop_value();
        let value = self.value(i);
        if value.tag != tag::COROUTINE {
            return false;
        }
        let co = value.as_coroutine();
        // SAFETY: CX2: live. Dead and not failed, nothing stands on its stack (C1);
        // what a new one has is in place again. Barrier after the store.
        unsafe {
            if (*co).status != CoroutineStatus::Dead || (*co).failed || (*co).stack.len() < 4 {
                return false;
            }
            (&mut (*co).stack)[2] = body;
            (*co).base = 2;
            (*co).top = 3;
            (*co).pc = std::ptr::null();
            (*co).resumer = std::ptr::null_mut();
            (*co).started = false;
            (*co).status = CoroutineStatus::Suspended;
            self.vm().heap.barrier(value.header(), body);
        }
        true
    }
}
