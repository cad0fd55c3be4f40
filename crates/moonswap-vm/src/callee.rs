//! What a call reads of a Lua function, and where.
//!
//! A closure points to the slot of its literal, which says what to run and which
//! version that is; the link of a frame pins that version. With the feature
//! `frozen` swapping is compiled out, to measure what it costs: a closure points
//! to the one version there is, frames pin nothing (the version is found through
//! the function, as in the reference), top-level locals are not kept for patches
//! and nothing is registered for them. All else is the same.
//!
//! Invariants: F1, F2 (`frame.rs`), V1.

use crate::object::{Callee, Closure, Entry, PrototypeSlot, Version};
use crate::value::Value;
#[cfg(feature = "frozen")]
use crate::value::tag;

/// Whether swapping is compiled out.
pub(crate) const FROZEN: bool = cfg!(feature = "frozen");

impl Entry {
    /// Of a version.
    ///
    /// # Safety
    /// It is live.
    pub(crate) unsafe fn of(version: *mut Version) -> Entry {
        // SAFETY: by the caller.
        let (code, of) = unsafe { (Version::code(version), &*version) };
        Entry {
            code: code.cast(),
            frame_bytes: u32::from(of.frame_size) * 16,
            fast_args: if of.is_vararg {
                0xFFFF
            } else {
                u16::from(of.n_params)
            },
            n_params: of.n_params,
            is_vararg: of.is_vararg,
            #[cfg(not(feature = "frozen"))]
            link: ((version as u64) << 8) | u64::from(crate::value::tag::LINK),
        }
    }
}

impl Closure {
    /// What to run.
    ///
    /// # Safety
    /// `this` points to a live closure; the reference is not held over a commit.
    #[inline(always)]
    pub(crate) unsafe fn entry<'a>(this: *const Self) -> &'a Entry {
        // SAFETY: V1: an installed slot has an entry.
        unsafe { &(*(*this).callee).entry }
    }

    /// Which version that is.
    ///
    /// # Safety
    /// As [`Self::entry`].
    #[inline(always)]
    pub(crate) unsafe fn version(this: *const Self) -> *mut Version {
        #[cfg(not(feature = "frozen"))]
        // SAFETY: V1.
        return unsafe { PrototypeSlot::version((*this).callee) };
        #[cfg(feature = "frozen")]
        // SAFETY: V1.
        return unsafe { (*this).callee };
    }

    /// The slot of its literal.
    ///
    /// # Safety
    /// As [`Self::entry`].
    #[inline(always)]
    pub(crate) unsafe fn slot(this: *const Self) -> *mut PrototypeSlot {
        #[cfg(not(feature = "frozen"))]
        // SAFETY: V1.
        return unsafe { (*this).callee };
        #[cfg(feature = "frozen")]
        // SAFETY: V1.
        return unsafe { (*(*this).callee).slot };
    }
}

/// What closures of a slot's literal point to.
///
/// # Safety
/// A live, installed slot.
#[inline(always)]
pub(crate) unsafe fn callee_of(slot: *mut PrototypeSlot) -> *mut Callee {
    #[cfg(not(feature = "frozen"))]
    return slot;
    #[cfg(feature = "frozen")]
    // SAFETY: by the caller.
    return unsafe { PrototypeSlot::version(slot) };
}

/// Version pinned by the frame at `base`; null for a native.
///
/// # Safety
/// F1.
#[inline(always)]
pub(crate) unsafe fn version_of(base: *const Value) -> *mut Version {
    #[cfg(not(feature = "frozen"))]
    // SAFETY: F1.
    return unsafe { ((crate::value::meta_word(base.sub(1)) >> 8) & !7) as *mut Version };
    #[cfg(feature = "frozen")]
    // SAFETY: F1: the function stands below the link.
    return unsafe {
        let f = base.sub(2);
        if (*f).tag == tag::CLOSURE {
            Closure::version((*f).as_closure())
        } else {
            std::ptr::null_mut()
        }
    };
}
