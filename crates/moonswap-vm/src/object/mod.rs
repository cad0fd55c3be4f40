//! Layouts of heap objects: the only description of them.
//!
//! Every object starts with [`Header`]. Objects are reached by raw pointers;
//! references to them are made only inside one accessor and never held over an
//! allocation or a safe point. Which objects live in block cells and which are
//! boxed (those with a destructor) is the heap's business.

mod code;
mod coroutine;
mod entry;
mod hook;
mod native;
mod pointer;
mod registry;
pub(crate) mod stack;
mod text;

use crate::value::Value;

pub use code::Keep;
pub(crate) use code::{
    Instance, More, Patched, Pending, PrototypeSlot, Rare, Reserved, Source, Version,
};
pub(crate) use coroutine::{Coroutine, CoroutineStatus};
pub(crate) use entry::Entry;
pub(crate) use hook::{Hook, HookState, Step};
pub use native::{Context, NativeFn, NativeKind};
pub(crate) use native::{Native, NativeCode};
pub(crate) use registry::{SlotPointer, SlotRegistry};
pub(crate) use text::{HeldText, LONG_TEXT};

/// What kind of object a header belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Free cell. Must be 0.
    Free = 0,
    /// String (leaf).
    String,
    /// Table.
    Table,
    /// Array or node part of a table, owned by it (marked through it).
    Part,
    /// Lua closure.
    Closure,
    /// Captured variable.
    Upvalue,
    /// Native function (boxed).
    Native,
    /// Userdata (boxed).
    UserData,
    /// Coroutine (boxed).
    Coroutine,
    /// Prototype slot (boxed).
    Slot,
    /// Loaded version of a prototype (boxed).
    Version,
    /// Chunk instance (boxed).
    Instance,
}

/// First word of every object.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// 0 = new/white; equal to the heap's current epoch = marked.
    pub(crate) mark: u8,
    /// Per kind: strings [`StringObject`] and closures [`Closure`] flags; tables: cached *absence* of
    /// metamethods in this table (bit = event number), see `meta.rs`.
    pub(crate) flags: u8,
    /// Per kind; the heap may use it (e.g. "has finalizer").
    pub(crate) extra: u8,
    /// Per kind: string hash; table: node mask (number of nodes - 1).
    pub(crate) word: u32,
}

/// Longest interned string, bytes.
pub(crate) const MAX_SHORT: usize = 40;

/// A byte string. Short ones (<= 40 bytes) are interned: equal means same
/// pointer. `header.word` is the hash (long ones: valid if HASHED).
#[repr(C)]
pub(crate) struct StringObject {
    pub(crate) header: Header,
    pub(crate) len: usize,
    /// Inline: the first bytes; EXTERNAL: a pointer to the bytes.
    pub(crate) data: [u8; 0],
}

impl StringObject {
    /// `header.flags`: interned.
    pub(crate) const SHORT: u8 = 1;
    /// `header.flags`: the bytes are in a separate allocation.
    pub(crate) const EXTERNAL: u8 = 2;
    /// `header.flags`: long string whose hash was computed.
    pub(crate) const HASHED: u8 = 4;

    /// The bytes. They stay valid as long as the object is not collected.
    ///
    /// # Safety
    /// `this` points to a live string.
    #[inline(always)]
    pub(crate) unsafe fn bytes<'a>(this: *const Self) -> &'a [u8] {
        // SAFETY: by the caller; len and data belong together.
        unsafe {
            let inline = (&raw const (*this).data).cast::<u8>();
            let start = if (*this).header.flags & Self::EXTERNAL != 0 {
                *inline.cast::<*const u8>()
            } else {
                inline
            };
            std::slice::from_raw_parts(start, (*this).len)
        }
    }

    /// Bytes that the system was asked for besides the cell.
    ///
    /// # Safety
    /// `this` points to an allocated string.
    pub(crate) unsafe fn body_capacity(this: *const Self) -> usize {
        // SAFETY: by the caller; external ones keep pointer and capacity.
        unsafe {
            if (*this).header.flags & Self::EXTERNAL == 0 {
                return 0;
            }
            *(&raw const (*this).data).cast::<usize>().add(1)
        }
    }

