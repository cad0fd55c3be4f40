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
//! methods never collect, run no foreign code and free nothing a view may point
//! to; CX3 every push reserves its slot first; CX4 a reference to the VM is made
//! for one use and not held over a call of another method of the context, nor
//! made in the same list of arguments as one; CX5 who asks through a context or
//! a `Machine` for what is not on its part of the stack gets nil or an error.

mod arguments;
mod buffer;
mod chunks;
mod embed;
mod hot;
mod inspect;
mod loading;
mod run;
pub(crate) mod stack;
mod tables;
mod undump;
mod view;

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

pub use buffer::Buffer;
pub use view::{CoroutineRef, FunctionRef, Str, TableRef, UserDataRef, View};

pub use crate::error::{Outcome, Raised};
pub use crate::object::{Context, Keep, NativeFn, NativeKind};
use crate::value::Value;
use crate::vm::Vm;

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("height", &self.height())
            .finish()
    }
}

/// A context's way to its VM: a bare pointer, of which each use makes a
/// reference of its own that ends with the use (CX4). Through `&Context` any
/// number of these may be about; a `&mut Vm` may not.
pub(crate) struct Access<'cx> {
    vm: NonNull<Vm>,
    _context: PhantomData<&'cx ()>,
}

impl Deref for Access<'_> {
    type Target = Vm;

    #[inline(always)]
    fn deref(&self) -> &Vm {
        // SAFETY: CX1, CX4.
        unsafe { self.vm.as_ref() }
    }
}

impl DerefMut for Access<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Vm {
        // SAFETY: CX1, CX4.
        unsafe { self.vm.as_mut() }
    }
}

impl Context<'_> {
    /// A context over the frame whose arguments start at slot `base`.
    pub(crate) fn of_frame(vm: &mut Vm, base: usize) -> Self {
        // SAFETY: it is one; its topmost frame is the one at `base` (CX1).
        unsafe { Self::of_vm(NonNull::from(vm).cast(), base) }
    }

    /// The VM, reached anew for every use (CX4).
    #[inline(always)]
    pub(crate) fn vm(&self) -> Access<'_> {
        Access {
            vm: self.vm_address().cast(),
            _context: PhantomData,
        }
    }

    /// Place of stack index `i`.
    #[inline(always)]
    fn slot(&self, i: usize) -> *mut Value {
        // SAFETY: CX1; callers stay below the stack's end.
        unsafe { self.vm().stack_base.add(self.base() + i) }
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

    /// The `k`-th value from the top (1 is the topmost), nil below the bottom.
    pub(crate) fn below_top(&self, k: usize) -> Value {
        match self.height().checked_sub(k) {
            Some(i) => self.value(i),
            None => Value::NIL,
        }
    }

    /// Number of values on this function's stack (arguments and pushed ones).
    #[inline(always)]
    pub fn height(&self) -> usize {
        let vm = self.vm();
        vm.index_of(vm.top) - self.base()
    }
}
