//! What objects take.
//!
//! Invariants: X1 (`boxed.rs`).

use std::alloc::Layout;

use moonswap_bytecode::Records;

use super::class::{class_of, class_size};
use crate::object::{
    Closure, Coroutine, Header, Instance, Kind, More, Native, NativeCode, Patched, PrototypeSlot,
    Rare, StringObject, Upvalue, UserData, Version,
};

/// # Safety
/// X1.
unsafe fn object<'a, T>(h: *mut Header) -> &'a T {
    // SAFETY: X1; the reference is used at once.
    unsafe { &*h.cast::<T>() }
}

/// Bytes a boxed object stands for.
///
/// # Safety
/// X1.
pub(super) unsafe fn boxed_size(h: *mut Header) -> usize {
    // SAFETY: X1.
    unsafe {
        match (*h).kind {
            Kind::Native => {
                let n = object::<Native>(h);
                let code = match &n.code {
                    NativeCode::Function(_) => 0,
                    NativeCode::Boxed(function) => size_of_val(&**function),
                };
                size_of::<Native>() + n.upvalues.len() * 16 + code
            }
            Kind::UserData => {
                let u = object::<UserData>(h);
                let data = u.data.as_deref().map_or(0, size_of_val);
                size_of::<UserData>() + u.user_values.len() * 16 + data + u.owned + 32
            }
            Kind::Coroutine => {
                size_of::<Coroutine>() + object::<Coroutine>(h).stack.capacity() * 16
            }
            Kind::Slot => size_of::<PrototypeSlot>(),
            Kind::Version => {
                let v = object::<Version>(h);
                let rare = v.rare.as_ref().map_or(0, |rare| {
                    let records = rare.records.as_ref().map_or(0, Records::heap_bytes);
                    let cells = size_of_val(&*rare.scope_cells);
                    size_of::<Rare>() + records + cells + rare.prototype_bytes
                });
                version_layout(v).size() + rare
            }
            Kind::Instance => {
                let i = object::<Instance>(h);
                let more = i.more.as_ref().map_or(0, |more| {
                    let slots = more.slots.as_ref().map_or(0, |slots| size_of_val(&**slots));
                    let cells = more.cells.capacity() * 32;
                    let patched = more.patched.as_ref();
                    let patched = patched.map_or(0, |p| size_of::<Patched>() + p.literal_bytes);
                    size_of::<More>() + slots + cells + patched
                });
                let records = match i.header.flags & Instance::SHARES_RECORDS {
                    0 => i.records.heap_bytes(),
                    _ => 0,
                };
                size_of::<Instance>() + records + i.source.own_bytes() + more
            }
            _ => 0,
        }
    }
}

/// What a version takes with the words behind it.
pub(super) fn version_layout(version: &Version) -> Layout {
    let words = Layout::array::<u64>(version.n_words as usize);
    let whole = words.and_then(|words| Layout::new::<Version>().extend(words));
    whole.expect("code that is in memory has a size").0
}

/// Bytes a string takes.
///
/// # Safety
/// A live string.
#[inline(always)]
pub(super) unsafe fn string_size(s: *const StringObject) -> usize {
    // SAFETY: by the caller.
    unsafe {
        if (*s).header.flags & StringObject::EXTERNAL != 0 {
            32 + *(&raw const (*s).data).cast::<usize>().add(1)
        } else {
            class_size(class_of(16 + (*s).len))
        }
    }
}

/// Bytes of a closure with `n` captured variables.
#[inline(always)]
pub(crate) const fn closure_size(n: usize) -> usize {
    size_of::<Closure>() + n * size_of::<*mut Upvalue>()
}