    #[inline(always)]
    pub(crate) unsafe fn is_short(this: *const Self) -> bool {
        // SAFETY: by the caller.
        unsafe { (*this).header.flags & Self::SHORT != 0 }
    }
}

/// One entry of a table's hash part: chained scatter with Brent's variation.
/// Removed entries keep their key (value nil), so that `next` can go on.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Node {
    pub(crate) value: u64,
    pub(crate) key: u64,
    pub(crate) value_tag: u8,
    pub(crate) key_tag: u8,
    pub(crate) pad: u16,
    /// Distance in nodes to the next of the chain; 0 = last.
    pub(crate) next: i32,
}

/// A table: array part with values and tags apart, hash part of nodes.
///
/// `nodes` is never null: an empty hash part points to one static read-only
/// node with nil key and nil value (`header.word` = 0), never written to.
/// Array entry i (1-based i <= array_len) is `array[i-1]` with tag byte at
/// `(array + array_cap) as *u8 [i-1]`. Slots in `array_len..array_cap` are
/// uninitialised. `array_len` counts used slots (some may be nil).
// Inline parts behind it hold 64-bit words, on 32-bit machines as well.
#[repr(C, align(8))]
pub(crate) struct Table {
    pub(crate) header: Header,
    pub(crate) metatable: *mut Table,
    pub(crate) nodes: *mut Node,
    pub(crate) array: *mut u64,
    pub(crate) array_len: u32,
    pub(crate) array_cap: u32,
    /// All nodes at or after this index are in use (search for a free one
    /// goes down from here).
    pub(crate) last_free: u32,
    /// Number of the undo log that was kept when it was made
    /// (`undo/mod.rs`); 0: none.
    pub(crate) made_in: u32,
}

/// A captured variable. Open: `value` points into a stack; closed: to `closed`.
#[repr(C)]
pub(crate) struct Upvalue {
    pub(crate) header: Header,
    pub(crate) value: *mut Value,
    pub(crate) closed: Value,
    /// Open ones of a coroutine form a list, highest stack slot first.
    pub(crate) next_open: *mut Upvalue,
}

impl Upvalue {
    pub(crate) unsafe fn is_open(this: *const Self) -> bool {
        // SAFETY: by the caller, `this` is live.
        unsafe { !std::ptr::eq((*this).value, &raw const (*this).closed) }
    }
}

/// What a closure points to.
#[cfg(not(feature = "frozen"))]
pub(crate) type Callee = PrototypeSlot;
/// What a closure points to.
#[cfg(feature = "frozen")]
pub(crate) type Callee = Version;

/// A Lua function: slot (see `callee.rs`) plus captured variables.
#[repr(C)]
pub(crate) struct Closure {
    /// `header.word` = number of captured variables.
    pub(crate) header: Header,
    pub(crate) callee: *mut Callee,
    pub(crate) upvalues: [*mut Upvalue; 0],
}

impl Closure {
    /// `header.flags`: has captured variables beyond its own (`heap/backfill.rs`).
    pub(crate) const HAS_EXTRA_UPVALUES: u8 = 1;

    /// Address of the i-th captured variable's pointer.
    #[inline(always)]
    pub(crate) unsafe fn upvalue_at(this: *mut Self, i: usize) -> *mut *mut Upvalue {
        // SAFETY: by the caller, i < header.word.
        unsafe { (&raw mut (*this).upvalues).cast::<*mut Upvalue>().add(i) }
    }
}

// There may be a hundred thousand of each.
#[cfg(all(target_pointer_width = "64", not(feature = "frozen")))]
const _: () = assert!(
    size_of::<PrototypeSlot>() == 48 && size_of::<Version>() == 48 && size_of::<Instance>() == 104
);

/// A value of the host, with optional metatable. Boxed; dropped when collected.
#[repr(C)]
pub(crate) struct UserData {
    pub(crate) header: Header,
    pub(crate) metatable: *mut Table,
    pub(crate) data: Option<Box<dyn std::any::Any>>,
    pub(crate) user_values: Box<[Value]>,
    /// Bytes that `data` owns elsewhere, as far as its owner told.
    pub(crate) owned: usize,
}
