//! `Root`: a value that the host keeps alive.
//!
//! Invariants: M4 (`machine.rs`).

use std::rc::Rc;

use crate::entry::Released;
use crate::value::Value;
use crate::vm::Vm;

/// A value the host keeps alive. Cloning shares it; it may be dropped anywhere.
#[derive(Clone)]
pub struct Root(Rc<RootEntry>);

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Root({:#x})", self.address())
    }
}

struct RootEntry {
    index: u32,
    value: Value,
    /// Tells also whose root it is.
    released: Rc<Released>,
}

impl Root {
    pub(crate) fn new(vm: &mut Vm, value: Value) -> Root {
        if vm.free_roots.is_empty() {
            vm.forget_released_roots();
        }
        let index = match vm.free_roots.pop() {
            Some(index) => {
                vm.roots[index as usize] = value;
                index
            }
            None => {
                vm.roots.push(value);
                (vm.roots.len() - 1) as u32
            }
        };
        // A root made while marking may be reachable from nowhere else.
        let roots = vm.registry;
        // SAFETY: live registry; the barrier only marks.
        unsafe { vm.heap.barrier(roots.cast(), value) };
        Root(Rc::new(RootEntry {
            index,
            value,
            released: Rc::clone(&vm.released),
        }))
    }

    /// Identity of the object it holds: [`View::address`](crate::View::address),
    /// without entering the VM.
    pub fn address(&self) -> usize {
        self.0.value.address()
    }

    /// What it holds, or held while its VM lived.
    pub(crate) fn held(&self) -> Value {
        self.0.value
    }

    /// Tells whose root it is.
    pub(crate) fn released(&self) -> &Rc<Released> {
        &self.0.released
    }

    pub(crate) fn value(&self, vm: &Vm) -> Option<Value> {
        if !Rc::ptr_eq(&self.0.released, &vm.released) {
            return None;
        }
        vm.roots.get(self.0.index as usize).copied()
    }
}

impl Drop for RootEntry {
    fn drop(&mut self) {
        self.released.0.borrow_mut().push(self.index);
    }
}

impl Vm {
    /// Frees the entries of roots that were dropped.
    pub(crate) fn forget_released_roots(&mut self) {
        for index in self.released.0.borrow_mut().drain(..) {
            self.roots[index as usize] = Value::NIL;
            self.free_roots.push(index);
        }
    }
}
