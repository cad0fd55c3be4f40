//! `Value`: 16 bytes, payload and tag.
//!
//! Guarantees: `repr(C)`, payload at 0, tag at 8. Copies between memory places
//! go through [`copy`], which moves payload and tag as two scalars: a 16-byte
//! move after two narrower stores cannot be store-forwarded and cost 11–17 %
//! in calls. Payload bits of nil, false and true are meaningless.
//!
//! Not here: anything that knows an object (see `object/pointer.rs`).

/// Tags. Everything from `STRING` to `COROUTINE` points to a heap object.
pub(crate) mod tag {
    pub(crate) const NIL: u8 = 0;
    pub(crate) const FALSE: u8 = 1;
    pub(crate) const TRUE: u8 = 2;
    pub(crate) const INTEGER: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const LIGHT: u8 = 5;
    pub(crate) const STRING: u8 = 6;
    pub(crate) const TABLE: u8 = 7;
    pub(crate) const CLOSURE: u8 = 8;
    pub(crate) const NATIVE: u8 = 9;
    pub(crate) const USERDATA: u8 = 10;
    pub(crate) const COROUTINE: u8 = 11;
    /// Stack word: link of a call frame; payload = return address, the upper
    /// 56 bits of the second word = pinned version (0 for natives).
    pub(crate) const LINK: u8 = 12;
    /// Stack word: link of a shifted vararg frame; payload = distance in bytes
    /// to the frame's original base.
    pub(crate) const VARARG_LINK: u8 = 13;
    /// Stack word: continuation of an instruction that called a metamethod.
    pub(crate) const CONTINUATION: u8 = 14;
    /// Table node key whose object was collected; equal to nothing.
    pub(crate) const DEAD_KEY: u8 = 15;
    /// Constant: pointer to an upvalue of the scope record.
    pub(crate) const CELL: u8 = 16;
    /// Stack word: as LINK, of an activation that the watchdog has met
    /// (`hotpatch/after/watchdog.rs`).
    pub(crate) const SEEN_LINK: u8 = 17;
}

/// A Lua value (or a word of frame bookkeeping on the stack).
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Value {
    pub(crate) payload: u64,
    pub(crate) tag: u8,
    pub(crate) pad: [u8; 7],
}

impl Default for Value {
    fn default() -> Self {
        Self::NIL
    }
}

/// Moves a value between memory places as two scalars.
///
/// # Safety
/// `src` readable and `dst` writable, both aligned to 8.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut Value, src: *const Value) {
    // SAFETY: by the caller.
    unsafe {
        (*dst).payload = (*src).payload;
        (*dst).tag = (*src).tag;
    }
}

/// Stores a value held in registers.
///
/// # Safety
/// `dst` writable, aligned to 8.
#[inline(always)]
pub(crate) unsafe fn store(dst: *mut Value, value: Value) {
    // SAFETY: by the caller.
    unsafe {
        (*dst).payload = value.payload;
        (*dst).tag = value.tag;
    }
}

/// The second word of a slot, tag and padding.
///
/// # Safety
/// `p` is an initialised, aligned slot (VM4).
#[inline(always)]
pub(crate) unsafe fn meta_word(p: *const Value) -> u64 {
    // SAFETY: the second word of a slot, 8-aligned, initialised (VM4).
    unsafe { *p.cast::<u64>().add(1) }
}

/// Writes both words of a slot.
///
/// # Safety
/// `p` is a writable, aligned slot.
#[inline(always)]
pub(crate) unsafe fn set_word(p: *mut Value, payload: u64, meta: u64) {
    // SAFETY: by the caller, `p` is a writable slot.
    unsafe {
        (*p).payload = payload;
        *p.cast::<u64>().add(1) = meta;
    }
}

impl Value {
    pub(crate) const NIL: Self = Self::raw(0, tag::NIL);

    #[inline(always)]
    pub(crate) const fn raw(payload: u64, tag: u8) -> Self {
        Self {
            payload,
            tag,
            pad: [0; 7],
        }
    }
    #[inline(always)]
    pub(crate) const fn boolean(b: bool) -> Self {
        Self::raw(b as u64, if b { tag::TRUE } else { tag::FALSE })
    }
    #[inline(always)]
    pub(crate) const fn integer(i: i64) -> Self {
        Self::raw(i as u64, tag::INTEGER)
    }
    #[inline(always)]
    pub(crate) const fn float(f: f64) -> Self {
        Self::raw(f.to_bits(), tag::FLOAT)
    }
    #[inline(always)]
    pub(crate) const fn is_nil(self) -> bool {
        self.tag == tag::NIL
    }
    /// `nil` or `false`.
    #[inline(always)]
    pub(crate) const fn is_falsy(self) -> bool {
        self.tag <= tag::FALSE
    }
    #[inline(always)]
    pub(crate) const fn is_collectable(self) -> bool {
        self.tag >= tag::STRING && self.tag <= tag::COROUTINE
    }
    #[inline(always)]
    pub(crate) const fn as_i64(self) -> i64 {
        self.payload as i64
    }
    #[inline(always)]
    pub(crate) const fn as_f64(self) -> f64 {
        f64::from_bits(self.payload)
    }
    #[inline(always)]
    /// Identity of heap objects; 0 for others.
    pub(crate) fn address(self) -> usize {
        match self.is_collectable() || self.tag == tag::LIGHT {
            true => self.payload as usize,
            false => 0,
        }
    }
    /// Basic type name as `type` gives it.
    pub(crate) const fn type_name(self) -> &'static str {
        match self.tag {
            tag::NIL => "nil",
            tag::FALSE | tag::TRUE => "boolean",
            tag::INTEGER | tag::FLOAT => "number",
            tag::STRING => "string",
            tag::TABLE => "table",
            tag::CLOSURE | tag::NATIVE => "function",
            tag::LIGHT | tag::USERDATA => "userdata",
            tag::COROUTINE => "thread",
            _ => "no value",
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.tag {
            tag::NIL => f.write_str("nil"),
            tag::FALSE => f.write_str("false"),
            tag::TRUE => f.write_str("true"),
            tag::INTEGER => write!(f, "{}", self.as_i64()),
            tag::FLOAT => write!(f, "{:?}", self.as_f64()),
            _ => write!(f, "{}:{:#x}", self.type_name(), self.payload),
        }
    }
}

const _: () = assert!(size_of::<Value>() == 16);
