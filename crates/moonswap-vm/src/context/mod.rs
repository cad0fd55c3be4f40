//! `Context`: what a native function sees of the VM. Safe to use.
//!
//! Two rules the types enforce: nothing borrowed from the context (`View`,
//! `Str`, `TableRef` …) survives a method that takes `&mut self`, for those may
//! run Lua code and collect garbage; methods that take `&self` never do (they
//! may allocate). Values that must live across such a call are on the stack:
//! indices count from 0, arguments first, then what was pushed.
//!
//! Invariants: CX1 the context's frame is the topmost one while its methods
//! run, `vm` is live, and `base..vm.top` are initialised values; CX2 `&self`
//! methods never collect; CX3 every push reserves its slot first.

mod arguments;
mod buffer;
mod chunks;
mod hot;
mod inspect;
mod run;
mod stack;
mod tables;
mod view;

use std::marker::PhantomData;

pub use buffer::Buffer;
pub use view::{CoroutineRef, FunctionRef, Str, TableRef, UserDataRef, View};

pub use crate::error::Raised;
pub use crate::object::{NativeFn, NativeKind};
use crate::value::Value;
use crate::vm::Vm;

/// Result of everything that can raise.
pub type Outcome<T> = Result<T, Raised>;

/// A native function's window on the VM; see the module's head for the rules.
pub struct Context<'vm> {
    vm: *mut Vm,
    /// Slot index of argument 0 on the current stack.
    base: usize,
    _vm: PhantomData<&'vm mut ()>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("height", &self.height())
            .finish()
    }
}

impl Context<'_> {
    /// A context over the frame whose arguments start at slot `base`.
    pub(crate) fn of_frame(vm: &mut Vm, base: usize, _n: usize) -> Self {
        Self {
            vm,
            base,
            _vm: PhantomData,
        }
    }

    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) fn vm(&self) -> &mut Vm {
        // SAFETY: CX1. References made here are not held over calls that make
        // another one.
        unsafe { &mut *self.vm }
    }

    /// Place of stack index `i`.
    #[inline(always)]
    fn slot(&self, i: usize) -> *mut Value {
        // SAFETY: CX1; callers stay below the stack's end.
        unsafe { self.vm().stack_base.add(self.base + i) }
    }

    /// Value at index `i`, nil beyond the end.
    #[inline(always)]
    pub(crate) fn value(&self, i: usize) -> Value {
        if i < self.height() {
            // SAFETY: CX1.
            unsafe { *self.slot(i) }
        } else {
            Value::NIL
        }
    }

    /// Number of values on this function's stack (arguments and pushed ones).
    #[inline(always)]
    pub fn height(&self) -> usize {
        let vm = self.vm();
        vm.index_of(vm.top) - self.base
    }
}
