//! Native functions, and the window on the VM that they are given.
//!
//! What the window shows is defined in `context/`; here it is only a pointer, so
//! that objects need not know the VM.
//!
//! Invariants: CX1 (`context/mod.rs`).

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::Header;
use crate::error::Raised;
use crate::value::Value;

/// A native function's window on the VM; see the head of [`crate::context`] for
/// the rules.
pub struct Context<'vm> {
    /// The VM; only `context` knows its type.
    vm: NonNull<()>,
    /// Slot index of argument 0 on the current stack.
    base: usize,
    _vm: PhantomData<&'vm mut ()>,
}

impl Context<'_> {
    /// A context over the frame whose arguments start at slot `base`.
    ///
    /// # Safety
    /// `vm` is the address of a `Vm`, and CX1 holds for it.
    #[inline(always)]
    pub(crate) unsafe fn of_vm(vm: NonNull<()>, base: usize) -> Self {
        Self {
            vm,
            base,
            _vm: PhantomData,
        }
    }

    /// Address of the VM.
    #[inline(always)]
    pub(crate) fn vm_address(&self) -> NonNull<()> {
        self.vm
    }

    /// Slot index of argument 0 on the current stack.
    #[inline(always)]
    pub(crate) fn base(&self) -> usize {
        self.base
    }
}

/// Signature of a native function: arguments through the context, results
/// pushed; returns how many.
pub type NativeFn = fn(&mut Context<'_>) -> Result<usize, Raised>;

/// What a native function is: most are plain; a few change frames or
/// coroutines themselves and are run by the interpreter without recursion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NativeKind {
    /// Runs to its end within one native call.
    Plain,
    /// `pcall`
    Pcall,
    /// `xpcall`
    Xpcall,
    /// `coroutine.resume`
    Resume,
    /// a function made by `coroutine.wrap` (upvalue 0 is the coroutine)
    Wrap,
    /// `coroutine.yield`
    Yield,
    /// `next`: `for … in next, t` and `pairs` run it inline
    Next,
    /// the iterator of `ipairs`
    IpairsStep,
}

/// Code of a native function.
pub(crate) enum NativeCode {
    /// A plain function.
    Function(NativeFn),
    /// A Rust closure of the embedder.
    #[allow(clippy::type_complexity)]
    Boxed(Box<dyn Fn(&mut Context<'_>) -> Result<usize, Raised>>),
}

/// A function written in Rust. Boxed.
#[repr(C)]
pub(crate) struct Native {
    pub(crate) header: Header,
    pub(crate) kind: NativeKind,
    pub(crate) code: NativeCode,
    pub(crate) upvalues: Box<[Value]>,
    /// Name for messages and tracebacks of embedder functions.
    pub(crate) name: &'static str,
}

impl Native {
    /// `header.flags`: patches may be committed while it calls back.
    pub(crate) const TRANSPARENT: u8 = 1;
    /// `header.flags`: it writes only its arguments, through the undo log, and
    /// otherwise only answers and calls back.
    pub(crate) const HARMLESS: u8 = 2;
}
