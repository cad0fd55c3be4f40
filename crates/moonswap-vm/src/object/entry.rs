//! `Entry`: what a call reads of a Lua function (`callee.rs`).

use moonswap_bytecode::Instruction;

/// The fields a call needs, copied from the version.
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) code: *mut Instruction,
    /// Bytes of stack the frame needs above its base.
    pub(crate) frame_bytes: u32,
    /// A call with fewer arguments takes the slow path; 0xFFFF for varargs.
    pub(crate) fast_args: u16,
    pub(crate) n_params: u8,
    pub(crate) is_vararg: bool,
    /// `version << 8 | tag::LINK`: second word of a frame link.
    #[cfg(not(feature = "frozen"))]
    pub(crate) link: u64,
}

impl Entry {
    pub(crate) const NONE: Entry = Entry {
        code: std::ptr::null_mut(),
        frame_bytes: 0,
        fast_args: 0xFFFF,
        n_params: 0,
        is_vararg: false,
        #[cfg(not(feature = "frozen"))]
        link: 0,
    };

    /// Second word of the link of a frame that is entered here.
    #[inline(always)]
    pub(crate) fn link(&self) -> u64 {
        #[cfg(not(feature = "frozen"))]
        return self.link;
        #[cfg(feature = "frozen")]
        return crate::value::tag::LINK as u64;
    }
}
